-- A config table from the metadata of a GGUF file, and back. Which keys there are is the family's to say; what
-- llama.cpp has no key for stands under luagpt.
local configs = require "gpt.config"
local core = require "gpt.core"
local families = require "gpt.families"
local json = require "gpt.support.json"
local keys = require "gpt.model_files.keys"
local layout = require "gpt.model_files.layout"
local own = require "gpt.model_files.own"
local validate = require "gpt.support.validate"

local model_config = {}

-- What a file leaves open, of any family.
local DEFAULTS = { emb_drop_rate = 0.0, attn_drop_rate = 0.0, shortcut_drop_rate = 0.0 }

-- Types of our own keys, by their values' types. A table is a text of JSON.
local TYPES = { integer = "u32", float = "f64", boolean = "bool", string = "string", table = "string" }

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
function Source:find(names)
  if type(names) == "string" then names = { names } end
  for _, name in ipairs(names) do
    local key = self.prefix .. name
    local value = self.facts.value(key)
    if value ~= nil then return math.type(value) == "float" and shortest(value) or value, key end
  end
  return nil, self.prefix .. names[1]
end

function Source.is_null() return false end

function Source:tensor(name)
  local numbers = self.facts.numbers(name)
  for i, number in ipairs(numbers or {}) do numbers[i] = shortest(number) end
  return numbers
end

function Source:refuse(key, expected, value)
  core._raise(("%s: %s: %s expected, got %s"):format(self.path, key, expected, validate.show(value)))
end

-- @string path for messages
-- @tparam table family
-- @tparam table facts what model_config.read is given
local function source_of(path, family, facts)
  return setmetatable({ path = path, prefix = family.gguf.name .. ".", facts = facts }, Source)
end

local function check_heads(source, config)
  if config.head_dim or config.emb_dim % config.n_heads == 0 then return end
  core._raise(("%s: an embedding of %d is not a multiple of %d heads"):format(source.path, config.emb_dim,
    config.n_heads))
end

-- Keys with the only value that is implemented, or that which another key of the config has.
local function check_fixed(source, family, config)
  for _, entry in ipairs(family.gguf.fixed or {}) do
    local name, only, words = table.unpack(entry)
    if type(only) == "string" then only = config[only] end
    local value, key = source:find(name)
    if value ~= nil and value ~= only then
      core._raise(("%s: %s is %s; what is implemented is %s, %s"):format(source.path, key, validate.show(value), words,
        tostring(only)))
    end
  end
end

-- Keys that no metadata tell of: biases, where tensors do.
local function clear_biases(family, config)
  for _, tensor in ipairs(family.tensors) do
    if tensor.when then config[tensor.when] = false end
  end
end

local function read_standard(source, family)
  local config = { family = family.name }
  clear_biases(family, config)
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
  local function refuse(name, expected, value) source:refuse("luagpt." .. name, expected, value) end
  own.read(function(name) return source.facts.value("luagpt." .. name) end, refuse, config)
  config.drop_rate = config.shortcut_drop_rate
end

-- What the tensors tell: the vocabulary, whether the head is the embedding, and which biases there are.
local function heed_tensors(path, family, facts, config)
  local name = layout.name(family, "gguf", "token_embedding.weight")
  if not facts.shapes[name] then core._raise(("%s: there is no tensor %s"):format(path, name)) end
  config.vocab_size = facts.shapes[name][1] or 0
  config.tie_weights = facts.shapes[layout.name(family, "gguf", "head.weight")] == nil
  layout.heed(family, config, "gguf", facts.shapes, facts.is_zero)
end

local function read(path, family, facts)
  local source = source_of(path, family, facts)
  local config = read_standard(source, family)
  read_own(source, config)
  heed_tensors(path, family, facts, config)
  return config
end

-- @string path
-- @tparam table family
-- @tparam table facts `value(key)` of the metadata, or nil; `shapes` of the file's tensors, by name; `numbers(name)` of
-- one of them, or nil; `is_zero(shape, name)`
-- @treturn table a complete config
function model_config.read(path, family, facts)
  return configs.check(read(path, family, facts), path)
end

local Sink = {}
Sink.__index = Sink

function Sink:put(name, value, kind)
  if value == json.null then return end
  self.list[#self.list + 1] = { self.prefix .. name, kind.gguf, value }
end

function Sink:put_tensor(name, numbers, key)
  self.tensors[name], self.told[key] = numbers, true
end

-- What a reader makes of standard keys and tensors alone.
local function implied_by(sink, family, shapes)
  local values = {}
  for _, pair in ipairs(sink.list) do values[pair[1]] = pair[3] end
  return read("save", families.find("gguf", family.gguf.name), {
    value = function(key) return values[key] end, numbers = function(name) return sink.tensors[name] end,
    shapes = shapes, is_zero = function() return true end,
  })
end

local function add_own(sink, differences)
  for _, item in ipairs(differences) do
    local value = item.value
    local kind = TYPES[math.type(value) or type(value)]
    if type(value) == "table" then value = json.encode(value) end
    sink.list[#sink.list + 1] = { "luagpt." .. item.name, kind, value }
  end
end

-- What differs, but for keys of which a tensor tells the same.
local function untold(sink, differences)
  local rest = {}
  for _, item in ipairs(differences) do
    if not sink.told[item.name] then rest[#rest + 1] = item end
  end
  return rest
end

-- The metadata that says so.
-- @tparam table config with every key
-- @tparam table family
-- @tparam {[string]={integer,...}} shapes of the tensors that the file will have, by name
-- @treturn {table,...} as gpt.gguf.write takes it
-- @treturn {table,...} what other programs will take otherwise (own.differences)
-- @treturn {[string]={number,...}} tensors that tell of the config, too
function model_config.metadata(config, family, shapes)
  local prefix = family.gguf.name .. "."
  local sink = setmetatable({ prefix = prefix, list = {}, tensors = {}, told = {} }, Sink)
  sink.list[1] = { prefix .. "vocab_size", "u32", config.vocab_size }
  keys.write(sink, family.gguf.keys, config)
  local differences = own.differences(config, implied_by(sink, family, shapes))
  add_own(sink, differences)
  return sink.list, untold(sink, differences), sink.tensors
end

return model_config
