-- A GGUF file as llama.cpp's tools write it.
local build = require "gpt.model_files.build"
local core = require "gpt.core"
local families = require "gpt.families"
local fit = require "gpt.model_files.fit"
local model_config = require "gpt.gguf.config"
local validate = require "gpt.support.validate"

local ARCHITECTURE = "general.architecture"

local function family_of(file)
  local name = file:value(ARCHITECTURE)
  if name == nil then core._raise(("%s: %s is missing, so this is no model"):format(file.path, ARCHITECTURE)) end
  local family = families.find("gguf", name)
  if family then return family end
  core._raise(("%s: %s is %s; what is implemented: %s"):format(file.path, ARCHITECTURE, validate.show(name),
    families.names()))
end

local function entries_of(file)
  local by_name = {}
  for _, entry in ipairs(file:tensors()) do by_name[entry.name] = entry end
  return by_name
end

-- What the tensors tell of the config: the vocabulary, and whether the head is the embedding.
local function heed_tensors(file, family, entries, config)
  local name = family.token_embedding.gguf
  local embedding = entries[name]
  if not embedding then core._raise(("%s: there is no tensor %s"):format(file.path, name)) end
  config.vocab_size = embedding.shape[1] or 0
  config.tie_weights = entries[family.head.gguf] == nil
end

local function reader(file, entries, options)
  return function(item)
    local entry = entries[item.name]
    return entry and file:tensor(entry.number, build.wants_view(item, options)) or core.zeros(item.shape)
  end
end

local function is_zero(tensor)
  return core.no_grad(function() return tensor:float():abs():max():item() == 0 end)
end

-- Query, key and value biases that the config lacks stand in the file as zeros, because llama.cpp demands them.
local function heed_biases(config, list, read)
  for _, item in ipairs(list) do
    if not config.qkv_bias and item.role == "qkv_bias" then config.qkv_bias = not is_zero(read(item)) end
  end
end

local function has_tokenizer(file)
  local kind = file:value "tokenizer.ggml.model"
  return kind ~= nil and kind ~= "none"
end

local function load_template(file)
  local template = file:value "tokenizer.chat_template"
  return type(template) == "string" and template or nil
end

-- @string path
-- @tparam table options `map`, `tokenizer`, `strict`
-- @treturn Model
-- @treturn Tokenizer or nil
return function(path, options)
  local file <close> = core._gguf_open(path)
  local family, entries = family_of(file), entries_of(file)
  local config = model_config.read(file, family)
  heed_tensors(file, family, entries, config)
  local list = families.layout(family, config, "gguf")
  fit(path .. ": the tensors do not fit the metadata", list, entries, options.strict)
  local read = reader(file, entries, options)
  heed_biases(config, list, read)
  local model = build.empty(config)
  build.fill(model, list, config, read)
  if options.tokenizer and has_tokenizer(file) then
    build.bring_tokenizer(model, build.tokenizer(file.tokenizer, file))
  end
  model.chat_template = load_template(file)
  return model:eval(), model.tokenizer
end
