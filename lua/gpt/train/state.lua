-- Tables of numbers, strings and tensors, taken apart for a safetensors file: the tensors by name, the rest as JSON.
local core = require "gpt.core"
local json = require "gpt.support.json"

local state = {}

--- The table without its tensors, which go into `items` under names that begin with `prefix`.
function state.take_apart(value, prefix, items)
  if core.is_tensor(value) then
    items[#items + 1] = { name = prefix, shape = value:shape(), dtype = value:dtype(), tensor = value }
    return { tensor = prefix }
  end
  if type(value) ~= "table" then return value end
  local plain = {}
  for key, item in pairs(value) do plain[tostring(key)] = state.take_apart(item, prefix .. "/" .. key, items) end
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
