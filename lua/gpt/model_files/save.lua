--- model:save: a model's files, as other programs read them.
-- @submodule gpt
local core = require "gpt.core"
local dtypes = require "gpt.support.dtypes"
local save_directory = require "gpt.huggingface.save"
local save_gguf = require "gpt.gguf.save"
local validate = require "gpt.support.validate"

local OPTIONS = { { "dtype", validate.one_of(dtypes.writable), optional = true } }

local function read_options(path, options)
  if type(path) ~= "string" or path == "" then
    core._raise("save: the name of a directory or of a .gguf file expected, got " .. validate.show(path))
  end
  if options ~= nil and type(options) ~= "table" then
    core._raise("save: a table of options expected, got " .. validate.show(options))
  end
  local values, problems = validate.read(options or {}, OPTIONS)
  validate.raise("save", problems)
  return values
end

--- Writes a model's files: a directory that `gpt.load` and Hugging Face's tools read, or, where the name ends in
-- `.gguf`, one file that `gpt.load` and llama.cpp read.
--
-- A directory gets config.json, model.safetensors and, where `model.tokenizer` is set, the tokenizer's files. It is the
-- old save or the new one, whatever the moment of an error or a kill, for `gpt.load` and `gpt.tokenizer`; other
-- programs may see some new files beside old ones for the instant in which they take their names. What a killed save
-- leaves (`.NAME.gpt-...`) the next one removes. Other files in the directory stay; only shards of an earlier save go
-- (model.safetensors.index.json and those it names), and a tokenizer's stay where the model has none.
--
-- A GGUF file holds the weights, the config, the tokenizer and `model.chat_template`, all of it or nothing. Norms and
-- biases are always float32 there, position embeddings as they are. Rows that are no multiple of a block type's block
-- are written as f16, and `warn` names them.
--
-- A symbolic link is followed. A model without query, key and value biases is written with zeros, and the config says
-- that it has none.
-- @function Model:save
-- @tparam string path a directory is made if absent (the one above it must exist)
-- @tparam[opt] table options `dtype`: what a GGUF file's matrices are stored as ("f32", "f16", "bf16", "q8_0", "q4_0",
-- "q4_1", "q5_0", "q5_1"), or all tensors of a directory ("f32", "f16", "bf16": no blocks fit there); without it each
-- weight is written as it is
-- @raise where the model's tree is not GPT-2's (then `layer:save_parameters` does), and where a file cannot be written
-- @usage model:save "my-gpt2"
-- model:save("my-gpt2.gguf", { dtype = "q8_0" })
return function(model, path, options)
  local values = read_options(path, options)
  if path:find "%.gguf$" then return save_gguf(model, path, values) end
  save_directory(model, path, values)
end
