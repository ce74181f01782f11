-- The fields of a request's body: each is what it has to be, or 400 says which is not and what it may be.
local Problem = require "gpt.server.problem"
local json = require "gpt.support.json"
local neutral = require "gpt.support.neutral"
local validate = require "gpt.support.validate"

local fields = {}

--- A field; nil where it is missing or null.
function fields.get(body, name)
  local value = body[name]
  if value == json.null then return nil end
  return value
end

local function show(value)
  if json.is_array(value) then return #value == 1 and "an array of 1" or ("an array of %d"):format(#value) end
  return type(value) == "table" and "an object" or validate.show(value)
end

local function refuse(name, expected, value)
  Problem.field(name, "%s: %s expected, got %s", name, expected, show(value))
end

--- A number from low to high, as it is written.
function fields.number(body, name, low, high)
  local value = fields.get(body, name)
  if value == nil then return nil end
  if type(value) ~= "number" or not (value >= low and value <= high) then
    refuse(name, neutral.format("a number from %g to %g", low, high), value)
  end
  return value
end

--- A number above 0, and at most high.
function fields.positive(body, name, high)
  local value = fields.get(body, name)
  if value == nil then return nil end
  if type(value) ~= "number" or not (value > 0 and value <= high) then
    refuse(name, neutral.format("a number above 0 and at most %g", high), value)
  end
  return value
end

-- A whole number as an integer: one beyond these is the last of them.
local function to_integer(value)
  local number = math.tointeger(value)
  if number or value % 1 ~= 0 then return number end
  return value > 0 and math.maxinteger or math.mininteger
end

local function show_range(low, high)
  if high then return ("a whole number from %d to %d"):format(low, high) end
  return low == math.mininteger and "a whole number" or ("a whole number of at least %d"):format(low)
end

--- A whole number of at least low, and at most high where that is given.
function fields.whole(body, name, low, high)
  local value = fields.get(body, name)
  if value == nil then return nil end
  local number = type(value) == "number" and to_integer(value)
  if not number or number < low or high and number > high then
    refuse(name, show_range(low, high), value)
  end
  return number
end

--- true or false.
function fields.flag(body, name)
  local value = fields.get(body, name)
  if value ~= nil and type(value) ~= "boolean" then refuse(name, "true or false", value) end
  return value or false
end

--- A string.
function fields.string(body, name)
  local value = fields.get(body, name)
  if value ~= nil and type(value) ~= "string" then refuse(name, "a string", value) end
  return value
end

--- An object.
function fields.object(body, name)
  local value = fields.get(body, name)
  if value ~= nil and not json.is_object(value) then refuse(name, "an object", value) end
  return value
end

--- A string, or a list of up to `most` strings; as a list.
function fields.strings(body, name, most)
  local value = fields.get(body, name)
  if value == nil then return {} end
  if type(value) == "string" then value = { value } end
  local fits = json.is_array(value) and #value <= most
  for _, each in ipairs(fits and value or {}) do fits = fits and type(each) == "string" and each ~= "" end
  if not fits then refuse(name, ("a string, or a list of at most %d, none empty,"):format(most), body[name]) end
  return value
end

--- Refuses a field that asks for what there is not, unless its value asks for nothing.
-- @param fits a function from the value to whether it does
function fields.none(body, name, fits, why)
  local value = fields.get(body, name)
  if value ~= nil and not fits(value) then
    Problem.field(name, "%s: %s", name, why or "this server does not do that")
  end
end

fields.refuse = refuse

return fields
