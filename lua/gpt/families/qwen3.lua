-- Qwen3 (Yang et al., "Qwen3 Technical Report", 2025): Llama with a norm of each head's queries and keys.
local decoder = require "gpt.model_files.decoder"
local extended = require "gpt.support.extended"
local llama = require "gpt.families.llama"
local rope = require "gpt.model_files.rope"
local windows = require "gpt.model_files.windows"

local qwen3 = { name = "qwen3", title = "Qwen3" }

qwen3.defaults = extended(llama.defaults, { qk_norm = true, norm_eps = 1e-6, rope_base = 1e6 })

local function preset(keys)
  return extended({ family = "qwen3", vocab_size = 151936, context_length = 40960, n_kv_heads = 8, head_dim = 128,
    drop_rate = 0, qkv_bias = false }, keys)
end

qwen3.presets = {
  { "qwen3-0.6B", {}, preset { emb_dim = 1024, n_heads = 16, n_layers = 28, hidden_dim = 3072, tie_weights = true } },
  { "qwen3-1.7B", {}, preset { emb_dim = 2048, n_heads = 16, n_layers = 28, hidden_dim = 6144, tie_weights = true } },
  { "qwen3-4B", {}, preset { emb_dim = 2560, n_heads = 32, n_layers = 36, hidden_dim = 9728, tie_weights = true } },
  { "qwen3-8B", {}, preset { emb_dim = 4096, n_heads = 32, n_layers = 36, hidden_dim = 12288 } },
}

qwen3.tensors = decoder.tensors { qk_norm = true }

qwen3.huggingface = {
  name = "qwen3", architecture = "Qwen3ForCausalLM", prefix = "model.", also = decoder.also,
  fixed = { { "attention_bias", false } },
  keys = decoder.huggingface_keys({
    vocab_size = 151936, context_length = 32768, emb_dim = 4096, hidden_dim = 22016, n_layers = 32, n_heads = 32,
    n_kv_heads = 32, head_dim = 128,
  }, { rope.huggingface { base = 10000 }, windows.of_later }),
}

qwen3.gguf = {
  name = "qwen3", fixed = decoder.gguf_fixed, keys = decoder.gguf_keys { rope.gguf { base = 10000 } },
}

return qwen3
