-- The values that templates know, which are Python's: strings, numbers and booleans are Lua's; none and undefined,
-- lists (and tuples), dicts in order of insertion, namespaces and callables are tables of the kinds below. Nothing in
-- them leads to a function or table of the host.
local bounds = require "gpt.jinja.bounds"
local core = require "gpt.core"
local fault = require "gpt.jinja.fault"
local neutral = require "gpt.support.neutral"

local values = {}

local None, Undefined, List, Dict, Namespace, Callable = {}, {}, {}, {}, {}, {}
values.none = setmetatable({}, None)

local KINDS = {
  [None] = "none", [Undefined] = "undefined", [List] = "list", [Dict] = "dict", [Namespace] = "namespace",
  [Callable] = "callable",
}

--- "string", "number", "boolean", or one of KINDS.
function values.kind(value)
  local kind = type(value)
  return kind == "table" and KINDS[getmetatable(value)] or kind
end

--- What a name without a value is: printed it is empty, asked for an attribute it is a fault that tells the name.
function values.undefined(name)
  bounds.list(1)
  return setmetatable({ name = name }, Undefined)
end

function values.list(items, tuple)
  items.tuple = tuple or nil
  return setmetatable(items, List)
end

function values.dict() return setmetatable({ keys = {}, map = {} }, Dict) end

function values.namespace()
  return setmetatable({ keys = {}, map = {} }, Namespace)
end

--- fn(positional, named, machine) -> value
function values.callable(name, fn) return setmetatable({ name = name, fn = fn }, Callable) end

--- A key of a dict as a Lua table may have it: 1 and 1.0 and true are one key in Python, too.
local function key_of(key)
  local kind = values.kind(key)
  if kind == "string" then return key end
  if kind == "number" then return math.tointeger(key) or key end
  if kind == "boolean" then return key and 1 or 0 end
  if kind == "none" then return values.none end
  fault.raise(nil, "a %s cannot be a key", kind)
end

function values.set(dict, key, value)
  local known = key_of(key)
  if dict.map[known] == nil then table.insert(dict.keys, key) end
  dict.map[known] = value
end

--- The value at a key, or nil.
function values.get(dict, key) return dict.map[key_of(key)] end

-- A Lua table has no order. What messages and tools are made of comes as it is usually written, and as models have seen
-- it; all other names come behind, by their bytes.
local USUAL = {
  "role", "content", "id", "type", "function", "name", "enum", "items", "description", "parameters", "arguments",
  "properties", "required", "return",
}
local RANKS = {}
for rank, name in ipairs(USUAL) do RANKS[name] = rank end

local function sort_usually(names)
  neutral.sort(names)
  local first, rest = {}, {}
  for _, name in ipairs(names) do table.insert(RANKS[name] and first or rest, name) end
  table.sort(first, function(a, b) return RANKS[a] < RANKS[b] end)
  return table.move(rest, 1, #rest, #first + 1, first)
end

local function string_keys(t)
  local names = {}
  for key in pairs(t) do
    if type(key) ~= "string" then fault.raise(nil, "a table has to be an array, or have names only as its keys") end
    names[#names + 1] = key
  end
  return sort_usually(names)
end

-- JSON's null: ours, or that of other libraries, a null pointer.
local function is_null(value)
  return value == core._json_null or type(value) == "userdata" and tostring(value):find "%(nil%)$" ~= nil
end

local DEEPEST = 60

--- A Lua value as templates see it: arrays (and empty tables) are lists, tables with names are dicts. Faults for
--- what is data of no such kind.
function values.from(value, depth)
  depth = depth or 1
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then return value end
  if kind == "nil" or is_null(value) then return values.none end
  if kind ~= "table" then fault.raise(nil, "a %s is no value for a template", kind) end
  if values.kind(value) ~= "table" then return value end
  if depth > DEEPEST then fault.raise(nil, "a table is nested more than %d deep", DEEPEST) end
  local length = rawlen(value)
  if length > 0 or next(value) == nil then
    local items = {}
    for i = 1, length do items[i] = values.from(value[i], depth + 1) end
    return values.list(items)
  end
  local dict = values.dict()
  for _, name in ipairs(string_keys(value)) do values.set(dict, name, values.from(value[name], depth + 1)) end
  return dict
end

--- Does it count as true?
function values.truth(value)
  local kind = values.kind(value)
  if kind == "boolean" then return value end
  if kind == "string" then return value ~= "" end
  if kind == "number" then return value ~= 0 end
  if kind == "list" then return #value > 0 end
  if kind == "dict" then return #value.keys > 0 end
  return kind ~= "none" and kind ~= "undefined"
end

local function equal_lists(a, b)
  if #a ~= #b or a.tuple ~= b.tuple then return false end
  for i = 1, #a do
    if not values.equal(a[i], b[i]) then return false end
  end
  return true
end

local function equal_dicts(a, b)
  if #a.keys ~= #b.keys then return false end
  for key, value in pairs(a.map) do
    if b.map[key] == nil or not values.equal(value, b.map[key]) then return false end
  end
  return true
end

local function plain_number(value) return type(value) == "boolean" and (value and 1 or 0) or value end

function values.equal(a, b)
  local kind, other = values.kind(a), values.kind(b)
  bounds.step()
  if kind == "boolean" or other == "boolean" then
    return type(plain_number(a)) == type(plain_number(b)) and plain_number(a) == plain_number(b)
  end
  if kind ~= other then return false end
  if kind == "list" then return equal_lists(a, b) end
  if kind == "dict" then return equal_dicts(a, b) end
  if kind == "undefined" then return true end
  if kind == "string" then bounds.work(a) end
  return a == b
end

--- A float as Python prints it: the shortest digits that give it back.
local function float_text(number)
  if number ~= number then return "nan" end
  if number == math.huge or number == -math.huge then return number > 0 and "inf" or "-inf" end
  local digits
  for precision = 1, 17 do
    digits = neutral.format("%." .. precision .. "g", number)
    if tonumber(digits) == number then break end
  end
  local exponent = tonumber(neutral.format("%.17e", number):match "e([%+%-]%d+)")
  if exponent >= -4 and exponent < 16 then
    if digits:find "e" then digits = neutral.format("%.0f", number) end
    return digits:find "[%.]" and digits or digits .. ".0"
  end
  if digits:find "e" then return digits end
  return neutral.format("%.16e", number):gsub("%.?0*e", "e", 1)
end

function values.number_text(number)
  if math.type(number) == "integer" then return ("%d"):format(number) end
  return float_text(number)
end

local CONTROL = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ["\\"] = "\\\\" }

local function quoted(text)
  local quote = text:find("'", 1, true) and not text:find('"', 1, true) and '"' or "'"
  local inner = bounds.replaced(text, "[%c\\" .. quote .. "]", function(c)
    return CONTROL[c] or c == quote and "\\" .. c or ("\\x%02x"):format(c:byte())
  end)
  return quote .. inner .. quote
end

local show

local function show_list(list)
  local text = bounds.join(#list, function(i) return show(list[i]) end, ", ")
  if not list.tuple then return "[" .. text .. "]" end
  return "(" .. text .. (#list == 1 and ",)" or ")")
end

local function show_dict(dict)
  return "{" .. bounds.join(#dict.keys, function(i)
    return show(dict.keys[i]) .. ": " .. show(values.get(dict, dict.keys[i]))
  end, ", ") .. "}"
end

--- As Python's repr.
function show(value)
  local kind = values.kind(value)
  bounds.step()
  if kind == "string" then return quoted(value) end
  if kind == "list" then return show_list(value) end
  if kind == "dict" then return show_dict(value) end
  if kind == "undefined" then return "Undefined" end
  return values.text(value)
end
values.repr = show

--- As it is printed.
function values.text(value)
  local kind = values.kind(value)
  if kind == "string" then return value end
  if kind == "number" then return values.number_text(value) end
  if kind == "boolean" then return value and "True" or "False" end
  if kind == "none" then return "None" end
  if kind == "undefined" then return "" end
  if kind == "list" or kind == "dict" then return show(value) end
  return "<" .. kind .. ">"
end

--- The characters of a string, a list; bytes that are no UTF-8 stand for themselves.
function values.characters(text)
  local list, length = {}, utf8.len(text)
  bounds.list(length or #text)
  bounds.step((length or #text) >> 4)
  if not length then
    for i = 1, #text do list[i] = text:sub(i, i) end
    return list
  end
  for character in text:gmatch(utf8.charpattern) do list[#list + 1] = character end
  return list
end

--- The characters first to last of a string, without a list of all.
function values.part(text, first, last)
  if last < first then return "" end
  if not utf8.len(text) then return text:sub(first, last) end
  local from = utf8.offset(text, first)
  return text:sub(from, utf8.offset(text, last - first + 2, from) - 1)
end

function values.length(value)
  local kind = values.kind(value)
  if kind == "string" then return utf8.len(value) or #value end
  if kind == "list" then return #value end
  if kind == "dict" then return #value.keys end
  if kind == "undefined" then return 0 end
  fault.raise(nil, "a %s has no length", kind)
end

--- What a loop over the value runs through: a Lua array.
function values.each(value)
  local kind = values.kind(value)
  if kind == "list" then return value end
  if kind == "dict" then return value.keys end
  if kind == "string" then return values.characters(value) end
  if kind == "undefined" then return {} end
  fault.raise(nil, "a %s is nothing to loop over", kind)
end

return values
