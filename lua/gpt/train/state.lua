-- Tables of numbers, strings and tensors, taken apart for a safetensors file: the tensors by name, the rest as JSON.
local core = require "gpt.core"
local json = require "gpt.support.json"
local neutral = require "gpt.support.neutral"

local state = {}

local function tensor_item(name, tensor, whole)
  local item = { name = name, shape = tensor:shape(), dtype = tensor:dtype(), tensor = tensor }
  if whole then item.shape, item.make, item.tensor = whole(tensor) end
  return item
end

-- Keys in an order that is the same in every process.
local function sorted_keys(value)
  local names, keys = {}, {}
  for key in pairs(value) do
    names[#names + 1] = tostring(key)
    keys[names[#names]] = key
  end
  neutral.sort(names)
  return names, keys
end

--- The table without its tensors, which go into `items` under names that begin with `prefix`.
-- @param whole for tensors that are a rank's share: a function that returns the whole one's shape, and a function that
-- makes it
function state.take_apart(value, prefix, items, whole)
  if core.is_tensor(value) then
    items[#items + 1] = tensor_item(prefix, value, whole)
    return { tensor = prefix }
  end
  if type(value) ~= "table" then return value end
  local plain = {}
  local names, keys = sorted_keys(value)
  for _, name in ipairs(names) do
    plain[name] = state.take_apart(value[keys[name]], prefix .. "/" .. name, items, whole)
  end
  return { fields = plain, list = #value > 0 or nil }
end

--- The way back; `read` returns a tensor by its name, `path` begins the message where the table is no such one.
function state.put_together(value, read, path)
  if type(value) ~= "table" then return value end
  if value.tensor then return read(value.tensor) end
  if not json.is_object(value.fields) then core._raise(path .. ": metadata: optimizer: not a state that was saved") end
  local result = {}
  for key, item in pairs(value.fields) do
    result[value.list and math.tointeger(tonumber(key)) or key] = state.put_together(item, read, path)
  end
  return result
end

return state
