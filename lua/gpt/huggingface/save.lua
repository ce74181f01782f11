-- A model directory that Hugging Face's tools load.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local extended = require "gpt.support.extended"
local json = require "gpt.support.json"
local own_keys = require "gpt.model_files.own"
local model_config = require "gpt.huggingface.config"
local safetensors = require "gpt.safetensors"
local tokenizers = require "gpt.generate.tokenizers"
local tree = require "gpt.model_files.tree"
local warning = require "gpt.support.warning"

local HOLDS = { f32 = "float32", f16 = "float16", bf16 = "bfloat16" } -- as config.json calls them

-- One of the files' tensors from the parameters that it holds side by side; biases that a model lacks are zeros.
local function join(item, parameters, config, dtype)
  local parts = {}
  for i, path in ipairs(item.paths) do parts[i] = parameters[path] and parameters[path]:float() end
  if #parts == 0 then return core.zeros(item.shape, { dtype = dtype }) end
  local joined = #parts == 1 and parts[1] or core.no_grad(core.cat, parts, 1)
  return (item.form and item.form.write(joined:detach(), config) or joined):to(dtype)
end

-- The dtype of a tensor's parts: f32 where they differ.
local function dtype_of(item, parameters)
  local dtype
  for _, path in ipairs(item.paths) do
    local own = parameters[path] and parameters[path]:dtype() or "f32"
    if not HOLDS[own] then
      core._raise(("save: %s is %s, which a Hugging Face directory cannot hold; save to a name that ends in .gguf, or "
        .. 'give { dtype = "bf16" } ("f16", "f32")'):format(path, own))
    end
    dtype = (dtype == nil or dtype == own) and own or "f32"
  end
  return dtype
end

local function check_option(dtype)
  if dtype == nil or HOLDS[dtype] then return end
  core._raise(('save: dtype: "f32", "f16" or "bf16" expected for a Hugging Face directory, got "%s"; a name that ends '
    .. "in .gguf can hold it"):format(dtype))
end

local function items_of(list, config, parameters, wanted)
  local items = {}
  for i, place in ipairs(list) do
    local dtype = wanted or dtype_of(place, parameters)
    items[i] = { name = place.full, shape = place.shape, dtype = dtype, paths = place.paths,
      make = function() return join(place, parameters, config, dtype) end }
  end
  return items
end

-- What the config says of all: the dtype of the token embedding.
local function main_dtype(items)
  for _, item in ipairs(items) do
    if item.paths[1] == "token_embedding.weight" then return HOLDS[item.dtype] end
  end
end

-- Shards of an earlier save would only take room: model.safetensors goes before them. Other files stay. The index goes
-- last, so that what is left after a kill is found at the next save.
local function remove_shards(dir)
  local path = dir .. "/model.safetensors.index.json"
  if not core._file_exists(path) then return end
  local read, index = attempt(json.read, path)
  local map = read and json.is_object(index) and json.is_object(index.weight_map) and index.weight_map or {}
  for _, name in pairs(map) do
    if type(name) == "string" and name:find "^model%-%d+%-of%-%d+%.safetensors$" then
      core._remove_file(dir .. "/" .. name)
    end
  end
  core._remove_file(path)
end

-- The tokenizer's files belong to the set; a tokenizer of the user's own writes its own files, before any of ours.
local function add_tokenizer(set, tokenizer, template, dir)
  if core._typename(tokenizer) == "gpt.Tokenizer" then return core._write_tokenizer(set, tokenizer, template) end
  if template then set:add "chat_template.jinja":write(template) end
  if not tokenizer then return end
  set:finish()
  tokenizer:save(dir)
end

-- The ids that begin and end a text, as config.json has them: the tokenizer's, or what the family takes.
local function marks_of(family, tokenizer, config)
  local end_token = family.huggingface.end_token
  local id = not tokenizer and end_token and end_token(config) or nil
  local ends = tokenizer and tokenizers.ends(tokenizer) or { id }
  return {
    bos_token_id = tokenizer and tokenizers.start(tokenizer) or id or json.null,
    eos_token_id = #ends > 1 and ends or ends[1] or json.null,
  }
end

-- An old one is read besides config.json, and would contradict it.
local function add_generation_config(set, dir, marks)
  if not core._file_exists(dir .. "/generation_config.json") then return end
  local values = extended(marks, { _from_model_config = true })
  set:add("generation_config.json"):write(json.encode(values, 2) .. "\n")
end

local function write(model, dir, family, config, items)
  local set <close> = core._file_set(dir)
  local tokenizer = model.tokenizer
  local marks = marks_of(family, tokenizer, config)
  safetensors.write_into(set:add "model.safetensors", items)
  local text, differences = model_config.encode(family, config, marks, main_dtype(items))
  set:add("config.json"):write(text)
  add_generation_config(set, dir, marks)
  add_tokenizer(set, tokenizer, model.chat_template, dir)
  set:commit()
  own_keys.warn(differences, function(name, known, value)
    warning("save: %s: of this family transformers knows no other %s than %s, and will compute that instead of %s", dir,
      name, known, value)
  end)
end

-- @tparam Layer model
-- @string dir
-- @tparam table options `dtype`
return function(model, dir, options)
  check_option(options.dtype)
  local family, config, parameters, list = tree(model, "huggingface")
  local items = items_of(list, config, parameters, options.dtype)
  local made = core._make_directory(dir)
  local done, message = pcall(write, model, dir, family, config, items)
  if done then return remove_shards(dir) end
  if made and os then os.remove(dir) end
  error(message, 0)
end
