-- Models with random weights in files, made where they are missing. No data from outside is needed: luagpt and
-- llama.cpp run GGUF files without a vocabulary.
local gpt = require "gpt"

local models = {}

local QUANTISER = [[
import sys, llama_cpp
params = llama_cpp.llama_model_quantize_default_params()
params.ftype, params.pure = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_S, True
sys.exit(llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), params))
]]

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

function models.config(size)
  return gpt.config(size, { qkv_bias = true, tie_weights = true, drop_rate = 0 })
end

-- Each part takes its dtype as soon as it is made, so that even the largest model never stands in float32.
local function make(size, dtype)
  gpt.seed(1)
  return gpt.Model(models.config(size), {
    token_embedding = function(config)
      local layer = gpt.nn.Embedding(config.vocab_size, config.emb_dim)
      gpt.no_grad(function() layer.weight:copy(layer.weight * 0.02) end)
      return layer:to(dtype)
    end,
    block = function(config) return gpt.nn.TransformerBlock(config):to(dtype) end,
  })
end

-- k-types are read but not written: llama.cpp's quantiser makes them.
local function quantise(source, path, python)
  local script = os.tmpname()
  local file <close> = assert(io.open(script, "w"))
  file:write(QUANTISER)
  file:flush()
  local done = os.execute(("%s %s %s %s >/dev/null 2>&1"):format(python, script, source, path))
  os.remove(script)
  return done
end

-- A GGUF file, or nil and why there is none.
function models.file(options, size, dtype)
  local path = ("%s/%s-%s.gguf"):format(options.work, size, dtype)
  if exists(path) then return path end
  if dtype:find "_k$" then
    if quantise(models.file(options, size, "f32"), path, options.python) then return path end
    return nil, dtype .. " needs llama.cpp's quantiser"
  end
  make(size, dtype):save(path, { dtype = dtype })
  collectgarbage()
  return path
end

-- The same model as a directory in float32, for transformers.
function models.directory(options, size)
  local path = ("%s/%s"):format(options.work, size)
  if not exists(path .. "/config.json") then gpt.load(models.file(options, size, "f32")):save(path) end
  return path
end

return models
