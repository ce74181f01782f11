-- 19. Activation patching (Vig et al. 2020, Meng et al. 2022): where in the model is what it knows? Run it on one
-- prompt, put in what it computed at one place on another, and see which of the two answers comes.
local gpt = require "gpt"
local here = (arg[0]:match "^.*/" or "") .. "support/"
local picture, world = dofile(here .. "pictures.lua"), dofile(here .. "world.lua")

local model = world.model() -- a small one, or that of `make chat`
local tokenizer, n_blocks = model.tokenizer, model.config.n_layers
local clean, other = tokenizer:encode "The capital of Italy is", tokenizer:encode "The capital of Japan is"
local rome, tokyo = tokenizer:encode " Rome"[1], tokenizer:encode " Tokyo"[1]

-- How much more does the last token of the prompt suggest Rome than Tokyo?
local function difference(ids, hooks)
  local logits = gpt.no_grad(model.run, model, ids, hooks or {})[1][-1]
  return (logits[rome + 1] - logits[tokyo + 1]):item()
end
local high, low = difference(clean), difference(other)
print(("Rome before Tokyo, in logits: %.1f after Italy, %.1f after Japan"):format(high, low))

-- All that a block returns is one vector for each token. With Japan in the prompt, one of them, of one block at one
-- token, becomes the one that Italy made there. 0: it still says Tokyo; 1: it says Rome, as if Italy stood there.
local trace, names, read = model:trace(clean), {}, {}
local function patched(path, at)
  local hook = { [path] = function(output) output:select(2, at):copy(trace[path].output:select(2, at)) end }
  return (difference(other, hook) - low) / (high - low)
end
local function map(part)
  local rows = {}
  for block = 1, n_blocks do
    rows[block], names[block] = {}, "block " .. block
    for at in ipairs(clean) do rows[block][at] = patched(("blocks.%d%s"):format(block, part), at) end
  end
  return rows
end

-- Whole blocks show where it is by then: at the country at first, at the last token in the end. What the attention
-- adds shows where it moves from one to the other.
local whole, attention = map "", map ".attention"
for i, id in ipairs(clean) do read[i] = (tokenizer:decode { id }):gsub("Italy", "Italy/Japan") end
gpt.plot.heatmap(picture "activation_patching.svg", {
  title = "What makes it Rome", titles = { "the block's output", "its attention's" }, values = { whole, attention },
  row_labels = names, column_labels = read, x_label = "at the token", y_label = "exchanged in", numbers = true,
})
for block = 1, n_blocks do
  print(("block %2d: %5.2f at the country, %5.2f at the end; attention at the end: %5.2f"):format(block,
    whole[block][#clean - 1], whole[block][#clean], attention[block][#clean]))
end
assert(whole[1][#clean - 1] > 0.5 and whole[n_blocks][#clean] > 0.99, "it is not where it should be")
