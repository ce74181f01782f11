-- One training step by one process of two threads, and by two ranks of one thread each: the same batch in all.
local System = require "system"
local beside = require "beside"
local each_case = require "training_cases"
local systems = require "systems"
local turns = require "turns"

local RANKS = 2
local MPIRUN = { "mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", RANKS, "lua5.4",
  "bench/systems/luagpt_ranks.lua" }

local function start(options, case)
  local list = {}
  local function add(name, ...) list[#list + 1] = System.start(name, { ... }, options.work) end
  add("luagpt, 1 x 2", "lua5.4", "bench/systems/luagpt_training.lua", case, RANKS, "f32")
  local words = table.move(MPIRUN, 1, #MPIRUN, 1, {})
  table.move({ case, 1 }, 1, 2, #words + 1, words)
  add("luagpt, 2 x 1", table.unpack(words))
  if systems.has(options, "torch") then
    add("PyTorch, 1 x 2", options.python, "bench/systems/pytorch_training.py", case, RANKS, "f32")
    add("PyTorch DDP, 2 x 1", options.python, "bench/systems/pytorch_ranks.py", case, 1, RANKS)
  end
  return list
end

-- The parts of a step, of a system that tells them.
local function parts_of(system)
  local texts = {}
  for i, name in ipairs { "forward", "backward", "reduce", "optimizer", "gather" } do
    local value = system:ask(name)
    if not value then return "" end
    texts[i] = ("%s %.3f"):format(name, value)
  end
  return table.concat(texts, ", ")
end

return function(run)
  local rows = {}
  each_case(run, start, function(title, list)
    local results = turns(list, { { name = "step", line = "step" } }, run.options.rounds).step
    local whole = {}
    for _, system in ipairs(list) do
      local result, kind = results[system.name], system.name:match "^%w+"
      whole[kind] = whole[kind] or result.median
      rows[#rows + 1] = {
        title, system.name, ("%.3f"):format(result.median), ("%.2f"):format(whole[kind] / result.median),
        beside.number(system:ask "peak" / 2 ^ 20), system.name:find "luagpt, 2" and parts_of(system) or "",
      }
      title = ""
    end
  end)
  run.report:table({ "case", "system, processes x threads", "seconds a step", "speed beside one process",
    "peak of a process, MiB", "parts of rank 0's last step, s" }, rows)
end
