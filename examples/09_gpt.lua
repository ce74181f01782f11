-- 9. The whole GPT: its sizes, how much memory they take, and which parts have the parameters.
local gpt = require "gpt"

local function millions(n) return ("%.1f M"):format(n / 1e6) end
local function mebibytes(n) return ("%.2f MiB"):format(n / 2 ^ 20) end

-- gpt.size computes sizes without allocating anything: the largest model is as quick as the smallest.
print "config           parameters       tied   float32 bytes      one block: attention   feed-forward"
for _, name in ipairs { "gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl" } do
  local size, c = gpt.size(name), gpt.config(name)
  -- per block: three projections without bias and one with; two layers with bias over 4 x emb_dim
  local attention = 3 * c.emb_dim ^ 2 + c.emb_dim ^ 2 + c.emb_dim
  local feed_forward = 2 * c.emb_dim * 4 * c.emb_dim + 5 * c.emb_dim
  print(("%-13s %13d %10s %15s %26d %14d"):format(name, size.parameters, millions(size.parameters_tied),
    mebibytes(size.parameters * 4), attention, feed_forward))
end
print "\n'Tied': the output head uses the token embedding's table, as GPT-2 does: that is where 163 M become 124 M."

-- The table of one model, part by part.
print("\n" .. tostring(gpt.size("gpt2-small")))

-- The real model agrees with these sizes. Two of the twelve blocks, to be quick.
local config = gpt.config("gpt2-small", {
  n_layers = 2,
  -- each dropout layer can have its own rate
  emb_drop_rate = 0.1, attn_drop_rate = 0.05, shortcut_drop_rate = 0.2,
})
gpt.seed(123)
local model = gpt.Model(config)
local block = model.blocks[1]
assert(model:num_parameters() == gpt.size(config).parameters)
print(("\nattention has %d parameters, feed-forward %d: twice as many"):format(block.attention:num_parameters(),
  block.feed_forward:num_parameters()))
print(model)

-- An untrained model guesses: its loss is about that of a uniform draw from the vocabulary, ln 50257 = 10.82.
model:eval()
local ids = { { 6109, 3626, 6100, 345, 318, 257 } }
local loss = gpt.no_grad(function() return model:loss(ids, { { 3626, 6100, 345, 318, 257, 922 } }):item() end)
print(("\nloss %.2f, ln 50257 = %.2f"):format(loss, math.log(50257)))
