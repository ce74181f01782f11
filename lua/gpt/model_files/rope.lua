-- What files say of rotary positions: entries for the lists of keys of recipes.
local core = require "gpt.core"
local factors = require "gpt.model_files.rope_factors"
local extended = require "gpt.support.extended"
local json = require "gpt.support.json"
local keys = require "gpt.model_files.keys"

local rope = {}

-- What an entry's options are: `base`, where files do not say; `base_local`, the same for layers with a window, where a
-- family has two; `partial`, whether files may say that only a part of each head turns, and `part`, which where they do
-- not; `factors`, whether GGUF files of the family have a tensor of divisors.

local function width_of_head(config)
  return config.head_dim or config.emb_dim // config.n_heads
end

local function object_of(source, name)
  local value = source:find(name)
  if value ~= nil and not json.is_object(value) then source:refuse(name, "an object", value) end
  return value
end

-- Hugging Face's two ways: rope_parameters, maybe by type of layer, and the older rope_theta beside rope_scaling. Where
-- a file has both, what only the newer says counts too.
local function parameters_of(source)
  local scaling, newer = object_of(source, "rope_scaling"), object_of(source, "rope_parameters")
  local name = scaling and "rope_scaling" or "rope_parameters"
  local all = extended(newer or {}, scaling or {})
  local nested = type(all.full_attention) == "table" or type(all.sliding_attention) == "table"
  if not nested then return all, {}, name end
  return all.full_attention or {}, all.sliding_attention or {}, name
end

local function base_of(source, parameters, names, default)
  local value, name = parameters.rope_theta, "rope_theta"
  if value == nil or value == json.null then value, name = source:find(names) end
  if value == nil then return default end
  return keys.checked(source, "positive", value, name)
end

local LEFT_OUT = { rope_theta = true, partial_rotary_factor = true, type = true }

-- A scaling as a config has it; nil for none.
local function scaling_of(source, parameters, config)
  local kind = parameters.rope_type or parameters.type
  if kind == nil or kind == "default" then return nil end
  local scaling = { rope_type = kind }
  for name, value in pairs(parameters) do
    if not LEFT_OUT[name] and value ~= json.null then scaling[name] = value end
  end
  if (kind == "llama3" or kind == "yarn") and not scaling.original_max_position_embeddings then
    local value = source:find "original_max_position_embeddings"
    scaling.original_max_position_embeddings = value or config.context_length
  end
  return scaling
end

local function check_local(source, parameters, name)
  local kind = parameters.rope_type or parameters.type
  if kind == nil or kind == "default" then return end
  core._raise(("%s: %s: sliding_attention: rope_type %s is not implemented, only \"default\""):format(source.path, name,
    json.encode(kind)))
end

local function read_part(source, parameters, config, options)
  local value, name = parameters.partial_rotary_factor, "partial_rotary_factor"
  if value == nil or value == json.null then value = source:find { name, "rotary_pct" } end
  if value == nil then value = options.part or 1 end
  if not math.type(value) or value <= 0 or value > 1 then source:refuse(name, "a number above 0, at most 1", value) end
  if value == 1 then return end
  if not options.partial then
    core._raise(("%s: %s = %s changes the arithmetic and is not implemented"):format(source.path, name,
      json.encode(value)))
  end
  config.rope_dims = math.floor(value * width_of_head(config))
end

local function parameters_to_write(config, options)
  local scaling = config.rope_scaling or {}
  local all = { rope_theta = config.rope_base, rope_type = "default" }
  if not scaling.frequency_factors then
    for name, value in pairs(scaling) do all[name] = value end
  end
  if options.partial then all.partial_rotary_factor = (config.rope_dims or config.head_dim) / config.head_dim end
  return all
end

-- Both ways are written, so that older programs read them, too.
local function write_huggingface(config, sink, options)
  local all = parameters_to_write(config, options)
  local scaling = {}
  for name, value in pairs(all) do
    if name ~= "rope_theta" and name ~= "partial_rotary_factor" then scaling[name] = value end
  end
  sink:put("rope_theta", config.rope_base)
  sink:put("rope_scaling", scaling.rope_type ~= "default" and scaling or json.null)
  if options.partial then sink:put("partial_rotary_factor", all.partial_rotary_factor) end
  if options.base_local then
    local base = config.rope_base_local or config.rope_base
    sink:put("rope_local_base_freq", base)
    all = { full_attention = all, sliding_attention = { rope_theta = base, rope_type = "default" } }
  end
  sink:put("rope_parameters", all)
end

-- The entry for config.json.
function rope.huggingface(options)
  local function read(source, config)
    local full, windowed, name = parameters_of(source)
    config.rope_base = base_of(source, full, { "rope_theta" }, options.base)
    config.rope_scaling = scaling_of(source, full, config)
    read_part(source, full, config, options)
    check_local(source, windowed, name)
    if options.base_local then
      config.rope_base_local = base_of(source, windowed, { "rope_local_base_freq" }, options.base_local)
    end
  end
  return { read = read, write = function(config, sink) write_huggingface(config, sink, options) end }
end

-- The scaling by GGUF's keys, of which there are those of the kinds "linear" and "yarn".
local function scaling_of_keys(source)
  local kind, name = source:find "rope.scaling.type"
  if kind == nil or kind == "none" then return nil end
  if kind ~= "linear" and kind ~= "yarn" then
    core._raise(("%s: %s is %s; what is implemented: linear, yarn"):format(source.path, name, json.encode(kind)))
  end
  local factor, factor_name = source:find "rope.scaling.factor"
  local scaling = { rope_type = kind, factor = keys.checked(source, "positive", factor, factor_name) }
  if kind == "linear" then return scaling end
  local original, original_name = source:find "rope.scaling.original_context_length"
  scaling.original_max_position_embeddings = keys.checked(source, "size", original, original_name)
  scaling.beta_fast = source:find "rope.scaling.yarn_beta_fast"
  scaling.beta_slow = source:find "rope.scaling.yarn_beta_slow"
  return scaling
end

local NUMBER, WORD, SIZE = { gguf = "f32" }, { gguf = "string" }, { gguf = "u32" }

local function write_scaling(scaling, sink)
  local kind = scaling.rope_type or scaling.type
  if kind ~= "linear" and kind ~= "yarn" then return end
  sink:put("rope.scaling.type", kind, WORD)
  sink:put("rope.scaling.factor", scaling.factor + 0.0, NUMBER)
  if kind == "linear" then return end
  sink:put("rope.scaling.original_context_length", scaling.original_max_position_embeddings, SIZE)
  if scaling.beta_fast then sink:put("rope.scaling.yarn_beta_fast", scaling.beta_fast + 0.0, NUMBER) end
  if scaling.beta_slow then sink:put("rope.scaling.yarn_beta_slow", scaling.beta_slow + 0.0, NUMBER) end
end

local function read_base(source, name, default)
  local value, key = source:find(name)
  return value == nil and default or value ~= nil and keys.checked(source, "positive", value, key) or nil
end

local function read_gguf(source, config, options)
  config.rope_base = read_base(source, "rope.freq_base", options.base)
  if options.base_local then config.rope_base_local = read_base(source, "rope.freq_base_swa", options.base_local) end
  config.rope_scaling = scaling_of_keys(source)
  local divisors = options.factors and source:tensor(factors.NAME)
  if divisors then config.rope_scaling = factors.scaling(divisors, config.rope_base, width_of_head(config)) end
  local dims, name = source:find "rope.dimension_count"
  if dims == nil then return end
  dims = keys.checked(source, "size", dims, name)
  local width = width_of_head(config)
  if dims == width then return end
  if not options.partial then source:refuse(name, ("%d, as many as a head has,"):format(width), dims) end
  config.rope_dims = dims
end

local function write_gguf(config, sink, options)
  sink:put("rope.freq_base", config.rope_base + 0.0, NUMBER)
  if options.base_local then
    sink:put("rope.freq_base_swa", (config.rope_base_local or config.rope_base) + 0.0, NUMBER)
  end
  sink:put("rope.dimension_count", config.rope_dims or config.head_dim, SIZE)
  local scaling = config.rope_scaling or {}
  write_scaling(scaling, sink)
  local divisors = options.factors and factors.of(scaling, config.rope_base, config.head_dim)
  if divisors then sink:put_tensor(factors.NAME, divisors, "rope_scaling") end
end

-- The entry for GGUF's metadata.
function rope.gguf(options)
  return {
    read = function(source, config) read_gguf(source, config, options) end,
    write = function(config, sink) write_gguf(config, sink, options) end,
  }
end

return rope
