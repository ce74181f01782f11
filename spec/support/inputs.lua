-- Inputs that kernels of products take without rounding.
local gpt = require "gpt"

local inputs = {}

--- Rows of 64ths from -127 to 127, with 127 among each 32: eight bits with a scale hold them exactly, and so does bf16.
function inputs.eight_bits(rows, columns)
  local x = gpt.randint(-127, 128, { rows, columns })
  for first = 1, columns, 32 do x:narrow(2, first, 1):fill(127) end
  return x:float() / 64
end

return inputs
