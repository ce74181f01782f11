-- What the masks of grammars say.
local masks = {}

-- Whether a cursor lets an id follow: logits that leave that id alone are drawn from.
function masks.allows(sampler, cursor, logits, id)
  logits[id + 1] = 0
  local ok = pcall(sampler.draw, sampler, logits, 1, false, cursor)
  logits[id + 1] = -math.huge
  return ok
end

return masks
