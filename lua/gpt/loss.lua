-- The loss of a batch, for whatever is trained.
local core = require "gpt.core"

local loss = {}

local function is_model(model)
  return type(model) == "userdata" and core._kind(model) == "Model"
end

--- The mean cross-entropy of what a model, a layer or a function makes of ids: a Model's own `loss`, or that of the
-- logits.
function loss.of(model, ids, targets)
  if is_model(model) then return model:loss(ids, targets) end
  return core.cross_entropy(model(ids), targets)
end

--- How many targets count: those that are not -1.
function loss.count(targets)
  local counted <close> = targets:ge(0)
  local sum <close> = counted:sum()
  return sum:item()
end

return loss
