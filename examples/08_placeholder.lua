-- 8. The placeholder GPT: the structure of the whole model, with blocks that do nothing yet.
local gpt = require "gpt"

local config = gpt.config("gpt2-small", { n_layers = 3 })

-- These three lines are all it takes: gpt.Model with your own parts.
gpt.seed(123)
local nothing = function() return gpt.nn.Identity() end
local model = gpt.Model(config, { block = nothing, final_norm = nothing }):eval()
print(model)

-- Two texts of four tokens, as ids of GPT-2's vocabulary. Ids start at 0: they name tokens and are not positions.
local ids = { { 6109, 3626, 6100, 345 }, { 6109, 1110, 6622, 257 } }
local logits = gpt.no_grad(model, ids)
print(("\nlogits [%s]: for every token a score for each of the %d that may follow"):format(
  table.concat(logits:shape(), ", "), config.vocab_size))
print("the first of them:", logits:narrow(3, 1, 5))

-- Nothing mixes the tokens yet: in another text, at the same position, the last token has the same logits.
local other = gpt.no_grad(model, { { 1, 2, 3, 345 } })
print(("the last token in another text: difference %.1e"):format(
  (other[1][4] - logits[1][4]):abs():max():item()))

-- Replace the placeholders one by one; the rest stays as it is.
model:replace("blocks.2", gpt.nn.TransformerBlock(config))
model:eval()
other = gpt.no_grad(model, { { 1, 2, 3, 345 } })
print(("with one real block: difference %.2f"):format((other[1][4] - gpt.no_grad(model, ids)[1][4]):abs():max():item()))
