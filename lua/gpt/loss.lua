-- The loss of a batch, for whatever is trained.
local core = require "gpt.core"

local loss = {}

-- Token ids as a tensor; an array, or an array of arrays, becomes [batch, tokens], as for a model.
local function tensor_of(ids)
  return type(ids) == "table" and core._ids_tensor(ids) or ids
end

--- The mean cross-entropy of what a model, a layer or a function makes of ids: a Model's own `loss`, or that of the
-- logits. Ids and targets are tensors or arrays.
function loss.of(model, ids, targets)
  if core._is_model(model) then return model:loss(ids, targets) end
  ids, targets = tensor_of(ids), tensor_of(targets)
  return core.cross_entropy(model(ids), targets)
end

-- Token ids in an array or an array of arrays, and no other table.
local function holds_ids(value)
  local first = type(value) == "table" and value[1]
  if type(first) == "table" then first = first[1] end
  return math.type(first) == "integer"
end

--- How many targets count: token ids that are not masked (-1, -100). What a loss of the user's own takes as targets may
-- be anything: each number of another tensor counts, and all else as one.
function loss.count(targets)
  if holds_ids(targets) then targets = core._ids_tensor(targets, -1) end
  if not core.is_tensor(targets) then return 1 end
  if targets:dtype() ~= "i64" then return targets:numel() end
  local counted <close> = targets:ge(0)
  local sum <close> = counted:sum()
  return sum:item()
end

return loss
