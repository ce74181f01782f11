-- Qwen2 and Qwen2.5 (Yang et al., "Qwen2 Technical Report", 2024): Llama with biases of query, key and value.
local extended = require "gpt.support.extended"
local llama = require "gpt.families.llama"

local qwen2 = { name = "qwen2", title = "Qwen2" }

qwen2.defaults = extended(llama.defaults, { qkv_bias = true, norm_eps = 1e-6, rope_base = 1e6 })

return qwen2
