-- 10. Generating text: one token after the other, each drawn from the model's distribution over the next token.
local gpt = require "gpt"
local here = (arg[0]:match "^.*/" or "") .. "support/"
local picture, verses = dofile(here .. "pictures.lua"), dofile(here .. "verses.lua")

-- Something small to learn: verses whose words are the tokens (support/verses.lua). There are 6 verses, all equally
-- likely, so the only thing that cannot be predicted is which beast comes next.
gpt.seed(123)
local model = gpt.Model {
  vocab_size = verses.vocab_size, context_length = 24, emb_dim = 32, n_heads = 4, n_layers = 2, drop_rate = 0,
  qkv_bias = false,
}
local prompt = verses.encode "the owl"
print("untrained: " .. verses.decode(model:generate(prompt, { max_new_tokens = 12, temperature = 1, seed = 1 })))

-- A training loop. A dataset cuts the text into windows; the targets are the same windows, shifted by one token. Each
-- pass through the batches is an epoch, in a different order.
local data = gpt.dataset(verses.text(600), { context_length = 24, batch_size = 16 })
local optimizer = gpt.optim.AdamW(model, { lr = 5e-3 })
local losses = {}
for _ = 1, 15 do
  for ids, targets in data:batches() do
    optimizer:zero_grad()
    local loss = model:loss(ids, targets)
    loss:backward()
    gpt.clip_grad_norm(model, 1)
    optimizer:step()
    table.insert(losses, loss:item())
  end
end
-- A verse has 7 words, and its beast is random: no model can do better than ln 6 / 7 a word, about 0.26.
print(("%d steps: loss %.2f at first, %.2f at last; the floor is %.2f"):format(#losses, losses[1], losses[#losses],
  math.log(6) / 7))
model:eval()

-- Greedy decoding takes the likeliest token each time. With a temperature tokens are drawn: low ones are careful, high
-- ones bold.
local function show(what, options)
  options.max_new_tokens = 12
  print(("%-10s %s"):format(what, verses.decode(model:generate(prompt, options))))
end
show("greedy:", {})
show("t = 1:", { temperature = 1, seed = 7 })
show("t = 5:", { temperature = 5, seed = 7 })
-- top_k draws only from the k likeliest tokens, top_p from the likeliest that together have that probability.
show("top_k = 2:", { temperature = 5, top_k = 2, seed = 7 })
show("top_p:", { temperature = 2, top_p = 0.8, seed = 7 })
assert(verses.decode(model:generate(prompt, { max_new_tokens = 5 })) == "the owl flies to the tree .")

-- A stream returns each token as soon as it is there; leave the loop at any time.
io.write "streamed:  the fish"
for id in model:stream(verses.encode "the fish", { max_new_tokens = 40 }) do
  io.write(" ", verses.decode { id })
  if verses.decode { id } == "." then break end
end
print()

-- Generation keeps keys and values of earlier tokens in a cache. Without it the result is the same, only slower.
local cached = model:generate(prompt, { max_new_tokens = 20 })
assert(verses.decode(cached) == verses.decode(model:generate(prompt, { max_new_tokens = 20, use_cache = false })))

-- Where does it look? A trace keeps what every layer returns, and every head's weights. To know that the owl flies "to
-- the tree", the model has to look back at the owl.
local line = verses.encode "the bee hums to the rose . the owl flies to the"
local trace = model:trace(line)
local weights, labels = trace["blocks.1.attention"].weights, {}
for i, id in ipairs(line) do labels[i] = verses.decode { id } end
print(trace["blocks.1.attention"])
gpt.plot.heatmap(picture "attention_trained.svg", {
  title = "What the heads of block 1 look at, trained", values = weights, width = 1000,
  titles = { "head 1", "head 2", "head 3", "head 4" }, row_labels = labels, column_labels = labels,
  x_label = "looks at", y_label = "after reading", low = 0, high = 1,
})
gpt.plot.line(picture "loss.svg", { title = "Learning six verses", x_label = "step", y_label = "loss", y = losses })
