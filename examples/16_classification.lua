-- 16. Classification: what a model has learned from texts, put to another use. A new head on what it makes of the last
-- token says whether a guest liked the meal.
local gpt = require "gpt"
local here = (arg[0]:match "^.*/" or "") .. "support/"
local picture, world = dofile(here .. "pictures.lua"), dofile(here .. "world.lua")

-- A model that has read many texts, some of them on meals, but never a label (support/world.lua).
local model = world.model(true)

-- Single words do not tell: "The soup was not bad." is good. Half of the opinions are kept to test with.
local data = gpt.examples(world.opinions(240, 7), { tokenizer = model.tokenizer, batch_size = 12 })
local training, held_out = data:split(0.5)
print(training)
print(("held out: %d; classes: %s"):format(held_out.count, table.concat(data.classes, ", ")))

-- The last token has read all others. Shorter texts of a batch are padded behind it, so it is taken by the length of
-- each. Its features are what the model's own head would be fed.
local function scores(net, head, ids, lengths)
  local features, last = net:features(ids), {} -- [texts, tokens, emb_dim]
  for i, length in ipairs(lengths) do last[i] = features[i][length] end
  return head(gpt.stack(last, 1)) -- [texts, classes]
end

-- Labels are values and count from 0, as ids do; argmax is a position and counts from 1, as data.classes does.
local function accuracy(net, head)
  local right = 0
  for ids, labels, lengths in held_out:batches() do
    local found = gpt.no_grad(scores, net, head, ids, lengths):argmax(-1)
    right = right + (found - 1):eq(labels):sum():item()
  end
  return right / held_out.count
end

-- Trains a new head, and with it those parts of the model that are named; all others are frozen.
local function train(name, net, parts)
  local head = gpt.nn.Linear(net.config.emb_dim, #data.classes)
  local groups, trained, steps, shares = { { params = head } }, head:num_parameters(), {}, {}
  net:freeze()
  for i, part in ipairs(parts) do
    groups[i + 1], trained = { params = part:unfreeze() }, trained + part:num_parameters()
  end
  local optimizer = gpt.optim.AdamW(groups, { lr = 3e-3 })
  for step = 0, 120 do
    if step % 10 == 0 then
      table.insert(steps, step)
      table.insert(shares, accuracy(net, head))
    end
    local ids, labels, lengths = training:batch(step // #training + 1, step % #training + 1) -- of an epoch
    gpt.cross_entropy(scores(net, head, ids, lengths), labels):backward()
    optimizer:step()
    optimizer:zero_grad()
  end
  print(("%s: %d parameters trained, %.0f%% right"):format(name, trained, 100 * shares[#shares]))
  return { name = name, x = steps, y = shares, points = true }, head
end

-- The head alone; with the last block, which costs little, because nothing is computed backwards through the others;
-- and all of that with a model that has read nothing.
gpt.seed(5)
local function last_of(net) return { net.blocks[#net.blocks], net.final_norm } end
local alone = train("head alone", model, {})
local stranger = gpt.Model(model.config):eval()
local untaught = train("head and last block of a model that has read nothing", stranger, last_of(stranger))
local both, head = train("head and last block", model, last_of(model))
gpt.plot.line(picture "classification.svg", {
  title = "Opinions on meals, none of them seen in training", x_label = "step", y_label = "share that is told right",
  series = { both, alone, untaught },
})

for _, text in ipairs { "The cheese was not sour.", "The rice looked rich, but it was cold." } do
  local ids = model.tokenizer:encode(text)
  local class = scores(model, head, { ids }, { #ids })[1]:argmax():item()
  print(("%s: %s"):format(data.classes[class], text))
end
assert(both.y[#both.y] > 0.9, "it did not learn to tell them apart")
