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

return gemma3
