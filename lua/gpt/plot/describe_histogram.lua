-- What a histogram is: a line chart with one series of bars, { x = the edges, y = the counts and a 0, bars = true }.
local checks = require "gpt.plot.checks"
local core = require "gpt.core"
local extent = require "gpt.plot.extent"
local items = require "gpt.support.items"
local neutral = require "gpt.support.neutral"
local validate = require "gpt.support.validate"

local fail, field = checks.fail, checks.field

local LEAST_BINS, MOST_BINS = 10, 60 -- where none are asked for
local SLICE = 65536                  -- numbers of a tensor at a time: as many as it has would be garbage at once

local function bins(value)
  if math.type(value) == "integer" and value >= 1 and value <= 1000 then return value end
  return nil, "a whole number from 1 to 1,000"
end

local function fields(file)
  return {
    field("values", checks.anything), field("bins", bins), field("low", checks.number), field("high", checks.number),
    field("title", checks.text), field("x_label", checks.text), field("y_label", checks.text), checks.size(file),
  }
end

-- Calls fn with lists of numbers, slice by slice.
local function each_slice(values, fn)
  if not core.is_tensor(values) then return fn(values) end
  local flat = values:float():reshape(-1)
  for first = 1, #flat, SLICE do fn(flat:narrow(1, first, math.min(SLICE, #flat - first + 1)):totable()) end
end

local function check_values(who, values)
  if core.is_tensor(values) then
    if values:numel() == 0 then fail(who, "values: at least one number expected") end
    return values
  end
  if type(values) ~= "table" then
    fail(who, "values: a list of numbers or a tensor expected, got %s", validate.show(values))
  end
  for i, item in items(values) do
    if type(item) ~= "number" then fail(who, "values[%d]: a number expected, got %s", i, validate.show(item)) end
  end
  if #values == 0 then fail(who, "values: at least one number expected") end
  return values
end

-- The ends of the first and the last bin, and how many numbers are finite.
local function extent_of(who, o)
  local low, high, count = math.huge, -math.huge, 0
  each_slice(o.values, function(list)
    for _, value in ipairs(list) do
      if extent.finite(value) then low, high, count = math.min(low, value), math.max(high, value), count + 1 end
    end
  end)
  low, high = o.low or low, o.high or high
  if count == 0 then fail(who, "values: no finite number to show") end
  if o.low and o.high and low >= high then fail(who, "low (%g) must be below high (%g)", low, high) end
  if low >= high then low, high = low - 0.5, low + 0.5 end
  return low, high, count
end

local function bins_for(count)
  return math.max(LEAST_BINS, math.min(MOST_BINS, math.ceil(2 * count ^ (1 / 3)))) -- Rice's rule
end

-- How many numbers each bin has; the last one also has its upper end.
local function count_bins(o, low, high, n)
  local counts, outside = {}, 0
  for i = 1, n do counts[i] = 0 end
  each_slice(o.values, function(list)
    for _, value in ipairs(list) do
      local inside = value >= low and value <= high -- no NaN is
      local i = inside and math.min(n, math.floor((value - low) / (high - low) * n) + 1)
      if i then counts[i] = counts[i] + 1 else outside = outside + 1 end
    end
  end)
  return counts, outside
end

local function name_of(counted, outside)
  if outside == 0 then return nil end
  return neutral.format("%s shown, %s outside or not finite", validate.grouped(counted), validate.grouped(outside))
end

--- @string who begins messages
--- @param options as the user gave them
--- @bool file whether it goes into a file: sizes are pixels
return function(who, options, file)
  local o = checks.options(who, options, fields(file), "values")
  check_values(who, o.values)
  local low, high, count = extent_of(who, o)
  local n = o.bins or bins_for(count)
  local counts, outside = count_bins(o, low, high, n)
  local edges, counted = {}, 0
  for i = 0, n do edges[i + 1] = low + (high - low) * i / n end
  for _, each in ipairs(counts) do counted = counted + each end
  counts[n + 1] = 0
  return {
    title = o.title, x_label = o.x_label, y_label = o.y_label or "count", x_scale = "linear", y_scale = "linear",
    width = o.width, height = o.height,
    series = { { x = edges, y = counts, bars = true, name = name_of(counted, outside) } },
  }
end
