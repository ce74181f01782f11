-- What is asked of the systems, and of the bound beside them.
local shapes = require "shapes"

local cases = {}

local function per(amount) return function(seconds) return amount / seconds end end

-- So many tokens of one stream after a context, beside a plain read of the weights for each.
function cases.decode(config, dtype, tokens, context)
  return { name = "decode_" .. context, line = ("decode %d %d"):format(tokens, context),
    lines = { bound = shapes.read(config, dtype) }, convert = { bound = per(1) } }
end

-- A prompt in one pass, beside OpenBLAS's products in float32.
function cases.prompt(config, _, length)
  return { name = "prompt_" .. length, line = "prompt " .. length,
    lines = { bound = shapes.products(config, length) }, convert = { bound = per(length) } }
end

-- Steps of many streams, beside a plain read of the weights for each step.
function cases.streams(config, dtype, count, steps)
  return { name = "streams_" .. count, line = ("streams %d %d"):format(count, steps),
    lines = { bound = shapes.read(config, dtype) }, convert = { bound = per(count) } }
end

return cases
