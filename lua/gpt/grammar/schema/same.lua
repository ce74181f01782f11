-- JSON values as texts that are equal where the values are: keys sorted, 1.0 as 1.
local json = require "gpt.support.json"
local neutral = require "gpt.support.neutral"

local same

local function members(object)
  local keys, parts = {}, {}
  for key in pairs(object) do keys[#keys + 1] = key end
  neutral.sort(keys)
  for i, key in ipairs(keys) do parts[i] = json.quote(key) .. ":" .. same(object[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function items(array)
  local parts = {}
  for i, item in ipairs(array) do parts[i] = same(item) end
  return "[" .. table.concat(parts, ",") .. "]"
end

function same(value)
  if type(value) == "table" then return (json.is_array(value) and items or members)(value) end
  return json.encode(type(value) == "number" and math.tointeger(value) or value)
end

return same
