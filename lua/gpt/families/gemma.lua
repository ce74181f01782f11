-- Gemma (Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology", 2024): Llama with GELU, norms whose
-- factor is 1 + weight, and embeddings scaled by sqrt(emb_dim).
local extended = require "gpt.support.extended"
local llama = require "gpt.families.llama"

local gemma = { name = "gemma", title = "Gemma" }

gemma.defaults = extended(llama.defaults, {
  activation = "gelu", norm_eps = 1e-6, norm_offset = 1, tie_weights = true,
  embedding_scale = function(config) return math.sqrt(config.emb_dim) end,
})

return gemma
