-- How long a training step takes on several machines, by a model of it: what csrc/core/train/reducer.c does, over links
-- of a given rate, with the times of one machine.
--
--   lua5.4 bench/machines.lua [--name value ...]        (LUA_PATH as make bench has it)
--     --rate 190          GFLOP/s of a machine in a training step
--     --optimizer 1.0     seconds that it steps a billion numbers in
--     --gbit 10           a link, each way; --latency 100: microseconds from one machine to another
--     --nodes 1,2,4,8  --tokens 1024 (of each machine in a step)
--     --models 124M,355M,774M,1558M, or MILLIONSxSHARE: parameters, and the share of them that embeddings are
--
-- A machine is one rank. Its link sends one bucket after the other. Gradients of blocks come evenly while backward goes
-- on, from the last block to the first; that of the tied embedding comes at the end. What is stepped goes to all then.
local gpt = require "gpt"
local read_options = require "options"

local BUCKET = 2 ^ 23 -- bytes, as in csrc/core/train/buckets.c

local _, options = read_options(arg, {
  rate = 190.0, optimizer = 1.0, gbit = 10.0, latency = 100.0, nodes = { "1", "2", "4", "8" }, tokens = { "1024" },
  models = { "124M", "355M", "774M", "1558M" },
})

-- What counts of a model: parameters, the share that is there last, operations a token.
local function model_of(name)
  local millions, share = name:match "^([%d.]+)x([%d.]+)$"
  if millions then
    local numbers = tonumber(millions) * 1e6
    return { name = name, numbers = numbers, last = numbers * tonumber(share), flops = 6 * numbers }
  end
  local config = gpt.config(name, { qkv_bias = true, tie_weights = true })
  local size = gpt.size(config)
  return {
    name = name, numbers = size.parameters_tied, flops = size.flops.training,
    last = (config.vocab_size + config.context_length) * config.emb_dim,
  }
end

-- When each bucket's gradients are there, in seconds from the beginning of backward.
local function ready_times(model, backward)
  local count, first = math.ceil(model.numbers * 4 / BUCKET), model.numbers - model.last
  local times = {}
  for i = 1, count do
    local done = math.min(i * BUCKET / 4, model.numbers)
    times[i] = done <= first and backward * done / first or backward
  end
  return times
end

local function transfer(bytes, nodes)
  return bytes * (nodes - 1) / nodes / (options.gbit * 1e9 / 8) + options.latency * 1e-6
end

-- The parts of a step in seconds: `compute`, `visible` (of the exchange of gradients, what backward does not hide),
-- `exchange`, `optimizer`, `gather`; `sent`: bytes, by each rank.
local function step_of(model, nodes, tokens)
  local forward = model.flops * tokens / (options.rate * 1e9) / 3
  local step = { compute = 3 * forward, exchange = 0, visible = 0, gather = 0, sent = 0 }
  step.optimizer = model.numbers / 1e9 * options.optimizer / nodes
  if nodes > 1 then
    local backward, link = 2 * forward, 0
    for _, ready in ipairs(ready_times(model, backward)) do
      local seconds = transfer(BUCKET, nodes)
      link = math.max(link, ready) + seconds
      step.exchange = step.exchange + seconds
    end
    step.visible, step.gather = math.max(0, link - backward), step.exchange
    step.sent = 2 * 4 * model.numbers * (nodes - 1) / nodes
  end
  step.seconds = step.compute + step.visible + step.optimizer + step.gather
  return step
end

local function efficiency(model, nodes, tokens)
  return step_of(model, 1, tokens).seconds / step_of(model, nodes, tokens).seconds
end

-- The tokens of a machine from which on so much of the time is not lost.
local function tokens_for(model, nodes, least)
  local low, high = 1, 2 ^ 30
  for _ = 1, 60 do
    local middle = (low + high) / 2
    if efficiency(model, nodes, middle) >= least then high = middle else low = middle end
  end
  return high
end

local function row(...) print("| " .. table.concat({ ... }, " | ") .. " |") end

local function seconds(value) return value < 9.995 and ("%.2f"):format(value) or ("%.1f"):format(value) end

print(("%g GFLOP/s a machine, links of %g Gbit/s, %g microseconds."):format(options.rate, options.gbit,
  options.latency))
print()
local HEAD = { "model", "machines", "tokens each", "sent by each, GB", "compute, s", "gradients, s", "of that hidden",
  "optimizer, s", "parameters, s", "step, s", "efficiency", "tokens for 50%", "tokens for 90%" }
row(table.unpack(HEAD))
row(("---"):rep(#HEAD, " | "))
for _, name in ipairs(options.models) do
  local model = model_of(name)
  for _, nodes in ipairs(options.nodes) do
    nodes = math.tointeger(nodes)
    for _, tokens in ipairs(options.tokens) do
      local step = step_of(model, nodes, tonumber(tokens))
      local several = nodes > 1
      row(name, nodes, tokens, ("%.2f"):format(step.sent / 1e9), seconds(step.compute), seconds(step.exchange),
        several and ("%.0f%%"):format(100 * (1 - step.visible / step.exchange)) or "", seconds(step.optimizer),
        seconds(step.gather), seconds(step.seconds),
        ("%.0f%%"):format(100 * efficiency(model, nodes, tonumber(tokens))),
        several and ("%.0f"):format(tokens_for(model, nodes, 0.5)) or "",
        several and ("%.0f"):format(tokens_for(model, nodes, 0.9)) or "")
    end
  end
end
