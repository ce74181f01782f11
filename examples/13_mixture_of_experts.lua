-- 13. Not GPT-2: a mixture of experts (Shazeer et al. 2017) in place of the feed-forward layer. A router sends each
-- token to the two experts with the best scores: more parameters, but not more work per token.
local gpt = require "gpt"
local verses = dofile((arg[0]:match "^.*/" or "") .. "support/verses.lua")
local nn = gpt.nn

local MixtureOfExperts = nn.layer("MixtureOfExperts", {
  init = function(self, dim, hidden_dim, n_experts, n_active)
    self.n_active = n_active
    self.router = nn.Linear(dim, n_experts, { bias = false })
    local experts = {}
    for i = 1, n_experts do experts[i] = nn.FeedForward { emb_dim = dim, hidden_dim = hidden_dim } end
    self.experts = nn.List(experts) -- a List: a plain table would hide their parameters
  end,
  -- Each token's share of each expert: softmax over the best scores, 0 for all other experts.
  shares = function(self, x)
    local scores = self.router(x)
    local worst_kept = scores:topk(self.n_active, -1):narrow(-1, self.n_active, 1)
    return scores:masked_fill(scores:lt(worst_kept), -math.huge):softmax(-1)
  end,
  -- Here every expert computes every token, and a share of 0 drops the result. Where time matters, give each expert
  -- only its own tokens.
  forward = function(self, x)
    local shares, y = self:shares(x), nil
    for i, expert in ipairs(self.experts) do
      local part = expert(x) * shares:narrow(-1, i, 1)
      y = y and y + part or part
    end
    return y
  end,
  positionwise = true, -- no token sees another here: the cache of keys and values stays usable
})

gpt.seed(123)
local config = {
  vocab_size = verses.vocab_size, context_length = 24, emb_dim = 32, n_heads = 4, n_layers = 2, drop_rate = 0,
  qkv_bias = false,
}
local N_EXPERTS, N_ACTIVE = 4, 2
local function block(c)
  local mixture = MixtureOfExperts(c.emb_dim, 2 * c.emb_dim, N_EXPERTS, N_ACTIVE)
  return nn.TransformerBlock(c):replace("feed_forward", mixture)
end
local model = gpt.Model(config, { block = block })
print(model.blocks[1])

local mixture = model.blocks[1].feed_forward
local expert = mixture.experts[1]:num_parameters()
print(("%d parameters in a mixture, of which a token uses %d"):format(mixture:num_parameters(),
  mixture:num_parameters() - (N_EXPERTS - N_ACTIVE) * expert))

verses.report(verses.train(model, 160))
local text = verses.decode(model:generate(verses.encode "the crab", { max_new_tokens = 5 }))
print(text)
assert(text == "the crab walks to the rock .")

-- Who does what? The trace has each layer's output, the router's too: the best expert for each word.
local line = verses.encode "the crab walks to the rock ."
for i = 1, 2 do
  local scores = model:trace(line)[("blocks.%d.feed_forward.router"):format(i)].output
  local best = scores[1]:argmax(-1):totable()
  local parts = {}
  for at, id in ipairs(line) do parts[at] = ("%s:%d"):format(verses.decode { id }, best[at]) end
  print(("block %d, word:expert  %s"):format(i, table.concat(parts, "  ")))
end

-- Parameters are saved and loaded by path, like those of any layer.
local file = os.tmpname()
model:save_parameters(file)
local copy = gpt.Model(config, { block = block })
copy:load_parameters(file)
os.remove(file)
assert(verses.decode(copy:generate(verses.encode "the crab", { max_new_tokens = 5 })) == text)
print "saved, loaded, the same"
