--- model:save: a model's files, as other programs read them.
-- @submodule gpt
local core = require "gpt.core"
local save_directory = require "gpt.huggingface.save"
local validate = require "gpt.support.validate"

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
  if type(dir) ~= "string" then core._raise("save: a directory's name expected, got " .. validate.show(dir)) end
  save_directory(model, dir)
end
