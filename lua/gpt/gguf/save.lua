-- A model as one GGUF file, which llama.cpp runs.
local core = require "gpt.core"
local model_config = require "gpt.gguf.config"
local name_list = require "gpt.support.name_list"
local own_keys = require "gpt.model_files.own"
local tokenizers = require "gpt.generate.tokenizers"
local tree = require "gpt.model_files.tree"
local warning = require "gpt.support.warning"
local write = require "gpt.gguf.write"

local QUANTIZATION_VERSION = 2
local POSITIONS = "position_embedding.weight"
local ENCODINGS = core._gguf_encodings()

-- general.file_type, by what most of the weights are.
local FILE_TYPES = {
  f32 = 0, f16 = 1, q4_0 = 2, q4_1 = 3, q8_0 = 7, q5_0 = 8, q5_1 = 9, q4_k = 15, q5_k = 17, q6_k = 18, bf16 = 32,
}

-- What a tensor is written as: norms and biases in f32, position embeddings as they are, as llama.cpp's tools do.
local function dtype_of(item, tensors, wanted, unfit)
  if #item.shape == 1 or not tensors[1] then return "f32" end
  local own = tensors[1]:dtype()
  for _, tensor in ipairs(tensors) do
    if tensor:dtype() ~= own then own = "f32" end
  end
  local dtype = item.paths[1] ~= POSITIONS and wanted or own
  if item.shape[2] % ENCODINGS[dtype].block == 0 then return dtype end
  unfit[#unfit + 1] = ("%s (%d)"):format(item.name, item.shape[2])
  return "f16"
end

-- In the form that the file has.
local function formed(item, parts, config)
  if not item.form then return parts end
  return { core.no_grad(function() return item.form.write(#parts == 1 and parts[1] or core.cat(parts, 1), config) end) }
end

-- One of the file's tensors, from the parts that lie in it one after the other. Biases that a model lacks are zeros.
local function parts_of(item, tensors, config, dtype)
  if #tensors == 0 then return { core.zeros(item.shape) } end
  local parts = formed(item, tensors, config)
  for i, tensor in ipairs(parts) do
    parts[i] = tensor:dtype() == dtype and tensor or core.no_grad(tensor.to, tensor, dtype)
  end
  return parts
end

local function items_of(list, config, parameters, wanted)
  local items, unfit = {}, {}
  for i, place in ipairs(list) do
    local tensors = {}
    for j, path in ipairs(place.paths) do tensors[j] = parameters[path] end
    local dtype = dtype_of(place, tensors, wanted, unfit)
    items[i] = { name = place.name, shape = place.shape, dtype = dtype,
      make = function() return parts_of(place, { table.unpack(tensors) }, config, dtype) end }
  end
  return items, unfit
end

local function file_type(items)
  local count, most = {}, "f32"
  for _, item in ipairs(items) do
    if #item.shape > 1 then
      count[item.dtype] = (count[item.dtype] or 0) + item.shape[1] * item.shape[2]
      if count[item.dtype] > (count[most] or 0) then most = item.dtype end
    end
  end
  return FILE_TYPES[most]
end

-- The tokenizer's own keys; without one, that there is none.
local function tokenizer_pair(tokenizer, config, path)
  if not tokenizer then return { "tokenizer.ggml.model", "string", "none" } end
  if tokenizer.vocab_size > config.vocab_size then
    core._raise(("save: the tokenizer has %d tokens, the model's vocabulary only %d"):format(tokenizer.vocab_size,
      config.vocab_size))
  end
  local bytes, count, difference = core._gguf_tokenizer(tokenizer, config.vocab_size)
  if difference then
    warning("save: %s: llama.cpp will read texts otherwise than this tokenizer: %s; gpt.load reads them as it does",
      path, difference)
  end
  return { bytes = bytes, count = count }
end

local function metadata_of(model, path, family, standard, items)
  local list = {
    { "general.architecture", "string", family.gguf.name }, { "general.type", "string", "model" },
    { "general.name", "string", path:match("([^/\\]+)%.[^.]*$") or path },
    { "general.file_type", "u32", file_type(items) },
    { "general.quantization_version", "u32", QUANTIZATION_VERSION },
  }
  table.move(standard, 1, #standard, #list + 1, list)
  list[#list + 1] = tokenizer_pair(model.tokenizer, model.config, path)
  local template = tokenizers.template(model)
  if template then list[#list + 1] = { "tokenizer.chat_template", "string", template } end
  return list
end

-- What llama.cpp will not do as this model does.
local function warn_of_config(path, differences)
  own_keys.warn(differences, function(name, known, value)
    warning("save: %s: of this family llama.cpp knows no other %s than %s, and will compute that instead of %s", path,
      name, known, value)
  end)
end

local function warn_of_rows(path, unfit, wanted)
  if #unfit == 0 then return end
  warning("save: %s: rows that are no multiple of %s's block, %d, are written as f16: %s", path, wanted,
    ENCODINGS[wanted].block, name_list.line(unfit))
end

local function shapes_of(items)
  local shapes = {}
  for _, item in ipairs(items) do shapes[item.name] = item.shape end
  return shapes
end

-- Tensors that say something of the config.
local function add_tensors(items, tensors)
  for name, numbers in pairs(tensors) do
    items[#items + 1] = { name = name, shape = { #numbers }, dtype = "f32",
      make = function() return { core.tensor(numbers, { dtype = "f32" }) } end }
  end
end

-- @tparam Layer model
-- @string path
-- @tparam table options `dtype`
return function(model, path, options)
  local family, config, parameters, list = tree(model, "gguf")
  local items, unfit = items_of(list, config, parameters, options.dtype)
  local standard, differences, tensors = model_config.metadata(config, family, shapes_of(items))
  add_tensors(items, tensors)
  write(path, metadata_of(model, path, family, standard, items), items)
  warn_of_config(path, differences)
  warn_of_rows(path, unfit, options.dtype)
end
