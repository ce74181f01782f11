-- Seconds of one training step in luagpt, and the process's peak memory: lua5.4 luagpt_train.lua CASE THREADS STEPS
-- CASE as for pytorch_train.py; prints the same.
local gpt = require "gpt"
local json = require "gpt.support.json"
local now = require("gpt.core")._now

local sizes = {}
for number in arg[1]:gmatch "%d+" do sizes[#sizes + 1] = math.tointeger(number) end
local vocab, context, dim, heads, layers, batch, tokens, tied = table.unpack(sizes)
gpt.set_threads(math.tointeger(arg[2]))

local function peak()
  local file <close> = assert(io.open "/proc/self/status")
  return math.tointeger(file:read("a"):match "VmHWM:%s*(%d+)") * 1024
end

gpt.seed(1)
local model = gpt.Model { vocab_size = vocab, context_length = context, emb_dim = dim, n_heads = heads,
  n_layers = layers, drop_rate = 0.0, qkv_bias = true, tie_weights = tied == 1 }
local optimizer = gpt.optim.AdamW(model, { lr = 1e-4 })
local ids, targets = gpt.randint(0, vocab, { batch, tokens }), gpt.randint(0, vocab, { batch, tokens })
local seconds, cpu, losses = {}, {}, {}

for step = 0, math.tointeger(arg[3]) do
  local start, start_cpu = now(), os.clock()
  optimizer:zero_grad()
  local loss <close> = model:loss(ids, targets)
  loss:backward()
  optimizer:step()
  losses[step + 1] = loss:item()
  if step > 0 then seconds[step], cpu[step] = now() - start, os.clock() - start_cpu end
end
print(json.encode { seconds = seconds, cpu = cpu, peak = peak(), losses = losses })
