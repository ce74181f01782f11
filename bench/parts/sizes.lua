-- Models of 124M to 1.5B in q4_0: rates, and the memory of generating 256 tokens.
local System = require "system"
local beside = require "beside"
local cases = require "cases"
local models = require "models"

local SIZES, DTYPE = { "gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl" }, "q4_0"
local NAMES = { luagpt = true, ["llama.cpp"] = true }

local function cases_of(config, dtype)
  return { cases.decode(config, dtype, 16, 16), cases.prompt(config, dtype, 256) }
end

-- The peak of a process that loads the file and generates 256 tokens, in bytes.
local function peak_of(run, file)
  local command = { "lua5.4", "bench/systems/luagpt.lua", file, run.options.threads }
  local system = System.start("luagpt", command, run.options.work)
  system:ask "decode 256 4"
  local peak = system:ask "peak"
  system:close()
  return peak
end

return function(run)
  local decoding, prompts, memory = {}, {}, {}
  for i, size in ipairs(SIZES) do
    local results = assert(beside.measure(run, size, DTYPE, cases_of, NAMES))
    decoding[i], prompts[i] = { size, results.decode_16 }, { size, results.prompt_256 }
    local path = models.file(run.options, size, DTYPE)
    local file <close> = assert(io.open(path))
    memory[i] = { size, ("%.0f"):format(file:seek "end" / 1e6), ("%.0f"):format(peak_of(run, path) / 1e6) }
  end
  run.report:text("Decoding after 16 tokens, %s, tokens/s:", DTYPE)
  beside.table(run, "model", "plain read", decoding)
  run.report:text("A prompt of 256, %s, tokens/s:", DTYPE)
  beside.table(run, "model", "OpenBLAS, f32", prompts)
  run.report:text "Peak memory of luagpt, which loads the file and generates 256 tokens:"
  run.report:table({ "model", "file, MB", "peak, MB" }, memory)
end
