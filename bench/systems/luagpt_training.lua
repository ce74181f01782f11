-- A training step of luagpt, measured: luagpt_training.lua CASE THREADS PRECISION. CASE as for training_bound.c.
-- Requests: `step` (seconds of one step), `peak`.
local gpt = require "gpt"
local peak = require "systems.peak"
local talk = require "talk"
local training_case = require "systems.training_case"
local training_step = require "systems.training_step"

gpt.set_threads(math.tointeger(arg[2]))
gpt.set_precision(arg[3])

local model, vocab, batch, tokens = training_case(arg[1])
local optimizer = gpt.optim.AdamW(model, { lr = 1e-4 })
local ids, targets = gpt.randint(0, vocab, { batch, tokens }), gpt.randint(0, vocab, { batch, tokens })

talk { step = function() return training_step(model, optimizer, ids, targets) end, peak = peak }
