-- Decoding after, and prompts of, 16 to 1,000 tokens.
local beside = require "beside"
local cases = require "cases"

local LENGTHS, TOKENS = { 16, 64, 256, 512, 768, 1000 }, 16
local NAMES = { luagpt = true, ["f16 cache"] = true, ["llama.cpp"] = true, PyTorch = true }

local function cases_of(config, dtype)
  local list = {}
  for _, length in ipairs(LENGTHS) do
    list[#list + 1] = cases.decode(config, dtype, TOKENS, length)
    list[#list + 1] = cases.prompt(config, dtype, length)
  end
  return list
end

local function show(run, results, dtype, title, kind, bound)
  local rows = {}
  for i, length in ipairs(LENGTHS) do rows[i] = { length, results[kind .. "_" .. length] } end
  run.report:text("%s, %s, tokens/s:", title, dtype)
  beside.table(run, "tokens", bound, rows)
  run.report:chart(("%s_%s"):format(kind, dtype), { title = ("%s, %s"):format(title, dtype), x_label = "tokens",
    y_label = "tokens/s", series = beside.series(rows, { "luagpt", "f16 cache", "llama.cpp", "PyTorch" }) })
end

return function(run, size)
  for _, dtype in ipairs { "f32", "q4_0" } do
    local results = assert(beside.measure(run, size, dtype, cases_of, NAMES))
    show(run, results, dtype, "Decoding after a context", "decode", "plain read of the weights")
    show(run, results, dtype, "A prompt", "prompt", "OpenBLAS, f32")
  end
end
