-- Kinds of values that model files have, for the keys of recipes. Each is a rule, which returns a value from a file as
-- a config has it, or nil and what was expected; and the type of GGUF that it is written as.
local json = require "gpt.support.json"
local neutral = require "gpt.support.neutral"

local kinds = {}

local MOST_SIZE = (1 << 31) - 1
local MOST_LAYERS = 1000

local function whole(most)
  local expected = "a whole number from 1 to " .. most
  return function(value)
    local number = math.type(value) and math.tointeger(value)
    if number and number >= 1 and number <= most then return number end
    return nil, expected
  end
end

-- A number within bounds, as a float.
local function number(expected, fits)
  return function(value)
    if math.type(value) and fits(value) then return value + 0.0 end
    return nil, expected
  end
end

kinds.size = { rule = whole(MOST_SIZE), gguf = "u32" }
kinds.layers = { rule = whole(MOST_LAYERS), gguf = "u32" }
kinds.rate = { gguf = "f32", rule = number("a rate from 0 to below 1", function(x) return x >= 0 and x < 1 end) }
kinds.epsilon = {
  gguf = "f32", rule = number("a number above 0, at most 1", function(x) return x > 0 and x <= 1 end),
}
kinds.positive = {
  gguf = "f32", rule = number("a finite number above 0", function(x) return x > 0 and x < math.huge end),
}

kinds.flag = { gguf = "bool" }
function kinds.flag.rule(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

-- Words of the file's, each with the config's: entry.words maps the one to the other.
kinds.word = { gguf = "string" }
function kinds.word.rule(value, entry)
  local word = type(value) == "string" and entry.words[value]
  if word then return word end
  local list = {}
  for name in pairs(entry.words) do list[#list + 1] = json.quote(name) end
  neutral.sort(list)
  return nil, "one of " .. table.concat(list, ", ")
end

return kinds
