-- JSON in and out. Encoding sorts keys, so that equal values give equal text.
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"

local json = {}

local MOST_BYTES = 10000000

-- Stands for JSON's null.
json.null = core._json_null

-- The value of a text. A key that comes twice and a NUL in a string are errors.
-- @string text UTF-8
-- @string[opt] what whose text it is: messages begin with it
-- @return tables, strings, integers (whole numbers up to 2^53, 3.0 among them), floats, booleans, `json.null`; an empty
-- array is marked, so that `encode` knows it
json.decode = core._json_decode

-- The same; objects keep the order of their keys in the text.
function json.decode_ordered(text, what) return core._json_decode(text, what, true) end

-- The keys of an object in the order of the text that it came from, or nil where none is known.
function json.keys(object)
  local meta = getmetatable(object)
  return type(meta) == "table" and rawget(meta, "keys") or nil
end

-- The value of a small file, a description of something else.
-- @string path
function json.read(path)
  local file <close> = core._map_file(path) -- read, not mapped
  if file.size > MOST_BYTES then
    core._raise(("%s: %d bytes, which is more than a description takes"):format(path, file.size))
  end
  return json.decode(file:bytes(0, file.size), path)
end

-- Marks a table as an array, which matters where it is empty.
function json.array(list)
  return setmetatable(list, core._json_array)
end

-- Whether a value is an array, empty ones included.
function json.is_array(value)
  return type(value) == "table" and (#value > 0 or getmetatable(value) == core._json_array)
end

-- Whether a value is an object.
function json.is_object(value)
  return type(value) == "table" and not json.is_array(value)
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(char)
  return escapes[char] or ("\\u%04x"):format(char:byte())
end

-- A string in quotes.
function json.quote(text)
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

-- The shortest text that reads back as the same number.
local function number(value)
  if math.type(value) == "integer" then return ("%d"):format(value) end
  if value ~= value or value == math.huge or value == -math.huge then error("JSON has no number for " .. value) end
  for digits = 1, 17 do
    local text = neutral.format("%." .. digits .. "g", value)
    if tonumber(text) == value then
      return text:find("[.e]") and text or text .. ".0"
    end
  end
end

-- Arrays whose items are JSON already.
local Written = {}

-- Stands for an array in what `encode` gets. texts: the JSON of each item.
function json.written(texts)
  return setmetatable({ texts = texts }, Written)
end

-- What follows appends the text of a value to `parts`, which are joined once: a text inside of many others is copied
-- once, too.
local put

-- Writes what an array or an object holds: put_item(i) for each of its n items, between two brackets.
local function put_items(parts, n, brackets, indent, margin, put_item)
  local inner = indent and margin .. indent or ""
  parts[#parts + 1] = brackets:sub(1, 1)
  for i = 1, n do
    parts[#parts + 1] = (i > 1 and "," or "") .. inner
    put_item(i, inner)
  end
  if indent and n > 0 then parts[#parts + 1] = margin end
  parts[#parts + 1] = brackets:sub(2)
end

local function put_array(parts, value, indent, margin)
  local n = 0
  for i in ipairs(value) do n = i end
  put_items(parts, n, "[]", indent, margin, function(i, inner) put(parts, value[i], indent, inner) end)
end

-- Sorted, but for objects that know the order that they were written in.
local function keys_of(value)
  local keys, meta = {}, getmetatable(value)
  if meta and meta.keys then return meta.keys end
  for key in pairs(value) do keys[#keys + 1] = key end
  neutral.sort(keys)
  return keys
end

local function put_object(parts, value, indent, margin)
  local keys, colon = keys_of(value), indent and ": " or ":"
  put_items(parts, #keys, "{}", indent, margin, function(i, inner)
    parts[#parts + 1] = json.quote(keys[i]) .. colon
    put(parts, value[keys[i]], indent, inner)
  end)
end

local function put_written(parts, value, indent, margin)
  local texts = value.texts
  put_items(parts, #texts, "[]", indent, margin, function(i) parts[#parts + 1] = texts[i] end)
end

local function scalar(value)
  local kind = type(value)
  if value == json.null then return "null" end
  if kind == "string" then return json.quote(value) end
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  error("JSON has no " .. kind)
end

function put(parts, value, indent, margin)
  if type(value) ~= "table" or value == json.null then
    parts[#parts + 1] = scalar(value)
  elseif getmetatable(value) == Written then
    put_written(parts, value, indent, margin)
  else
    (json.is_array(value) and put_array or put_object)(parts, value, indent, margin)
  end
end

-- The text of a value: keys sorted, integers without a point, floats with the fewest digits that read back.
-- @param value tables (arrays where they have elements or are marked), strings, numbers, booleans, `json.null`
-- @int[opt] spaces indentation per level, on lines of their own; without it one line
-- @treturn string
function json.encode(value, spaces)
  local parts = {}
  put(parts, value, spaces and (" "):rep(spaces), "\n")
  return table.concat(parts)
end

return json
