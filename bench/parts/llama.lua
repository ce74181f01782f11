-- A Llama of 125M parameters in float32: blocks of the core beside the same blocks written in Lua, and a training step
-- beside transformers'.
local System = require "system"
local beside = require "beside"
local systems = require "systems"
local turns = require "turns"

local CASES = {
  { name = "decode", lines = { ["luagpt"] = "decode 32 16", ["blocks in Lua"] = "decode 32 16" } },
  { name = "step", line = "step 4 256" },
}

local function start(options)
  local list = {
    System.start("luagpt", { "lua5.4", "bench/systems/luagpt_llama.lua", "native", options.threads }, options.work),
    System.start("blocks in Lua", { "lua5.4", "bench/systems/luagpt_llama.lua", "lua", options.threads }, options.work),
  }
  if systems.has(options, "torch, transformers") then
    local command = { options.python, "bench/systems/pytorch_llama.py", options.threads }
    list[3] = System.start("PyTorch", command, options.work)
  end
  return list
end

return function(run)
  local list, rows = start(run.options), {}
  local results = turns(list, CASES, run.options.rounds)
  for i, system in ipairs(list) do
    local decode, step = results.decode[system.name], results.step[system.name]
    rows[i] = { system.name, beside.number(decode and decode.median), step and ("%.2f"):format(step.median) or "" }
    system:close()
  end
  run.report:table({ "", "decoding, tokens/s", "a step of 4 x 256 tokens, s" }, rows)
end
