-- Training of adapters by luagpt, measured: luagpt_adapters.lua FILE THREADS. Weights stay as they are in the file.
-- Requests: `step BATCH TOKENS` (seconds of one step); `busy` (the processors' seconds) and `loss` of the last; `peak`.
local gpt = require "gpt"
local peak = require "systems.peak"
local talk = require "talk"
local training_step = require "systems.training_step"

gpt.set_threads(math.tointeger(arg[2]))
gpt.seed(1)
local model = gpt.load(arg[1], { tokenizer = false })
gpt.lora(model, { rank = 8, alpha = 16, targets = "all" })
model:recompute(true):train()
local trained = {}
for _, parameter in model:parameters() do
  if parameter:requires_grad() then trained[#trained + 1] = parameter end
end
local optimizer = gpt.optim.AdamW(trained, { lr = 1e-4 })
local vocab = model.config.vocab_size

-- The same ids as peft's.
local function ids_from(first, batch, tokens)
  local rows = {}
  for b = 1, batch do
    rows[b] = {}
    for t = 1, tokens do rows[b][t] = (b * 1009 + (t + first) * 31) % vocab end
  end
  return gpt.tensor(rows)
end

local last = {}
local function step(batch, tokens)
  local ids, targets, clock = ids_from(0, batch, tokens), ids_from(1, batch, tokens), os.clock()
  local seconds, loss = training_step(model, optimizer, ids, targets)
  last = { busy = os.clock() - clock, loss = loss }
  return seconds
end

talk { step = step, busy = function() return last.busy end, loss = function() return last.loss end, peak = peak }
