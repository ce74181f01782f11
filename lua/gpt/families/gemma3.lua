-- Gemma 3's text models (Gemma Team, "Gemma 3 Technical Report", 2025): Gemma 2 with a norm of queries and keys in
-- place of soft caps; five layers with a window, which turn by a base of their own, then one without.
local extended = require "gpt.support.extended"
local gemma = require "gpt.families.gemma"

local gemma3 = { name = "gemma3", title = "Gemma 3" }

local function every_sixth_full(config)
  local types = {}
  for i = 1, config.n_layers do types[i] = i % 6 == 0 and "full_attention" or "sliding_attention" end
  return types
end

gemma3.defaults = extended(gemma.defaults, {
  post_norms = true, qk_norm = true, rope_base = 1e6, rope_base_local = 10000, sliding_window = 512,
  layer_types = every_sixth_full,
})

local function preset(keys)
  return extended({ family = "gemma3", vocab_size = 262144, context_length = 32768, n_heads = 4, n_kv_heads = 1,
    head_dim = 256, drop_rate = 0, qkv_bias = false }, keys)
end

gemma3.presets = {
  { "gemma-3-270m", {}, preset { emb_dim = 640, n_layers = 18, hidden_dim = 2048 } },
  { "gemma-3-1b", {}, preset { emb_dim = 1152, n_layers = 26, hidden_dim = 6912 } },
}

return gemma3
