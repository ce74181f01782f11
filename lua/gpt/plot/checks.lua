-- What the functions of gpt.plot check of their options. `who` begins every message.
local core = require "gpt.core"
local items = require "gpt.support.items"
local name_list = require "gpt.support.name_list"
local neutral = require "gpt.support.neutral"
local validate = require "gpt.support.validate"

local checks = {}

function checks.fail(who, format, ...) core._raise(("%s: %s"):format(who, neutral.format(format, ...))) end

local fail = checks.fail

function checks.text(value)
  if type(value) == "string" then return value end
  return nil, "text"
end

function checks.number(value)
  if type(value) == "number" and value == value and math.abs(value) < math.huge then return value end
  return nil, "a finite number"
end

-- Whole numbers from least to most, as messages call them.
local function sizes(least, most, what)
  return function(value)
    if math.type(value) == "integer" and value >= least and value <= most then return value end
    return nil, ("a whole number of %s from %s to %s"):format(what, validate.grouped(least), validate.grouped(most))
  end
end

checks.pixels = sizes(200, 4000, "pixels")
checks.columns = sizes(30, 400, "columns")
checks.lines = sizes(3, 200, "lines")

function checks.anything(value) return value end

function checks.field(name, rule) return { name, rule, optional = true } end

--- The fields for a size: of a file in pixels, else of the terminal.
function checks.size(file)
  return checks.field("width", file and checks.pixels or checks.columns),
    checks.field("height", file and checks.pixels or checks.lines)
end

--- Options, not the numbers themselves; wanted: the option that takes those.
function checks.options(who, options, fields, wanted)
  if type(options) ~= "table" then
    fail(who, "a table of options expected, got %s; as in { %s = numbers }", validate.show(options), wanted)
  end
  if options[1] ~= nil then fail(who, "options are names, as in { %s = numbers }, got a list", wanted) end
  local values, problems = validate.read(options, fields)
  validate.raise(who, problems)
  return values
end

--- A new list of numbers from a list or a tensor of one dimension; where: "series[1].y".
function checks.numbers(who, where, value)
  if core.is_tensor(value) then
    if value:dim() ~= 1 then
      fail(who, "%s: a tensor of one dimension expected, got one of shape %s", where, name_list.shape(value:shape()))
    end
    return value:totable()
  end
  if type(value) ~= "table" then
    fail(who, "%s: a list of numbers or a tensor of one dimension expected, got %s", where, validate.show(value))
  end
  for i, item in items(value) do
    if type(item) ~= "number" then fail(who, "%s[%d]: a number expected, got %s", where, i, validate.show(item)) end
  end
  if rawlen(value) == 0 then fail(who, "%s: at least one number expected", where) end
  return table.move(value, 1, #value, 1, {}) -- a picture stays as it is when the user's list changes
end

--- A list of that many texts, or nil.
function checks.labels(who, where, labels, count)
  if labels == nil then return end
  if type(labels) ~= "table" then fail(who, "%s: a list of text expected, got %s", where, validate.show(labels)) end
  if #labels ~= count then fail(who, "%s: %d expected, got %d", where, count, #labels) end
  for i, label in items(labels) do
    if type(label) ~= "string" then fail(who, "%s[%d]: text expected, got %s", where, i, validate.show(label)) end
  end
end

return checks
