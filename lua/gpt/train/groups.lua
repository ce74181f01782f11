-- Which parameters decay: matrices do, biases and norms do not.

local groups = {}

--- The parameters that want gradients, as one list.
function groups.parameters(model)
  local list = {}
  for _, tensor in model:parameters() do
    if tensor:requires_grad() then list[#list + 1] = tensor end
  end
  return list
end

--- Groups for gpt.optim.AdamW: tensors of two dimensions or more with that decay, all others without.
function groups.by_decay(model, weight_decay)
  local decayed, plain = { params = {}, weight_decay = weight_decay }, { params = {}, weight_decay = 0 }
  for _, tensor in ipairs(groups.parameters(model)) do
    table.insert((tensor:dim() > 1 and decayed or plain).params, tensor)
  end
  local list = {}
  for _, group in ipairs { decayed, plain } do
    if #group.params > 0 then list[#list + 1] = group end
  end
  return list
end

return groups
