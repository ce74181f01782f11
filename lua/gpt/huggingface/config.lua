-- config.json, as Hugging Face's tools write it, to a config table and back. What its keys are is the family's to say.
local configs = require "gpt.config"
local core = require "gpt.core"
local extended = require "gpt.support.extended"
local families = require "gpt.families"
local json = require "gpt.support.json"
local keys = require "gpt.model_files.keys"
local own = require "gpt.model_files.own"
local validate = require "gpt.support.validate"

local model_config = {}

local Source = {}
Source.__index = Source

function Source.tensor() end

function Source:is_null(name) return self.values[name] == json.null end

function Source:refuse(name, expected, value)
  core._raise(("%s: %s: %s expected, got %s"):format(self.path, name, expected, validate.show(value)))
end

-- A value that is neither absent nor null, and the name that it goes by.
function Source:find(names)
  if type(names) == "string" then names = { names } end
  for _, name in ipairs(names) do
    local value = self.values[name]
    if value ~= nil and value ~= json.null then return value, name end
  end
  return nil, names[1]
end

local function family_of(source)
  local kind = source:find "model_type"
  local family = kind == nil and families.default or families.find("huggingface", kind)
  if family then return family end
  core._raise(("%s: model_type %s is not implemented, only %s"):format(source.path, validate.show(kind),
    families.names("huggingface", json.quote)))
end

-- Keys that change the arithmetic, with the only value that is implemented.
local function check_fixed(source, fixed)
  for _, entry in ipairs(fixed or {}) do
    local name, only = table.unpack(entry)
    local value = source:find(name)
    if value ~= nil and type(value) ~= type(only) then
      source:refuse(name, type(only) == "boolean" and "true or false" or "a " .. type(only), value)
    end
    if value ~= nil and value ~= only then
      local shown = type(value) == "boolean" and tostring(value) or validate.show(value)
      core._raise(("%s: %s = %s changes the arithmetic and is not implemented"):format(source.path, name, shown))
    end
  end
end

local function check_quantization(source)
  if not source:find "quantization_config" then return end
  core._raise(source.path .. ": quantization_config: quantized weights cannot be read; save the model in float32, "
    .. "float16 or bfloat16")
end

local function names_of(family, key)
  for _, entry in ipairs(family.huggingface.keys) do
    if entry[1] == key then return entry[2] end
  end
end

local function check_heads(source, family, config)
  if config.head_dim or config.emb_dim % config.n_heads == 0 then return end
  local _, width = source:find(names_of(family, "emb_dim"))
  local _, heads = source:find(names_of(family, "n_heads"))
  core._raise(("%s: %s, %d, is not a multiple of %s, %d"):format(source.path, width, config.emb_dim, heads,
    config.n_heads))
end

-- Keys of our own, in an object of their own.
local function read_own(source, config)
  local values, name = source:find "luagpt"
  if values == nil then return end
  if not json.is_object(values) then source:refuse(name, "an object", values) end
  local function refuse(key, expected, value) source:refuse("luagpt." .. key, expected, value) end
  own.read(function(key) return values[key] end, refuse, config)
end

local function read(source, family)
  local config = { family = family.name }
  keys.read(source, family.huggingface.keys, config)
  check_heads(source, family, config)
  read_own(source, config)
  return config
end

-- Reads a config.json.
-- @string path
-- @treturn table a complete config; what its file does not say is as Hugging Face's tools take it
-- @treturn table its family
function model_config.read(path)
  local values = json.read(path)
  if not json.is_object(values) then core._raise(path .. ": not a JSON object") end
  local source = setmetatable({ path = path, values = values }, Source)
  local family = family_of(source)
  check_fixed(source, family.huggingface.fixed)
  check_quantization(source)
  return configs.check(read(source, family), path), family
end

local Sink = {}
Sink.__index = Sink

function Sink:put(name, value) self.values[name] = value end

-- What is known of all files, and what the family has beside its keys.
local function values_of(family, config, marks, dtype)
  local format = family.huggingface
  local values = extended(marks, {
    architectures = { format.architecture }, model_type = format.name, torch_dtype = dtype,
  })
  for name, value in pairs(format.also and format.also(config) or {}) do values[name] = value end
  return values
end

-- What a reader makes of a config.json that has no keys of our own.
local function implied_by(values, family)
  return read(setmetatable({ path = "save", values = json.decode(json.encode(values)) }, Source), family)
end

-- The text of a config.json.
-- @tparam table family
-- @tparam table config with every key
-- @tparam table marks `bos_token_id` and `eos_token_id`
-- @string dtype of the weights, "float32"
-- @treturn string what transformers reads
-- @treturn {table,...} what it will take otherwise (own.differences)
function model_config.encode(family, config, marks, dtype)
  local values = values_of(family, config, marks, dtype)
  keys.write(setmetatable({ values = values }, Sink), family.huggingface.keys, config)
  local differences = own.differences(config, implied_by(values, family))
  for _, item in ipairs(differences) do
    values.luagpt = values.luagpt or {}
    values.luagpt[item.name] = item.value
  end
  return json.encode(values, 2) .. "\n", differences
end

return model_config
