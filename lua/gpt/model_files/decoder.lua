-- What files of Llama's kind have in common: lists of tensors and of keys, for the recipes of families that differ in a
-- few of them.
local decoder = {}

-- Hugging Face's names of activations, and ours.
decoder.ACTIVATIONS = {
  silu = "silu", swish = "silu", gelu_pytorch_tanh = "gelu", gelu_new = "gelu", gelu_fast = "gelu",
  gelu = "gelu_exact", gelu_python = "gelu_exact", relu = "relu",
}
decoder.WRITTEN_ACTIVATIONS = { silu = "silu", gelu = "gelu_pytorch_tanh", gelu_exact = "gelu", relu = "relu" }

local function of_block(path, huggingface, gguf, more)
  local tensor = { "blocks.*." .. path, "model.layers.*." .. huggingface, "blk.*." .. gguf }
  for name, value in pairs(more or {}) do tensor[name] = value end
  return tensor
end

-- Weight and, where a key of the config is given, bias of a Linear.
local function add_linear(list, path, huggingface, gguf, forms, bias, zeros)
  list[#list + 1] = of_block(path .. ".weight", huggingface .. ".weight", gguf .. ".weight", { gguf = forms })
  if not bias then return end
  list[#list + 1] = of_block(path .. ".bias", huggingface .. ".bias", gguf .. ".bias",
    { gguf = forms, when = bias, zeros = { huggingface = zeros } })
end

local function add_norm(list, o, path, huggingface, gguf)
  list[#list + 1] = of_block(path .. ".weight", huggingface .. ".weight", gguf .. ".weight", { gguf = o.norms })
end

local function add_attention(list, o)
  local zeros = o.zeros or {}
  local qkv_bias = o.qkv_bias and "qkv_bias"
  add_linear(list, "attention.query", "self_attn.q_proj", "attn_q", o.queries, qkv_bias, zeros.qkv_bias)
  add_linear(list, "attention.key", "self_attn.k_proj", "attn_k", o.keys, qkv_bias, zeros.qkv_bias)
  add_linear(list, "attention.value", "self_attn.v_proj", "attn_v", nil, qkv_bias, zeros.qkv_bias)
  if o.qk_norm then
    add_norm(list, o, "attention.query_norm", "self_attn.q_norm", "attn_q_norm")
    add_norm(list, o, "attention.key_norm", "self_attn.k_norm", "attn_k_norm")
  end
  add_linear(list, "attention.output", "self_attn.o_proj", "attn_output", nil, o.bias and "bias", zeros.output_bias)
end

local function add_feed_forward(list, o)
  for _, names in ipairs { { "gate", "gate" }, { "expand", "up" }, { "project", "down" } } do
    local ours, theirs = table.unpack(names)
    local path, name = "feed_forward." .. ours, ("mlp.%s_proj"):format(theirs)
    add_linear(list, path, name, "ffn_" .. theirs, nil, o.bias and "bias")
  end
end

-- The tensors of a model.
-- @tparam table o what a family has: `queries` and `keys`, forms of these weights in GGUF; `norms`, the form of norms
-- there; `qkv_bias`, `bias`, whether there may be such biases; `zeros`, where Hugging Face's files have them as zeros,
-- by `qkv_bias` and `output_bias` (see gpt.model_files.layout); `qk_norm`; `post_norms`, whether there are norms behind
-- attention and feed-forward
function decoder.tensors(o)
  local list = { { "token_embedding.weight", "model.embed_tokens.weight", "token_embd.weight" } }
  add_norm(list, o, "norm1", "input_layernorm", "attn_norm")
  add_attention(list, o)
  if o.post_norms then add_norm(list, o, "post_norm1", "post_attention_layernorm", "post_attention_norm") end
  add_norm(list, o, "norm2", o.post_norms and "pre_feedforward_layernorm" or "post_attention_layernorm", "ffn_norm")
  add_feed_forward(list, o)
  if o.post_norms then add_norm(list, o, "post_norm2", "post_feedforward_layernorm", "post_ffw_norm") end
  list[#list + 1] = { "final_norm.weight", "model.norm.weight", "output_norm.weight", gguf = o.norms }
  list[#list + 1] = { "head.weight", "lm_head.weight", "output.weight" }
  return list
end

local function n_heads(config) return config.n_heads end

-- The keys of config.json that all have.
-- @tparam table d what they are where a file does not say: `vocab_size`, `context_length`, `emb_dim`, `hidden_dim`,
-- `n_layers`, `n_heads`, `n_kv_heads` (n_heads), `head_dim` (emb_dim / n_heads), `activation`, `tie_weights`
-- @tparam {table,...} more entries behind them
function decoder.huggingface_keys(d, more)
  local list = {
    { "emb_dim", "hidden_size", "size", d.emb_dim },
    { "n_heads", "num_attention_heads", "size", d.n_heads },
    { "n_kv_heads", "num_key_value_heads", "size", d.n_kv_heads or n_heads },
    { "head_dim", "head_dim", "size", d.head_dim, optional = true },
    { "vocab_size", "vocab_size", "size", d.vocab_size },
    { "context_length", "max_position_embeddings", "size", d.context_length },
    { "n_layers", "num_hidden_layers", "layers", d.n_layers },
    { "hidden_dim", "intermediate_size", "size", d.hidden_dim },
    { "activation", d.activation_key or "hidden_act", "word", d.activation or "silu",
      words = d.activations or decoder.ACTIVATIONS, written = decoder.WRITTEN_ACTIVATIONS },
    { "norm_eps", "rms_norm_eps", "epsilon", 1e-6 },
    { "attn_drop_rate", "attention_dropout", "rate", 0.0 },
    { "tie_weights", "tie_word_embeddings", "flag", d.tie_weights or false },
  }
  return table.move(more, 1, #more, #list + 1, list)
end

function decoder.also()
  return { initializer_range = 0.02, use_cache = true }
end

-- Head width, which files say for keys and for values.
local head_dim = {
  read = function(source, config)
    local value, name = source:find { "attention.key_length", "attention.value_length" }
    local other, other_name = source:find "attention.value_length"
    if value == nil then return end
    if other ~= nil and other ~= value then source:refuse(other_name, "the same as " .. name, other) end
    if math.type(value) ~= "integer" or value < 1 then source:refuse(name, "a whole number of at least 1", value) end
    config.head_dim = value
  end,
  write = function(config, sink)
    sink:put("attention.key_length", config.head_dim, { gguf = "u32" })
    sink:put("attention.value_length", config.head_dim, { gguf = "u32" })
  end,
}

-- The keys of GGUF's metadata that all have.
-- @tparam {table,...} more entries behind them
function decoder.gguf_keys(more)
  local list = {
    { "context_length", "context_length", "size" },
    { "emb_dim", "embedding_length", "size" },
    { "n_layers", "block_count", "layers" },
    { "hidden_dim", "feed_forward_length", "size" },
    { "n_heads", "attention.head_count", "size" },
    { "n_kv_heads", "attention.head_count_kv", "size", n_heads },
    { "norm_eps", "attention.layer_norm_rms_epsilon", "epsilon" },
    head_dim,
  }
  return table.move(more, 1, #more, #list + 1, list)
end

-- What only one value of is implemented: a mixture of experts is another model.
decoder.gguf_fixed = { { "expert_count", 0, "no experts" } }

return decoder
