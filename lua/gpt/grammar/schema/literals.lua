-- Values that a schema gives word for word: enum and const.
local disjoint = require "gpt.grammar.schema.disjoint"
local nodes = require "gpt.grammar.nodes"

local literals = {}

local function within(number, bounds)
  local low, high = bounds.low, bounds.high
  return not (low and (number < low or bounds.low_open and number == low)
    or high and (number > high or bounds.high_open and number == high))
end

local function of_length(n, range)
  return n >= (range.least or 0) and n <= (range.most or n)
end

-- Is there more to ask of such a value than its type, a number's bounds and a string's length?
local function asks_more(flat, kind)
  if kind == "object" then return #flat.parts > 0 or #flat.order > 0 or flat.members end
  if kind == "array" then return #flat.lists > 0 or flat.count or flat.unique end
  return kind == "string" and (flat.pattern or flat.format)
end

local function admits(context, flat, value)
  local kind = disjoint.type_of(value)
  if flat.types and not flat.types[kind] and not (kind == "integer" and flat.types.number) then return false end
  if asks_more(flat, kind) then
    context:fail(flat.path, "enum or const beside other keywords for values of type %s cannot be enforced", kind)
  end
  if kind == "number" and flat.whole then return false end
  if type(value) == "number" then return within(value, flat.bounds or {}) end
  if kind == "string" then return of_length(utf8.len(value), flat.length or {}) end
  return true
end

-- A choice of those values that the other keywords admit.
function literals.node(context, flat)
  local list = {}
  for _, text in ipairs(flat.enum) do
    for _, form in ipairs(flat.enum.by[text]) do
      if admits(context, flat, form.value) then list[#list + 1] = nodes.text(form.written) end
    end
  end
  if #list == 0 then return nodes.never(flat.path .. ": no value of enum or const matches the rest") end
  return nodes.choice(list)
end

return literals
