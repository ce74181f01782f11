-- A training step of several ranks, measured: mpirun -n N lua5.4 luagpt_ranks.lua CASE THREADS. CASE as for
-- training_bound.c; its batch is that of all ranks together. Rank 0 takes the requests, the others follow it:
-- `step` (seconds of one step), `link` (bytes a second each way), `forward backward reduce optimizer gather` (of the
-- parts of the last one), `peak`.
local gpt = require "gpt"
local Ranks = require "gpt.train.ranks"
local groups = require "gpt.train.groups"
local now = require("gpt.core")._now
local peak = require "systems.peak"
local talk = require "talk"
local training_case = require "systems.training_case"

gpt.set_threads(math.tointeger(arg[2]))

local world = gpt.world()
local model, vocab, batch, tokens = training_case(arg[1])
local optimizer = gpt.optim.AdamW(model, { lr = 1e-4 })
local ranks = Ranks.new { world = world, parameters = groups.parameters(model) }
ranks:share(optimizer)
gpt.seed(2 + world.rank)
local rows = batch // world.size
local ids, targets = gpt.randint(0, vocab, { rows, tokens }), gpt.randint(0, vocab, { rows, tokens })

local parts = {}

local function timed(name, fn)
  local start = now()
  fn()
  parts[name] = now() - start
end

local function step()
  local start, loss = now(), nil
  optimizer:zero_grad()
  timed("forward", function() loss = model:loss(ids, targets) end)
  ranks:before_last_backward()
  timed("backward", function() loss:backward() end)
  timed("reduce", function() ranks:reduce() end)
  timed("optimizer", function() optimizer:step() end)
  timed("gather", function() ranks:stepped() end)
  loss:free()
  return now() - start
end

-- Bytes a second that a rank sends while it receives as many, as when a large model's parameters go to all.
local function link()
  local numbers = 2 ^ 24 // 1 | 0
  local other = Ranks.new { world = world, parameters = { gpt.ones(numbers) } }
  world:barrier()
  local start = now()
  other.reducer:gather "parameters"
  return 4 * numbers * (world.size - 1) / world.size / (now() - start)
end

local END, STEP, LINK = 0, 1, 2

-- Rank 0 says what comes next.
local function follow()
  local word
  repeat
    word = world:broadcast(gpt.tensor { END }):item()
    if word == STEP then step() elseif word == LINK then link() end
  until word == END
end

if world.rank > 0 then return follow() end

local requests = { peak = peak }
for _, name in ipairs { "forward", "backward", "reduce", "optimizer", "gather" } do
  requests[name] = function() return parts[name] end
end
function requests.step()
  world:broadcast(gpt.tensor { STEP })
  return step()
end
function requests.link()
  world:broadcast(gpt.tensor { LINK })
  return link()
end
talk(requests)
world:broadcast(gpt.tensor { END })
