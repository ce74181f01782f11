-- A model's matrix products: what a token reads, and what OpenBLAS would have to compute.
local core = require "gpt.core"

local ENCODINGS = core._gguf_encodings()

local shapes = {}

-- { out, in, how many of them } for each weight; the last is the head's.
function shapes.of(config)
  local dim, hidden, layers = config.emb_dim, config.hidden_dim or 4 * config.emb_dim, config.n_layers
  return {
    { 3 * dim, dim, layers }, { dim, dim, layers }, { hidden, dim, layers }, { dim, hidden, layers },
    { config.vocab_size, dim, 1 },
  }
end

-- Bytes of all of them.
function shapes.bytes(config, dtype)
  local bytes = 0
  for _, shape in ipairs(shapes.of(config)) do
    local out, width, count = table.unpack(shape)
    bytes = bytes + out * width * count // ENCODINGS[dtype].block * ENCODINGS[dtype].bytes
  end
  return bytes
end

-- The bound's requests (systems/bound.c).
function shapes.read(config, dtype) return "read " .. shapes.bytes(config, dtype) end

-- rows of the input, of which only the last reaches the head
function shapes.products(config, rows)
  local words = { "products" }
  for i, shape in ipairs(shapes.of(config)) do
    local out, width, count = table.unpack(shape)
    words[i + 1] = ("%d,%d,%d,%d"):format(out == config.vocab_size and 1 or rows, out, width, count)
  end
  return table.concat(words, " ")
end

return shapes
