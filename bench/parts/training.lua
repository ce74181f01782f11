-- One training step (loss, gradients, AdamW), in float32 and in bf16.
local System = require "system"
local beside = require "beside"
local each_case = require "training_cases"
local systems = require "systems"
local turns = require "turns"

local STEPS = { { name = "products", lines = { bound = "products" } }, { name = "pass", lines = { bound = "pass" } },
  { name = "step", line = "step" } }

local function start(options, case)
  local list = { systems.bound(options, "training_bound", case, options.threads) }
  local function add(name, ...)
    list[#list + 1] = System.start(name, { ... }, options.work)
  end
  for _, way in ipairs { "f32", "bf16" } do
    add("luagpt " .. way, "lua5.4", "bench/systems/luagpt_training.lua", case, options.threads, way)
  end
  if systems.has(options, "torch") then
    local ways = { "f32", "bf16" }
    if options.compile ~= "" then ways[3] = "compile" end
    for _, way in ipairs(ways) do
      add("PyTorch " .. way, options.python, "bench/systems/pytorch_training.py", case, options.threads, way)
    end
  end
  return list
end

local function seconds(value) return ("%.2f"):format(value) end

local function rows_of(title, list, results, rows)
  local bound = results.products.bound.median + results.pass.bound.median
  rows[#rows + 1] = { title, "OpenBLAS's products + a pass", ("%s + %s"):format(seconds(results.products.bound.median),
    seconds(results.pass.bound.median)), "", "" }
  for _, system in ipairs(list) do
    local result = results.step[system.name]
    if result then
      rows[#rows + 1] = { "", system.name, seconds(result.median), ("%.2f"):format(bound / result.median),
        beside.number(system:ask "peak" / 2 ^ 20) }
    end
  end
end

return function(run)
  local rows = {}
  each_case(run, start, function(title, list)
    rows_of(title, list, turns(list, STEPS, run.options.rounds), rows)
  end)
  run.report:table({ "case", "system", "seconds a step", "bound / that", "peak, MiB" }, rows)
end
