-- A model directory that Hugging Face's tools load.
local core = require "gpt.core"
local families = require "gpt.families"
local json = require "gpt.support.json"
local model_config = require "gpt.huggingface.config"
local new_files = require "gpt.support.new_files"
local safetensors = require "gpt.safetensors"
local tokenizers = require "gpt.generate.tokenizers"
local tree = require "gpt.model_files.tree"

-- One of the files' tensors from the parameters that it holds side by side; biases that a model lacks are zeros.
local function join(item, parameters)
  local parts = {}
  for i, path in ipairs(item.paths) do parts[i] = parameters[path] and parameters[path]:float() end
  if #parts == 0 then return core.zeros(item.shape) end
  local joined = #parts == 1 and parts[1] or core.no_grad(core.cat, parts, 1)
  return item.turned and joined:detach():transpose(1, 2) or joined
end

local function items_of(family, config, parameters)
  local items = {}
  for i, place in ipairs(families.layout(family, config, "huggingface")) do
    items[i] = { name = place.name, shape = place.shape, make = function() return join(place, parameters) end }
    if place.role ~= "head" then items[i].name = family.huggingface.prefix .. place.name end
  end
  return items
end

-- Shards of an earlier save would only take room: model.safetensors goes before them. Other files stay.
local function remove_shards(dir)
  local path = dir .. "/model.safetensors.index.json"
  if not core._file_exists(path) then return end
  local read, index = pcall(json.read, path)
  local map = read and json.is_object(index) and json.is_object(index.weight_map) and index.weight_map or {}
  os.remove(path)
  for _, name in pairs(map) do
    if type(name) == "string" and name:find "^model%-%d+%-of%-%d+%.safetensors$" then os.remove(dir .. "/" .. name) end
  end
end

-- The ids that end a text: the tokenizer's, or GPT-2's where the vocabulary is.
local function end_tokens(tokenizer, config)
  if tokenizer then return tokenizers.ends(tokenizer) end
  return config.vocab_size == 50257 and { 50256 } or {}
end

local function write(model, dir, config, parameters)
  local files <close> = new_files()
  local tokenizer = model.tokenizer
  safetensors.write_into(files:add(dir .. "/model.safetensors"), items_of(families.gpt2, config, parameters))
  files:add(dir .. "/config.json"):write(model_config.encode(config, end_tokens(tokenizer, config)))
  files:finish()
  if tokenizer then tokenizer:save(dir) end
  files:commit()
end

-- @tparam Layer model
-- @string dir
return function(model, dir)
  local config, parameters = tree(model)
  local made = core._make_directory(dir)
  local done, message = pcall(write, model, dir, config, parameters)
  if done then return remove_shards(dir) end
  if made then os.remove(dir) end
  error(message, 0)
end
