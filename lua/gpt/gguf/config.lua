-- A config table from the metadata of a GGUF file, and back. Which keys there are is the family's to say; what
-- llama.cpp has no key for stands under luagpt.
local configs = require "gpt.config"
local core = require "gpt.core"
local keys = require "gpt.model_files.keys"
local layout = require "gpt.model_files.layout"
local validate = require "gpt.support.validate"

local model_config = {}

-- What a file leaves open, of any family.
local DEFAULTS = { emb_drop_rate = 0.0, attn_drop_rate = 0.0, shortcut_drop_rate = 0.0 }

-- Types of our own keys, by their values' types.
local TYPES = { integer = "u32", float = "f64", boolean = "bool", string = "string" }

-- A float32's shortest decimal: 1e-05, where the file can only say 9.9999997473788e-06.
local function shortest(value)
  local bits = string.pack("<f", value)
  for digits = 1, 9 do
    local number = tonumber((("%." .. digits .. "g"):format(value):gsub(",", ".")))
    if number and string.pack("<f", number) == bits then return number + 0.0 end
  end
  return value
end

local Source = {}
Source.__index = Source

-- A value under the architecture's name, and its key.
function Source:find(name)
  local key = self.prefix .. name
  local value = self.value(key)
  return math.type(value) == "float" and shortest(value) or value, key
end

function Source:refuse(key, expected, value)
  core._raise(("%s: %s: %s expected, got %s"):format(self.path, key, expected, validate.show(value)))
end

-- @string path for messages
-- @tparam table family
-- @func value returns what the file has at a key, or nil
local function source_of(path, family, value)
  return setmetatable({ path = path, prefix = family.gguf.name .. ".", value = value }, Source)
end

local function check_heads(source, config)
  if config.head_dim or config.emb_dim % config.n_heads == 0 then return end
  core._raise(("%s: an embedding of %d is not a multiple of %d heads"):format(source.path, config.emb_dim,
    config.n_heads))
end

-- Keys with the only value that is implemented, which another key of the config has.
local function check_fixed(source, family, config)
  for _, entry in ipairs(family.gguf.fixed or {}) do
    local name, same_as, words = table.unpack(entry)
    local value, key = source:find(name)
    if value ~= nil and value ~= config[same_as] then
      core._raise(("%s: %s is %s; what is implemented is %s, %s"):format(source.path, key, validate.show(value), words,
        config[same_as]))
    end
  end
end

local function read_standard(source, family)
  local config = {}
  for _, defaults in ipairs { DEFAULTS, family.gguf.defaults or {} } do
    for name, value in pairs(defaults) do config[name] = value end
  end
  keys.read(source, family.gguf.keys, config)
  check_heads(source, config)
  check_fixed(source, family, config)
  return config
end

-- Keys of our own: any of a config.
local function read_own(source, config)
  for _, field in ipairs(configs.fields) do
    local name, rule = field[1], field[2]
    local key = "luagpt." .. name
    local value = source.value(key)
    if value ~= nil then
      local result, expected = rule(value)
      if result == nil then source:refuse(key, expected, value) end
      config[name] = result
    end
  end
  config.drop_rate = config.shortcut_drop_rate
end

-- What the tensors tell: the vocabulary, whether the head is the embedding, and which biases there are.
-- @tparam {[string]={integer,...}} shapes of the file's tensors, by name
local function heed_tensors(path, family, shapes, config)
  local name = layout.name(family, "gguf", "token_embedding.weight")
  if not shapes[name] then core._raise(("%s: there is no tensor %s"):format(path, name)) end
  config.vocab_size = shapes[name][1] or 0
  config.tie_weights = shapes[layout.name(family, "gguf", "head.weight")] == nil
  for _, item in ipairs(layout.all(family, config, "gguf")) do
    if item.when and not item.zeros then config[item.when] = config[item.when] or shapes[item.name] ~= nil end
  end
end

-- @string path
-- @tparam table family
-- @func value returns what the file has at a key, or nil
-- @tparam {[string]={integer,...}} shapes of the file's tensors, by name
-- @treturn table a complete config
function model_config.read(path, family, value, shapes)
  local source = source_of(path, family, value)
  local config = read_standard(source, family)
  read_own(source, config)
  heed_tensors(path, family, shapes, config)
  return configs.check(config, path)
end

-- What a reader makes of standard keys alone.
local function implied_by(list, family, shapes)
  local values = {}
  for _, pair in ipairs(list) do values[pair[1]] = pair[3] end
  return model_config.read("save", family, function(key) return values[key] end, shapes)
end

-- The metadata that says so.
-- @tparam table config with every key
-- @tparam table family
-- @tparam {[string]={integer,...}} shapes of the tensors that the file will have, by name
-- @treturn {table,...} as gpt.gguf.write takes it
-- @treturn {table,...} what no standard key says: each the config's key, what other programs will take it for, and what
-- it is
function model_config.metadata(config, family, shapes)
  local prefix = family.gguf.name .. "."
  local list, own = { { prefix .. "vocab_size", "u32", config.vocab_size } }, {}
  keys.write(family.gguf.keys, config, function(name, value, kind)
    list[#list + 1] = { prefix .. name, kind.gguf, value }
  end)
  local implied = implied_by(list, family, shapes)
  for _, field in ipairs(configs.fields) do
    local name = field[1]
    local value = config[name]
    if value ~= implied[name] and name ~= "drop_rate" then
      list[#list + 1] = { "luagpt." .. name, TYPES[math.type(value) or type(value)], value }
      own[#own + 1] = { name, implied[name], value }
    end
  end
  return list, own
end

return model_config
