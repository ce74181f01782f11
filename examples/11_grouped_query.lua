-- 11. Not GPT-2: grouped-query attention (Ainslie et al. 2023). Several heads of queries share one head of keys and
-- values, so that the cache of keys and values is smaller by that factor. Written in Lua, from tensor operations.
local gpt = require "gpt"
local verses = dofile((arg[0]:match "^.*/" or "") .. "support/verses.lua")
local nn = gpt.nn

local GroupedQueryAttention = nn.layer("GroupedQueryAttention", {
  init = function(self, dim, n_heads, n_kv_heads)
    self.head_dim, self.n_kv_heads, self.group = dim // n_heads, n_kv_heads, n_heads // n_kv_heads
    self.query = nn.Linear(dim, dim, { bias = false })
    self.key = nn.Linear(dim, n_kv_heads * self.head_dim, { bias = false })
    self.value = nn.Linear(dim, n_kv_heads * self.head_dim, { bias = false })
    self.output = nn.Linear(dim, dim)
  end,
  forward = function(self, x)
    local batch, tokens, dim = table.unpack(x:shape())
    -- [batch, kv heads, group, tokens, head_dim]; keys and values have a group of 1, which broadcasts
    local function heads(t, group)
      return t:view(batch, tokens, self.n_kv_heads, group, self.head_dim):permute(1, 3, 4, 2, 5)
    end
    local q, k, v = heads(self.query(x), self.group), heads(self.key(x), 1), heads(self.value(x), 1)
    local scores = q:matmul(k:transpose(4, 5)) / math.sqrt(self.head_dim)
    local weights = scores:masked_fill(gpt.ones(tokens, tokens):triu(1), -math.huge):softmax(-1)
    return self.output(weights:matmul(v):permute(1, 4, 2, 3, 5):reshape(batch, tokens, dim))
  end,
})

-- With as many heads of keys as of queries it is the attention of chapter 2: the same weights give the same output.
gpt.seed(123)
local plain = nn.MultiHeadAttention { emb_dim = 32, n_heads = 4, context_length = 24 }
local same = GroupedQueryAttention(32, 4, 4)
for name, part in plain:children() do same[name] = part end
local x = gpt.randn(2, 10, 32)
local difference = gpt.no_grad(function() return (same(x) - plain(x)):abs():max():item() end)
print(("4 heads of 4: differs from nn.MultiHeadAttention by %.1e"):format(difference))
assert(difference < 1e-5)

-- Use it as the attention of a block, and that block as the block of a Model.
local config = {
  vocab_size = verses.vocab_size, context_length = 24, emb_dim = 32, n_heads = 4, n_layers = 2, drop_rate = 0,
  qkv_bias = false,
}
local model = gpt.Model(config, {
  block = function(c)
    return nn.TransformerBlock(c):replace("attention", GroupedQueryAttention(c.emb_dim, c.n_heads, 2))
  end,
})
print(model.blocks[1])
verses.report(verses.train(model, 160))

-- Its forward mixes positions and does not use the KV cache, so generating runs the whole text for each token. For a
-- model of this size that does not matter; `pass:attention` would use the cache.
local text = verses.decode(model:generate(verses.encode "the hare", { max_new_tokens = 5 }))
print(text)
assert(text == "the hare hops to the den .")
