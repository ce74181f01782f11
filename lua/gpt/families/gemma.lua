-- Gemma (Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology", 2024): Llama with GELU, norms whose
-- factor is 1 + weight, and embeddings scaled by sqrt(emb_dim).
local decoder = require "gpt.model_files.decoder"
local extended = require "gpt.support.extended"
local forms = require "gpt.model_files.forms"
local llama = require "gpt.families.llama"
local rope = require "gpt.model_files.rope"

local gemma = { name = "gemma", title = "Gemma" }

gemma.defaults = extended(llama.defaults, {
  activation = "gelu", norm_eps = 1e-6, norm_offset = 1, tie_weights = true,
  embedding_scale = function(config) return math.sqrt(config.emb_dim) end,
})

local function preset(keys)
  return extended({ family = "gemma", vocab_size = 256000, context_length = 8192, head_dim = 256, drop_rate = 0,
    qkv_bias = false }, keys)
end

gemma.presets = {
  { "gemma-2b", {}, preset { emb_dim = 2048, n_heads = 8, n_kv_heads = 1, n_layers = 18, hidden_dim = 16384 } },
  { "gemma-7b", {}, preset { emb_dim = 3072, n_heads = 16, n_layers = 28, hidden_dim = 24576 } },
}

gemma.tensors = decoder.tensors { norms = forms.whole_factor }

gemma.huggingface = {
  name = "gemma", architecture = "GemmaForCausalLM", prefix = "model.", also = decoder.also,
  fixed = { { "attention_bias", false }, { "use_bidirectional_attention", false } },
  keys = decoder.huggingface_keys({
    vocab_size = 256000, context_length = 8192, emb_dim = 3072, hidden_dim = 24576, n_layers = 28, n_heads = 16,
    n_kv_heads = 16, head_dim = 256, tie_weights = true, activation = "gelu",
    activation_key = { "hidden_act", "hidden_activation" },
    activations = extended(decoder.ACTIVATIONS, { gelu = "gelu" }), -- in the first files "gelu" meant the tanh form
  }, { rope.huggingface { base = 10000 } }),
}

gemma.gguf = {
  name = "gemma", fixed = decoder.gguf_fixed, keys = decoder.gguf_keys { rope.gguf { base = 10000 } },
}

return gemma
