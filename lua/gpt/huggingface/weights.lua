-- Where GPT-2's weights stand: names and layout in Hugging Face's files, paths in a Model.
local layout = {}

-- Per block: the file's name, the parts of ours that lie in it side by side, whether it is turned there ([in, out]).
local BLOCK = {
  { "ln_1.weight", { "norm1.weight" } },
  { "ln_1.bias", { "norm1.bias" } },
  { "attn.c_attn.weight", { "attention.query.weight", "attention.key.weight", "attention.value.weight" }, true },
  { "attn.c_attn.bias", { "attention.query.bias", "attention.key.bias", "attention.value.bias" } },
  { "attn.c_proj.weight", { "attention.output.weight" }, true },
  { "attn.c_proj.bias", { "attention.output.bias" } },
  { "ln_2.weight", { "norm2.weight" } },
  { "ln_2.bias", { "norm2.bias" } },
  { "mlp.c_fc.weight", { "feed_forward.expand.weight" }, true },
  { "mlp.c_fc.bias", { "feed_forward.expand.bias" } },
  { "mlp.c_proj.weight", { "feed_forward.project.weight" }, true },
  { "mlp.c_proj.bias", { "feed_forward.project.bias" } },
}

local function block_shapes(config)
  local width, hidden = config.emb_dim, config.hidden_dim
  return {
    ["ln_1.weight"] = { width }, ["ln_1.bias"] = { width }, ["ln_2.weight"] = { width }, ["ln_2.bias"] = { width },
    ["attn.c_attn.weight"] = { width, 3 * width }, ["attn.c_attn.bias"] = { 3 * width },
    ["attn.c_proj.weight"] = { width, width }, ["attn.c_proj.bias"] = { width },
    ["mlp.c_fc.weight"] = { width, hidden }, ["mlp.c_fc.bias"] = { hidden },
    ["mlp.c_proj.weight"] = { hidden, width }, ["mlp.c_proj.bias"] = { width },
  }
end

local function prefixed(prefix, paths)
  local list = {}
  for i, path in ipairs(paths) do list[i] = prefix .. path end
  return list
end

-- The name of the output head's weight, which no file has under a prefix.
layout.head = "lm_head.weight"

-- Every tensor of a model of that config, in the order of its layers.
-- @tparam table config with every key
-- @treturn {table,...} each: `name` in files, without `transformer.`; `shape` as files have it; `paths` in a Model,
-- which share the tensor's last dimension evenly; `turned` where a file's [in, out] is a Model's [out, in]
function layout.list(config)
  local list, width, shapes = {}, config.emb_dim, block_shapes(config)
  local function add(name, shape, paths, turned)
    list[#list + 1] = { name = name, shape = shape, paths = paths, turned = turned or false }
  end
  add("wte.weight", { config.vocab_size, width }, { "token_embedding.weight" })
  add("wpe.weight", { config.context_length, width }, { "position_embedding.weight" })
  for i = 1, config.n_layers do
    for _, item in ipairs(BLOCK) do
      add(("h.%d.%s"):format(i - 1, item[1]), shapes[item[1]], prefixed(("blocks.%d."):format(i), item[2]), item[3])
    end
  end
  add("ln_f.weight", { width }, { "final_norm.weight" })
  add("ln_f.bias", { width }, { "final_norm.bias" })
  if not config.tie_weights then add(layout.head, { config.vocab_size, width }, { "head.weight" }) end
  return list
end

-- Whether a name is of a query, key or value bias.
function layout.is_qkv_bias(name)
  return name:find("attn.c_attn.bias", 1, true) ~= nil
end

-- Whether a name is of a causal mask, which old files hold and nobody needs.
function layout.is_mask(name)
  return name:find("^h%.%d+%.attn%.bias$") ~= nil or name:find("^h%.%d+%.attn%.masked_bias$") ~= nil
end

return layout
