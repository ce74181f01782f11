--- model:save: a model directory that Hugging Face's tools load.
-- @submodule gpt
local configs = require "gpt.config"
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local json = require "gpt.support.json"
local layout = require "gpt.huggingface.weights"
local model_config = require "gpt.huggingface.config"
local new_files = require "gpt.support.new_files"
local validate = require "gpt.support.validate"
local safetensors = require "gpt.safetensors"

local function refuse(reason)
  core._raise(("save: this model is not GPT-2's tree: %s; model:save_parameters(file) writes any layer's parameters")
    :format(reason))
end

local function parameters_of(layer)
  local by_path, order = {}, {}
  for path, tensor in layer:parameters() do by_path[path], order[#order + 1] = tensor, path end
  return by_path, order
end

local function lines_of(layer)
  local lines = {}
  for line in tostring(layer):gmatch "[^\n]+" do lines[#lines + 1] = (line:gsub("%s+", " ")) end
  return lines
end

local function shown(line)
  return line and line:match("^%s*(.-),?%s*%-?%-?[%s%d,]*$"):sub(1, 200) or "nothing"
end

-- A part must print as that of a plain Model does: the same kinds of layers, made with the same arguments.
local function check_part(path, found, expected)
  found, expected = lines_of(found), lines_of(expected)
  for i = 1, math.max(#found, #expected) do
    if found[i] ~= expected[i] then
      refuse(("%s has %s where GPT-2 has %s"):format(path, shown(found[i]), shown(expected[i])))
    end
  end
end

local function check_tree(model, plain)
  if #model.blocks ~= #plain.blocks then refuse(("it has %d blocks, not %d"):format(#model.blocks, #plain.blocks)) end
  for name, part in plain:children() do
    if name ~= "blocks" then check_part(name, model[name], part) end
  end
  for i = 1, #plain.blocks do check_part("blocks." .. i, model.blocks[i], plain.blocks[i]) end
end

local function check_parameters(parameters, plain)
  local missing, unexpected, expected = {}, {}, parameters_of(plain)
  for path in pairs(expected) do
    if not parameters[path] then missing[#missing + 1] = path end
  end
  for path in pairs(parameters) do
    if not expected[path] then unexpected[#unexpected + 1] = path end
  end
  table.sort(missing)
  table.sort(unexpected)
  if #missing > 0 then refuse("it has no " .. name_list.line(missing)) end
  if #unexpected > 0 then refuse("it also has " .. name_list.line(unexpected)) end
end

-- The config that the tree has by now: parts may have been exchanged since it was made.
local function config_of(model, parameters)
  local config = configs.check(model.config, "save: model.config")
  config.tie_weights = parameters["head.weight"] == nil
  config.qkv_bias = parameters["blocks.1.attention.query.bias"] ~= nil
  return config
end

local function plain_model(config)
  local absent = configs.check(config, "save")
  absent.init = "absent"
  return core._model(absent)
end

-- One of the files' tensors from the parameters that it holds side by side; biases that a model lacks are zeros.
local function join(item, parameters)
  local parts = {}
  for i, path in ipairs(item.paths) do parts[i] = parameters[path] end
  if #parts == 0 then return core.zeros(item.shape) end
  local joined = #parts == 1 and parts[1] or core.no_grad(core.cat, parts, 1)
  return item.turned and joined:detach():transpose(1, 2) or joined
end

local function items_of(config, parameters)
  local items = {}
  for i, place in ipairs(layout.list(config)) do
    items[i] = { name = place.name, shape = place.shape, make = function() return join(place, parameters) end }
    if place.name ~= layout.head then items[i].name = "transformer." .. place.name end
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

local function write(model, dir, config, parameters)
  local files <close> = new_files()
  local tokenizer = model.tokenizer
  local eos = tokenizer and tokenizer.eos or config.vocab_size == 50257 and 50256 or nil
  safetensors.write_into(files:add(dir .. "/model.safetensors"), items_of(config, parameters))
  files:add(dir .. "/config.json"):write(model_config.encode(config, eos))
  files:finish()
  if tokenizer then tokenizer:save(dir) end
  files:commit()
end

--- Writes a directory that `gpt.load` and Hugging Face's tools read: config.json, model.safetensors and, where
-- `model.tokenizer` is set, the tokenizer's files.
--
-- Every file is whole on the disk under a temporary name before the first one takes its own, so an error, a full disk
-- or a kill leaves the old files as they were (a kill may leave a temporary file too, `.NAME.gpt-...`). Other files in
-- the directory stay; only shards of an earlier save (model.safetensors.index.json and those it names) go. A model
-- without query, key and value biases is written with zeros, and config.json says `qkv_bias: false`.
-- @function Model:save
-- @tparam string dir made if absent (the directory above it must exist)
-- @raise where the model's tree is not GPT-2's (then `layer:save_parameters` does), and where a file cannot be written
-- @usage model:save "my-gpt2"
return function(model, dir)
  if core._kind(model) ~= "Model" then refuse("it is a " .. core._kind(model)) end
  if type(dir) ~= "string" then core._raise("save: a directory's name expected, got " .. validate.show(dir)) end
  local parameters = parameters_of(model)
  local config = config_of(model, parameters)
  local plain = plain_model(config)
  check_parameters(parameters, plain)
  check_tree(model, plain)
  local made = core._make_directory(dir)
  local done, message = pcall(write, model, dir, config, parameters)
  if done then return remove_shards(dir) end
  if made then os.remove(dir) end
  error(message, 0)
end
