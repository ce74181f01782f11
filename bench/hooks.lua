-- What hooks cost: time for each decoded token of a small model, on one thread, where a layer's call weighs most. Run
-- by hand:
--
--   lua5.4 bench/hooks.lua [rounds]
local gpt = require "gpt"

local TOKENS, ROUNDS = 200, math.tointeger(tonumber(arg[1] or 30))

gpt.set_threads(1)
gpt.seed(1)
local model = gpt.Model {
  vocab_size = 1024, context_length = 256, emb_dim = 128, n_heads = 4, n_layers = 4, drop_rate = 0, qkv_bias = false,
}:eval()

local everywhere = {}
for path in pairs(model:trace { 1, 2 }) do everywhere[path] = function() end end

local CASES = {
  { "no hooks" }, { "an empty table of hooks", {} },
  { "a hook that does nothing, at one block", { ["blocks.2"] = function() end } },
  { "one at each of " .. #model:trace { 1, 2 } .. " paths", everywhere },
}

-- Seconds for each token.
local function decode(hooks)
  local session = model:session { hooks = hooks }
  session:feed { 1, 2, 3 }
  local begun = os.clock()
  for id = 1, TOKENS do session:feed { id } end
  return (os.clock() - begun) / TOKENS
end

-- In turns, so that whatever else the machine does slows all of them.
local times = { {}, {}, {}, {} }
for round = 1, ROUNDS do
  for i, case in ipairs(CASES) do times[i][round] = decode(case[2]) end
end
for i, case in ipairs(CASES) do
  table.sort(times[i])
  print(("%-42s %6.1f us a token"):format(case[1], 1e6 * times[i][(ROUNDS + 1) // 2]))
end
