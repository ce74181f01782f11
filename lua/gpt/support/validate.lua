-- What the values of a table of settings have to be. A rule returns the value, put right where that loses nothing
-- (12.0 becomes 12), or nil and what was expected. `validate.read` holds a table against a list of rules and finds all
-- problems at once.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"

local validate = {}

local LONGEST_WORD = 40
local MOST_PROBLEMS = 12
local LARGEST = 2 ^ 31 - 1

--- A value as messages show it.
function validate.show(value)
  local kind = type(value)
  if kind == "string" then
    local word = #value > LONGEST_WORD and value:sub(1, LONGEST_WORD) .. "..." or value
    return ('"%s"'):format(word:gsub("[%c\"\\]", function(c) return ("\\x%02x"):format(c:byte()) end))
  end
  if value ~= value then return "nan" end
  if kind == "number" or kind == "boolean" or kind == "nil" then return neutral.tostring(value) end
  return "a " .. core._typename(value)
end

--- 1234567 as "1,234,567".
function validate.grouped(n)
  local digits = neutral.format("%.0f", n)
  return (digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

--- "1 batch", "1,200 batches".
function validate.counted(n, one, many)
  return validate.grouped(n) .. " " .. (n == 1 and one or many)
end

--- Raises, at the line of luagpt's user, where that is no name of a file.
function validate.file_name(who, file)
  if type(file) == "string" then return end
  core._raise(("%s: a file's name expected, got %s"):format(who, validate.show(file)))
end

--- `"a", "b" or "c"`, each as show does it.
local function listed(names)
  local shown = {}
  for i, name in ipairs(names) do shown[i] = validate.show(name) end
  local last = table.remove(shown)
  return #shown == 0 and last or table.concat(shown, ", ") .. " or " .. last
end

--- Whole numbers from least on, as integers or as floats without a fraction.
function validate.whole(least)
  local expected = "a whole number of at least " .. least
  return function(value)
    local number = type(value) == "number" and value or nil
    if number and number > LARGEST and number < math.huge then
      return nil, "a whole number of at most " .. validate.grouped(LARGEST)
    end
    number = number and math.tointeger(number)
    if number and number >= least then return number end
    return nil, expected
  end
end

--- Rates: at least 0 and below 1.
function validate.rate(value)
  if type(value) == "number" and value >= 0 and value < 1 then return value end
  return nil, "a rate of at least 0 and below 1"
end

--- Finite numbers above 0, up to most where that is given.
function validate.positive(most)
  local expected = most and "a number above 0 and at most " .. neutral.tostring(most) or "a finite number above 0"
  return function(value)
    local fits = type(value) == "number" and value > 0 and value < math.huge and value <= (most or value)
    if fits then return value end
    return nil, expected
  end
end

--- Finite numbers.
function validate.finite(value)
  if type(value) == "number" and value - value == 0 then return value end
  return nil, "a finite number"
end

--- What the rule takes; or false, which is none.
function validate.or_false(rule)
  return function(value)
    if value == false then return false end
    local result, expected, near, index = rule(value)
    return result, expected and not index and expected .. ", or false" or expected, near, index
  end
end

--- Arrays whose entries the rule takes. What is wrong with one comes with its index, as a fourth value.
function validate.list_of(rule, what)
  return function(value)
    if type(value) ~= "table" then return nil, "a list of " .. what end
    local list = {}
    for i = 1, #value do
      local item, expected, near = rule(value[i])
      if item == nil then return nil, expected, near, i end
      list[i] = item
    end
    return list
  end
end

local function copy_of(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = copy_of(item) end
  return copy
end

--- Tables, copied with all that is in them.
function validate.table(value)
  if type(value) == "table" then return copy_of(value) end
  return nil, "a table"
end

--- What gpt.world returned.
function validate.world(value)
  if core._typename(value) == "gpt.World" then return value end
  return nil, "a world (gpt.world() returns it)"
end

--- true or false.
function validate.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

--- A function.
-- @string[opt] kind words that say which: "from an example to another"
function validate.a_function(kind)
  local expected = "a function" .. (kind and " " .. kind or "")
  return function(value)
    if type(value) == "function" then return value end
    return nil, expected
  end
end

--- A tokenizer: ours, or a value with a method `encode`.
function validate.tokenizer(value)
  local ok, encode = attempt(function() return value.encode end)
  if ok and type(encode) == "function" then return value end
  return nil, "a tokenizer (gpt.tokenizer(dir) makes one)"
end

--- One of a list of words; the near one is suggested.
function validate.one_of(words)
  return function(value)
    for _, word in ipairs(words) do
      if value == word then return value end
    end
    return nil, listed(words), type(value) == "string" and core._suggest(value, words) or nil
  end
end

local function unknown_problem(key, names, others)
  if type(key) ~= "string" then return ("[%s]: unknown key"):format(validate.show(key)) end
  local near = others and others[key]
  local hint = near and ("; did you mean '%s'?"):format(near) or core._hint(key, names)
  local shown = key:find("^[%a_][%w_]*$") and #key <= LONGEST_WORD and key or validate.show(key)
  return ("%s: unknown key%s"):format(shown, hint)
end

--- Adds a problem for every key of given that names does not hold.
local function find_unknown(given, names, others, problems)
  local known, unknown = {}, {}
  for _, name in ipairs(names) do known[name] = true end
  for key in pairs(given) do
    if not known[key] then table.insert(unknown, unknown_problem(key, names, others)) end
  end
  neutral.sort(unknown)
  table.move(unknown, 1, #unknown, #problems + 1, problems)
end

--- The value by its rule; nil, and a problem more, where it does not fit.
local function read_value(name, rule, value, problems)
  local result, expected, near, index = rule(value)
  if result ~= nil then return result end
  if index then name, value = ("%s[%d]"):format(name, index), value[index] end
  local text = ("%s: %s expected, got %s"):format(name, expected, validate.show(value))
  table.insert(problems, near and ("%s; did you mean %s?"):format(text, validate.show(near)) or text)
end

--- The options that a function was given, or none; what is no table is an error.
function validate.options(who, given)
  if given == nil then return {} end
  if type(given) == "table" then return given end
  return core._raise(("%s: a table of options expected, got %s"):format(who, validate.show(given)))
end

--- Holds given against fields, a list of `{ name, rule, optional = bool }`. Returns the values by name and the list of
-- problems. `others` maps names that are said elsewhere to ours, for suggestions.
function validate.read(given, fields, others)
  local values, names, problems = {}, {}, {}
  for i, field in ipairs(fields) do
    local name, rule = field[1], field[2]
    local value = given[name]
    names[i] = name
    if value ~= nil then
      values[name] = read_value(name, rule, value, problems)
    elseif not field.optional then
      table.insert(problems, ("%s: missing; %s expected"):format(name, select(2, rule(nil))))
    end
  end
  find_unknown(given, names, others, problems)
  return values, problems
end

--- Raises all problems, if there are any, in one message at the user's line.
function validate.raise(who, problems)
  if #problems == 0 then return end
  if #problems == 1 then core._raise(("%s: %s"):format(who, problems[1])) end
  local lines = { ("%s: %d problems:"):format(who, #problems) }
  for i = 1, math.min(#problems, MOST_PROBLEMS) do lines[i + 1] = "  " .. problems[i] end
  local more = #problems - MOST_PROBLEMS
  if more > 0 then table.insert(lines, ("  and %d more"):format(more)) end
  core._raise(table.concat(lines, "\n"))
end

return validate
