-- Models of one's own over a text: what rounding costs a real one. Where a file has blocks of few bits, other blocks of
-- few bits made of those would say nothing of the format: values that lie on one grid meet the worst of another.
local gpt = require "gpt"
local rounding = require "rounding"

local KINDS = { { "f32" }, { "as in the file" }, { "bf16" }, { "f16" }, { "q8_0" } }
local CONTEXT, STRIDE, BYTES = 512, 256, 12000

local function text_of(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read(BYTES)
end

return function(run)
  if #run.options.files == 0 then return run.report:text "None was given: --files a.gguf,b.gguf" end
  local text = text_of(run.options.text)
  for _, file in ipairs(run.options.files) do
    local rows = rounding(file, KINDS, function(model)
      return gpt.perplexity(model, text, { context_length = CONTEXT, stride = STRIDE }).perplexity
    end)
    run.report:text("Perplexity of %s over the first %d bytes of %s:", file:match "[^/]+$", #text, run.options.text)
    run.report:table({ "weights", "perplexity", "beside f32" }, rows)
  end
end
