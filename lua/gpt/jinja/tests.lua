-- The tests behind `is`: called with the value and the arguments; the result is a boolean.
local operators = require "gpt.jinja.operators"
local values = require "gpt.jinja.values"

local kind = values.kind

local function is_kind(wanted) return function(value) return kind(value) == wanted end end
local function number(value) return kind(value) == "number" end

local tests = {
  defined = function(value) return kind(value) ~= "undefined" end,
  undefined = is_kind "undefined", none = is_kind "none", string = is_kind "string", boolean = is_kind "boolean",
  callable = is_kind "callable",
  mapping = function(value) return kind(value) == "dict" or kind(value) == "namespace" end,
  number = function(value) return number(value) or kind(value) == "boolean" end,
  integer = function(value) return number(value) and math.type(value) == "integer" end,
  float = function(value) return number(value) and math.type(value) == "float" end,
  iterable = function(value)
    local of = kind(value)
    return of == "list" or of == "dict" or of == "string" or of == "undefined"
  end,
  sequence = function(value)
    local of = kind(value)
    return of == "list" or of == "dict" or of == "string" or of == "undefined"
  end,
  sameas = function(value, other)
    return kind(value) == kind(other) and (rawequal(value, other) or kind(value) == "none")
  end,
  even = function(value) return operators.binary("%", value, 2) == 0 end,
  odd = function(value) return operators.binary("%", value, 2) == 1 end,
  divisibleby = function(value, by) return operators.binary("%", value, by) == 0 end,
  lower = function(value) return values.text(value) == values.text(value):lower() end,
  upper = function(value) return values.text(value) == values.text(value):upper() end,
}
tests["true"] = function(value) return value == true end
tests["false"] = function(value) return value == false end
tests["in"] = function(value, whole) return operators.contains(whole, value) end

for name, operator in pairs {
  eq = "==", equalto = "==", ["=="] = "==", ne = "!=", ["!="] = "!=", lt = "<", lessthan = "<", ["<"] = "<", le = "<=",
  ["<="] = "<=", gt = ">", greaterthan = ">", [">"] = ">", ge = ">=", [">="] = ">=",
} do
  tests[name] = function(value, other) return operators.compare(operator, value, other) end
end

return tests
