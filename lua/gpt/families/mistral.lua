-- Mistral (Jiang et al., "Mistral 7B", 2023): Llama, in some versions with a sliding window in every layer.
local decoder = require "gpt.model_files.decoder"
local extended = require "gpt.support.extended"
local forms = require "gpt.model_files.forms"
local llama = require "gpt.families.llama"
local rope = require "gpt.model_files.rope"
local windows = require "gpt.model_files.windows"

local mistral = { name = "mistral", title = "Mistral", defaults = llama.defaults }

local function preset(keys)
  return extended({ family = "mistral", context_length = 32768, emb_dim = 4096, n_heads = 32, n_kv_heads = 8,
    n_layers = 32, hidden_dim = 14336, drop_rate = 0, qkv_bias = false }, keys)
end

mistral.presets = {
  { "mistral-7B", {}, preset { vocab_size = 32000, sliding_window = 4096 } }, -- version 0.1
  { "mistral-7B-v0.3", {}, preset { vocab_size = 32768, rope_base = 1e6 } },
}

mistral.tensors = decoder.tensors { queries = forms.neighbours "n_heads", keys = forms.neighbours "n_kv_heads" }

mistral.huggingface = {
  name = "mistral", architecture = "MistralForCausalLM", prefix = "model.", also = decoder.also,
  keys = decoder.huggingface_keys({
    vocab_size = 32000, context_length = 131072, emb_dim = 4096, hidden_dim = 14336, n_layers = 32, n_heads = 32,
    n_kv_heads = 8,
  }, { rope.huggingface { base = 10000 }, windows.of_all(4096) }),
}

-- Its GGUF files are Llama's.
mistral.gguf = llama.gguf

return mistral
