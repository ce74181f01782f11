-- Gemma 2 (Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024): Gemma with norms behind
-- attention and feed-forward, too, soft caps, and a sliding window in every other layer, the first one included.
local decoder = require "gpt.model_files.decoder"
local extended = require "gpt.support.extended"
local forms = require "gpt.model_files.forms"
local gemma = require "gpt.families.gemma"
local rope = require "gpt.model_files.rope"
local scales = require "gpt.model_files.scales"
local windows = require "gpt.model_files.windows"

local gemma2 = { name = "gemma2", title = "Gemma 2" }

local function alternating(config)
  local types = {}
  for i = 1, config.n_layers do types[i] = i % 2 == 1 and "sliding_attention" or "full_attention" end
  return types
end

gemma2.defaults = extended(gemma.defaults, {
  post_norms = true, attention_softcap = 50, logit_softcap = 30, sliding_window = 4096, layer_types = alternating,
})

local function preset(keys)
  return extended({ family = "gemma2", vocab_size = 256000, context_length = 8192, drop_rate = 0, qkv_bias = false },
    keys)
end

gemma2.presets = {
  { "gemma-2-2b", {}, preset { emb_dim = 2304, n_heads = 8, n_kv_heads = 4, head_dim = 256, n_layers = 26,
    hidden_dim = 9216 } },
  { "gemma-2-9b", {}, preset { emb_dim = 3584, n_heads = 16, n_kv_heads = 8, head_dim = 256, n_layers = 42,
    hidden_dim = 14336 } },
  { "gemma-2-27b", {}, preset { emb_dim = 4608, n_heads = 32, n_kv_heads = 16, head_dim = 128, n_layers = 46,
    hidden_dim = 36864, attention_scale = 1 / 12 } }, -- 1 / sqrt(emb_dim / n_heads), where head_dim is another
}

gemma2.tensors = decoder.tensors { norms = forms.whole_factor, post_norms = true }

gemma2.huggingface = {
  name = "gemma2", architecture = "Gemma2ForCausalLM", prefix = "model.", also = decoder.also,
  fixed = { { "attention_bias", false }, { "use_bidirectional_attention", false } },
  keys = decoder.huggingface_keys({
    vocab_size = 256000, context_length = 8192, emb_dim = 2304, hidden_dim = 9216, n_layers = 26, n_heads = 8,
    n_kv_heads = 4, head_dim = 256, tie_weights = true, activation = "gelu", activation_key = "hidden_activation",
  }, {
    rope.huggingface { base = 10000 }, windows.of_pattern(2, 4096), scales.of_queries(256),
    scales.softcap("attention_softcap", "attn_logit_softcapping", 50),
    scales.softcap("logit_softcap", "final_logit_softcapping", 30),
  }),
}

gemma2.gguf = {
  name = "gemma2", fixed = decoder.gguf_fixed,
  keys = decoder.gguf_keys {
    rope.gguf { base = 10000 }, windows.in_gguf(2, 4096), scales.by_layers(46), -- 27B
    scales.softcap("attention_softcap", "attn_logit_softcapping", 50),
    scales.softcap("logit_softcap", "final_logit_softcapping", 30),
  },
}

return gemma2
