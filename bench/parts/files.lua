-- Models of one's own: GGUF files that luagpt and llama.cpp read, of any family.
local beside = require "beside"
local gpt = require "gpt"
local systems = require "systems"
local turns = require "turns"

local TOKENS, CONTEXT, PROMPT = 32, 16, 512

-- What a token reads, and what a prompt multiplies: all matrices but an embedding that is not the head too, which is
-- looked up. The head is multiplied for the last token alone.
local function bounds_of(file)
  local tensors, bytes, products = gpt.read_gguf(file).tensors, 0, {}
  local head = tensors["output.weight"] and "output.weight" or "token_embd.weight"
  for name, tensor in pairs(tensors) do
    if tensor:dim() == 2 and (name == head or not name:find "_embd") then
      local rows, columns = tensor:size(1), tensor:size(2)
      bytes = bytes + #tensor:bytes()
      products[#products + 1] = ("%d,%d,%d,1"):format(name == head and 1 or PROMPT, rows, columns)
    end
  end
  return ("read %d"):format(bytes), "products " .. table.concat(products, " ")
end

local function cases_of(file)
  local read, products = bounds_of(file)
  return {
    { name = "decode", line = ("decode %d %d"):format(TOKENS, CONTEXT), lines = { bound = read },
      convert = { bound = function(seconds) return 1 / seconds end } },
    { name = "prompt", line = "prompt " .. PROMPT, lines = { bound = products },
      convert = { bound = function(seconds) return PROMPT / seconds end } },
  }
end

return function(run)
  local decoding, prompts = {}, {}
  for _, file in ipairs(run.options.files) do
    local list = systems.start(run.options, nil, nil, file, { luagpt = true, ["llama.cpp"] = true })
    local results = turns(list, cases_of(file), run.options.rounds)
    for _, system in ipairs(list) do system:close() end
    local name = file:match "[^/]+$"
    decoding[#decoding + 1], prompts[#prompts + 1] = { name, results.decode }, { name, results.prompt }
  end
  if #decoding == 0 then return run.report:text "None was given: --files a.gguf,b.gguf" end
  run.report:text "Decoding, tokens/s:"
  beside.table(run, "file", "plain read", decoding)
  run.report:text("A prompt of %d, tokens/s:", PROMPT)
  beside.table(run, "file", "OpenBLAS, f32", prompts)
end
