-- What operators do with values, as in Python.
local bounds = require "gpt.jinja.bounds"
local core = require "gpt.core"
local fault = require "gpt.jinja.fault"
local values = require "gpt.jinja.values"
local neutral = require "gpt.support.neutral"

local operators = {}

local function number(value, operator)
  local kind = values.kind(value)
  if kind == "number" then return value end
  if kind == "boolean" then return value and 1 or 0 end
  if kind == "undefined" then fault.raise(nil, "'%s' is undefined", value.name) end
  fault.raise(nil, "'%s' needs numbers, got a %s", operator, kind)
end

local function joined_lists(a, b)
  bounds.list(#a + #b)
  local items = table.move(a, 1, #a, 1, {})
  return values.list(table.move(b, 1, #b, #items + 1, items), a.tuple)
end

local binary = {}

binary["+"] = function(a, b)
  local kind = values.kind(a)
  if kind == values.kind(b) and kind == "string" then
    bounds.text(#a + #b)
    return a .. b
  end
  if kind == values.kind(b) and kind == "list" then return joined_lists(a, b) end
  if kind == "string" or values.kind(b) == "string" then
    local other = kind == "string" and b or a
    if values.kind(other) == "undefined" then fault.raise(nil, "'%s' is undefined", other.name) end
    fault.raise(nil, "'+' joins two strings, the other one is a %s; '~' joins anything", values.kind(other))
  end
  return number(a, "+") + number(b, "+")
end

binary["-"] = function(a, b) return number(a, "-") - number(b, "-") end

local function repeated(value, count)
  count = math.max(0, math.tointeger(count) or 0)
  if #value == 0 then return value end -- Lua's own rep would count to any number
  local total = #value * math.min(count, 1 << 30)
  if values.kind(value) == "string" then
    bounds.text(total)
    return value:rep(count)
  end
  bounds.list(total)
  bounds.step(count >> 4)
  local items = {}
  for _ = 1, count do table.move(value, 1, #value, #items + 1, items) end
  return values.list(items, value.tuple)
end

binary["*"] = function(a, b)
  local kind, other = values.kind(a), values.kind(b)
  if kind == "string" or kind == "list" then return repeated(a, number(b, "*")) end
  if other == "string" or other == "list" then return repeated(b, number(a, "*")) end
  return number(a, "*") * number(b, "*")
end

local function divisor(value, operator)
  local divided = number(value, operator)
  if divided == 0 then fault.raise(nil, "division by zero") end
  return divided
end

binary["/"] = function(a, b) return number(a, "/") / divisor(b, "/") end
binary["//"] = function(a, b) return number(a, "//") // divisor(b, "//") end

binary["**"] = function(a, b)
  local base, exponent = number(a, "**"), number(b, "**")
  local power = base ^ exponent
  local whole = math.type(base) == "integer" and math.type(exponent) == "integer" and exponent >= 0
  return whole and math.tointeger(power) or power
end

binary["~"] = function(a, b) return bounds.join(2, function(i) return values.text(i == 1 and a or b) end) end

-- One value as %s, %d or %f writes it.
local function formatted_one(width, letter, value)
  if value == nil then fault.raise(nil, "not enough arguments for the format string") end
  if letter == "s" then return ("%" .. width .. "s"):format(values.text(value)) end
  if letter == "d" then return ("%" .. width .. "d"):format(math.floor(number(value, "%"))) end
  if letter == "f" then return neutral.format("%" .. width .. "f", number(value, "%")) end
  fault.raise(nil, "the format '%%%s' is not supported", letter)
end

-- 'text with %s' % value, in its simple forms.
local function formatted(format, value)
  local list, at = values.kind(value) == "list" and value.tuple and value or { value }, 0
  return bounds.replaced(format, "%%([%-0-9%.]*)([%a%%])", function(width, letter)
    if letter == "%" then return "%" end
    at = at + 1
    return formatted_one(width, letter, list[at])
  end)
end
operators.formatted = formatted

binary["%"] = function(a, b)
  if values.kind(a) == "string" then return formatted(a, b) end
  return number(a, "%") % divisor(b, "%")
end

function operators.binary(operator, a, b) return binary[operator](a, b) end

function operators.sign(operator, value)
  local signed = number(value, operator)
  return operator == "-" and -signed or signed
end

-- By their bytes, which is by their characters' numbers, in every locale.
local function text_less(a, b)
  bounds.step(1 + (math.min(#a, #b) >> 6))
  return core._before(a, b)
end

--- a < b, for numbers and strings, and for lists item by item.
function operators.less(a, b)
  local kind, other = values.kind(a), values.kind(b)
  if kind == "string" and other == "string" then return text_less(a, b) end
  if kind == "list" and other == "list" then
    for i = 1, math.min(#a, #b) do
      if not values.equal(a[i], b[i]) then return operators.less(a[i], b[i]) end
    end
    return #a < #b
  end
  if kind == "string" or other == "string" or kind == "list" or other == "list" then
    fault.raise(nil, "a %s and a %s cannot be compared", kind, other)
  end
  return number(a, "<") < number(b, "<")
end

--- Is item in the list, the dict's keys, or the text?
function operators.contains(whole, item)
  local kind = values.kind(whole)
  bounds.work(whole)
  if kind == "string" then
    if values.kind(item) ~= "string" then fault.raise(nil, "'in' a text needs a text, got a %s", values.kind(item)) end
    bounds.search(whole, item)
    return whole:find(item, 1, true) ~= nil
  end
  bounds.work(item)
  if kind == "dict" then
    local key = values.kind(item)
    return (key == "string" or key == "number" or key == "boolean" or key == "none") and values.get(whole, item) ~= nil
  end
  for _, value in ipairs(values.each(whole)) do
    if values.equal(value, item) then return true end
  end
  return false
end

local compare = {
  ["=="] = values.equal,
  ["!="] = function(a, b) return not values.equal(a, b) end,
  ["<"] = operators.less,
  [">"] = function(a, b) return operators.less(b, a) end,
  ["<="] = function(a, b) return not operators.less(b, a) end,
  [">="] = function(a, b) return not operators.less(a, b) end,
  ["in"] = function(a, b) return operators.contains(b, a) end,
  ["not in"] = function(a, b) return not operators.contains(b, a) end,
}

function operators.compare(operator, a, b)
  bounds.work(a)
  bounds.work(b)
  return compare[operator](a, b)
end

-- Position of a Python index in a list of n, or nil.
local function position(index, n)
  local whole = math.tointeger(index)
  if not whole then return nil end
  if whole < 0 then whole = whole + n end
  return whole >= 0 and whole < n and whole + 1 or nil
end

--- value[key]: nil where there is none.
function operators.item(value, key)
  local kind = values.kind(value)
  if kind == "dict" or kind == "namespace" then
    local of = values.kind(key)
    if of == "list" or of == "dict" then return nil end
    return values.get(value, key)
  end
  if kind == "list" and type(key) == "number" then
    local at = position(key, #value)
    return at and value[at]
  end
  if kind == "string" and type(key) == "number" then
    bounds.work(value)
    local at = position(key, values.length(value))
    return at and values.part(value, at, at)
  end
end

-- Where first:last:step begins and ends among n items, as a loop of Lua counts them.
local function slice_ends(n, first, last, step)
  local function clamp(index, least, most)
    if index < 0 then index = index + n end
    return math.max(least, math.min(most, index))
  end
  if step > 0 then return clamp(first or 0, 0, n) + 1, clamp(last or n, 0, n) end
  return (first and clamp(first, -1, n - 1) or n - 1) + 1, (last and clamp(last, -1, n - 1) or -1) + 2
end

local function picked(all, first, last, step)
  local items = {}
  bounds.list(math.max(0, (last - first) // step + 1))
  for i = first, last, step do items[#items + 1] = all[i] end
  return items
end

--- value[first:last:step] of a list or string; nil bounds are left out.
function operators.slice(value, first, last, step)
  local kind = values.kind(value)
  if kind == "undefined" then return value end
  if kind ~= "list" and kind ~= "string" then fault.raise(nil, "a %s cannot be sliced", kind) end
  if step == 0 then fault.raise(nil, "a slice's step is 0") end
  bounds.work(value)
  step = step or 1
  first, last = slice_ends(values.length(value), first, last, step)
  if kind == "list" then return values.list(picked(value, first, last, step), value.tuple) end
  bounds.text(#value)
  if step == 1 then return values.part(value, first, last) end
  return table.concat(picked(values.each(value), first, last, step))
end

return operators
