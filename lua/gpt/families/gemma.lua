-- Gemma (Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology", 2024): Llama with GELU, norms whose
-- factor is 1 + weight, and embeddings scaled by sqrt(emb_dim).
local extended = require "gpt.support.extended"
local llama = require "gpt.families.llama"

local gemma = { name = "gemma", title = "Gemma" }

gemma.defaults = extended(llama.defaults, {
  activation = "gelu", norm_eps = 1e-6, norm_offset = 1, tie_weights = true,
  embedding_scale = function(config) return math.sqrt(config.emb_dim) end,
})

local function preset(keys)
  return extended({ family = "gemma", vocab_size = 256000, context_length = 8192, head_dim = 256, drop_rate = 0,
    qkv_bias = false }, keys)
end

gemma.presets = {
  { "gemma-2b", {}, preset { emb_dim = 2048, n_heads = 8, n_kv_heads = 1, n_layers = 18, hidden_dim = 16384 } },
  { "gemma-7b", {}, preset { emb_dim = 3072, n_heads = 16, n_layers = 28, hidden_dim = 24576 } },
}

return gemma
