-- Gemma 3's text models (Gemma Team, "Gemma 3 Technical Report", 2025): Gemma 2 with a norm of queries and keys in
-- place of soft caps; five layers with a window, which turn by a base of their own, then one without.
local decoder = require "gpt.model_files.decoder"
local extended = require "gpt.support.extended"
local forms = require "gpt.model_files.forms"
local gemma = require "gpt.families.gemma"
local rope = require "gpt.model_files.rope"
local scales = require "gpt.model_files.scales"
local windows = require "gpt.model_files.windows"

local gemma3 = { name = "gemma3", title = "Gemma 3" }

local function every_sixth_full(config)
  local types = {}
  for i = 1, config.n_layers do types[i] = i % 6 == 0 and "full_attention" or "sliding_attention" end
  return types
end

gemma3.defaults = extended(gemma.defaults, {
  post_norms = true, qk_norm = true, rope_base = 1e6, rope_base_local = 10000, sliding_window = 512,
  layer_types = every_sixth_full,
})

local function preset(keys)
  return extended({ family = "gemma3", vocab_size = 262144, context_length = 32768, n_heads = 4, n_kv_heads = 1,
    head_dim = 256, drop_rate = 0, qkv_bias = false }, keys)
end

gemma3.presets = {
  { "gemma-3-270m", {}, preset { emb_dim = 640, n_layers = 18, hidden_dim = 2048 } },
  { "gemma-3-1b", {}, preset { emb_dim = 1152, n_layers = 26, hidden_dim = 6912 } },
}

gemma3.tensors = decoder.tensors { norms = forms.whole_factor, post_norms = true, qk_norm = true }

gemma3.huggingface = {
  name = "gemma3_text", architecture = "Gemma3ForCausalLM", prefix = "model.", also = decoder.also,
  fixed = { { "attention_bias", false }, { "use_bidirectional_attention", false } },
  keys = decoder.huggingface_keys({
    vocab_size = 262208, context_length = 131072, emb_dim = 2304, hidden_dim = 9216, n_layers = 26, n_heads = 8,
    n_kv_heads = 4, head_dim = 256, tie_weights = true, activation = "gelu", activation_key = "hidden_activation",
  }, {
    rope.huggingface { base = 1e6, base_local = 10000 }, windows.of_pattern(6, 4096), scales.of_queries(256),
    scales.softcap("attention_softcap", "attn_logit_softcapping"),
    scales.softcap("logit_softcap", "final_logit_softcapping"),
  }),
}

gemma3.gguf = {
  name = "gemma3", fixed = decoder.gguf_fixed,
  keys = decoder.gguf_keys {
    rope.gguf { base = 10000, base_local = 10000 }, windows.in_gguf(6, false), scales.by_layers(62), -- 27B
    scales.softcap("logit_softcap", "final_logit_softcapping"),
  },
}

return gemma3
