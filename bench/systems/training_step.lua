-- Seconds of one training step: forward, backward, optimizer; and its loss.
local now = require("gpt.core")._now

return function(model, optimizer, ids, targets)
  local start = now()
  optimizer:zero_grad()
  local loss <close> = model:loss(ids, targets)
  loss:backward()
  optimizer:step()
  local value = loss:item()
  return now() - start, value
end
