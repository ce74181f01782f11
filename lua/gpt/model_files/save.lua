--- model:save: a model's files, as other programs read them.
-- @submodule gpt
local core = require "gpt.core"
local dtypes = require "gpt.support.dtypes"
local save_directory = require "gpt.huggingface.save"
local validate = require "gpt.support.validate"

local OPTIONS = { { "dtype", validate.one_of(dtypes.writable), optional = true } }

local function read_options(dir, options)
  if type(dir) ~= "string" or dir == "" then
    core._raise("save: a directory's name expected, got " .. validate.show(dir))
  end
  if options ~= nil and type(options) ~= "table" then
    core._raise("save: a table of options expected, got " .. validate.show(options))
  end
  local values, problems = validate.read(options or {}, OPTIONS)
  validate.raise("save", problems)
  return values
end

--- Writes a directory that `gpt.load` and Hugging Face's tools read: config.json, model.safetensors and, where
-- `model.tokenizer` is set, the tokenizer's files.
--
-- The directory is the old save or the new one, whatever the moment of an error or a kill, for `gpt.load` and
-- `gpt.tokenizer`. Other programs see whole files, but some new beside old ones while the files take their names, which
-- is the last thing done and takes an instant; after a kill right then, until the next load or save there. What a
-- killed save leaves otherwise (`.NAME.gpt-...`) the next one removes. Other files in the directory stay; only shards
-- of an earlier save (model.safetensors.index.json and those it names) go, and a tokenizer's stay where the model has
-- none. A symbolic link is followed. A model without query, key and value biases is written with zeros, and config.json
-- says `qkv_bias: false`.
-- @function Model:save
-- @tparam string dir made if absent (the directory above it must exist)
-- @tparam[opt] table options `dtype`: "f32", "f16" or "bf16" for all tensors; without it each weight is written as it
-- is, all other parameters as float32. Block types such as q8_0 do not fit into such a directory.
-- @raise where the model's tree is not GPT-2's (then `layer:save_parameters` does), and where a file cannot be written
-- @usage model:save "my-gpt2"
return function(model, dir, options)
  save_directory(model, dir, read_options(dir, options))
end
