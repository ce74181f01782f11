-- The methods of strings, lists and dicts that templates call. Lists and dicts cannot be changed by them, as in the
-- sandbox that these templates are written for.
local bounds = require "gpt.jinja.bounds"
local fault = require "gpt.jinja.fault"
local operators = require "gpt.jinja.operators"
local values = require "gpt.jinja.values"

local list = values.list

local function text(value, method)
  if values.kind(value) == "string" then return value end
  fault.raise(nil, "%s: a string expected, got a %s", method, values.kind(value))
end

-- Strips bytes of a set.
local function strip_set(s, characters, left, right)
  local set, first, last = {}, 1, #s
  for i = 1, #characters do set[characters:byte(i)] = true end
  while left and first <= last and set[s:byte(first)] do first = first + 1 end
  while right and first <= last and set[s:byte(last)] do last = last - 1 end
  bounds.step((first - 1 + #s - last) >> 5)
  return s:sub(first, last)
end

-- Strips the characters (white space) from the sides asked for.
local function strip(s, characters, left, right)
  if characters and values.kind(characters) == "string" then return strip_set(s, characters, left, right) end
  if left then s = s:match "^%s*(.*)$" end
  if right then s = s:sub(1, (s:match "^.*[^%s]()" or 1) - 1) end
  return s
end

local function split_blanks(s, most)
  local parts, at = {}, 1
  while true do
    local first = s:find("%S", at)
    if not first then return parts end
    if most >= 0 and #parts == most then
      parts[#parts + 1] = strip(s:sub(first), nil, false, true)
      return parts
    end
    local last = s:find("%s", first) or #s + 1
    parts[#parts + 1] = s:sub(first, last - 1)
    bounds.part(#parts, #parts[#parts])
    at = last
  end
end

local function split(s, separator, most)
  most = most and math.tointeger(most) or -1
  if separator == nil or values.kind(separator) == "none" then return list(split_blanks(s, most)) end
  if text(separator, "split") == "" then fault.raise(nil, "split: an empty separator") end
  bounds.search(s, separator)
  local parts, at = {}, 1
  while most < 0 or #parts < most do
    local first, last = s:find(separator, at, true)
    if not first then break end
    parts[#parts + 1] = s:sub(at, first - 1)
    bounds.part(#parts, #parts[#parts])
    at = last + 1
  end
  parts[#parts + 1] = s:sub(at)
  return list(parts)
end

local function split_from_right(s, separator, most)
  local all = split(s, separator)
  most = most and math.tointeger(most) or -1
  if most < 0 or #all <= most + 1 then return all end
  bounds.text(#s)
  bounds.list(most + 1)
  local head = table.concat(all, separator, 1, #all - most) -- a part of what was split
  local parts = { head }
  table.move(all, #all - most + 1, #all, 2, parts)
  return list(parts)
end

local function split_lines(s)
  local lines = {}
  local ended = s:gsub("\r\n?", "\n") .. (s:find "[\r\n]$" and "" or "\n")
  for line in ended:gmatch "([^\n]*)\n" do
    lines[#lines + 1] = line
    bounds.part(#lines, #lines[#lines])
  end
  return list(s == "" and {} or lines)
end

-- Any of one or several ends.
local function any_of(ends, test)
  if values.kind(ends) ~= "list" then return test(ends) end
  for i = 1, #ends do
    bounds.step()
    bounds.work(ends[i])
    if test(ends[i]) then return true end
  end
  return false
end

local function replace(s, old, new, most)
  old, new, most = text(old, "replace"), text(new, "replace"), most and math.tointeger(most) or -1
  if old == "" then return s end
  bounds.search(s, old)
  local parts, at = {}, 1
  while most ~= 0 do
    local first, last = s:find(old, at, true)
    if not first then break end
    parts[#parts + 1] = s:sub(at, first - 1)
    bounds.part(#parts, #parts[#parts])
    at, most = last + 1, most - 1
  end
  parts[#parts + 1] = s:sub(at)
  return bounds.join(#parts, function(i) return parts[i] end, new)
end

local function find(s, part)
  bounds.search(s, text(part, "find"))
  local first = s:find(part, 1, true)
  return first and (utf8.len(s, 1, first - 1) or first - 1) or -1
end

local function count(s, part)
  local n, at = 0, 1
  if text(part, "count") == "" then return values.length(s) + 1 end
  bounds.search(s, part)
  while true do
    local first, last = s:find(part, at, true)
    if not first then return n end
    n, at = n + 1, last + 1
    if n % 8 == 0 then bounds.step() end
  end
end

local function capitalize(s) return (s:sub(1, 1):upper() .. s:sub(2):lower()) end

local function title(s)
  return bounds.replaced(s, "(%a)(%a*)", function(a, b) return a:upper() .. b:lower() end)
end

local function join(s, items)
  local all = values.each(items)
  return bounds.join(#all, function(i) return text(all[i], "join") end, s)
end

-- Is every character of the class, and is there one?
local function all_of(pattern) return function(s) return s:find("^" .. pattern .. "+$") ~= nil end end

local strings = {
  strip = function(s, set) return strip(s, set, true, true) end,
  lstrip = function(s, set) return strip(s, set, true, false) end,
  rstrip = function(s, set) return strip(s, set, false, true) end,
  split = split, rsplit = split_from_right, splitlines = split_lines,
  startswith = function(s, ends)
    return any_of(ends, function(part) return s:sub(1, #text(part, "startswith")) == part end)
  end,
  endswith = function(s, ends)
    return any_of(ends, function(part) return text(part, "endswith") == "" or s:sub(-#part) == part end)
  end,
  removeprefix = function(s, part) return s:sub(1, #part) == part and s:sub(#part + 1) or s end,
  removesuffix = function(s, part) return part ~= "" and s:sub(-#part) == part and s:sub(1, -#part - 1) or s end,
  upper = function(s) return s:upper() end,
  lower = function(s) return s:lower() end,
  capitalize = capitalize, title = title, replace = replace, find = find, count = count, join = join,
  index = function(s, part)
    local at = find(s, part)
    return at >= 0 and at or fault.raise(nil, "index: the part is not in the string")
  end,
  isdigit = all_of "%d", isnumeric = all_of "%d", isdecimal = all_of "%d", isalpha = all_of "%a",
  isalnum = all_of "%w", isspace = all_of "%s",
  isupper = function(s) return s:find "%u" ~= nil and not s:find "%l" end,
  islower = function(s) return s:find "%l" ~= nil and not s:find "%u" end,
  zfill = function(s, width) return ("0"):rep(math.min(width, 1000) - #s) .. s end,
  format = function(s, ...)
    local given, at = { ... }, 0
    return bounds.replaced(s, "{(%d*)}", function(index)
      at = at + 1
      return values.text(given[index == "" and at or tonumber(index) + 1] or values.undefined "")
    end)
  end,
}

local lists = {
  index = function(items, wanted)
    for i = 1, #items do
      if values.equal(items[i], wanted) then return i - 1 end
    end
    fault.raise(nil, "index: the item is not in the list")
  end,
  count = function(items, wanted)
    local n = 0
    for i = 1, #items do n = n + (values.equal(items[i], wanted) and 1 or 0) end
    return n
  end,
  copy = function(items) return items end,
}

local function pairs_of(dict)
  local items = {}
  bounds.list(#dict.keys)
  for i, key in ipairs(dict.keys) do
    bounds.part(i, 3 * 48)
    items[i] = list({ key, values.get(dict, key) }, true)
  end
  return list(items)
end

local dicts = {
  items = pairs_of,
  keys = function(dict)
    bounds.list(#dict.keys)
    return list(table.move(dict.keys, 1, #dict.keys, 1, {}))
  end,
  values = function(dict)
    local items = {}
    bounds.list(#dict.keys)
    for i, key in ipairs(dict.keys) do items[i] = values.get(dict, key) end
    return list(items)
  end,
  get = function(dict, key, otherwise)
    local value = operators.item(dict, key)
    if value ~= nil then return value end
    return otherwise == nil and values.none or otherwise
  end,
  copy = function(dict) return dict end,
}

local CHANGING = {}
for name in ("append extend insert pop remove clear sort reverse update setdefault popitem"):gmatch "%S+" do
  CHANGING[name] = true
end

local of_kind = { string = strings, list = lists, dict = dicts }

local methods = { strings = strings, dicts = dicts }

--- The method of that name as a callable, or nil.
function methods.find(value, name)
  local kind = values.kind(value)
  local fn = of_kind[kind] and of_kind[kind][name]
  if fn then
    bounds.list(2)
    return values.callable(name, function(positional, _, machine)
      bounds.work(value)
      machine.read_arguments(positional)
      return fn(value, table.unpack(positional))
    end)
  end
  local changes = CHANGING[name] and (kind == "list" or kind == "dict" and values.get(value, name) == nil)
  if changes then fault.raise(nil, "%s: a template cannot change a %s", name, kind) end
end

return methods
