-- What a line chart is, from the options of gpt.plot.line: { title, x_label, y_label, x_scale, y_scale, width, height,
-- series }; each series is { name, x, y, points }. All that draws it takes this.
local checks = require "gpt.plot.checks"
local extent = require "gpt.plot.extent"
local items = require "gpt.support.items"
local validate = require "gpt.support.validate"

local fail, field = checks.fail, checks.field

local SCALE = validate.one_of { "linear", "log" }

local ONE_SERIES = {
  field("x", checks.anything), field("y", checks.anything), field("name", checks.text),
  field("points", validate.boolean),
}

local function fields(file)
  return {
    field("series", checks.anything), field("x", checks.anything), field("y", checks.anything),
    field("title", checks.text), field("x_label", checks.text), field("y_label", checks.text), field("x_scale", SCALE),
    field("y_scale", SCALE), checks.size(file),
  }
end

local function count_up(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

local function check_log(who, where, values)
  for i, value in ipairs(values) do
    if value <= 0 then fail(who, "%s[%d] is %s: a log scale shows numbers above 0", where, i, validate.show(value)) end
  end
end

local function any_finite(xs, ys)
  for i, x in ipairs(xs) do
    if extent.finite(x) and extent.finite(ys[i]) then return true end
  end
  return false
end

local function read_series(who, o, where, given)
  if type(given) ~= "table" then
    fail(who, "%s: a table { y = numbers, name = text } expected, got %s", where, validate.show(given))
  end
  local one, problems = validate.read(given, ONE_SERIES)
  validate.raise(("%s: %s"):format(who, where), problems)
  one.y = checks.numbers(who, where .. ".y", one.y)
  local x = one.x or o.x
  one.x = x and checks.numbers(who, one.x and where .. ".x" or "x", x) or count_up(#one.y)
  if #one.x ~= #one.y then fail(who, "%s: %d numbers in x, but %d in y", where, #one.x, #one.y) end
  if o.x_scale == "log" then check_log(who, where .. ".x", one.x) end
  if o.y_scale == "log" then check_log(who, where .. ".y", one.y) end
  if not any_finite(one.x, one.y) then fail(who, "%s: no finite number to show", where) end
  return one
end

--- @string who begins messages
--- @param options as the user gave them
--- @bool file whether it goes into a file: sizes are pixels
return function(who, options, file)
  local o = checks.options(who, options, fields(file), "y")
  o.x_scale, o.y_scale = o.x_scale or "linear", o.y_scale or "linear"
  local given = o.series or { { y = o.y } }
  if o.series ~= nil and (type(given) ~= "table" or rawlen(given) == 0) then
    fail(who, "series: a list of { y = numbers, name = text } expected, got %s",
      type(given) == "table" and "no item" or validate.show(given))
  end
  local alone = o.series == nil
  o.series = {}
  for i, one in items(given) do
    o.series[i] = read_series(who, o, alone and "options" or ("series[%d]"):format(i), one)
  end
  return o
end
