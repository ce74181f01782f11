-- A small world that a small model learns in seconds: verses in which the beast settles how it moves, and where to.
local gpt = require "gpt"

local VERSES = {
  "the fox runs to the hill .", "the owl flies to the tree .", "the fish swims to the reed .",
  "the hare hops to the den .", "the bee hums to the rose .", "the crab walks to the rock .",
}

local verses = {}

-- Words are the tokens; ids count from 0.
local words, id_of = {}, {}
for _, verse in ipairs(VERSES) do
  for word in verse:gmatch "%S+" do
    if not id_of[word] then
      id_of[word] = #words
      table.insert(words, word)
    end
  end
end

verses.vocab_size = #words

function verses.encode(text)
  local ids = {}
  for word in text:gmatch "%S+" do table.insert(ids, id_of[word]) end
  return ids
end

function verses.decode(ids)
  local list = {}
  for i, id in ipairs(ids) do list[i] = words[id + 1] end
  return table.concat(list, " ")
end

-- The ids of n verses drawn at random, one after the other.
function verses.text(n)
  local picked = {}
  for i = 1, n do picked[i] = VERSES[gpt.randint(0, #VERSES, 1):item() + 1] end
  return verses.encode(table.concat(picked, " "))
end

-- Trains a model for some steps; returns the losses. Chapter 10 does it step by step, gpt.train does it in one call.
function verses.train(model, steps)
  local data = gpt.dataset(verses.text(600), { context_length = model.config.context_length, batch_size = 16 })
  local optimizer, losses = gpt.optim.AdamW(model, { lr = 5e-3 }), {}
  model:train()
  while #losses < steps do
    for ids, targets in data:batches() do
      optimizer:zero_grad()
      local loss = model:loss(ids, targets)
      loss:backward()
      optimizer:step()
      table.insert(losses, loss:item())
      if #losses == steps then break end
    end
  end
  model:eval()
  return losses
end

-- A line about how it went; a model that did not learn is an error.
function verses.report(losses)
  print(("%d steps: loss %.2f at first, %.2f at last"):format(#losses, losses[1], losses[#losses]))
  assert(losses[#losses] < 0.6 * losses[1], "it did not learn")
end

return verses
