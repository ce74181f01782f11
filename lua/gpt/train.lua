--- gpt.train: the training loop.
-- @submodule gpt
local checkpoint = require "gpt.train.checkpoint"
local core = require "gpt.core"
local options = require "gpt.train.options"
local Run = require "gpt.train.run"

local function is_interrupt(problem)
  return type(problem) == "string" and problem:find "interrupted!$" ~= nil
end

-- Says where to go on.
local function advice(run, saved, why)
  if saved then
    return ("step %d is saved in %s; the same call with resume = true goes on from there"):format(run.step,
      run.checkpoint)
  end
  if why then return "it could not be saved: " .. why end
  if run.checkpoint then return ("the last checkpoint is %s"):format(run.checkpoint) end
  return ("the model has the weights of step %d; with the option checkpoints = \"directory\" they would be saved")
    :format(run.step)
end

-- Saves the last whole step, where that is wanted and possible.
local function rescue(run)
  local whole = run:settle()
  if not whole then
    return false, "the optimizer was stopped within a step, and does not tell how far it came (state().step)"
  end
  if run.broken or not run.settings.checkpoints or run.step == 0 then return false end
  local saved, problem = pcall(run.save, run)
  return saved, not saved and tostring(problem) or nil
end

local function end_early(run, problem)
  local saved, why = rescue(run)
  run:finish()
  if not is_interrupt(problem) then
    if type(problem) ~= "string" or run.broken or not (saved or run.checkpoint) then error(problem, 0) end
    error(("%s\n(gpt.train: %s)"):format(problem, advice(run, saved)), 0)
  end
  if run.settings.on_interrupt then run.settings.on_interrupt(run:result()) end
  error(("gpt.train: interrupted! after step %d of %d: %s"):format(run.step, run.steps, advice(run, saved, why)), 0)
end

local function check_directory(settings)
  local dir = settings.checkpoints
  if not dir or settings.resume ~= nil then return end
  local last = checkpoint.last(dir)
  if last then
    core._raise(("gpt.train: checkpoints: %s is of an earlier run; resume = true goes on with it, resume = false "
      .. "begins anew and removes it"):format(last))
  end
end

--- Trains a model.
--
-- A step takes `accumulate` batches, clips their gradients and lets the optimizer step. Every whole step can be gone on
-- from: stopped at any step and resumed, a run has, bit for bit, the losses of one that was not stopped. Ctrl-C loses
-- at most the step in progress: the last whole step is saved, and the error says how to go on.
-- Callbacks get a table with `step`, `steps`, `model`, `optimizer` and what is named below; one that answers false ends
-- the training after this step.
--
-- - `model`, `data`: a model (or another layer from ids to logits) and a dataset; or, in place of data, a function from
--   a batch's number (1, 2, ...) to ids and targets
-- - `steps`, or `epochs` (1.5 is one and a half)
-- - `lr` (3e-4), `warmup` and `min_lr` (see `gpt.lr_schedule`; without either the rate stays), or `schedule`, a
--   function from a step to its rate; `betas` ({0.9, 0.95}), `eps` (1e-8), `weight_decay` (0.1, for matrices only:
--   biases and norms do not decay); or `optimizer`, one of your own
-- - `accumulate` (1): batches per step, with the gradients of one large batch; `clip` (1.0, or false): the norm of all
--   gradients at most; `loss`: a function(model, ids, targets) in place of the mean cross-entropy
-- - `validation`: a dataset, or what else `gpt.evaluate` takes; `evaluate_every` (steps; without it at the end only),
--   `evaluate_batches` (all)
-- - `sample`: a prompt, or `{ prompt = ..., and the options of model:generate }`; `sample_every` (at the end only)
-- - `checkpoints`: a directory for them, `checkpoint_every` (steps; without it at the end only), `keep` (3): how many;
--   the parameters with the best validation loss are kept as best.safetensors, for `model:load_parameters`
-- - `resume`: true goes on after the last checkpoint in that directory, or begins where it has none; false begins
--   anew and removes what is there
-- - `metrics`: a file with a line a step, CSV where its name ends in .csv, otherwise JSON lines
-- - `progress` (true: to standard error; false; or a file): a bar on a terminal, plain lines elsewhere, one every
--   `log_every` steps
-- - `on_step` (`loss`, `lr`, `grad_norm`, `tokens`, `seconds`, `validation_loss`), `on_evaluate` (`loss`, `best`,
--   `is_best`), `on_sample` (`text`), `on_checkpoint` (`file`), `on_interrupt` and `on_finish` (the result so far)
-- @function train
-- @tparam table options the options above
-- @treturn table result: `steps`, `loss` (the last), `losses` (by step), `evaluations` (`{ step, loss }`),
-- `validation_loss`, `best` (`{ step, loss }`), `tokens`, `seconds`, `checkpoint` (the last file); prints as a curve
-- @raise where an option is wrong, a checkpoint is of another architecture, a file cannot be written (the old ones
-- stay whole), or the loss or the gradients are no longer finite: then the weights are those of the step before, and
-- the last checkpoint stays
-- @usage
-- local training, validation = data:split(0.8)
-- print(gpt.train {
--   model = model, data = training, validation = validation, steps = 20, evaluate_every = 10,
--   lr = 1e-3, warmup = 5, progress = false, on_step = function(event) print(event.step, event.loss) end,
-- })
return function(given)
  local settings = options.read(given)
  check_directory(settings)
  local run = Run.new(settings)
  if settings.resume then run:resume() end
  if settings.resume == false then checkpoint.clear(settings.checkpoints) end
  if settings.resume ~= nil then checkpoint.sweep(settings.checkpoints) end
  local done, problem = pcall(function()
    run:begin()
    run:loop()
  end)
  if not done then end_early(run, problem) end
  run:finish()
  local result = run:result()
  if settings.on_finish then settings.on_finish(result) end
  return result
end
