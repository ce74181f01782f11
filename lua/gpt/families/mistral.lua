-- Mistral (Jiang et al., "Mistral 7B", 2023): Llama, in some versions with a sliding window in every layer.
local llama = require "gpt.families.llama"

local mistral = { name = "mistral", title = "Mistral", defaults = llama.defaults }

return mistral
