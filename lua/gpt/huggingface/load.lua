-- A model directory as Hugging Face's tools write it.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local model_config = require "gpt.huggingface.config"
local build = require "gpt.model_files.build"
local fit = require "gpt.model_files.fit"
local hints = require "gpt.model_files.hints"
local layout = require "gpt.model_files.layout"
local json = require "gpt.support.json"
local validate = require "gpt.support.validate"
local room = require "gpt.model_files.room"
local safetensors = require "gpt.safetensors"
local warning = require "gpt.support.warning"
local neutral = require "gpt.support.neutral"

local WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"

-- Files that a tokenizer consists of: one of these sets is enough.
local TOKENIZERS = { { "tokenizer.json" }, { "vocab.json", "merges.txt" }, { "encoder.json", "vocab.bpe" } }

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
local function plain(family, name)
  local bare = ("." .. name):gsub("%._orig_mod%f[.]", ""):gsub("%.module%f[.]", ""):gsub("^%.base_model%.model%.", ".")
  return layout.bare(family, "huggingface", bare:sub(2))
end

local function add_entries(weights, file, map)
  for _, entry in ipairs(file.entries) do
    local name = plain(weights.family, entry.name)
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
local function open_weights(place, dir, family)
  local path = dir .. "/" .. WEIGHTS
  local weights = setmetatable({ family = family, files = {}, entries = {}, path = path }, Weights)
  local done, problem = pcall(add_files, weights, place, dir)
  if done then return weights end
  weights:__close()
  error(problem, 0)
end

-- Holds what the files have against what the config asks for.
local function check_fit(weights, list, config_path, strict)
  local there = layout.without_ignored(weights.family, "huggingface", weights.entries)
  fit(("%s does not fit %s"):format(weights.path, config_path), list, there, strict)
end

-- Whether two tensors of the files hold the same bytes.
local function same_bytes(a, b)
  return a.dtype == b.dtype and name_list.shape(a.shape) == name_list.shape(b.shape)
    and a.source.file:same(a.offset, b.source.file, b.offset, a.last - a.first)
end

local function correct(config_path, said, found)
  warning("gpt.load: %s says %s, but %s; the weights win", config_path, said, found)
end

-- The weights have the last word on what the config says of a head of their own.
local function heed_head(weights, config, config_path)
  local head_name = layout.name(weights.family, "huggingface", "head.weight")
  local embedding_name = layout.name(weights.family, "huggingface", "token_embedding.weight")
  local head, embedding = weights.entries[head_name], weights.entries[embedding_name]
  if config.tie_weights and head and embedding and same_bytes(head, embedding) then
    weights.entries[head_name] = nil
  elseif config.tie_weights and head then
    config.tie_weights = false
    correct(config_path, "tie_word_embeddings = true", ("%s is another than %s"):format(head_name, embedding_name))
  elseif not config.tie_weights and not head then
    config.tie_weights = true
    correct(config_path, "tie_word_embeddings = false", ("there is no %s"):format(head_name))
  end
end

-- And on biases.
local function heed_biases(weights, config, config_path)
  for _, item in ipairs(layout.heed(weights.family, config, "huggingface", weights.entries, safetensors.is_zero)) do
    local name = item.name:match "%.%d+%.(.*)" or item.name
    correct(config_path, item.when .. " = false", ("an %s is not zero"):format(name))
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

-- The chat template that the files have, whatever tokenizer they have; one that cannot be read is none.
local function read_template(dir)
  local read, template = attempt(core._chat_template, dir)
  return read and template or nil
end

local function read_tensor(weights, item, options)
  local entry = weights.entries[item.name]
  return entry and safetensors.read(entry, build.wants_view(item, options)) or core.zeros(item.shape)
end

-- A tensor's dtype by our names.
local function dtype_of(entry)
  return entry and entry.dtype:lower()
end

local function read_config(place, dir)
  local path, there = place:path(CONFIG)
  if not there then hints.without_config(place, dir) end
  local config, family = model_config.read(path)
  return config, family, path
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
  hints.check_there(dir)
  local config, family, config_path = read_config(place, dir)
  local weights <close> = open_weights(place, dir, family)
  local tokenizer, problem
  local template = read_template(dir)
  if options.tokenizer and has_tokenizer(place) then tokenizer, problem = build.tokenizer(core.tokenizer, dir) end
  place:close()
  heed_head(weights, config, config_path)
  heed_biases(weights, config, config_path)
  local model = build.empty(config)
  local shapes = layout.shapes(model)
  local list = layout.of(family, config, "huggingface", shapes, weights.entries)
  build.check_places(dir, family, layout.unplaced(list, shapes))
  check_fit(weights, list, config_path, options.strict)
  room.check(dir, list, shapes, function(name) return dtype_of(weights.entries[name]) end, options)
  room.guard(dir, shapes, build.fill, model, list, shapes, config,
    function(item) return read_tensor(weights, item, options) end)
  build.bring_tokenizer(model, tokenizer, problem)
  build.bring_template(model, template)
  return model:eval(), tokenizer
end
