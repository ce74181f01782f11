-- A Llama of 125M parameters, measured: luagpt_llama.lua WAY THREADS. WAY: "native", or "lua": its blocks written in
-- Lua from the same parts. Requests: `decode TOKENS CONTEXT` (tokens a second), `step BATCH TOKENS` (seconds of a
-- training step).
local gpt = require "gpt"
local talk = require "talk"
local training_step = require "systems.training_step"
local now = require("gpt.core")._now
local nn = gpt.nn

gpt.set_threads(math.tointeger(arg[2]))
gpt.seed(1)

local config = gpt.config("llama-3.2-1B", {
  vocab_size = 32000, context_length = 1024, emb_dim = 768, n_heads = 12, n_kv_heads = 4, head_dim = 64, n_layers = 12,
  hidden_dim = 2048, rope_scaling = false, tie_weights = true,
})

local Block = nn.layer("Block", {
  init = function(self, c)
    self.norm1, self.norm2 = nn.RMSNorm(c.emb_dim, { eps = c.norm_eps }), nn.RMSNorm(c.emb_dim, { eps = c.norm_eps })
    self.query = nn.Linear(c.emb_dim, c.n_heads * c.head_dim, { bias = false })
    self.key = nn.Linear(c.emb_dim, c.n_kv_heads * c.head_dim, { bias = false })
    self.value = nn.Linear(c.emb_dim, c.n_kv_heads * c.head_dim, { bias = false })
    self.output = nn.Linear(c.n_heads * c.head_dim, c.emb_dim, { bias = false })
    self.gate = nn.Linear(c.emb_dim, c.hidden_dim, { bias = false })
    self.expand = nn.Linear(c.emb_dim, c.hidden_dim, { bias = false })
    self.project = nn.Linear(c.hidden_dim, c.emb_dim, { bias = false })
    self.heads, self.kv_heads, self.base = c.n_heads, c.n_kv_heads, c.rope_base
  end,
  forward = function(self, x, pass)
    local batch, tokens = x:size(1), x:size(2)
    local normed, turning = self.norm1(x), { base = self.base }
    local q = gpt.rotary(self.query(normed):reshape(batch, tokens, self.heads, -1), pass.positions, turning)
    local k = gpt.rotary(self.key(normed):reshape(batch, tokens, self.kv_heads, -1), pass.positions, turning)
    local v = self.value(normed):reshape(batch, tokens, self.kv_heads, -1)
    x = x + self.output(pass:attention(q, k, v):reshape(batch, tokens, -1))
    normed = self.norm2(x)
    return x + self.project(self.gate(normed):silu() * self.expand(normed))
  end,
})

local model = gpt.Model(config, arg[1] == "lua" and { block = function(c) return Block(c) end } or nil)
local optimizer = gpt.optim.AdamW(model, { lr = 1e-4 })

local requests = {}

function requests.decode(tokens, context)
  local prompt, session <close> = {}, model:session()
  for i = 1, context do prompt[i] = i end
  session:feed(prompt)
  session:generate { max_new_tokens = 2 } -- after which layers that say nothing have been looked at
  local start = now()
  session:generate { max_new_tokens = tokens }
  return tokens / (now() - start)
end

function requests.step(batch, tokens)
  local ids, targets = gpt.randint(0, 32000, { batch, tokens }), gpt.randint(0, 32000, { batch, tokens })
  return training_step(model, optimizer, ids, targets)
end

talk(requests)
