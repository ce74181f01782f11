-- What files say of scales and soft caps of attention and logits: entries for the lists of keys of recipes.
local json = require "gpt.support.json"
local keys = require "gpt.model_files.keys"

local scales = {}

local function width_of_head(config)
  return config.head_dim or config.emb_dim // config.n_heads
end

-- 1 / sqrt(width); false where that is what attention takes by itself.
local function scale_of(width, config)
  return width ~= width_of_head(config) and width ^ -0.5 or false
end

local function whole(value)
  local near = math.floor(value + 0.5)
  return math.abs(value - near) < 1e-6 * value and near or value
end

-- config.json's query_pre_attn_scalar: the scale is one over its root.
-- @number default where a file does not say it
function scales.of_queries(default)
  local NAME = "query_pre_attn_scalar"
  return {
    read = function(source, config)
      local value = source:find(NAME)
      local width = value == nil and default or keys.checked(source, "positive", value, NAME)
      config.attention_scale = scale_of(width, config)
    end,
    write = function(config, sink)
      local scale = config.attention_scale
      sink:put(NAME, scale and whole(1 / scale ^ 2) or config.head_dim)
    end,
  }
end

-- A scale that GGUF has no key for: llama.cpp takes a head's width for it, or, in models of so many layers, the width
-- that heads would have if they were as wide as the embedding together.
function scales.by_layers(n_layers)
  return {
    read = function(_, config)
      local width = config.n_layers == n_layers and config.emb_dim // config.n_heads or width_of_head(config)
      config.attention_scale = scale_of(width, config)
    end,
    write = function() end,
  }
end

-- A soft cap; null where there is none.
-- @number[opt] default where a file does not say it
function scales.softcap(key, name, default)
  return { key, name, "positive", default or false, null = true,
    write = function(config) return config[key] or json.null end }
end

return scales
