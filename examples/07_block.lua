-- 7. The transformer block: norm, attention, shortcut; norm, feed-forward, shortcut.
local gpt = require "gpt"
local nn = gpt.nn

local config = gpt.config("gpt2-small")
gpt.seed(123)
local block = nn.TransformerBlock(config):eval() -- eval: dropout passes everything
print(block)

local x = gpt.rand(2, 4, 768)
local y = gpt.no_grad(block, x)
print(("\n[%s] in, [%s] out"):format(table.concat(x:shape(), ", "), table.concat(y:shape(), ", ")))

-- The block's forward, in two lines: each part gets a normed copy, and its output is added to its input.
local by_hand = gpt.no_grad(function()
  local h = x + block.attention(block.norm1(x))
  return h + block.feed_forward(block.norm2(h))
end)
assert((by_hand - y):abs():max():item() < 1e-5)
print "x + attention(norm1(x)), then x + feed_forward(norm2(x)): the same"

-- The same block as a new kind of layer in Lua. Use it wherever the other one can be: in a Sequential, or as the block
-- of a Model. `positionwise` says that this forward mixes no positions itself (its parts may): generation stays fast.
local Block = nn.layer("Block", {
  init = function(self, c)
    self.norm1 = nn.LayerNorm(c.emb_dim)
    self.attention = nn.MultiHeadAttention {
      emb_dim = c.emb_dim, n_heads = c.n_heads, context_length = c.context_length, qkv_bias = c.qkv_bias,
    }
    self.norm2 = nn.LayerNorm(c.emb_dim)
    self.feed_forward = nn.FeedForward { emb_dim = c.emb_dim }
    self.drop = nn.Dropout(c.drop_rate)
  end,
  forward = function(self, h)
    h = h + self.drop(self.attention(self.norm1(h)))
    return h + self.drop(self.feed_forward(self.norm2(h)))
  end,
  positionwise = true,
})
gpt.seed(123)
local mine = Block(config):eval()
print(("written in Lua: %d parameters, difference %.1e"):format(mine:num_parameters(),
  (gpt.no_grad(mine, x) - y):abs():max():item()))
assert(mine:num_parameters() == block:num_parameters())
