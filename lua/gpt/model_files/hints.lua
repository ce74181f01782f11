-- What stands where gpt.load looks for a model, when it is none: each names the call that reads it.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local raise = require "gpt.support.raise"
local json = require "gpt.support.json"

local hints = {}

local CONVERT = "convert it once in Python: "
  .. "transformers.AutoModelForCausalLM.from_pretrained(dir).save_pretrained(dir)"
local PICKLES = { bin = true, pt = true, pth = true, ckpt = true }

--- Raises where a path is not a directory.
function hints.check_directory(path)
  local kind = core._file_kind(path)
  if not kind or kind == "a directory" then return end
  if kind ~= "a file" then raise("gpt.load: %s is %s; a model's directory is expected", path, kind) end
  local ending = path:match "%.(%w+)$"
  if ending == "safetensors" then
    raise('gpt.load: %s is a file, and a model\'s directory is expected; make the same model again, then '
      .. 'model:load_parameters "%s" reads what save_parameters or gpt.train wrote', path, path)
  end
  if PICKLES[ending] then
    raise("gpt.load: %s is a file of PyTorch's, which is read by running code in it; %s", path, CONVERT)
  end
  raise("gpt.load: %s is a file, and a model's directory or a GGUF file is expected", path)
end

--- Raises where nothing stands at a path that may be looked at: call it once the directory could be opened.
function hints.check_there(path)
  if core._file_kind(path) then return end
  raise("gpt.load: %s: no such directory or file; gpt.load reads files of this machine and downloads nothing", path)
end

local function base_of(path)
  local read, config = attempt(json.read, path)
  local base = read and type(config) == "table" and config.base_model_name_or_path
  return type(base) == "string" and json.quote(base:sub(1, 80)) or "its base model"
end

--- Raises where a directory without config.json is something else that is known.
-- @param place from core._directory
-- @string dir its name
function hints.without_config(place, dir)
  local function has(name) return select(2, place:path(name)) end
  if has "adapter_config.json" then
    raise("gpt.load: %s is an adapter's folder, not a model's: it changes %s; load that, then "
      .. 'gpt.load_adapter(model, "%s") puts the adapter on it', dir, base_of((place:path "adapter_config.json")), dir)
  end
  if has "checkpoints.json" or has "best.safetensors" then
    raise('gpt.load: %s holds checkpoints of gpt.train; make the same model again, then gpt.train { checkpoints = '
      .. '"%s", resume = true, ... } goes on, and model:load_parameters "%s/best.safetensors" reads the best weights',
      dir, dir, dir)
  end
  if has "model.safetensors" or has "model.safetensors.index.json" then return end
  if has "tokenizer.json" or has "vocab.json" or has "encoder.json" then
    raise('gpt.load: %s has a tokenizer and no model (no config.json); gpt.tokenizer "%s" reads that', dir, dir)
  end
end

--- Raises: a config.json, but no weights.
function hints.without_weights(place, dir)
  for _, name in ipairs { "pytorch_model.bin", "pytorch_model.bin.index.json" } do
    if select(2, place:path(name)) then
      raise("%s: only %s is there, which is read by running code in it; %s", dir, name, CONVERT)
    end
  end
  raise("%s: no model.safetensors and no model.safetensors.index.json there", dir)
end

return hints
