-- 18. Induction heads (Olsson et al. 2022): how attention learns to go on with what it has read before. When a letter
-- comes again, such a head looks at the letter that followed it the last time.
local gpt = require "gpt"
local picture = dofile((arg[0]:match "^.*/" or "") .. "support/pictures.lua")

-- Some letters in any order, and then again and again. All there is to know is "it goes on as it did the last time";
-- counting places does not help, because how many letters there are differs. A target of -1 is left out of the loss:
-- in the first round nobody can know what comes next.
local LETTERS, LENGTH, HEADS, SIZE = 26, 48, 4, 16
local function rounds(letters, length)
  local order, ids, targets = gpt.randperm(LETTERS):totable(), {}, {}
  for i = 1, length do
    ids[i] = order[(i - 1) % letters + 1] - 1
    targets[i] = i < letters and -1 or order[i % letters + 1] - 1
  end
  return ids, targets
end

-- Two blocks of attention and nothing else. One cannot do it: the place behind the copy is found by the letter before
-- it, and it only has that letter once a head in the block below has looked there.
local AttentionBlock = gpt.nn.layer("AttentionBlock", {
  init = function(self, c)
    self.norm = gpt.nn.LayerNorm(c.emb_dim)
    self.attention = gpt.nn.MultiHeadAttention {
      emb_dim = c.emb_dim, n_heads = HEADS, context_length = LENGTH, rope_base = 10000,
    }
  end,
  forward = function(self, x) return x + self.attention(self.norm(x)) end,
})
gpt.seed(123)
math.randomseed(1)
local model = gpt.Model({
  vocab_size = LETTERS, context_length = LENGTH, emb_dim = HEADS * SIZE, n_heads = HEADS, n_layers = 2, drop_rate = 0,
  qkv_bias = false, positions = "none", init = "torch",
}, { block = AttentionBlock })

-- Two rounds of twelve letters to look at. How much does each head, in the second, look `back` places? One place is the
-- letter before; n - 1 places is the letter behind the earlier copy.
local n = 12
local probe, targets = rounds(n, 2 * n)
local function looks(back)
  local trace, share = model:trace(probe), gpt.zeros(2, HEADS)
  for block = 1, 2 do
    local weights = trace[("blocks.%d.attention"):format(block)].weights -- [heads, tokens, tokens]
    for i = n + 1, 2 * n do share[block] = share[block] + weights:select(2, i):select(2, i - back) / n end
  end
  return share
end

-- How likely are the right letters of the second round, with hooks or without?
local function likely(hooks)
  return math.exp(-gpt.cross_entropy(gpt.no_grad(model.run, model, probe, hooks or {})[1], gpt.tensor(targets)):item())
end

local optimizer = gpt.optim.AdamW(model, { lr = 3e-3, weight_decay = 0 })
local steps, before, behind, right = {}, {}, {}, {}
for step = 0, 400 do
  if step % 10 == 0 then
    local i = #steps + 1
    steps[i], before[i], behind[i], right[i] = step, looks(1):max():item(), looks(n - 1):max():item(), likely()
  end
  local batch, learned = {}, {}
  for row = 1, 16 do batch[row], learned[row] = rounds(math.random(8, LENGTH // 2), LENGTH) end
  model:loss(gpt.tensor(batch), gpt.tensor(learned)):backward()
  gpt.clip_grad_norm(model, 1)
  optimizer:step()
  optimizer:zero_grad()
end
gpt.plot.line(picture "induction_training.svg", { -- they form all at once, and with them come the right letters
  title = "Induction heads form", x_label = "step", y_label = "share of attention; probability", x = steps, series = {
    { name = "looks at the letter before (best head)", y = before },
    { name = "looks behind the earlier copy (best head)", y = behind },
    { name = "probability of the right letter", y = right },
  },
})
gpt.plot.heatmap(picture "induction_scores.svg", {
  title = "Where each head looks", titles = { "at the letter before", "behind the earlier copy" }, numbers = true,
  values = { looks(1):totable(), looks(n - 1):totable() }, x_label = "head", y_label = "block", low = 0, high = 1,
})

-- The attention maps of the best head of each kind: the induction head's line begins with the second round.
local first, second = looks(1)[1]:argmax(1):item(), looks(n - 1)[2]:argmax(1):item()
local trace, letters = model:trace(probe), {}
for i, id in ipairs(probe) do letters[i] = string.char(97 + id) end
gpt.plot.heatmap(picture "induction_heads.svg", {
  title = "A head that looks back by one, and an induction head", width = 1000,
  titles = { ("block 1, head %d"):format(first), ("block 2, head %d"):format(second) },
  values = gpt.stack({ trace["blocks.1.attention"].weights[first], trace["blocks.2.attention"].weights[second] }, 1),
  row_labels = letters, column_labels = letters, x_label = "looks at", y_label = "after reading", low = 0, high = 1,
})
local best = { looks(1)[1][first]:item(), looks(n - 1)[2][second]:item() }
print(("block 1, head %d looks at the letter before: %.2f"):format(first, best[1]))
print(("block 2, head %d looks behind the earlier copy: %.2f"):format(second, best[2]))
assert(best[1] > 0.5 and best[2] > 0.5, "no induction head")

-- The proof. A hook takes away what a head passes on: without the one in block 1, those of block 2 find nothing.
print(("the right letter, with all heads: %.2f"):format(likely()))
for block = 1, 2 do
  for head = 1, HEADS do
    local path = ("blocks.%d.attention.value"):format(block)
    print(("  without head %d of block %d: %.2f"):format(head, block, likely {
      [path] = function(values) values:narrow(-1, (head - 1) * SIZE + 1, SIZE):fill(0) end,
    }))
  end
end
