-- 5. The feed-forward layer: it maps each token by itself to more dimensions and back.
local gpt = require "gpt"

-- From 768 numbers to four times as many, through GELU, and back to 768.
local layer = gpt.nn.FeedForward { emb_dim = 768 }
print(layer)

gpt.seed(123)
local x = gpt.rand(2, 3, 768) -- 2 texts of 3 tokens
local y = gpt.no_grad(layer, x)
print(("\n[%s] in, [%s] out: what keeps its shape can be stacked"):format(
  table.concat(x:shape(), ", "), table.concat(y:shape(), ", ")))

-- It runs its three parts in turn, and nothing else.
local by_hand = gpt.no_grad(function() return layer.project(layer.activation(layer.expand(x))) end)
assert((by_hand - y):abs():max():item() < 1e-5)

-- Tokens do not see each other here: alone, a token gives the same output.
local alone = gpt.no_grad(layer, x:narrow(2, 2, 1))
print(("the second token with its neighbours and alone differ by %.1e"):format(
  (y:narrow(2, 2, 1) - alone):abs():max():item()))

-- The same layer, stacked by hand from parts that you can exchange.
local nn = gpt.nn
local stack = nn.Sequential { nn.Linear(768, 3072), nn.GELU(), nn.Linear(3072, 768) }
assert(stack:num_parameters() == layer:num_parameters())
print(("%d parameters, by the layer and by hand"):format(stack:num_parameters()))
