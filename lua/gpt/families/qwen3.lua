-- Qwen3 (Yang et al., "Qwen3 Technical Report", 2025): Llama with a norm of each head's queries and keys.
local extended = require "gpt.support.extended"
local llama = require "gpt.families.llama"

local qwen3 = { name = "qwen3", title = "Qwen3" }

qwen3.defaults = extended(llama.defaults, { qk_norm = true, norm_eps = 1e-6, rope_base = 1e6 })

return qwen3
