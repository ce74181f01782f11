-- GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019): where its tensors stand in files
-- and in a Model.
local gpt2 = {
  name = "gpt2",
  token_embedding = { huggingface = "wte.weight", gguf = "token_embd.weight" },
  head = { huggingface = "lm_head.weight", gguf = "output.weight" }, -- where there is none, the embedding is the head
}

-- A block's tensors: the paths of the parts that lie in one side by side, its shape in a Model, its names in Hugging
-- Face's and in GGUF files; `turned` where Hugging Face's have it as [in, out].
local function block(config)
  local width, hidden = config.emb_dim, config.hidden_dim
  return {
    { { "norm1.weight" }, { width }, "ln_1.weight", "attn_norm.weight" },
    { { "norm1.bias" }, { width }, "ln_1.bias", "attn_norm.bias" },
    { { "attention.query.weight", "attention.key.weight", "attention.value.weight" }, { 3 * width, width },
      "attn.c_attn.weight", "attn_qkv.weight", turned = true },
    { { "attention.query.bias", "attention.key.bias", "attention.value.bias" }, { 3 * width },
      "attn.c_attn.bias", "attn_qkv.bias", role = "qkv_bias" },
    { { "attention.output.weight" }, { width, width }, "attn.c_proj.weight", "attn_output.weight", turned = true },
    { { "attention.output.bias" }, { width }, "attn.c_proj.bias", "attn_output.bias" },
    { { "norm2.weight" }, { width }, "ln_2.weight", "ffn_norm.weight" },
    { { "norm2.bias" }, { width }, "ln_2.bias", "ffn_norm.bias" },
    { { "feed_forward.expand.weight" }, { hidden, width }, "mlp.c_fc.weight", "ffn_up.weight", turned = true },
    { { "feed_forward.expand.bias" }, { hidden }, "mlp.c_fc.bias", "ffn_up.bias" },
    { { "feed_forward.project.weight" }, { width, hidden }, "mlp.c_proj.weight", "ffn_down.weight", turned = true },
    { { "feed_forward.project.bias" }, { width }, "mlp.c_proj.bias", "ffn_down.bias" },
  }
end

-- The tensors of a model of that config, in the order of its layers.
-- @tparam table config with every key
-- @treturn {table,...} each as in `block`, with whole paths and names; `role`: "token_embedding", "position_embedding",
-- "head", "qkv_bias"
function gpt2.tensors(config)
  local list, width = {}, config.emb_dim
  local function add(item) list[#list + 1] = item end
  add { { "token_embedding.weight" }, { config.vocab_size, width }, gpt2.token_embedding.huggingface,
    gpt2.token_embedding.gguf, role = "token_embedding" }
  add { { "position_embedding.weight" }, { config.context_length, width }, "wpe.weight", "position_embd.weight",
    role = "position_embedding" }
  for i = 1, config.n_layers do
    for _, item in ipairs(block(config)) do
      for j, path in ipairs(item[1]) do item[1][j] = ("blocks.%d.%s"):format(i, path) end
      item[3], item[4] = ("h.%d.%s"):format(i - 1, item[3]), ("blk.%d.%s"):format(i - 1, item[4])
      add(item)
    end
  end
  add { { "final_norm.weight" }, { width }, "ln_f.weight", "output_norm.weight" }
  add { { "final_norm.bias" }, { width }, "ln_f.bias", "output_norm.bias" }
  if not config.tie_weights then
    add { { "head.weight" }, { config.vocab_size, width }, gpt2.head.huggingface, gpt2.head.gguf, role = "head" }
  end
  return list
end

gpt2.huggingface = {
  name = "gpt2",           -- model_type in config.json
  prefix = "transformer.", -- of all tensors' names but the head's, or of none
}

-- The config's keys in a GGUF file's metadata, with their types there; last, what a key is where it may be missing.
gpt2.gguf = {
  name = "gpt2", -- general.architecture
  keys = {
    { "context_length", "gpt2.context_length", "u32" },
    { "emb_dim", "gpt2.embedding_length", "u32" },
    { "n_layers", "gpt2.block_count", "u32" },
    { "hidden_dim", "gpt2.feed_forward_length", "u32", function(config) return 4 * config.emb_dim end },
    { "n_heads", "gpt2.attention.head_count", "u32" },
    { "norm_eps", "gpt2.attention.layer_norm_epsilon", "f32" },
  },
}

-- Whether a name, without its prefix, is of a causal mask, which old files hold and nobody needs.
function gpt2.huggingface.is_ignored(name)
  return name:find("^h%.%d+%.attn%.bias$") ~= nil or name:find("^h%.%d+%.attn%.masked_bias$") ~= nil
end

return gpt2
