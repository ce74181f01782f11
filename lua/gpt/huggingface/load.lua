-- A model directory as Hugging Face's tools write it.
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local model_config = require "gpt.huggingface.config"
local families = require "gpt.families"
local build = require "gpt.model_files.build"
local fit = require "gpt.model_files.fit"
local hints = require "gpt.model_files.hints"
local json = require "gpt.support.json"
local validate = require "gpt.support.validate"
local safetensors = require "gpt.safetensors"
local warning = require "gpt.support.warning"
local neutral = require "gpt.support.neutral"

local WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"

-- Files that a tokenizer consists of: one of these sets is enough.
local TOKENIZERS = { { "tokenizer.json" }, { "vocab.json", "merges.txt" }, { "encoder.json", "vocab.bpe" } }

local family = families.gpt2
local HEAD, EMBEDDING = family.head.huggingface, family.token_embedding.huggingface

local function exists(place, name)
  return select(2, place:path(name))
end

-- The files that the index names, in order, and which of them holds each tensor.
local function read_index(path)
  local index = json.read(path)
  local map = json.is_object(index) and index.weight_map
  if not json.is_object(map) then core._raise(path .. ": weight_map is not an object") end
  local names, seen = {}, {}
  for tensor, name in pairs(map) do
    if type(name) ~= "string" or not name:find "^[^./\\%c][^/\\%c]*%.safetensors$" then
      core._raise(("%s: weight_map: %s does not name a safetensors file of this directory"):format(path,
        validate.show(tensor)))
    end
    if not seen[name] then names[#names + 1], seen[name] = name, true end
  end
  neutral.sort(names)
  return names, map
end

local Weights = {}
Weights.__index = Weights

function Weights:__close()
  for _, file in ipairs(self.files) do file:close() end
end

-- The name that a tensor goes by here: without the family's prefix, and without what PyTorch's and PEFT's wrappers put
-- into names (torch.compile, DataParallel, a model with adapters), one within the other.
local function plain(name)
  local bare = ("." .. name):gsub("%._orig_mod%f[.]", ""):gsub("%.module%f[.]", ""):gsub("^%.base_model%.model%.", ".")
  local prefix = "." .. family.huggingface.prefix
  return bare:sub(1, #prefix) == prefix and bare:sub(#prefix + 1) or bare:sub(2)
end

local function add_entries(weights, file, map)
  for _, entry in ipairs(file.entries) do
    local name = plain(entry.name)
    if weights.entries[name] then
      core._raise(("%s: tensor %s comes twice"):format(file.path, name_list.line { name }))
    end
    if not map or map[entry.name] then weights.entries[name] = entry end
  end
end

local function add_files(weights, place, dir)
  local names, map = { WEIGHTS }, nil
  if not exists(place, WEIGHTS) then
    if not exists(place, INDEX) then hints.without_weights(place, dir) end
    names, map = read_index((place:path(INDEX)))
    weights.path = dir .. "/" .. INDEX
  end
  for i, name in ipairs(names) do
    weights.files[i] = safetensors.open((place:path(name)))
    add_entries(weights, weights.files[i], map)
  end
end

-- Opens the directory's safetensors, one file or shards, and collects their tensors by name.
local function open_weights(place, dir)
  local weights = setmetatable({ files = {}, entries = {}, path = dir .. "/" .. WEIGHTS }, Weights)
  local done, problem = pcall(add_files, weights, place, dir)
  if done then return weights end
  weights:__close()
  error(problem, 0)
end

-- Holds what the files have against what the config asks for.
local function check_fit(weights, list, config_path, strict)
  local there = {}
  for name, entry in pairs(weights.entries) do
    if not family.huggingface.is_ignored(name) then there[name] = entry end
  end
  fit(("%s does not fit %s"):format(weights.path, config_path), list, there, strict)
end

-- Whether two tensors of the files hold the same bytes.
local function same_bytes(a, b)
  return a.dtype == b.dtype and name_list.shape(a.shape) == name_list.shape(b.shape)
    and a.source.file:same(a.offset, b.source.file, b.offset, a.last - a.first)
end

-- The weights have the last word on what the config says of them: a head of their own, query, key and value biases.
local function heed_weights(weights, config, config_path)
  local head, embedding = weights.entries[HEAD], weights.entries[EMBEDDING]
  local function correct(said, found)
    warning("gpt.load: %s says %s, but %s; the weights win", config_path, said, found)
  end
  if config.tie_weights and head and embedding and same_bytes(head, embedding) then
    weights.entries[HEAD] = nil
  elseif config.tie_weights and head then
    config.tie_weights = false
    correct("tie_word_embeddings = true", "lm_head.weight is another than wte.weight")
  elseif not config.tie_weights and not head then
    config.tie_weights = true
    correct("tie_word_embeddings = false", "there is no lm_head.weight")
  end
  if not config.qkv_bias then
    for _, item in ipairs(families.layout(family, config, "huggingface")) do
      local entry = item.role == "qkv_bias" and weights.entries[item.name]
      config.qkv_bias = config.qkv_bias or entry and not safetensors.is_zero(entry) or false
    end
    if config.qkv_bias then correct("qkv_bias = false", "an attn.c_attn.bias is not zero") end
  end
end

local function has_tokenizer(place)
  for _, names in ipairs(TOKENIZERS) do
    local all = true
    for _, name in ipairs(names) do all = all and exists(place, name) end
    if all then return true end
  end
  return false
end

local function read_tensor(weights, item, options)
  local entry = weights.entries[item.name]
  return entry and safetensors.read(entry, build.wants_view(item, options)) or core.zeros(item.shape)
end

local function read_config(place, dir)
  local path, there = place:path(CONFIG)
  if not there then hints.without_config(place, dir) end
  return model_config.read(path), path
end

-- All files are opened while no save can put others into place; weights are copied, where they are, after that.
-- @string dir
-- @tparam table options `map`: false copies all weights; `dtype`: what they will be converted to; `tokenizer`: false
-- leaves it out; `strict`: false leaves unexpected tensors out and takes missing biases for zeros
-- @treturn Model
-- @treturn Tokenizer or nil
return function(dir, options)
  hints.check_directory(dir)
  local place <close> = core._directory(dir)
  local config, config_path = read_config(place, dir)
  local weights <close> = open_weights(place, dir)
  local tokenizer, problem
  if options.tokenizer and has_tokenizer(place) then tokenizer, problem = build.tokenizer(core.tokenizer, dir) end
  place:close()
  heed_weights(weights, config, config_path)
  local list = families.layout(family, config, "huggingface")
  check_fit(weights, list, config_path, options.strict)
  local model = build.empty(config)
  build.fill(model, list, config, function(item) return read_tensor(weights, item, options) end)
  build.bring_tokenizer(model, tokenizer, problem)
  return model:eval(), tokenizer
end
