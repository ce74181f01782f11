-- 2. Attention by hand: six tokens look at each other, in plain tensor operations, and the layer agrees.
local gpt = require "gpt"
local picture = dofile((arg[0]:match "^.*/" or "") .. "support/pictures.lua")

-- "the ship sails to the isle": six tokens, a vector of three numbers for each, as an embedding would give them.
local words = { "the", "ship", "sails", "to", "the", "isle" }
local x = gpt.tensor {
  { 0.1, 0.2, 0.1 }, { 0.9, 0.1, 0.6 }, { 0.7, 0.2, 0.9 }, { 0.2, 0.1, 0.4 }, { 0.1, 0.2, 0.1 }, { 0.4, 0.9, 0.2 },
}

-- The simplest attention: how alike are two tokens? Their dot product measures it; softmax turns each row into weights.
local scores = x:matmul(x:transpose(1, 2))
local weights = scores:softmax(-1)
print("What 'ship' takes from each token:", weights[2])
print("The mixture that stands for it now:", weights[2]:matmul(x))

-- Attention that learns: each token has a query (what it looks for), a key (what it is found by) and a value (what it
-- passes on). All three are linear maps of the token, and training learns the weights of these maps.
gpt.seed(123)
local dim, heads = 4, 2
local layer = gpt.nn.MultiHeadAttention { emb_dim = dim, n_heads = heads, context_length = 6 }
local tokens = gpt.randn(6, dim)

-- A head works on its own slice of the queries, keys and values: [tokens, dim] becomes [heads, tokens, dim / heads].
local function split(t) return t:view(6, heads, dim // heads):transpose(1, 2) end
local query = split(layer.query(tokens))
local key = split(layer.key(tokens))
local value = split(layer.value(tokens))

-- Dot products grow with the number of terms. Divided by its square root, they do not saturate softmax.
scores = query:matmul(key:transpose(2, 3)) / math.sqrt(dim / heads)

-- A model that writes from left to right must not see later tokens: their scores become minus infinity, their weights
-- 0.
local future = gpt.ones(6, 6):triu(1)
weights = scores:masked_fill(future, -math.huge):softmax(-1)
print("\nThe weights of the first head:", weights[1])

-- The weights mix the values; the heads' results are concatenated; a last linear map mixes the heads.
local mixed = weights:matmul(value):transpose(1, 2):reshape(6, dim)
local by_hand = layer.output(mixed)

local difference = (by_hand - layer(tokens)):abs():max():item()
print(("\nBy hand and by the layer, the largest difference: %.1e"):format(difference))
assert(difference < 1e-5)
print "by hand equals nn.MultiHeadAttention"

-- The layer never holds all these weights: it computes them tile by tile. A trace keeps them, to look at.
local trace = layer:trace(tokens)
assert((trace[""].weights - weights):abs():max():item() < 1e-5)
gpt.plot.heatmap(picture "attention.svg", {
  title = "Causal attention, two heads (untrained)", values = weights, titles = { "head 1", "head 2" },
  row_labels = words, column_labels = words, x_label = "looks at", y_label = "token", low = 0, high = 1, numbers = true,
})
