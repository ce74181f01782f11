-- A training step of luagpt, measured: luagpt_training.lua CASE THREADS PRECISION. CASE as for training_bound.c.
-- Requests: `step` (seconds of one step), `peak`.
local gpt = require "gpt"
local peak = require "systems.peak"
local talk = require "talk"
local training_step = require "systems.training_step"

local sizes = {}
for number in arg[1]:gmatch "%d+" do sizes[#sizes + 1] = math.tointeger(number) end
local vocab, context, dim, heads, layers, batch, tokens, tied = table.unpack(sizes)
gpt.set_threads(math.tointeger(arg[2]))
gpt.set_precision(arg[3])

gpt.seed(1)
local model = gpt.Model { vocab_size = vocab, context_length = context, emb_dim = dim, n_heads = heads,
  n_layers = layers, drop_rate = 0.0, qkv_bias = true, tie_weights = tied == 1 }
local optimizer = gpt.optim.AdamW(model, { lr = 1e-4 })
local ids, targets = gpt.randint(0, vocab, { batch, tokens }), gpt.randint(0, vocab, { batch, tokens })

talk { step = function() return training_step(model, optimizer, ids, targets) end, peak = peak }
