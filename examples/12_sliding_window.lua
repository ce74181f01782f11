-- 12. Not GPT-2: attention through a sliding window (Beltagy et al. 2020). A token sees itself and the few before it;
-- tokens further back reach it through the layers, one window per layer.
local gpt = require "gpt"
local here = (arg[0]:match "^.*/" or "") .. "support/"
local picture, verses = dofile(here .. "pictures.lua"), dofile(here .. "verses.lua")
local nn = gpt.nn

-- 1 where token i must not look at token j: at later tokens, and at those `window` or more positions back.
local function hidden(tokens, window)
  local ones = gpt.ones(tokens, tokens)
  return ones:triu(1) + ones:tril(-window)
end

local WindowAttention = nn.layer("WindowAttention", {
  init = function(self, dim, n_heads, window)
    self.n_heads, self.window = n_heads, window
    self.query = nn.Linear(dim, dim, { bias = false })
    self.key = nn.Linear(dim, dim, { bias = false })
    self.value = nn.Linear(dim, dim, { bias = false })
    self.output = nn.Linear(dim, dim)
  end,
  forward = function(self, x)
    local batch, tokens, dim = table.unpack(x:shape())
    local head_dim = dim // self.n_heads
    local function heads(t) return t:view(batch, tokens, self.n_heads, head_dim):transpose(2, 3) end
    local q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
    local scores = q:matmul(k:transpose(3, 4)) / math.sqrt(head_dim)
    local weights = scores:masked_fill(hidden(tokens, self.window), -math.huge):softmax(-1)
    return self.output(weights:matmul(v):transpose(2, 3):reshape(batch, tokens, dim))
  end,
})

print("Who sees whom, 6 tokens, a window of 3:", 1 - hidden(6, 3))

-- How far back does the last token see? The gradient of its output shows it: one layer sees 4 tokens, and each further
-- layer 3 more.
gpt.seed(123)
local window = 4
local series = {}
for depth = 1, 3 do
  local layers = {}
  for i = 1, depth do layers[i] = nn.Shortcut(WindowAttention(16, 2, window)) end
  local x = gpt.randn(1, 14, 16):requires_grad(true)
  local last = nn.Sequential(layers)(x):select(2, -1):sum()
  last:backward()
  local heard = x.grad:abs():sum(3)[1]
  local reach = heard:gt(0):sum():item()
  print(("layers: %d; the last of 14 tokens sees %d"):format(depth, reach))
  assert(reach == 1 + depth * (window - 1))
  local shown = heard:masked_fill(heard:eq(0), 0 / 0) -- 0 has no place on a logarithmic scale: nan leaves a gap
  series[depth] = { name = depth == 1 and "1 layer" or depth .. " layers", y = shown, points = true }
end
gpt.plot.line(picture "sliding_window.svg", {
  title = "What the last token sees, through windows of 4", x_label = "token", y_label = "size of the gradient",
  y_scale = "log",
  series = series,
})

-- In a Model: two blocks with windows of 4 see 7 tokens, which is enough for a verse.
local config = {
  vocab_size = verses.vocab_size, context_length = 24, emb_dim = 32, n_heads = 4, n_layers = 2, drop_rate = 0,
  qkv_bias = false,
}
local model = gpt.Model(config, {
  block = function(c)
    return nn.TransformerBlock(c):replace("attention", WindowAttention(c.emb_dim, c.n_heads, window))
  end,
})
verses.report(verses.train(model, 160))
local text = verses.decode(model:generate(verses.encode "the fox", { max_new_tokens = 5 }))
print(text)
assert(text == "the fox runs to the hill .")
