-- The words of a command line: options, "--max-tokens 50" or "--max-tokens=50", and what is none.
--
--   local words, options = read(arg, { max_tokens = "number", name = "text", quiet = "flag", api_key = "list" })
--
-- A list is texts of an option that may come again; "-h" is "--help". Returns nil and what is wrong where something is.

-- How many letters have to be changed, put in or left out to make one word of another.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + (same and 0 or 1))
    end
  end
  return row[#b]
end

local function dashed(name) return "--" .. name:gsub("_", "-") end

local function unknown(word, kinds)
  local meant, near = word:gsub("^%-*", "--"), nil
  local least = #meant < 6 and 1 or 2 -- letters that may be wrong
  for name in pairs(kinds) do
    local option = dashed(name)
    local far = distance(meant, option)
    if far < least or far == least and not (near and near < option) then near, least = option, far end
  end
  return ("there is no option %s; %s"):format(word, near and ("did you mean %s?"):format(near) or "--help lists them")
end

-- An option begins with a dash, and is no negative number.
local function is_option(word) return word:find "^%-" and not tonumber(word) end

local function refuse(...) error({ problem = string.format(...) }, 0) end

-- The value of an option: what stands behind its "=", or the next word, which is no option: a shell leaves out a
-- variable that is empty.
local function take_value(option, given, following)
  local value = given or following
  if not value then refuse("%s: a value expected", option) end
  if value == "" then refuse("%s: its value is empty", option) end
  if not given and is_option(value) then
    refuse("%s: a value expected, got the option %s (a value that begins so is written %s=%s)", option, value, option,
      value)
  end
  return value
end

local function convert(option, kind, value)
  if kind ~= "number" then return value end
  return tonumber(value) or refuse("%s: a number expected, got %s", option, value)
end

local function add(options, name, kind, value)
  if kind == "list" then
    options[name] = options[name] or {}
    table.insert(options[name], value)
  else
    if options[name] ~= nil then refuse("%s came twice", dashed(name)) end
    options[name] = value
  end
end

-- Reads the option that is words[i]; returns the last place that it takes.
local function read_option(words, i, kinds, options)
  local option, given = words[i]:match "^(%-[^=]*)=?(.*)$"
  local name = option == "-h" and "help" or option:match "^%-%-([%l-]+)$"
  name = name and name:gsub("-", "_")
  local kind = kinds[name or ""]
  if not kind then refuse("%s", unknown(option, kinds)) end
  given = #words[i] > #option and given or nil
  if kind == "flag" then
    if given then refuse("%s takes no value, got %s; without the option it is off", option, given) end
    add(options, name, kind, true)
    return i
  end
  add(options, name, kind, convert(option, kind, take_value(option, given, words[i + 1])))
  return given and i or i + 1
end

local function read(words, kinds)
  local rest, options, i = {}, {}, 1
  while i <= #words do
    if is_option(words[i]) then i = read_option(words, i, kinds, options) else rest[#rest + 1] = words[i] end
    i = i + 1
  end
  return rest, options
end

return function(words, kinds)
  local ok, rest, options = pcall(read, words, kinds)
  if ok then return rest, options end
  if type(rest) ~= "table" then error(rest, 0) end
  return nil, rest.problem
end
