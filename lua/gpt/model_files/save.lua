--- model:save: a model's files, as other programs read them.
-- @submodule gpt
local core = require "gpt.core"
local dtypes = require "gpt.support.dtypes"
local save_directory = require "gpt.huggingface.save"
local save_gguf = require "gpt.gguf.save"
local validate = require "gpt.support.validate"

local OPTIONS = { { "dtype", validate.one_of(dtypes.writable), optional = true } }

-- Endings of files that hold weights alone, or that no function writes.
local NO_DIRECTORY = { safetensors = true, bin = true, pt = true, pth = true, ckpt = true }

local function read_options(path, options)
  if type(path) ~= "string" or path == "" then
    core._raise("save: the name of a directory or of a .gguf file expected, got " .. validate.show(path))
  end
  if NO_DIRECTORY[path:match "%.(%w+)$"] and core._file_kind(path) ~= "a directory" then
    core._raise(("save: the name of a directory or of a .gguf file expected, got %s; layer:save_parameters writes the "
      .. "weights alone into a .safetensors file"):format(validate.show(path)))
  end
  local values, problems = validate.read(validate.options("save", options), OPTIONS)
  validate.raise("save", problems)
  return values
end

--- Writes a model's files: a directory that `gpt.load` and Hugging Face's tools read, or, if the name ends in `.gguf`,
-- one file that `gpt.load` and llama.cpp read.
--
-- A directory gets config.json, model.safetensors and, if `model.tokenizer` is set, the tokenizer's files, with
-- `model.chat_template` (without a tokenizer in chat_template.jinja). After an
-- error or a kill at any moment, `gpt.load` and `gpt.tokenizer` find the old save or the new one; other programs may
-- briefly see new files beside old ones while they take their names. The next save removes what a killed one left
-- (`.NAME.gpt-...`). Other files in the directory stay, also an old tokenizer's if the model has none; only shards of
-- an earlier save are removed (model.safetensors.index.json and the files it names).
--
-- A GGUF file holds the weights, the config, the tokenizer and `model.chat_template`; it appears whole or not at all.
-- Norms and biases are always float32 there, position embeddings as they are. Weights whose rows do not divide into
-- blocks are written as f16, and `warn` names them.
--
-- Symbolic links are followed. A GPT-2 without query, key and value biases is written with zeros, and the config says
-- that it has none. What a family's files have no key for is kept under `luagpt`, for `gpt.load`; if it changes what
-- other programs compute, `warn` says so.
-- @function Model:save
-- @tparam string path a directory is made if absent (the one above it must exist)
-- @tparam[opt] table options `dtype`: what a GGUF file's matrices are stored as ("f32", "f16", "bf16", "q8_0", "q4_0",
-- "q4_1", "q5_0", "q5_1"), or all tensors of a directory ("f32", "f16", "bf16": no blocks fit there); without it each
-- weight is written as it is
-- @raise if the model's layers are not those of its config's family (use `layer:save_parameters` then), or if a file
-- cannot be written
-- @usage model:save "my-gpt2"
-- model:save("my-gpt2.gguf", { dtype = "q8_0" })
return function(model, path, options)
  local values = read_options(path, options)
  if path:find "%.gguf$" then return save_gguf(model, path, values) end
  save_directory(model, path, values)
end
