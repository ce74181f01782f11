-- Llama (Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023; Grattafiori et al., "The Llama 3
-- Herd of Models", 2024), and what is built alike: SmolLM, TinyLlama.
local llama = { name = "llama", title = "Llama" }

-- What keys mean that a config of the family does not have.
llama.defaults = {
  drop_rate = 0, qkv_bias = false, bias = false, norm = "rms_norm", positions = "rotary", gated = true,
  activation = "silu",
}

return llama
