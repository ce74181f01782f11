-- Qwen2 and Qwen2.5 (Yang et al., "Qwen2 Technical Report", 2024): Llama with biases of query, key and value.
local decoder = require "gpt.model_files.decoder"
local extended = require "gpt.support.extended"
local llama = require "gpt.families.llama"
local rope = require "gpt.model_files.rope"
local windows = require "gpt.model_files.windows"

local qwen2 = { name = "qwen2", title = "Qwen2" }

qwen2.defaults = extended(llama.defaults, { qkv_bias = true, norm_eps = 1e-6, rope_base = 1e6 })

local function preset(keys)
  return extended({ family = "qwen2", vocab_size = 151936, context_length = 32768, drop_rate = 0, qkv_bias = true },
    keys)
end

qwen2.presets = {
  { "qwen2.5-0.5B", {}, preset { emb_dim = 896, n_heads = 14, n_kv_heads = 2, n_layers = 24, hidden_dim = 4864,
    tie_weights = true } },
  { "qwen2.5-1.5B", {}, preset { emb_dim = 1536, n_heads = 12, n_kv_heads = 2, n_layers = 28, hidden_dim = 8960,
    tie_weights = true } },
  { "qwen2.5-3B", {}, preset { emb_dim = 2048, n_heads = 16, n_kv_heads = 2, n_layers = 36, hidden_dim = 11008,
    tie_weights = true } },
  { "qwen2.5-7B", {}, preset { vocab_size = 152064, emb_dim = 3584, n_heads = 28, n_kv_heads = 4, n_layers = 28,
    hidden_dim = 18944 } },
}

qwen2.tensors = decoder.tensors { qkv_bias = true, zeros = { qkv_bias = true } }

qwen2.huggingface = {
  name = "qwen2", architecture = "Qwen2ForCausalLM", prefix = "model.", also = decoder.also,
  keys = decoder.huggingface_keys({
    vocab_size = 151936, context_length = 32768, emb_dim = 4096, hidden_dim = 22016, n_layers = 32, n_heads = 32,
    n_kv_heads = 32,
  }, { rope.huggingface { base = 10000 }, windows.of_later }),
}

qwen2.gguf = {
  name = "qwen2", fixed = decoder.gguf_fixed, keys = decoder.gguf_keys { rope.gguf { base = 10000 } },
}

return qwen2
