-- 17. The logit lens (nostalgebraist 2020): what would the model say if it had to speak after each of its blocks?
local gpt = require "gpt"
local here = (arg[0]:match "^.*/" or "") .. "support/"
local picture, world = dofile(here .. "pictures.lua"), dofile(here .. "world.lua")

-- A small model, trained here; or that of `make chat`, where it is there: 30 blocks instead of 4 (support/world.lua).
local model = world.model()
local tokenizer, n_blocks = model.tokenizer, model.config.n_layers

-- Each block adds to what the one before it returned, so all of them write in one language: that of the last layers,
-- final_norm and head, which make logits of it. The lens lets these two read what each block returned.
local function lens(trace, block)
  return gpt.no_grad(function()
    return model.head(model.final_norm(trace["blocks." .. block].output))[1]:softmax(-1) -- [tokens, vocabulary]
  end)
end

local prompt = "The capital of Japan is"
local ids, read = tokenizer:encode(prompt), {}
for i, id in ipairs(ids) do read[i] = tokenizer:decode { id } end
local trace, names, words, shares = model:trace(ids), {}, {}, {}
for block = 1, n_blocks do
  local share, place = lens(trace, block):max(-1) -- the likeliest token after each, and its place: from 1, ids from 0
  names[block], shares[block], words[block] = "block " .. block, share:totable(), {}
  for i, at in ipairs(place:totable()) do words[block][i] = tokenizer:decode({ at - 1 }):gsub("\n", "↵") end
end
gpt.plot.heatmap(picture "logit_lens.svg", {
  title = "What the model would say", values = shares, texts = words, row_labels = names, column_labels = read,
  x_label = "having read", y_label = "after", low = 0, high = 1,
})

-- After the last block the lens sees what the model says.
local said = gpt.no_grad(model, ids)[1]:softmax(-1)
assert((lens(trace, n_blocks) - said):abs():max():item() < 1e-5)
print(prompt .. words[n_blocks][#ids])

-- When is it known? How likely is the right capital (the first token of its name) after each block, over all countries?
local known = gpt.zeros(n_blocks)
for _, pair in ipairs(world.capitals) do
  trace = model:trace(tokenizer:encode(("The capital of %s is"):format(pair[1])))
  local answer = tokenizer:encode(" " .. pair[2])[1]
  for block = 1, n_blocks do
    known[block] = known[block] + lens(trace, block)[-1][answer + 1] / #world.capitals
  end
end
for i, share in ipairs(known:totable()) do print(("after block %2d the right one: %.2f"):format(i, share)) end
assert(known[-1]:item() > 0.3, "it does not know them")
gpt.plot.line(picture "logit_lens_capitals.svg", {
  title = ("When the capitals of %d countries are known"):format(#world.capitals), x_label = "after block",
  y_label = "probability of the right one (mean)", series = { { y = known, points = true } },
})
