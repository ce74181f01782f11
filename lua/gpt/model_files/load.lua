--- gpt.load: a model from its files.
-- @submodule gpt
local core = require "gpt.core"
local dtypes = require "gpt.support.dtypes"
local load_directory = require "gpt.huggingface.load"
local load_gguf = require "gpt.gguf.load"
local name_list = require "gpt.support.name_list"
local warning = require "gpt.support.warning"
local validate = require "gpt.support.validate"

local OPTIONS = {
  { "dtype", validate.one_of(dtypes.writable), optional = true }, { "map", validate.boolean, optional = true },
  { "tokenizer", validate.boolean, optional = true }, { "strict", validate.boolean, optional = true },
}

-- Converts the weights; says which ones do not fit.
local function convert(model, dtype)
  local _, unfit = model:to(dtype)
  if unfit then
    warning("gpt.load: rows that are no whole blocks of %s became f16: %s", dtype, name_list.line(unfit))
  end
end

-- The options with their defaults.
local function read_options(path, options)
  if type(path) ~= "string" or path == "" then
    core._raise("gpt.load: the name of a directory or of a .gguf file expected, got " .. validate.show(path))
  end
  if options ~= nil and type(options) ~= "table" then
    core._raise("gpt.load: a table of options expected, got " .. validate.show(options))
  end
  local values, problems = validate.read(options or {}, OPTIONS)
  validate.raise("gpt.load", problems)
  for _, name in ipairs { "map", "tokenizer", "strict" } do values[name] = values[name] ~= false end
  return values
end

local function begins_as_gguf(path)
  local file <close> = core._map_file(path)
  return file:bytes(0, 4) == "GGUF"
end

local function is_gguf(path)
  local kind = core._file_kind(path)
  if path:find "%.gguf$" then return kind ~= "a directory" end
  return kind == "a file" and begins_as_gguf(path)
end

--- Loads a GPT-2: a directory as Hugging Face's tools write it, or a GGUF file as llama.cpp's do.
--
-- A directory holds config.json, model.safetensors (or shards with model.safetensors.index.json) and, for string
-- prompts, a tokenizer; a GGUF file all of it, and the chat template (`model.chat_template`). Linear and Embedding keep
-- their weights as they are in the file (float64 becomes float32), all else becomes float32, and so does what is
-- computed. Weights that lie aligned in their file are mapped, not read: loading takes milliseconds, several processes
-- share one copy, and training (in float32 only) changes only this process's copy. Do not shorten or overwrite such a
-- file in place while it is in use (a rename over it, as `model:save` does, is fine): the system ends a process that
-- reads a page which is gone. With `map = false` nothing is mapped. All files of a directory are those of one save.
--
-- Where config.json's `tie_word_embeddings` disagrees with the weights, the weights win, and `warn` says so. Tensors'
-- names may carry what wrappers put before them (`_orig_mod.`, `module.`, `base_model.model.`). A tokenizer that is not
-- implemented, or cannot be read, does not stop the model: `warn` tells the reason (Lua shows warnings after `warn
-- "@on"`), and so does the error of a string prompt.
-- @function load
-- @string path
-- @tparam[opt] table options `dtype` converts Linear's and Embedding's weights as `model:to` does (`warn` names those
-- that become f16), `map` (true; false copies all weights), `tokenizer` (true; false leaves it out), `strict` (true;
-- false leaves unexpected tensors out, such as a head of another kind, and takes missing biases for zeros)
-- @treturn Model in eval mode
-- @treturn Tokenizer or nil, where there is none that can be read; also the model's field `tokenizer`
-- @raise where a file is missing, cut short or not what its format allows, where it is of another architecture, and
-- where weights are missing, unexpected or of another shape: all of them in one error
-- @usage local model, tokenizer = gpt.load("gpt2", { dtype = "bf16" })
-- print(model:generate("Hello, I am", { max_new_tokens = 20 }))
return function(path, options)
  local values = read_options(path, options)
  local model, tokenizer = (is_gguf(path) and load_gguf or load_directory)(path, values)
  if values.dtype then convert(model, values.dtype) end
  return model, tokenizer
end
