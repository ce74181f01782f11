-- Parts of a size: what they have, and what a list of them comes to.
local printed = require "gpt.support.printed"

local part = {}

-- Bytes of a matrix's row. Quantised rows are blocks of 32 numbers, the last one filled up, with a 16-bit scale each.
part.DTYPES = { "f32", "bf16", "f16", "q8", "q4" }
local ROW_BYTES = {
  f32 = function(n) return 4 * n end,
  bf16 = function(n) return 2 * n end,
  f16 = function(n) return 2 * n end,
  q8 = function(n) return (32 + 2) * ((n + 31) // 32) end,
  q4 = function(n) return (16 + 2) * ((n + 31) // 32) end,
}

--- One part that occurs `count` times: matrices `{ rows, columns }`, numbers in vectors (always f32), and the
--- floating-point operations per token of one occurrence, forward.
function part.measure(name, count, matrices, vectors, operations)
  local self = { name = name, count = count, parameters = count * vectors, bytes = printed {} }
  for _, dtype in ipairs(part.DTYPES) do self.bytes[dtype] = 4 * count * vectors end
  for _, matrix in ipairs(matrices) do
    local rows, columns = table.unpack(matrix)
    self.parameters = self.parameters + count * rows * columns
    for _, dtype in ipairs(part.DTYPES) do
      self.bytes[dtype] = self.bytes[dtype] + count * rows * ROW_BYTES[dtype](columns)
    end
  end
  self.flops = printed { forward = count * operations, training = 3 * count * operations }
  self.kv_cache_bytes = 0
  return printed(self)
end

--- What a list of parts comes to.
function part.total(parts)
  local bytes, flops = printed {}, printed { forward = 0, training = 0 }
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
