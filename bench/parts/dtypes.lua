-- Every dtype: decoding one stream, a prompt, many streams.
local beside = require "beside"
local cases = require "cases"
local shapes = require "shapes"
local models = require "models"

local PROMPT, CONTEXT, TOKENS, STREAMS = 512, 4, 32, { 8, 32 }

local NAMES = { luagpt = true, packed = true, ["llama.cpp"] = true, PyTorch = true }

local function cases_of(config, dtype)
  local list = { cases.decode(config, dtype, TOKENS, CONTEXT), cases.prompt(config, dtype, PROMPT) }
  for _, count in ipairs(STREAMS) do list[#list + 1] = cases.streams(config, dtype, count, 64 // count + 4) end
  return list
end

local function bits(config, dtype)
  return 8 * shapes.bytes(config, dtype) / (shapes.bytes(config, "f32") / 4)
end

return function(run, size)
  local rows, points = {}, {}
  local config = models.config(size)
  for _, dtype in ipairs(run.options.dtypes) do
    local results, why = beside.measure(run, size, dtype, cases_of, NAMES)
    if not results then io.stderr:write(why, "\n")
    else
      rows[#rows + 1] = { dtype, results }
      points[#points + 1] = { bits(config, dtype), results["decode_" .. CONTEXT] }
    end
  end
  local function show(title, case, bound)
    local list = {}
    for i, row in ipairs(rows) do list[i] = { row[1], row[2][case] } end
    run.report:text("%s, tokens/s:", title)
    beside.table(run, "weights", bound, list)
  end
  show("Decoding, one stream", "decode_" .. CONTEXT, "plain read")
  show(("A prompt of %d"):format(PROMPT), "prompt_" .. PROMPT, "OpenBLAS, f32")
  for _, count in ipairs(STREAMS) do show(count .. " streams together", "streams_" .. count, "plain read") end
  table.sort(points, function(a, b) return a[1] < b[1] end)
  run.report:chart("decoding", { title = "Decoding, tokens a second", x_label = "bits of a weight",
    y_label = "tokens/s", x_scale = "log", y_scale = "log", series = beside.series(points) })
end
