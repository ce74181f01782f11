-- GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019).
local forms = require "gpt.model_files.forms"
local json = require "gpt.support.json"

local gpt2 = { name = "gpt2", title = "GPT-2" }

local turned = forms.turned

local function preset(context_length, emb_dim, n_heads, n_layers)
  return {
    vocab_size = 50257, context_length = context_length, emb_dim = emb_dim, n_heads = n_heads, n_layers = n_layers,
    drop_rate = 0.1, qkv_bias = false,
  }
end

-- GPT-2: the paper's table 2. GPT-3: Brown et al., "Language Models are Few-Shot Learners", 2020, table 2.1.
gpt2.presets = {
  { "gpt2-small", { "gpt2", "124M" }, preset(1024, 768, 12, 12) },
  { "gpt2-medium", { "345M", "355M" }, preset(1024, 1024, 16, 24) },
  { "gpt2-large", { "762M", "774M" }, preset(1024, 1280, 20, 36) },
  { "gpt2-xl", { "1542M", "1558M" }, preset(1024, 1600, 25, 48) },
  { "gpt3", { "175B" }, preset(2048, 12288, 96, 96) },
}

gpt2.tensors = {
  { "token_embedding.weight", "transformer.wte.weight", "token_embd.weight" },
  { "position_embedding.weight", "transformer.wpe.weight", "position_embd.weight" },
  { "blocks.*.norm1.weight", "transformer.h.*.ln_1.weight", "blk.*.attn_norm.weight" },
  { "blocks.*.norm1.bias", "transformer.h.*.ln_1.bias", "blk.*.attn_norm.bias" },
  { { "blocks.*.attention.query.weight", "blocks.*.attention.key.weight", "blocks.*.attention.value.weight" },
    "transformer.h.*.attn.c_attn.weight", "blk.*.attn_qkv.weight", huggingface = turned },
  { { "blocks.*.attention.query.bias", "blocks.*.attention.key.bias", "blocks.*.attention.value.bias" },
    "transformer.h.*.attn.c_attn.bias", "blk.*.attn_qkv.bias", when = "qkv_bias", zeros = true },
  { "blocks.*.attention.output.weight", "transformer.h.*.attn.c_proj.weight", "blk.*.attn_output.weight",
    huggingface = turned },
  { "blocks.*.attention.output.bias", "transformer.h.*.attn.c_proj.bias", "blk.*.attn_output.bias" },
  { "blocks.*.norm2.weight", "transformer.h.*.ln_2.weight", "blk.*.ffn_norm.weight" },
  { "blocks.*.norm2.bias", "transformer.h.*.ln_2.bias", "blk.*.ffn_norm.bias" },
  { "blocks.*.feed_forward.expand.weight", "transformer.h.*.mlp.c_fc.weight", "blk.*.ffn_up.weight",
    huggingface = turned },
  { "blocks.*.feed_forward.expand.bias", "transformer.h.*.mlp.c_fc.bias", "blk.*.ffn_up.bias" },
  { "blocks.*.feed_forward.project.weight", "transformer.h.*.mlp.c_proj.weight", "blk.*.ffn_down.weight",
    huggingface = turned },
  { "blocks.*.feed_forward.project.bias", "transformer.h.*.mlp.c_proj.bias", "blk.*.ffn_down.bias" },
  { "final_norm.weight", "transformer.ln_f.weight", "output_norm.weight" },
  { "final_norm.bias", "transformer.ln_f.bias", "output_norm.bias" },
  { "head.weight", "lm_head.weight", "output.weight" },
}

local function four_times(config) return 4 * config.emb_dim end

gpt2.huggingface = {
  name = "gpt2",
  architecture = "GPT2LMHeadModel",
  prefix = "transformer.",
  ignored = { "h.*.attn.bias", "h.*.attn.masked_bias" }, -- causal masks of old files
  -- (reorder_and_upcast_attn changes nothing: with it attention computes in float32, as it does here.)
  fixed = {
    { "scale_attn_weights", true }, { "scale_attn_by_inverse_layer_idx", false }, { "add_cross_attention", false },
  },
  keys = {
    { "emb_dim", { "n_embd", "hidden_size" }, "size", 768 },
    { "n_heads", { "n_head", "num_attention_heads" }, "size", 12 },
    { "shortcut_drop_rate", "resid_pdrop", "rate", 0.1 },
    { "drop_rate", "resid_pdrop", "rate", 0.1, write = false },
    { "vocab_size", "vocab_size", "size", 50257 },
    { "context_length", { "n_positions", "max_position_embeddings", "n_ctx" }, "size", 1024 },
    { "n_layers", { "n_layer", "num_hidden_layers" }, "layers", 12 },
    { "hidden_dim", "n_inner", "size", four_times,
      write = function(config) return config.hidden_dim ~= four_times(config) and config.hidden_dim or json.null end },
    { "activation", "activation_function", "word", "gelu", words = {
        gelu_new = "gelu", gelu_pytorch_tanh = "gelu", gelu_fast = "gelu", gelu = "gelu_exact",
        gelu_python = "gelu_exact", relu = "relu",
      },
      written = { gelu = "gelu_new", gelu_exact = "gelu", relu = "relu" } },
    { "norm_eps", "layer_norm_epsilon", "epsilon", 1e-5 },
    { "emb_drop_rate", "embd_pdrop", "rate", 0.1 },
    { "attn_drop_rate", "attn_pdrop", "rate", 0.1 },
    { "tie_weights", "tie_word_embeddings", "flag", true },
    { "qkv_bias", "qkv_bias", "flag", true,
      write = function(config) if not config.qkv_bias then return false end end },
    { "init", "init", "word", "gpt2", words = { gpt2 = "gpt2", torch = "torch" },
      write = function(config) return config.init ~= "gpt2" and config.init or nil end },
  },
  also = function(config) return { n_ctx = config.context_length, initializer_range = 0.02 } end,
  end_token = function(config) return config.vocab_size == 50257 and 50256 or nil end, -- without a tokenizer
}

gpt2.gguf = {
  name = "gpt2",
  defaults = { qkv_bias = true, activation = "gelu" },
  keys = {
    { "context_length", "context_length", "size" },
    { "emb_dim", "embedding_length", "size" },
    { "n_layers", "block_count", "layers" },
    { "hidden_dim", "feed_forward_length", "size", four_times },
    { "n_heads", "attention.head_count", "size" },
    { "norm_eps", "attention.layer_norm_epsilon", "epsilon" },
  },
  fixed = { { "attention.head_count_kv", "n_heads", "as many as heads" } },
}

return gpt2
