-- Mistral (Jiang et al., "Mistral 7B", 2023): Llama, in some versions with a sliding window in every layer.
local extended = require "gpt.support.extended"
local llama = require "gpt.families.llama"

local mistral = { name = "mistral", title = "Mistral", defaults = llama.defaults }

local function preset(keys)
  return extended({ family = "mistral", context_length = 32768, emb_dim = 4096, n_heads = 32, n_kv_heads = 8,
    n_layers = 32, hidden_dim = 14336, drop_rate = 0, qkv_bias = false }, keys)
end

mistral.presets = {
  { "mistral-7B", {}, preset { vocab_size = 32000, sliding_window = 4096 } }, -- version 0.1
  { "mistral-7B-v0.3", {}, preset { vocab_size = 32768, rope_base = 1e6 } },
}

return mistral
