-- The optimizers that gpt.train makes, by the names of its option: the settings that each has, and how it groups the
-- parameters.
local core = require "gpt.core"
local groups = require "gpt.train.groups"

local optimizers = {}

optimizers.NAMES = { "adamw", "muon", "sgd" }

local KINDS = {
  adamw = {
    make = core.optim.AdamW, groups = groups.by_decay, lr = 3e-4, weight_decay = 0.1,
    settings = { betas = { 0.9, 0.95 }, eps = 1e-8 },
  },
  muon = {
    make = core.optim.Muon, groups = groups.for_muon, lr = 3e-4, weight_decay = 0.1,
    settings = { betas = { 0.9, 0.95 }, eps = 1e-8, momentum = 0.95, nesterov = true },
  },
  sgd = {
    make = core.optim.SGD, groups = groups.by_decay, lr = 0.1, weight_decay = 0,
    settings = { momentum = 0.9, nesterov = false },
  },
}

--- The settings that some of them have and others lack.
optimizers.OWN = { "betas", "eps", "momentum", "nesterov" }

--- Has the optimizer of that name the setting?
function optimizers.has(name, setting) return KINDS[name].settings[setting] ~= nil end

--- The learning rate where none is given.
function optimizers.default_lr(name) return KINDS[name].lr end

--- An optimizer for the parameters of a model that want gradients.
-- @param settings gpt.train's: `lr`, `weight_decay`, `moment_dtype` and those of the optimizer's own
function optimizers.make(name, model, settings)
  local kind = KINDS[name]
  local chosen = { lr = settings.lr or kind.lr, moment_dtype = settings.moment_dtype }
  for key, default in pairs(kind.settings) do
    chosen[key] = settings[key]
    if chosen[key] == nil then chosen[key] = default end
  end
  return kind.make(kind.groups(model, settings.weight_decay or kind.weight_decay), chosen)
end

return optimizers
