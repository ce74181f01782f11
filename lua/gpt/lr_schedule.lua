--- gpt.lr_schedule: the learning rate by step.
-- @submodule gpt
local validate = require "gpt.support.validate"
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"

local function rate(value)
  if type(value) == "number" and value >= 0 and value < math.huge then return value end
  return nil, "a finite number of at least 0"
end

local FIELDS = {
  { "lr", validate.positive() },
  { "steps", validate.whole(1) },
  { "warmup", validate.whole(0), optional = true },
  { "min_lr", rate, optional = true },
}

--- Linear warm-up, then cosine decay (Loshchilov and Hutter 2017, arXiv:1608.03983).
--
-- Steps count from 1. In the first `warmup` steps the rate is lr * step / warmup; then it falls along half a cosine
-- from lr to min_lr, which it reaches at `steps` and keeps: min_lr + (lr - min_lr) * (1 + cos(pi * t)) / 2 with
-- t = (step - warmup) / (steps - warmup).
-- @function lr_schedule
-- @tparam table options `lr`, the highest rate; `steps`; `warmup` (0); `min_lr` (a tenth of lr)
-- @treturn function from a step to its rate
-- @usage local schedule = gpt.lr_schedule { lr = 3e-4, warmup = 100, steps = 2000, min_lr = 3e-5 }
-- for step = 1, 2000, 400 do print(step, schedule(step)) end
return function(options)
  if type(options) ~= "table" then
    core._raise("gpt.lr_schedule: a table of options expected, got " .. validate.show(options))
  end
  local given, problems = validate.read(options, FIELDS)
  if #problems == 0 and (given.min_lr or 0) > given.lr then
    problems[1] = neutral.format("min_lr: at most lr, %s, expected, got %s", given.lr, given.min_lr)
  end
  validate.raise("gpt.lr_schedule", problems)
  local lr, steps, warmup, min_lr = given.lr, given.steps, given.warmup or 0, given.min_lr or given.lr / 10
  return function(step)
    if step < warmup then return lr * step / warmup end
    if step >= steps then return warmup >= steps and lr or min_lr end
    local t = (step - warmup) / (steps - warmup)
    return min_lr + (lr - min_lr) * (1 + math.cos(math.pi * t)) / 2
  end
end
