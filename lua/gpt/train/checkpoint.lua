-- Checkpoints: one safetensors file each, with the parameters by path (as layer:save_parameters writes them), the
-- optimizer's state, the losses so far, and, as JSON in its metadata, the rest of what a run is. A directory of them
-- has an index, checkpoints.json, which names those that are kept.
local configs = require "gpt.config"
local core = require "gpt.core"
local mismatch = require "gpt.support.mismatch"
local json = require "gpt.support.json"
local new_files = require "gpt.support.new_files"
local parameter_files = require "gpt.parameter_files"
local safetensors = require "gpt.safetensors"
local state = require "gpt.train.state"

local checkpoint = {}

local INDEX = "checkpoints.json"
local BEST = "best.safetensors"

local function raise(...)
  core._raise(string.format(...))
end

-- Doubles, to the last bit, as an i64 tensor.
local function pack_doubles(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = string.pack("<d", value) end
  return core.from_bytes(table.concat(parts), { #list }, "i64")
end

local function unpack_doubles(tensor)
  local bytes, list = tensor:bytes(), {}
  for i = 1, tensor:numel() do list[i] = string.unpack("<d", bytes, 8 * i - 7) end
  return list
end

local function config_of(model)
  local ok, config = pcall(function() return model.config end)
  return ok and type(config) == "table" and config or nil
end

local function metadata_of(about)
  return { format = "pt", luagpt = json.encode(about) }
end

local function read_index(dir)
  local path = dir .. "/" .. INDEX
  if not core._file_exists(path) then return { files = json.array {} } end
  local index = json.read(path)
  if not json.is_object(index) or not json.is_array(index.files) then raise("%s: not an index of checkpoints", path) end
  return index
end

--- The file of the last checkpoint in a directory, or nil.
function checkpoint.last(dir)
  local files = read_index(dir).files
  return files[#files] and dir .. "/" .. files[#files]
end

-- Forgets all but the last `keep`; returns those that are to be removed.
local function prune(files, keep)
  local removed = {}
  while #files > keep do removed[#removed + 1] = table.remove(files, 1) end
  return removed
end

--- Writes the parameters alone as best.safetensors, which layer:load_parameters reads.
-- @param dir made if absent
-- @param model
-- @param best `step` and `loss`
function checkpoint.write_best(dir, model, best)
  core._make_directory(dir)
  local about = { best = best, config = config_of(model) }
  safetensors.write(dir .. "/" .. BEST, parameter_files.items(model), metadata_of(about))
end

--- Writes the checkpoint of a run. All is whole on the disk before anything takes its name; only then the oldest ones
-- go.
-- @param dir made if absent
-- @param run `model`, `optimizer`, `losses` and `about`, a table of numbers and strings with `step`
-- @param keep how many
-- @return the file's name
function checkpoint.write(dir, run, keep)
  core._make_directory(dir)
  local name = ("step-%08d.safetensors"):format(run.about.step)
  local items = parameter_files.items(run.model)
  local about = { config = config_of(run.model) }
  for key, value in pairs(run.about) do about[key] = value end
  about.optimizer = state.take_apart(run.optimizer:state(), "optimizer", items)
  items[#items + 1] = { name = "losses", shape = { #run.losses }, dtype = "i64", tensor = pack_doubles(run.losses) }
  local index = read_index(dir)
  local list = json.array {}
  for _, other in ipairs(index.files) do
    if other < name then list[#list + 1] = other end
  end
  list[#list + 1] = name
  local removed = prune(list, keep)
  local files <close> = new_files()
  safetensors.write_into(files:add(dir .. "/" .. name), items, metadata_of(about))
  files:add(dir .. "/" .. INDEX):write(json.encode({ files = list }, 2) .. "\n")
  files:commit()
  for _, other in ipairs(removed) do os.remove(dir .. "/" .. other) end
  return dir .. "/" .. name
end

--- Removes what saves that were killed left in the directory.
function checkpoint.sweep(dir)
  core._sweep(dir)
end

--- Forgets the checkpoints of an earlier run.
function checkpoint.clear(dir)
  local files = read_index(dir).files
  os.remove(dir .. "/" .. INDEX)
  for _, name in ipairs(files) do os.remove(dir .. "/" .. name) end
  os.remove(dir .. "/" .. BEST)
end

-- A config with every key, or what a layer of one's own has under that name, as it is.
local function complete(config)
  local ok, whole = pcall(configs.check, config, "config")
  return ok and whole or config
end

-- The keys that either of two tables has, in order.
local function keys_of(a, b)
  local seen, keys = {}, {}
  for _, config in ipairs { a, b } do
    for key in pairs(config) do
      if not seen[key] then keys[#keys + 1] = key end
      seen[key] = true
    end
  end
  table.sort(keys)
  return keys
end

-- Where two configs differ in what shapes and computes: { "emb_dim 64, not 32", ... }
local function config_differences(theirs, ours)
  local list, their, our = {}, complete(theirs), complete(ours)
  for _, key in ipairs(keys_of(theirs, ours)) do
    local aside = key:find "rate" or key == "init" or type(our[key]) == "table"
    if not aside and their[key] ~= our[key] then
      list[#list + 1] = ("%s %s, not %s"):format(key, their[key], our[key])
    end
  end
  return list
end

-- Raises unless the file has the model's parameters.
local function check_architecture(path, model, opened, about)
  local ours = config_of(model)
  local lines = ours and about.config and config_differences(about.config, ours) or {}
  if #lines > 0 then raise("%s is of another architecture: it has %s", path, table.concat(lines, "; ")) end
  local found = mismatch.compare(parameter_files.items(model), opened.by_name)
  found.unexpected = {} -- the optimizer's
  local text = mismatch.text(found)
  if text then raise("%s is of another architecture:%s", path, text) end
end

local function read_about(path, opened)
  local text = opened.metadata.luagpt
  local about = text and json.decode(text, path .. ": metadata")
  if not about or not about.step or not about.optimizer or not opened.by_name.losses then
    raise("%s is not a checkpoint of gpt.train", path)
  end
  return about
end

--- Puts a checkpoint into a model and its optimizer. Nothing is changed unless all fits.
-- @param check called with about before anything is changed; may raise
-- @return about, the losses
function checkpoint.read(path, model, optimizer, check)
  local opened <close> = safetensors.open(path)
  local about = read_about(path, opened)
  check_architecture(path, model, opened, about)
  check(about)
  local function tensor_of(name)
    return safetensors.read(opened.by_name[name] or raise("%s: tensor %s is missing", path, name), false)
  end
  optimizer:load_state(state.put_together(about.optimizer, tensor_of))
  core.no_grad(function()
    for name, tensor in model:parameters() do tensor:copy(tensor_of(name)) end
  end)
  return about, unpack_doubles(tensor_of "losses")
end

return checkpoint
