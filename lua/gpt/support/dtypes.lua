-- The dtypes of weights, by what can be done with them.
local core = require "gpt.core"

local dtypes = { writable = {}, by_name = {} }

for _, dtype in ipairs(core._dtypes) do
  dtypes.by_name[dtype.name] = dtype -- `name`, `block` (numbers that share a scale), `bytes` of a block, `writable`
  if dtype.writable then table.insert(dtypes.writable, dtype.name) end
end

return dtypes
