--- gpt.lr_schedule: the learning rate by step.
-- @submodule gpt
local validate = require "gpt.support.validate"
local core = require "gpt.core"
local known_fields = require "gpt.support.known_fields"
local neutral = require "gpt.support.neutral"
local shapes = require "gpt.support.schedule_shapes"
local sparkline = require "gpt.sparkline"

local WIDTH = 60 -- of the curve that is printed

local function rate(value)
  if type(value) == "number" and value >= 0 and value < math.huge then return value end
  return nil, "a finite number of at least 0"
end

local FIELDS = {
  { "shape", validate.one_of(shapes), optional = true },
  { "lr", validate.positive() },
  { "steps", validate.whole(1) },
  { "warmup", validate.whole(0), optional = true },
  { "min_lr", rate, optional = true },
  { "decay", validate.whole(1), optional = true },
}

-- After the warm-up: what is left of the way from min_lr to lr, from 1 to 0.
local left = {}

function left.constant() return 1 end

function left.linear(s, step) return (s.steps - step) / (s.steps - s.warmup) end

function left.cosine(s, step) return (1 + math.cos(math.pi * (step - s.warmup) / (s.steps - s.warmup))) / 2 end

function left.wsd(s, step) return math.min(1, (s.steps - step) / s.decay) end

local Schedule = {
  __name = "gpt.Schedule",
  __index = known_fields.index("a schedule", nil, { "decay", "min_lr" }),
}

function Schedule:__call(step)
  if type(step) ~= "number" then
    core._raise("gpt.lr_schedule: the schedule takes a step, a number; got " .. validate.show(step))
  end
  if step < self.warmup then return self.lr * step / self.warmup end
  if self.shape == "constant" then return self.lr end
  if step >= self.steps then return self.warmup >= self.steps and self.lr or self.min_lr end
  return self.min_lr + (self.lr - self.min_lr) * left[self.shape](self, step)
end

local function curve(self)
  local rates, points = {}, math.min(WIDTH, self.steps)
  for i = 1, points do rates[i] = self(self.steps * i // points) end
  return sparkline.line(rates, WIDTH)
end

function Schedule:__tostring()
  local parts = { ('shape = "%s"'):format(self.shape), neutral.format("lr = %.14g", self.lr),
    ("steps = %d"):format(self.steps), ("warmup = %d"):format(self.warmup) }
  if self.min_lr then parts[#parts + 1] = neutral.format("min_lr = %.14g", self.min_lr) end
  if self.decay then parts[#parts + 1] = ("decay = %d"):format(self.decay) end
  return ("Schedule { %s }\n%s"):format(table.concat(parts, ", "), curve(self))
end

-- What does not go together.
local function find_misfits(s, problems)
  if s.shape == "constant" and s.min_lr then
    problems[#problems + 1] = 'min_lr: the shape "constant" has none, it ends where it was'
  elseif s.min_lr and s.min_lr > s.lr then
    problems[#problems + 1] = neutral.format("min_lr: at most lr, %s, expected, got %s", s.lr, s.min_lr)
  end
  if s.decay and s.shape ~= "wsd" then
    problems[#problems + 1] = ('decay: only the shape "wsd" has it, this one is "%s"'):format(s.shape)
  elseif s.decay and s.decay + s.warmup > s.steps then
    problems[#problems + 1] = ("decay: with a warm-up of %d at most %d of %d steps expected, got %d"):format(s.warmup,
      math.max(s.steps - s.warmup, 0), s.steps, s.decay)
  end
end

local function fill_in(s)
  if s.shape ~= "constant" then s.min_lr = s.min_lr or s.lr / 10 end
  if s.shape == "wsd" then s.decay = s.decay or math.max(1, math.min(s.steps // 5, s.steps - s.warmup)) end
  return setmetatable(s, Schedule)
end

--- Linear warm-up, then one of four shapes.
--
-- Steps count from 1. In the first `warmup` steps the rate is lr * step / warmup. Then "constant" stays at lr; "linear"
-- falls in a straight line, and "cosine" along half a cosine (Loshchilov and Hutter 2017), to min_lr at `steps`; "wsd"
-- stays at lr and falls in a straight line in the last `decay` steps (Hu et al. 2024, MiniCPM), so that a run can be
-- made longer from any checkpoint before them. After `steps` the rate is min_lr.
-- @function lr_schedule
-- @tparam table options `shape` ("cosine"); `lr`, the highest rate; `steps`; `warmup` (0); `min_lr` (a tenth of lr);
-- `decay` (a fifth of the steps)
-- @treturn function from a step to its rate; prints as a curve
-- @usage local schedule = gpt.lr_schedule { shape = "wsd", lr = 3e-4, warmup = 100, steps = 2000 }
-- print(schedule)
-- for step = 1, 2000, 400 do print(step, schedule(step)) end
return function(options)
  if type(options) ~= "table" then
    core._raise("gpt.lr_schedule: a table of options expected, got " .. validate.show(options))
  end
  local given, problems = validate.read(options, FIELDS)
  given.shape, given.warmup = given.shape or "cosine", given.warmup or 0
  if #problems == 0 then find_misfits(given, problems) end
  validate.raise("gpt.lr_schedule", problems)
  return fill_in(given)
end
