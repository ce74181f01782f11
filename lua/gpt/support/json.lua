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

local encode

local function encode_array(value, indent, margin)
  local inner, parts = indent and margin .. indent, {}
  for i, item in ipairs(value) do parts[i] = encode(item, indent, inner) end
  if not indent or #parts == 0 then return "[" .. table.concat(parts, ",") .. "]" end
  return "[" .. inner .. table.concat(parts, "," .. inner) .. margin .. "]"
end

-- Sorted, but for objects that know the order that they were written in.
local function keys_of(value)
  local keys, meta = {}, getmetatable(value)
  if meta and meta.keys then return meta.keys end
  for key in pairs(value) do keys[#keys + 1] = key end
  neutral.sort(keys)
  return keys
end

local function encode_object(value, indent, margin)
  local inner, parts = indent and margin .. indent, {}
  for i, key in ipairs(keys_of(value)) do
    parts[i] = json.quote(key) .. (indent and ": " or ":") .. encode(value[key], indent, inner)
  end
  if not indent or #parts == 0 then return "{" .. table.concat(parts, ",") .. "}" end
  return "{" .. inner .. table.concat(parts, "," .. inner) .. margin .. "}"
end

function encode(value, indent, margin)
  local kind = type(value)
  if value == json.null then return "null" end
  if kind == "table" then return (json.is_array(value) and encode_array or encode_object)(value, indent, margin) end
  if kind == "string" then return json.quote(value) end
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  error("JSON has no " .. kind)
end

-- The text of a value: keys sorted, integers without a point, floats with the fewest digits that read back.
-- @param value tables (arrays where they have elements or are marked), strings, numbers, booleans, `json.null`
-- @int[opt] spaces indentation per level, on lines of their own; without it one line
-- @treturn string
function json.encode(value, spaces)
  return encode(value, spaces and (" "):rep(spaces), "\n")
end

return json
