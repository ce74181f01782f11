--- gpt.Model and the methods of models.
-- @submodule gpt
local core = require "gpt.core"
local config = require "gpt.config"
local families = require "gpt.families"
local methods = require "gpt.support.methods"

local model = {}

--- A GPT of that config: token and position embeddings, transformer blocks, final norm, output head.
--
-- Its parts are the fields `token_embedding`, `position_embedding` (where positions are learned), `blocks`,
-- `final_norm` and `head`; `config` is a checked copy.
-- A new model is in training mode, as in PyTorch.
-- @function Model
-- @tparam table|string given a config table, or a preset's name
-- @tparam[opt] table parts replaces parts: `token_embedding`, `position_embedding` (false omits it), `block`,
-- `final_norm`, `head`, each a layer or a function that returns one. Functions are called in construction order with
-- the config, `block` also with the block's number
-- @treturn Model model(ids) returns logits [batch, tokens, vocab_size]
-- @usage local model = gpt.Model(gpt.config("gpt2-small", { n_layers = 2 }))
-- print(model { 1, 2, 3 })
function model.Model(given, parts)
  if parts ~= nil and type(parts) ~= "table" then
    core._raise(("gpt.Model: a table of parts expected, got %s"):format(type(parts)))
  end
  local checked = config.check(given, "gpt.Model")
  return core._model(checked, families.parts(checked, parts), config.config(given))
end

core._layer_methods.features = core._features
core._layer_methods.log_likelihood = require "gpt.log_likelihood"
core._layer_methods.loss = core._loss
core._layer_methods.recompute = core._recompute
core._layer_methods.run = require("gpt.hooks").run
core._layer_methods.session = core._session
core._layer_methods.trace = require "gpt.trace"
local parameter_files = require "gpt.parameter_files"
core._layer_methods.save = methods.of_layers("save", require "gpt.model_files.save")
core._layer_methods.save_parameters = methods.of_layers("save_parameters", parameter_files.save)
core._layer_methods.load_parameters = methods.of_layers("load_parameters", parameter_files.load)

return model
