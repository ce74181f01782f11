-- The option `process`: a function of the user's that changes a row of logits before a token is drawn from it.
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local raise = require "gpt.support.raise"

-- Logits as messages show them.
local function show(value)
  if not core.is_tensor(value) then return validate.show(value) end
  return ("%s of shape [%s]"):format(value:dtype(), table.concat(value:shape(), ", "))
end

-- The logits behind ids, of the position in a tensor of rows, as fn leaves them. fn gets copies, so that the model's
-- logits stay for log probabilities, and the ids for the next step, whatever it does.
return function(what, fn, logits, position, ids)
  local vocab = logits:size(-1)
  local row = logits:reshape(-1, vocab):select(1, position):clone()
  local changed = fn(row, table.move(ids, 1, #ids, 1, {}))
  if changed == nil then return row end
  if not core.is_tensor(changed) or changed:dtype() ~= "f32" or changed:numel() ~= vocab then
    raise("%s: process: the function has to change its logits, or return f32 logits of shape [%d], got %s", what, vocab,
      show(changed))
  end
  return changed:view(-1)
end
