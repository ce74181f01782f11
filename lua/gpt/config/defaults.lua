-- What keys mean that a config does not have: first what its family says, then what holds for all.
local families = require "gpt.families"

local defaults = {}

-- Layers of which a list says of what type each is.
defaults.MOST_TYPED = 65536

local GENERAL = {
  family = families.default.name, bias = true, gated = false, activation = "gelu", tie_weights = false,
  norm = "layer_norm", norm_eps = 1e-5, norm_offset = 0, qk_norm = false, post_norms = false, positions = "learned",
  init = "gpt2",
}

-- Keys that are nil where there is none.
local NONE = {
  "rope_base_local", "rope_dims", "rope_scaling", "sliding_window", "layer_types", "attention_scale",
  "attention_softcap", "logit_softcap", "embedding_scale",
}

local function complete(values, with)
  for name, value in pairs(with) do
    if values[name] == nil then values[name] = value end
  end
end

-- A family's defaults that follow from other keys.
local function derive(values, family)
  local countable = values.n_layers <= defaults.MOST_TYPED
  for name, value in pairs(family) do
    if type(values[name]) == "function" then values[name] = countable and value(values) or nil end
  end
end

local function fill_sizes(values)
  if values.hidden_dim == nil then values.hidden_dim = 4 * values.emb_dim end
  if values.n_kv_heads == nil then values.n_kv_heads = values.n_heads end
  if values.head_dim == nil then values.head_dim = values.emb_dim // values.n_heads end
end

-- With a window, and nothing said of layers, every one has it; without, what a family says of layers means nothing.
local function layer_types(values, given)
  if given then return given end
  if not values.sliding_window or values.n_layers > defaults.MOST_TYPED then return nil end
  local types = values.layer_types or {}
  for i = #types + 1, values.n_layers do types[i] = "sliding_attention" end
  return types
end

-- The defaults of the family that values name; for unknown ones none.
local function of_family(values)
  local family = families.named(values.family or families.default.name)
  return family and family.defaults or {}
end

-- The defaults of those keys that a config needs, but for its family.
function defaults.needed(values)
  local family = of_family(values)
  return { drop_rate = family.drop_rate, qkv_bias = family.qkv_bias }
end

-- Every key of a config whose needed ones are there. false, for none, becomes nil.
-- @tparam table values is changed
function defaults.fill(values)
  local family, given = of_family(values), values.layer_types
  complete(values, family)
  complete(values, GENERAL)
  for _, name in ipairs { "emb_drop_rate", "attn_drop_rate", "shortcut_drop_rate" } do
    complete(values, { [name] = values.drop_rate })
  end
  derive(values, family)
  fill_sizes(values)
  for _, name in ipairs(NONE) do values[name] = values[name] or nil end
  if values.positions == "rotary" then complete(values, { rope_base = 10000 }) end
  values.layer_types = layer_types(values, given)
  return values
end

return defaults
