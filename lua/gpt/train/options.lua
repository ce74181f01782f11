-- The options of gpt.train: what they may be, and what they are where nothing is said.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local groups = require "gpt.train.groups"
local lr_schedule = require "gpt.lr_schedule"
local optimizers = require "gpt.train.optimizers"
local schedule_shapes = require "gpt.support.schedule_shapes"
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

local optimizer_name, shape_name = validate.one_of(optimizers.NAMES), validate.one_of(schedule_shapes)

-- A name, or an object with steps.
local function an_optimizer(value)
  if type(value) == "string" then return optimizer_name(value) end
  if method(value, "step") and method(value, "zero_grad") then return value end
  return nil, "an optimizer (gpt.optim.AdamW makes one), or the name of one,"
end

-- A name, or what maps a step to its rate.
local function a_schedule(value)
  if type(value) == "string" then return shape_name(value) end
  local meta = getmetatable(value)
  if type(value) == "function" or type(meta) == "table" and meta.__call then return value end
  return nil, "a function from a step to its rate (gpt.lr_schedule makes one), or the name of a shape,"
end

local a_function = validate.a_function()

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
  { "momentum", validate.rate, optional = true }, { "nesterov", validate.boolean, optional = true },
  { "moment_dtype", validate.one_of { "f32", "bf16", "q8" }, optional = true },
  { "schedule", a_schedule, optional = true }, { "warmup", validate.whole(0), optional = true },
  { "min_lr", from_zero, optional = true }, { "decay", validate.whole(1), optional = true },
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
  clip = 1.0, keep = 3, progress = true, optimizer = "adamw",
}

-- What needs what else.
local NEEDS = {
  { "evaluate_every", "validation" }, { "evaluate_batches", "validation" }, { "sample_every", "sample" },
  { "checkpoint_every", "checkpoints" }, { "keep", "checkpoints" }, { "resume", "checkpoints" },
}
-- What says the same twice, or has no effect beside the other.
local EXCLUDES = { { "steps", "epochs" } }
-- What an optimizer, and a schedule, of one's own has for itself.
local OPTIMIZERS_OWN = { "lr", "weight_decay", "moment_dtype", table.unpack(optimizers.OWN) }
local SCHEDULES_OWN = { "lr", "warmup", "min_lr", "decay" }

local function check_pair(given, one, other, problems)
  if given[one] == nil or given[other] == nil then return end
  problems[#problems + 1] = ("%s and %s: one of the two, not both"):format(one, other)
end

local function check_own(given, one, others, problems)
  if type(given[one]) == "string" then return end
  for _, other in ipairs(others) do check_pair(given, one, other, problems) end
end

-- Settings that the named optimizer lacks.
local function check_optimizer(given, problems)
  local name = given.optimizer or DEFAULTS.optimizer
  if type(name) ~= "string" then return end
  for _, setting in ipairs(optimizers.OWN) do
    if given[setting] ~= nil and not optimizers.has(name, setting) then
      problems[#problems + 1] = ("%s: the optimizer %s has none"):format(setting, validate.show(name))
    end
  end
end

local function check_together(given, problems)
  for _, pair in ipairs(NEEDS) do
    if given[pair[1]] and given[pair[2]] == nil then
      problems[#problems + 1] = ("%s: needs the option %s"):format(pair[1], pair[2])
    end
  end
  for _, pair in ipairs(EXCLUDES) do check_pair(given, pair[1], pair[2], problems) end
  check_own(given, "optimizer", OPTIMIZERS_OWN, problems)
  check_own(given, "schedule", SCHEDULES_OWN, problems)
  check_optimizer(given, problems)
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

-- The shape that the options ask for; nil where a rate of its own is the optimizer's, and stays.
local function shape_of(settings)
  if settings.schedule then return settings.schedule end
  if settings.min_lr then return "cosine" end
  if settings.decay then return "wsd" end
  return settings.warmup and "cosine" or not settings.keeps_optimizer and "constant" or nil
end

local function make_schedule(settings)
  local shape = shape_of(settings)
  if not shape then return function() end end
  if type(shape) ~= "string" then return shape end
  return lr_schedule { shape = shape, lr = settings.optimizer.lr, steps = settings.steps, warmup = settings.warmup,
    min_lr = settings.min_lr, decay = settings.decay }
end

local options = {}

-- Converted weights are frozen. Where that leaves norms and biases alone, it is said.
local function find_parameters(model)
  local list, dtype = groups.parameters(model), groups.converted(model)
  if dtype then
    core._raise(('%s: model: its weights are %s, and training needs f32 weights: model:to "f32" converts them, and '
      .. "gpt.lora trains adapters beside them"):format(WHAT, dtype))
  end
  if #list == 0 then
    core._raise(WHAT .. ": model: no parameter requires a gradient: all are frozen, or there is none")
  end
  return list
end

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
  settings.parameters = find_parameters(settings.model)
  settings.keeps_optimizer = type(settings.optimizer) ~= "string"
  if not settings.keeps_optimizer then
    settings.optimizer = optimizers.make(settings.optimizer, settings.model, settings)
  end
  settings.schedule = make_schedule(settings)
  settings.batch = type(settings.data) == "function" and settings.data or batches_of(settings.data)
  settings.frees_batches = has_batches_alone(settings)
  return settings
end

return options
