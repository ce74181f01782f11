-- The learning rates of an optimizer's groups.
local attempt = require "gpt.support.attempt"
local neutral = require "gpt.support.neutral"
local printed = require "gpt.support.printed"

local rates = {}

--- A list with the rate of each group; of an optimizer that does not tell, its one rate.
function rates.of(optimizer)
  local ok, lrs = attempt(function() return optimizer.lrs end)
  return ok and type(lrs) == "table" and lrs or printed { optimizer.lr }
end

--- How many groups have rates of their own; 1 where all have the same.
function rates.differing(lrs)
  for i = 2, #lrs do
    if lrs[i] ~= lrs[1] then return #lrs end
  end
  return 1
end

--- As a line shows them: one where all are the same.
function rates.text(lrs)
  local shown = {}
  for i = 1, rates.differing(lrs) do shown[i] = neutral.format("%.3g", lrs[i]) end
  return table.concat(shown, ", ")
end

return rates
