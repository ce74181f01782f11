-- Scales: from numbers to 0 .. 1 along an axis, with ticks at round numbers and their labels.
local validate = require "gpt.support.validate"
local neutral = require "gpt.support.neutral"

local scale = {}

-- The next of 1, 2, 5, 10, ... times a power of ten at or above step.
local function round_step(step)
  local power = 10 ^ math.floor(math.log(step, 10))
  for _, factor in ipairs { 1, 2, 5 } do
    if factor * power >= step * (1 - 1e-9) then return factor * power end
  end
  return 10 * power
end

-- The nearest of them at or below value.
local function round_down(value)
  local power = 10 ^ math.floor(math.log(value, 10) + 1e-9)
  for _, factor in ipairs { 5, 2 } do
    if factor * power <= value * (1 + 1e-9) then return factor * power end
  end
  return power
end

local function trim_zeros(text)
  return text:find("%.") and (text:gsub("0+$", ""):gsub("%.$", "")) or text
end

--- A number as ticks and cells show it.
function scale.label(value)
  local size = math.abs(value)
  if size == 0 then return "0" end
  if size >= 1e7 or size < 1e-4 then
    return (neutral.format("%.3g", value):gsub("e([+-])0+", "e%1"):gsub("e%+", "e"))
  end
  if value == math.floor(value) then return (value < 0 and "−" or "") .. validate.grouped(size) end
  return (trim_zeros(neutral.format("%.6f", value)):gsub("^%-", "−"))
end

local function add_tick(self, value)
  table.insert(self.ticks, { value = value, label = scale.label(tonumber(neutral.format("%.12g", value))) })
end

-- Equal ends are moved apart, so that what is constant lies in the middle.
local function spread(low, high, log)
  if low < high then return low, high end
  if log then return low / 2, high * 2 end
  local by = low == 0 and 1 or math.abs(low) / 2
  return low - by, high + by
end

--- low .. high in equal steps; wide: the ends move out to ticks; whole: no ticks between whole numbers.
function scale.linear(low, high, ticks, wide, whole)
  low, high = spread(low, high)
  local step = round_step((high - low) / ticks)
  if whole then step = math.max(step, 1) end
  if wide then low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step end
  local self = { ticks = {} }
  for i = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do add_tick(self, i * step) end
  function self.at(value) return (value - low) / (high - low) end
  return self
end

--- low .. high, both above 0, in equal ratios: ticks at powers of ten, and at 2 and 5 between where these are few;
-- wide: the ends move out to 1, 2 or 5 times a power of ten.
function scale.log(low, high, ticks, wide)
  low, high = spread(low, high, true)
  if wide then low, high = round_down(low), round_step(high) end
  local first, last = math.floor(math.log(low, 10) + 1e-9), math.ceil(math.log(high, 10) - 1e-9)
  local factors = last - first <= 3 and { 1, 2, 5 } or { 1 }
  local self = { ticks = {} }
  for power = first, last, math.max(1, math.ceil((last - first) / (2 * ticks))) do
    for _, factor in ipairs(factors) do
      local value = factor * 10.0 ^ power
      if value >= low * (1 - 1e-9) and value <= high * (1 + 1e-9) then add_tick(self, value) end
    end
  end
  local from, length = math.log(low), math.log(high) - math.log(low)
  function self.at(value) return (math.log(value) - from) / length end
  return self
end

return scale
