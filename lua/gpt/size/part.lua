-- Parts of a size: what they have, and what a list of them comes to.
local core = require "gpt.core"
local printed = require "gpt.support.printed"

local part = {}

-- The dtypes that a model's matrices can be converted to.
part.DTYPES = {}
local BLOCKS = {}
for _, dtype in ipairs(core._dtypes) do
  if dtype.writable then part.DTYPES[#part.DTYPES + 1], BLOCKS[dtype.name] = dtype.name, dtype end
end

-- Bytes of a matrix's row of n numbers; one that is no whole blocks is f16.
local function row_bytes(dtype, n)
  local row = BLOCKS[dtype]
  return n % row.block == 0 and n // row.block * row.bytes or 2 * n
end

-- The names that these had before there were others of eight and four bits.
local OLD_NAMES = { q8 = "q8_0", q4 = "q4_0" }
local Bytes = { __tostring = core._printed.__tostring }

function Bytes.__index(self, name)
  if OLD_NAMES[name] then return rawget(self, OLD_NAMES[name]) end
  return core._printed.__index(self, name)
end

--- One part that occurs `count` times: matrices `{ rows, columns }`, numbers in vectors (always f32), and the
--- floating-point operations per token of all occurrences, forward.
function part.measure(name, count, matrices, vectors, operations)
  local self = { name = name, count = count, parameters = count * vectors, bytes = setmetatable({}, Bytes) }
  for _, dtype in ipairs(part.DTYPES) do self.bytes[dtype] = 4 * count * vectors end
  for _, matrix in ipairs(matrices) do
    local rows, columns = table.unpack(matrix)
    self.parameters = self.parameters + count * rows * columns
    for _, dtype in ipairs(part.DTYPES) do
      self.bytes[dtype] = self.bytes[dtype] + count * rows * row_bytes(dtype, columns)
    end
  end
  self.flops = printed { forward = operations, training = 3 * operations }
  self.kv_cache_bytes = 0
  return printed(self)
end

--- What a list of parts comes to.
function part.total(parts)
  local bytes, flops = setmetatable({}, Bytes), printed { forward = 0, training = 0 }
  for _, dtype in ipairs(part.DTYPES) do bytes[dtype] = 0 end
  local sum = printed { parameters = 0, bytes = bytes, kv_cache_bytes = 0, flops = flops }
  for _, each in ipairs(parts) do
    sum.parameters = sum.parameters + each.parameters
    sum.kv_cache_bytes = sum.kv_cache_bytes + each.kv_cache_bytes
    for _, dtype in ipairs(part.DTYPES) do bytes[dtype] = bytes[dtype] + each.bytes[dtype] end
    for pass, operations in pairs(each.flops) do flops[pass] = flops[pass] + operations end
  end
  return sum
end

return part
