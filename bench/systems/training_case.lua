-- What a case of bench/training_cases.lua trains: a model with random weights; vocabulary, rows and tokens of a batch.
local gpt = require "gpt"

return function(case)
  local sizes = {}
  for number in case:gmatch "%d+" do sizes[#sizes + 1] = math.tointeger(number) end
  local vocab, context, dim, heads, layers, batch, tokens, tied = table.unpack(sizes)
  gpt.seed(1)
  local model = gpt.Model { vocab_size = vocab, context_length = context, emb_dim = dim, n_heads = heads,
    n_layers = layers, drop_rate = 0.0, qkv_bias = true, tie_weights = tied == 1 }
  return model, vocab, batch, tokens
end
