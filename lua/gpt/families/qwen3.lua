-- Qwen3 (Yang et al., "Qwen3 Technical Report", 2025): Llama with a norm of each head's queries and keys.
local extended = require "gpt.support.extended"
local llama = require "gpt.families.llama"

local qwen3 = { name = "qwen3", title = "Qwen3" }

qwen3.defaults = extended(llama.defaults, { qk_norm = true, norm_eps = 1e-6, rope_base = 1e6 })

local function preset(keys)
  return extended({ family = "qwen3", vocab_size = 151936, context_length = 40960, n_kv_heads = 8, head_dim = 128,
    drop_rate = 0, qkv_bias = false }, keys)
end

qwen3.presets = {
  { "qwen3-0.6B", {}, preset { emb_dim = 1024, n_heads = 16, n_layers = 28, hidden_dim = 3072, tie_weights = true } },
  { "qwen3-1.7B", {}, preset { emb_dim = 2048, n_heads = 16, n_layers = 28, hidden_dim = 6144, tie_weights = true } },
  { "qwen3-4B", {}, preset { emb_dim = 2560, n_heads = 32, n_layers = 36, hidden_dim = 9728, tie_weights = true } },
  { "qwen3-8B", {}, preset { emb_dim = 4096, n_heads = 32, n_layers = 36, hidden_dim = 12288 } },
}

return qwen3
