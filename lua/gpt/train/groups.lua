-- Which parameters decay: matrices do, biases and norms do not.
local core = require "gpt.core"

local groups = {}

--- The parameters that want gradients, as one list.
function groups.parameters(model)
  local list = {}
  for _, tensor in model:parameters() do
    if tensor:requires_grad() then list[#list + 1] = tensor end
  end
  return list
end

--- The dtype of a weight that was converted, where no matrix is left that wants a gradient; else nil.
function groups.converted(model)
  local dtype
  for _, tensor in model:parameters() do
    if tensor:dim() > 1 and tensor:requires_grad() then return nil end
    if tensor:dtype() ~= "f32" then dtype = dtype or tensor:dtype() end
  end
  return dtype
end

-- Those of the groups that have parameters.
local function filled(list)
  local result = {}
  for _, group in ipairs(list) do
    if #group.params > 0 then result[#result + 1] = group end
  end
  return result
end

--- Groups for an optimizer: tensors of two dimensions or more with that decay, all others without.
function groups.by_decay(model, weight_decay)
  local decayed, plain = { params = {}, weight_decay = weight_decay }, { params = {}, weight_decay = 0 }
  for _, tensor in ipairs(groups.parameters(model)) do
    table.insert((tensor:dim() > 1 and decayed or plain).params, tensor)
  end
  return filled { decayed, plain }
end

--- Groups for Muon: the matrices of a Model's blocks (of another layer all of them); other matrices (embeddings, the
-- head), which are AdamW's; all else, without decay.
function groups.for_muon(model, weight_decay)
  local matrices = { params = {}, weight_decay = weight_decay }
  local others = { params = {}, weight_decay = weight_decay, matrices = false }
  local plain = { params = {}, weight_decay = 0, matrices = false }
  local is_model = core._is_model(model)
  for path, tensor in model:parameters() do
    local inner = not is_model or path:find "^blocks%."
    local group = tensor:dim() < 2 and plain or inner and matrices or others
    if tensor:requires_grad() then table.insert(group.params, tensor) end
  end
  return filled { matrices, others, plain }
end

return groups
