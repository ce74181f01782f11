--- gpt.load: a model from its files.
-- @submodule gpt
local core = require "gpt.core"
local dtypes = require "gpt.support.dtypes"
local load_directory = require "gpt.huggingface.load"
local layout = require "gpt.model_files.layout"
local load_gguf = require "gpt.gguf.load"
local name_list = require "gpt.support.name_list"
local room = require "gpt.model_files.room"
local warning = require "gpt.support.warning"
local validate = require "gpt.support.validate"

local OPTIONS = {
  { "dtype", validate.one_of(dtypes.writable), optional = true }, { "map", validate.boolean, optional = true },
  { "tokenizer", validate.boolean, optional = true }, { "strict", validate.boolean, optional = true },
  { "pack", validate.boolean, optional = true },
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
  local values, problems = validate.read(validate.options("gpt.load", options), OPTIONS)
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

--- Loads a model: a directory as Hugging Face's tools write it, or a GGUF file as llama.cpp's do.
--
-- Families: GPT-2, Llama (2 to 3.2, SmolLM, TinyLlama), Mistral, Qwen2, Qwen3, Gemma, Gemma 2, Gemma 3 (text). A
-- directory has config.json, model.safetensors (or shards with model.safetensors.index.json) and, for string prompts,
-- a tokenizer; a GGUF file has all of these. Both may have a chat template (`model.chat_template`). Linear and
-- Embedding keep the dtype of their weights in the file (float64 becomes float32); all other parameters become float32,
-- and results are float32. Weights that are aligned in their file are mapped, not read: loading takes milliseconds,
-- processes share one copy, and training (in float32 only) changes only this process's copy. Do not truncate or
-- overwrite such a file in place while it is in use (a rename over it, as `model:save` does, is fine): the system ends
-- a process that reads a page which no longer exists. All files of a directory are from one save.
--
-- If config.json's `tie_word_embeddings` disagrees with the weights, the weights decide, and `warn` says so. Names may
-- have the prefixes of wrappers (`_orig_mod.`, `module.`, `base_model.model.`). If a tokenizer is not implemented, or
-- cannot be read, the model still loads: `warn` says why (Lua shows warnings after `warn "@on"`), and so does the error
-- of a string prompt.
-- @function load
-- @string path
-- @tparam[opt] table options `dtype` converts Linear's and Embedding's weights as `model:to` does (`warn` names those
-- that become f16), `map` (true; false copies all weights), `tokenizer` (true; false loads none), `strict` (true; false
-- ignores unexpected tensors, such as a head of another kind, and uses zeros for missing biases), `pack` (false; true:
-- `model:pack()`)
-- @treturn Model in eval mode
-- @treturn Tokenizer or nil if none can be read; also the model's field `tokenizer`
-- @raise if a file is missing, truncated or not valid, if the model has another architecture, or if weights are
-- missing, unexpected or of another shape: all of them in one error
-- @usage local model, tokenizer = gpt.load("gpt2", { dtype = "bf16" })
-- print(model:generate("Hello, I am", { max_new_tokens = 20 }))
return function(path, options)
  local values = read_options(path, options)
  local model, tokenizer = (is_gguf(path) and load_gguf or load_directory)(path, values)
  if values.dtype then room.guard(path, layout.shapes(model), convert, model, values.dtype) end
  if values.pack then model:pack() end
  return model, tokenizer
end
