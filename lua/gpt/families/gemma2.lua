-- Gemma 2 (Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024): Gemma with norms behind
-- attention and feed-forward, too, soft caps, and a sliding window in every other layer, the first one included.
local extended = require "gpt.support.extended"
local gemma = require "gpt.families.gemma"

local gemma2 = { name = "gemma2", title = "Gemma 2" }

local function alternating(config)
  local types = {}
  for i = 1, config.n_layers do types[i] = i % 2 == 1 and "sliding_attention" or "full_attention" end
  return types
end

gemma2.defaults = extended(gemma.defaults, {
  post_norms = true, attention_softcap = 50, logit_softcap = 30, sliding_window = 4096, layer_types = alternating,
})

return gemma2
