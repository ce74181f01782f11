-- Low-rank adapters of rank 8 beside every Linear layer of a model's blocks: luagpt over the weights as they are in a
-- GGUF file, peft over the same model in float32; blocks are run again in the backward pass.
local System = require "system"
local beside = require "beside"
local gpt = require "gpt"
local systems = require "systems"
local turns = require "turns"

local STEP = { { name = "step", line = "step 4 256" } }

-- The file's model in float32, as transformers reads it.
local function dequantised(options, file)
  local directory = options.work .. "/adapters"
  local model <const> = gpt.load(file, { dtype = "f32", tokenizer = false })
  model:save(directory)
  return directory
end

local function start(options, file)
  local command = { "lua5.4", "bench/systems/luagpt_adapters.lua", file, options.threads }
  local list = { System.start("luagpt", command, options.work) }
  if systems.has(options, "torch, transformers, peft") then
    command = { options.python, "bench/systems/peft_adapters.py", dequantised(options, file), options.threads }
    list[2] = System.start("peft", command, options.work)
  end
  return list
end

local function add_rows(run, file, rows)
  local list, name = start(run.options, file), file:match "[^/]+$"
  local results = turns(list, STEP, run.options.rounds)
  for _, system in ipairs(list) do
    local step = results.step[system.name]
    local busy, peak, loss = system:ask "busy", system:ask "peak", system:ask "loss"
    rows[#rows + 1] = { name, system.name, step and ("%.2f"):format(step.median) or "", ("%.2f"):format(busy),
      beside.number(peak / 2 ^ 20), ("%.4f"):format(loss) }
    system:close()
  end
end

return function(run)
  local rows = {}
  for _, file in ipairs(run.options.files) do add_rows(run, file, rows) end
  if #rows == 0 then return run.report:text "None was given: --files a.gguf,b.gguf" end
  run.report:table({ "file", "system", "4 x 256 tokens, s", "processors' seconds", "peak, MiB", "loss" }, rows)
end
