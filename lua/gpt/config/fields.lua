-- The keys of a config: what each has to be, and what other programs call it.
local families = require "gpt.families"
local validate = require "gpt.support.validate"

local fields = {}

local LAYER_TYPES = { "full_attention", "sliding_attention" }

-- false where the family has a default, and this model does not.
local function optional_number() return validate.or_false(validate.positive()) end

-- In the order in which configs print.
fields.LIST = {
  { "family", validate.one_of(families.NAMES), optional = true },
  { "vocab_size", validate.whole(1) },
  { "context_length", validate.whole(1) },
  { "emb_dim", validate.whole(1) },
  { "n_heads", validate.whole(1) },
  { "n_layers", validate.whole(1) },
  { "drop_rate", validate.rate },
  { "qkv_bias", validate.boolean },
  { "bias", validate.boolean, optional = true },
  { "n_kv_heads", validate.whole(1), optional = true },
  { "head_dim", validate.whole(1), optional = true },
  { "hidden_dim", validate.whole(1), optional = true },
  { "gated", validate.boolean, optional = true },
  { "activation", validate.one_of { "gelu", "gelu_exact", "relu", "silu" }, optional = true },
  { "tie_weights", validate.boolean, optional = true },
  { "norm", validate.one_of { "layer_norm", "rms_norm" }, optional = true },
  { "norm_eps", validate.positive(1), optional = true },
  { "norm_offset", validate.finite, optional = true },
  { "qk_norm", validate.boolean, optional = true },
  { "post_norms", validate.boolean, optional = true },
  { "positions", validate.one_of { "learned", "rotary", "none" }, optional = true },
  { "rope_base", validate.positive(), optional = true },
  { "rope_base_local", optional_number(), optional = true },
  { "rope_dims", validate.or_false(validate.whole(2)), optional = true },
  { "rope_scaling", validate.or_false(validate.table), optional = true },
  { "sliding_window", validate.or_false(validate.whole(1)), optional = true },
  { "layer_types", validate.or_false(validate.list_of(validate.one_of(LAYER_TYPES), "layer types")), optional = true },
  { "attention_scale", optional_number(), optional = true },
  { "attention_softcap", optional_number(), optional = true },
  { "logit_softcap", optional_number(), optional = true },
  { "embedding_scale", optional_number(), optional = true },
  { "init", validate.one_of { "gpt2", "torch" }, optional = true },
  { "emb_drop_rate", validate.rate, optional = true },
  { "attn_drop_rate", validate.rate, optional = true },
  { "shortcut_drop_rate", validate.rate, optional = true },
}

fields.KNOWN = {}
for _, field in ipairs(fields.LIST) do fields.KNOWN[field[1]] = true end

-- What other programs call our keys.
fields.OTHER_NAMES = {
  n_embd = "emb_dim", d_model = "emb_dim", hidden_size = "emb_dim", embedding_dim = "emb_dim",
  n_head = "n_heads", num_heads = "n_heads", num_attention_heads = "n_heads",
  n_layer = "n_layers", num_layers = "n_layers", num_hidden_layers = "n_layers",
  n_ctx = "context_length", n_positions = "context_length", block_size = "context_length",
  max_position_embeddings = "context_length", max_seq_len = "context_length",
  n_vocab = "vocab_size", n_inner = "hidden_dim", ff_dim = "hidden_dim", d_ff = "hidden_dim",
  intermediate_size = "hidden_dim", ffn_dim = "hidden_dim",
  dropout = "drop_rate", resid_pdrop = "shortcut_drop_rate", embd_pdrop = "emb_drop_rate",
  attn_pdrop = "attn_drop_rate", attention_dropout = "attn_drop_rate",
  activation_function = "activation", hidden_act = "activation", hidden_activation = "activation",
  tie_word_embeddings = "tie_weights", layer_norm_epsilon = "norm_eps", layer_norm_eps = "norm_eps",
  rms_norm_eps = "norm_eps", model_type = "family", architecture = "family",
  num_key_value_heads = "n_kv_heads", num_kv_heads = "n_kv_heads", n_head_kv = "n_kv_heads", n_kv_head = "n_kv_heads",
  attention_bias = "qkv_bias", mlp_bias = "bias", add_bias = "bias",
  rope_theta = "rope_base", rope_freq_base = "rope_base", rope_local_base_freq = "rope_base_local",
  rope_parameters = "rope_scaling", partial_rotary_factor = "rope_dims", rotary_dim = "rope_dims",
  window = "sliding_window", window_size = "sliding_window", attention_window = "sliding_window",
  attn_logit_softcapping = "attention_softcap", final_logit_softcapping = "logit_softcap",
  query_pre_attn_scalar = "attention_scale", scale = "attention_scale", softcap = "attention_softcap",
}

return fields
