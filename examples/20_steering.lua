-- 20. Steering (Turner et al. 2023): a vector that is added to what a block returns changes the mood of all that is
-- generated.
local gpt = require "gpt"
local here = (arg[0]:match "^.*/" or "") .. "support/"
local picture, world = dofile(here .. "pictures.lua"), dofile(here .. "world.lua")

local model = world.model() -- a small one, or that of `make chat`
local tokenizer = model.tokenizer
local path = ("blocks.%d"):format(model.config.n_layers // 2 - 1)

-- The vector: what a block near the middle returns for glad sentences, less what it returns for sad ones, on average.
local PAIRS = {
  { "I love this.", "I hate this." }, { "I am so happy.", "I am so sad." }, { "This is great.", "This is bad." },
}
local function mean(text) return model:trace(tokenizer:encode(text))[path].output[1]:mean(1) end
local vector = gpt.zeros(model.config.emb_dim)
for _, pair in ipairs(PAIRS) do vector = vector + (mean(pair[1]) - mean(pair[2])) / #PAIRS end

-- A hook adds it at every token, read or written. Nothing else changes: no weight, and no word of the prompt.
local function steered(strength)
  return { [path] = function(output) return output + vector * strength end }
end

local prompt = "Yesterday I went to the lake. It was a"
for strength = -2, 2, 2 do
  for _, seed in ipairs { 3, 6 } do -- the same two draws of random numbers each time
    local options = { hooks = steered(strength), max_new_tokens = 16, temperature = 0.7, seed = seed, stop = "\n" }
    print(("%+d  %s"):format(strength, model:generate(prompt, options)))
  end
end

-- How much does a glad word gain on a sad one?
local glad, sad = tokenizer:encode " wonderful"[1], tokenizer:encode " terrible"[1]
local ids, strengths, differences = tokenizer:encode(prompt), {}, {}
for i = 1, 17 do
  strengths[i] = (i - 9) / 4
  local logits = gpt.no_grad(model.run, model, ids, steered(strengths[i]))[1][-1]
  differences[i] = (logits[glad + 1] - logits[sad + 1]):item()
end
gpt.plot.line(picture "steering.svg", {
  title = "Steered by a vector", x_label = "times the vector", y_label = "logit of wonderful − of terrible",
  x = strengths, series = { { y = differences, points = true } },
})
print(("wonderful before terrible, in logits: %.1f at -1, %.1f at 0, %.1f at 1"):format(differences[5], differences[9],
  differences[13]))
assert(differences[5] < differences[9] and differences[9] < differences[13], "it does not steer")
