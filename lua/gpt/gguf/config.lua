-- A config table from the metadata of a GGUF file, and back. Which keys there are is the family's to say; what
-- llama.cpp has no key for stands under luagpt.
local core = require "gpt.core"
local validate = require "gpt.support.validate"

local model_config = {}

local MOST_SIZE = (1 << 31) - 1
local MOST_LAYERS = 1000

-- Keys of our own: the config's key, its type, and the value that need not be said.
local OWN = {
  { "activation", "string", "gelu" }, { "qkv_bias", "bool", true }, { "init", "string", "gpt2" },
  { "emb_drop_rate", "f64", 0.0 }, { "attn_drop_rate", "f64", 0.0 }, { "shortcut_drop_rate", "f64", 0.0 },
}

local function rate(value)
  if math.type(value) and value >= 0 and value < 1 then return value + 0.0 end
  return nil, "a rate of at least 0 and below 1"
end

local OWN_RULES = {
  activation = validate.one_of { "gelu", "gelu_exact", "relu" }, init = validate.one_of { "gpt2", "torch" },
  qkv_bias = validate.boolean, emb_drop_rate = rate, attn_drop_rate = rate, shortcut_drop_rate = rate,
}

-- A float32's shortest decimal: 1e-05, where the file can only say 9.9999997473788e-06.
local function shortest(value)
  local bits = string.pack("<f", value)
  for digits = 1, 9 do
    local number = tonumber((("%." .. digits .. "g"):format(value):gsub(",", ".")))
    if number and string.pack("<f", number) == bits then return number end
  end
  return value
end

local function whole(most)
  return function(value)
    if math.type(value) == "integer" and value >= 1 and value <= most then return value end
    return nil, "a whole number from 1 to " .. most
  end
end

local function small_number(value)
  if math.type(value) and value > 0 and value <= 1 then return shortest(value) end
  return nil, "a number above 0, at most 1"
end

local RULES = { u32 = whole(MOST_SIZE), f32 = small_number }
local RULES_OF = { n_layers = whole(MOST_LAYERS) }

-- A key's value by its rule, or the default.
local function read_key(file, key, rule, default)
  local value = file:value(key)
  if value == nil then
    if default ~= nil then return default end
    core._raise(("%s: %s is missing"):format(file.path, key))
  end
  local result, expected = rule(value)
  if result == nil then
    core._raise(("%s: %s: %s expected, got %s"):format(file.path, key, expected, validate.show(value)))
  end
  return result
end

local function check_heads(file, family, config)
  if config.emb_dim % config.n_heads ~= 0 then
    core._raise(("%s: an embedding of %d is not a multiple of %d heads"):format(file.path, config.emb_dim,
      config.n_heads))
  end
  local key = family.name .. ".attention.head_count_kv"
  local heads = file:value(key)
  if heads ~= nil and heads ~= config.n_heads then
    core._raise(("%s: %s is %s; what is implemented is as many as heads, %d"):format(file.path, key,
      validate.show(heads), config.n_heads))
  end
end

-- Reads the metadata of an open file.
-- @param file from core._gguf_open
-- @tparam table family
-- @treturn table a config without vocab_size and tie_weights, which the tensors tell
function model_config.read(file, family)
  local config = {}
  for _, entry in ipairs(family.gguf.keys) do
    local name, key, kind, default = table.unpack(entry)
    if type(default) == "function" then default = default(config) end
    config[name] = read_key(file, key, RULES_OF[name] or RULES[kind], default)
  end
  for _, entry in ipairs(OWN) do
    local name, _, default = table.unpack(entry)
    config[name] = read_key(file, "luagpt." .. name, OWN_RULES[name], default)
  end
  config.drop_rate = config.shortcut_drop_rate
  check_heads(file, family, config)
  return config
end

-- The metadata that says so.
-- @tparam table config with every key
-- @tparam table family
-- @treturn {table,...} as gpt.gguf.write takes it
function model_config.metadata(config, family)
  local list = { { family.name .. ".vocab_size", "u32", config.vocab_size } }
  for _, entry in ipairs(family.gguf.keys) do
    local name, key, kind = table.unpack(entry)
    list[#list + 1] = { key, kind, config[name] }
  end
  for _, entry in ipairs(OWN) do
    local name, kind, default = table.unpack(entry)
    if config[name] ~= default then list[#list + 1] = { "luagpt." .. name, kind, config[name] } end
  end
  return list
end

return model_config
