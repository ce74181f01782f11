-- One thread and two.
local beside = require "beside"
local cases = require "cases"

local function cases_of(config, dtype)
  return { cases.decode(config, dtype, 24, 4), cases.prompt(config, dtype, 512) }
end

return function(run, size)
  local decoding, prompts = {}, {}
  local threads = run.options.threads
  for _, dtype in ipairs { "f32", "q4_0" } do
    for count = 1, 2 do
      run.options.threads = count
      local results = assert(beside.measure(run, size, dtype, cases_of))
      local name = ("%s, %d"):format(dtype, count)
      decoding[#decoding + 1], prompts[#prompts + 1] = { name, results.decode_4 }, { name, results.prompt_512 }
    end
  end
  run.options.threads = threads
  run.report:text "Decoding, tokens/s:"
  beside.table(run, "weights, threads", "plain read", decoding)
  run.report:text "A prompt of 512, tokens/s:"
  beside.table(run, "weights, threads", "OpenBLAS, f32", prompts)
end
