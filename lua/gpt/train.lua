--- gpt.train: the training loop.
-- @submodule gpt
local checkpoint = require "gpt.train.checkpoint"
local core = require "gpt.core"
local facts = require "gpt.train.facts"
local options = require "gpt.train.options"
local Run = require "gpt.train.run"

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

-- What the ranks do not know of each other ends all of them, here and now: they wait for this one.
local function end_all(run, problem)
  local last = run.checkpoint and "; the last checkpoint is " .. run.checkpoint or ""
  run.ranks:abort(("failed in step %d of %d and ends all %d ranks%s\n%s"):format(run.step + 1, run.steps,
    run.ranks.size, last, tostring(problem)))
end

-- Saves the last whole step, where that is wanted and possible.
local function rescue(run)
  local whole = run:settle()
  if not whole then
    return false, "the optimizer was stopped within a step, and does not tell how far it came (state().step)"
  end
  if run.broken or not run.settings.checkpoints or run.step == 0 then return false end
  local saved, problem = pcall(run.save, run)
  if not saved and run.ranks.several then end_all(run, problem) end
  return saved, not saved and tostring(problem) or nil
end

local function end_early(run, problem)
  if run.ranks.several and not run.common then end_all(run, problem) end
  local saved, why = rescue(run)
  run.ranks:wait() -- mpirun ends all with the first that has ended
  run:finish()
  if not core._is_interrupt(problem) then
    if type(problem) ~= "string" or run.broken or not (saved or run.checkpoint) then error(problem, 0) end
    error(("%s\n(gpt.train: %s)"):format(problem, advice(run, saved)), 0)
  end
  if not run.ranks:leads() then
    error(("gpt.train: rank %d: interrupted! after step %d of %d"):format(run.ranks.rank, run.step, run.steps), 0)
  end
  if run.settings.on_interrupt then run.settings.on_interrupt(run:result()) end
  error(("gpt.train: interrupted! after step %d of %d: %s"):format(run.step, run.steps, advice(run, saved, why)), 0)
end

local ADVICE = " (weights are the same after the same gpt.seed, or from the same file; the directory of checkpoints "
  .. "has to be one that all ranks see)"

local function check_directory(settings)
  local dir = settings.checkpoints
  if not dir or settings.resume ~= nil then return end
  local last = checkpoint.last(dir)
  if last then
    core._raise(("gpt.train: checkpoints: %s is of an earlier run; resume = true goes on with it, resume = false "
      .. "begins anew and removes it"):format(last))
  end
end

-- Puts the run where it begins: after its last checkpoint, or at the start. One rank tidies up the directory, all read.
local function prepare(run, settings)
  local ranks = run.ranks
  if ranks.several then ranks:agree(facts.of_settings(settings)) end
  ranks:share(settings.optimizer)
  if settings.resume ~= nil and ranks:leads() then checkpoint.tidy(settings.checkpoints) end
  ranks:wait()
  if settings.resume then run:resume() end
  if ranks.several then ranks:agree(facts.of_run(run), ADVICE) end
  if settings.resume == false and ranks:leads() then checkpoint.clear(settings.checkpoints) end
end

--- Trains a model.
--
-- A step takes `accumulate` batches, clips their gradients and runs the optimizer. A run that is stopped at any step
-- and resumed has, bit for bit, the losses of one that was not stopped. Ctrl-C saves the last whole step.
--
-- - `model`; `data`: a dataset, or a function from a number to ids and targets
-- - `steps`, or `epochs` (1.5 is one and a half)
-- - `lr` (3e-4); `schedule`: a shape of `gpt.lr_schedule`, with its `warmup`, `min_lr` and `decay` (default: constant),
--   or a function from a step to its rate
-- - `optimizer`: "adamw", "muon" or "sgd", with the options of `gpt.optim.AdamW` and so on (`betas` {0.9, 0.95},
--   `weight_decay` 0.1, for matrices only); or your own
-- - `accumulate` (1) batches per step; `clip` (1.0, or false): the gradients' norm; `loss`: function(model, ids,
--   targets); `recompute`, as `model:recompute`
-- - `validation`: a dataset; `evaluate_every`, `evaluate_batches` (all)
-- - `sample`: a prompt, or `{ prompt = ..., temperature = ... }`; `sample_every`
-- - `checkpoints`: a directory; `checkpoint_every`, `keep` (3); best.safetensors has the best weights. What has no
--   `_every` happens at the end
-- - `resume`: true continues after the last checkpoint; false removes all
-- - `world`: `gpt.world()`; `accumulate` then counts the batches of all ranks
-- - `metrics`: a file with a line a step: CSV (.csv) or JSON
-- - `progress` (true, false, or a file); no terminal: every `log_every` steps
-- - `on_step`, `on_evaluate`, `on_sample`, `on_checkpoint`, `on_interrupt`, `on_finish`: functions of a table
--   (print it); return false to end training
-- @function train
-- @tparam table options the options above
-- @treturn table `steps`, `loss` (the last), `losses`, `evaluations`, `validation_loss`, `best`, `tokens`, `seconds`,
-- `checkpoint`, `metrics_problem` (why lines are missing there); prints as a curve
-- @raise if an option is wrong, a checkpoint does not match, or the loss is no longer finite: then the weights are
-- those of the step before
-- @usage
-- print(gpt.train { model = model, data = data, steps = 20, lr = 1e-3, progress = false })
return function(given)
  local settings = options.read(given)
  check_directory(settings)
  local run = Run.new(settings)
  prepare(run, settings)
  local done, problem = pcall(function()
    run:begin()
    run:loop()
  end)
  if not done then end_early(run, problem) end
  if settings.keeps_optimizer then run.ranks:unshare(run.optimizer) end
  run:finish()
  local result = run:result()
  if settings.on_finish and run.ranks:leads() then settings.on_finish(result) end
  return result
end
