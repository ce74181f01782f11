-- The options of gpt.train: what they may be, and what they are where nothing is said.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local groups = require "gpt.train.groups"
local lr_schedule = require "gpt.lr_schedule"
local validate = require "gpt.support.validate"

local WHAT = "gpt.train"

local function method(value, name)
  local ok, found = attempt(function() return value[name] end)
  return ok and type(found) == "function"
end

local function a_model(value)
  if type(value) ~= "string" and method(value, "parameters") then return value end
  return nil, "a model (gpt.Model makes one) or another layer"
end

local function a_dataset(value)
  if type(value) == "table" and rawget(value, "classes") then
    return nil, "data with a target for each token (examples with labels take a loop of your own)"
  end
  if type(value) == "table" and method(value, "batch") then return value end
  return nil, "a dataset (gpt.dataset makes one)"
end

local function batches(value)
  if type(value) ~= "string" and method(value, "batches") then return value end
  return nil, "a dataset (gpt.dataset makes one), or a table with a function batches,"
end

local function data(value)
  if type(value) == "function" then return value end
  if a_dataset(value) then return value end
  if type(value) == "table" and rawget(value, "classes") then return a_dataset(value) end
  return nil, "a dataset (gpt.dataset makes one), or a function from a number to ids and targets,"
end

local function an_optimizer(value)
  if type(value) ~= "string" and method(value, "step") and method(value, "zero_grad") then return value end
  return nil, "an optimizer (gpt.optim.AdamW makes one)"
end

local function a_function(value)
  if type(value) == "function" then return value end
  return nil, "a function"
end

local function a_name(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil, "a file's name"
end

local function anything(value)
  return value
end

local function above_or_false(value)
  if value == false or validate.positive()(value) then return value or false end
  return nil, "a finite number above 0, or false,"
end

local function progress(value)
  if type(value) == "boolean" or io and io.type(value) == "file" then return value end
  return nil, "true, false or an open file"
end

local function prompt(value)
  if type(value) == "string" or type(value) == "table" then return value end
  return nil, "a prompt, or a table { prompt = ..., max_new_tokens = ... },"
end

-- What 0 means differs: decay may be 0.
local function from_zero(value)
  if type(value) == "number" and value >= 0 and value < math.huge then return value end
  return nil, "a finite number of at least 0"
end

local FIELDS = {
  { "model", a_model }, { "data", data }, { "validation", batches, optional = true },
  { "steps", validate.whole(1), optional = true }, { "epochs", validate.positive(), optional = true },
  { "loss", a_function, optional = true }, { "accumulate", validate.whole(1), optional = true },
  { "recompute", validate.boolean, optional = true }, { "world", validate.world, optional = true },
  { "optimizer", an_optimizer, optional = true }, { "lr", validate.positive(), optional = true },
  { "betas", anything, optional = true }, { "eps", validate.positive(), optional = true },
  { "weight_decay", from_zero, optional = true }, { "clip", above_or_false, optional = true },
  { "schedule", a_function, optional = true }, { "warmup", validate.whole(0), optional = true },
  { "min_lr", from_zero, optional = true },
  { "evaluate_every", validate.whole(1), optional = true }, { "evaluate_batches", validate.whole(1), optional = true },
  { "sample", prompt, optional = true }, { "sample_every", validate.whole(1), optional = true },
  { "checkpoints", a_name, optional = true }, { "checkpoint_every", validate.whole(1), optional = true },
  { "keep", validate.whole(1), optional = true }, { "resume", validate.boolean, optional = true },
  { "metrics", a_name, optional = true }, { "progress", progress, optional = true },
  { "log_every", validate.whole(1), optional = true },
  { "on_step", a_function, optional = true }, { "on_evaluate", a_function, optional = true },
  { "on_sample", a_function, optional = true }, { "on_checkpoint", a_function, optional = true },
  { "on_interrupt", a_function, optional = true }, { "on_finish", a_function, optional = true },
}

local DEFAULTS = {
  lr = 3e-4, betas = { 0.9, 0.95 }, eps = 1e-8, weight_decay = 0.1, clip = 1.0, keep = 3,
  progress = true,
}

-- What needs what else.
local NEEDS = {
  { "evaluate_every", "validation" }, { "evaluate_batches", "validation" }, { "sample_every", "sample" },
  { "checkpoint_every", "checkpoints" }, { "keep", "checkpoints" }, { "resume", "checkpoints" },
}
-- What says the same twice, or has no effect beside the other.
local EXCLUDES = {
  { "steps", "epochs" }, { "optimizer", "lr" }, { "optimizer", "betas" }, { "optimizer", "eps" },
  { "optimizer", "weight_decay" }, { "schedule", "lr" }, { "schedule", "warmup" }, { "schedule", "min_lr" },
}

local function check_together(given, problems)
  for _, pair in ipairs(NEEDS) do
    if given[pair[1]] and given[pair[2]] == nil then
      problems[#problems + 1] = ("%s: needs the option %s"):format(pair[1], pair[2])
    end
  end
  for _, pair in ipairs(EXCLUDES) do
    if given[pair[1]] ~= nil and given[pair[2]] ~= nil then
      problems[#problems + 1] = ("%s and %s: one of the two, not both"):format(pair[1], pair[2])
    end
  end
  if given.steps == nil and given.epochs == nil then
    problems[#problems + 1] = "steps: missing; a whole number of at least 1 expected, or epochs"
  end
  if given.recompute ~= nil and not core._is_model(given.model) then
    problems[#problems + 1] = "recompute: a Model's blocks are run again; the model is none"
  end
  if given.world and given.accumulate and given.accumulate < given.world.size then
    problems[#problems + 1] = ("accumulate: at least a batch for each of the %d ranks expected, got %d"):format(
      given.world.size, given.accumulate)
  end
  if given.epochs and type(given.data) == "function" then
    problems[#problems + 1] = "epochs: a function has none; steps expected"
  end
end

-- Whether nobody but this run has the tensors of a batch, so that they may go once it is done.
local function has_batches_alone(settings)
  local meta = getmetatable(settings.data)
  return type(meta) == "table" and meta.__name == "gpt.Dataset" and not settings.loss
end

-- A dataset's batches by number, epoch after epoch.
local function batches_of(dataset)
  return function(number)
    local n = #dataset
    return dataset:batch((number - 1) // n + 1, (number - 1) % n + 1)
  end
end

local function make_schedule(settings)
  if settings.schedule then return settings.schedule end
  local lr = settings.optimizer and settings.optimizer.lr or settings.lr
  if not settings.warmup and not settings.min_lr then
    return settings.optimizer and function() end or function() return lr end
  end
  return lr_schedule { lr = lr, steps = settings.steps, warmup = settings.warmup or 0, min_lr = settings.min_lr }
end

local function make_optimizer(settings)
  return core.optim.AdamW(groups.by_decay(settings.model, settings.weight_decay),
    { lr = settings.lr, betas = settings.betas, eps = settings.eps })
end

local options = {}

--- Checks what the caller gave, and fills in the rest: `optimizer`, `schedule`, `batch` (a function from a number to
-- ids and targets), `frees_batches`, `parameters`.
function options.read(given)
  if type(given) ~= "table" then
    core._raise(("%s: a table of options expected, got %s"):format(WHAT, validate.show(given)))
  end
  local settings, problems = validate.read(given, FIELDS)
  check_together(settings, problems)
  validate.raise(WHAT, problems)
  for name, value in pairs(DEFAULTS) do
    if settings[name] == nil then settings[name] = value end
  end
  settings.accumulate = settings.accumulate or settings.world and settings.world.size or 1
  if settings.epochs then
    settings.steps = math.max(1, math.ceil(settings.epochs * #settings.data / settings.accumulate))
  end
  settings.parameters = groups.parameters(settings.model)
  if #settings.parameters == 0 then
    core._raise(WHAT .. ": model: no parameter requires a gradient: all are frozen, or there is none")
  end
  settings.schedule = make_schedule(settings)
  settings.keeps_optimizer = settings.optimizer ~= nil
  settings.optimizer = settings.optimizer or make_optimizer(settings)
  settings.batch = type(settings.data) == "function" and settings.data or batches_of(settings.data)
  settings.frees_batches = has_batches_alone(settings)
  return settings
end

return options
