-- Checkpoints: one safetensors file each, with the parameters by path (as layer:save_parameters writes them), the
-- optimizer's state, the losses so far, and, as JSON in its metadata, the rest of what a run is. A directory of them
-- has an index, checkpoints.json, which names those that are kept.
local attempt = require "gpt.support.attempt"
local configs = require "gpt.config"
local fields = require "gpt.config.fields"
local core = require "gpt.core"
local mismatch = require "gpt.support.mismatch"
local json = require "gpt.support.json"
local parameter_files = require "gpt.parameter_files"
local safetensors = require "gpt.safetensors"
local state = require "gpt.train.state"
local neutral = require "gpt.support.neutral"
local raise = require "gpt.support.raise"
local same = require "gpt.support.same"
local validate = require "gpt.support.validate"

local checkpoint = {}

local INDEX = "checkpoints.json"
local BEST = "best.safetensors"

local show_config = require "gpt.config.show"
local show = validate.show

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
  local ok, config = attempt(function() return model.config end)
  return ok and type(config) == "table" and config or nil
end

local function metadata_of(about)
  return { format = "pt", luagpt = json.encode(about) }
end

local function path_of(dir, name) return dir .. "/" .. name end

local function name_of(step) return ("step-%08d.safetensors"):format(step) end

-- The step of a checkpoint's name, nil where it is none of ours: names in an index may come from elsewhere.
local function step_of(name)
  local digits = type(name) == "string" and name:match "^step%-(%d%d%d%d%d%d%d%d+)%.safetensors$"
  local step = digits and math.tointeger(tonumber(digits))
  return step and name_of(step) == name and step or nil
end

-- `seen`: the names so far; one that is kept twice, or kept and removed, would lose its file.
local function check_names(path, key, list, seen)
  if not json.is_array(list) then raise("%s: %s: a list of files' names expected, got %s", path, key, show(list)) end
  for i, name in ipairs(list) do
    if not step_of(name) and name ~= BEST then
      raise("%s: %s[%d]: a name like %s expected, got %s", path, key, i, name_of(1), show(name))
    end
    if seen[name] then raise("%s: %s[%d]: %s comes twice", path, key, i, show(name)) end
    seen[name] = true
  end
  return list
end

-- The index: `files`, the checkpoints that are kept, and `removing`, those that are no longer and go.
local function read_index(dir)
  local place <close> = core._directory(dir)
  local path, there = place:path(INDEX)
  if not there then return { files = json.array {}, removing = {} } end
  local index = json.read(path)
  if not json.is_object(index) then raise("%s: not an index of checkpoints, which is an object", path) end
  local seen = {}
  local files = check_names(path, "files", index.files, seen)
  local removing = index.removing == nil and {} or check_names(path, "removing", index.removing, seen)
  return { files = files, removing = removing, there = true }
end

local function add_index(set, files, removing)
  local index = { files = files, removing = #removing > 0 and json.array(removing) or nil }
  set:add(INDEX):write(json.encode(index, 2) .. "\n")
end

local function remove_all(dir, names)
  for _, name in ipairs(names) do core._remove_file(path_of(dir, name)) end
end

--- The file of a step's checkpoint.
function checkpoint.path(dir, step) return path_of(dir, name_of(step)) end

--- The file of the last checkpoint in a directory, or nil.
function checkpoint.last(dir)
  local files = read_index(dir).files
  return files[#files] and path_of(dir, files[#files])
end

-- The checkpoints that stay with a new one, and those that go.
local function with_new(index, step, keep)
  local files = {}
  for _, name in ipairs(index.files) do
    if step_of(name) and step_of(name) < step then files[#files + 1] = name end
  end
  files[#files + 1] = name_of(step)
  local gone = math.max(0, #files - keep)
  return json.array(table.move(files, gone + 1, #files, 1, {})), table.move(files, 1, gone, 1, {})
end

--- Writes the parameters alone as best.safetensors, which layer:load_parameters reads.
-- @param dir made if absent
-- @param model
-- @param best `step` and `loss`
function checkpoint.write_best(dir, model, best)
  core._make_directory(dir)
  local about = { best = best, config = config_of(model) }
  safetensors.write(path_of(dir, BEST), parameter_files.items(model), metadata_of(about))
end

-- What the checkpoint of a run holds: tensors, and the text of the rest.
local function contents_of(run, whole)
  local items = parameter_files.items(run.model)
  local about = { config = config_of(run.model) }
  for key, value in pairs(run.about) do about[key] = value end
  about.optimizer = state.take_apart(run.optimizer:state(), "optimizer", items, whole)
  items[#items + 1] = { name = "losses", shape = { #run.losses }, dtype = "i64", tensor = pack_doubles(run.losses) }
  return items, metadata_of(about)
end

--- Writes the checkpoint of a run. It and the index change together; the oldest ones go after that, and a kill before
-- they are gone leaves their names in the index, for the next run.
-- @param dir made if absent
-- @param run `model`, `optimizer`, `losses` and `about`, a table of numbers and strings with `step`
-- @param keep how many
-- @param whole makes whole tensors of the optimizer's shares, for a run of several ranks (see state.take_apart)
-- @return the file's name
function checkpoint.write(dir, run, keep, whole)
  core._make_directory(dir)
  local set <close> = core._file_set(dir)
  local files, removed = with_new(read_index(dir), run.about.step, keep)
  local name = files[#files]
  safetensors.write_into(set:add(name), contents_of(run, whole))
  add_index(set, files, removed)
  set:commit()
  remove_all(dir, removed)
  return path_of(dir, name)
end

--- What the other ranks of a run do while one writes: give their shares, in the order of the file.
function checkpoint.give(run, whole)
  for _, item in ipairs((contents_of(run, whole))) do
    if item.make then item.make() end
  end
end

--- Finishes, or removes, what saves that were killed left in the directory.
function checkpoint.tidy(dir)
  core._file_set(dir):close()
  remove_all(dir, read_index(dir).removing)
end

--- Forgets the checkpoints of an earlier run. Killed in between, what is left goes at the next run.
function checkpoint.clear(dir)
  local index = read_index(dir)
  local names = table.move(index.files, 1, #index.files, 2, { BEST })
  if index.there then
    local set <close> = core._file_set(dir)
    add_index(set, json.array {}, names)
    set:commit()
  end
  remove_all(dir, names)
  core._remove_file(path_of(dir, INDEX))
end

-- A config with every key, or what a layer of one's own has under that name, as it is.
local function complete(config)
  local ok, whole = attempt(configs.check, config, "config")
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
  neutral.sort(keys)
  return keys
end

-- A setting: words as they are, of all else what it is.
local function shown(value)
  if type(value) == "table" then return show_config.value(value) end
  return type(value) == "string" and value:find "^[%w_]+$" and value:sub(1, 40) or show(value)
end

-- Where two configs differ in what shapes and computes: { "emb_dim 64, not 32", ... }
local function config_differences(theirs, ours)
  local list, their, our = {}, complete(theirs), complete(ours)
  for _, key in ipairs(keys_of(theirs, ours)) do
    local a, b = rawget(their, key), rawget(our, key)
    local aside = key:find "rate" or key == "init" or type(b) == "table" and not fields.KNOWN[key]
    if not aside and not same(a, b) then list[#list + 1] = ("%s %s, not %s"):format(shown(key), shown(a), shown(b))
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

local function is_count(value) return math.type(value) == "integer" and value >= 0 end
local function is_number(value) return type(value) == "number" end
local function is_text(value) return type(value) == "string" end
local function is_scored(value) return json.is_object(value) and is_count(value.step) and is_number(value.loss) end

local function are_scored(value)
  if not json.is_array(value) then return false end
  for _, item in ipairs(value) do
    if not is_scored(item) then return false end
  end
  return true
end

-- What the metadata say of a run: each with what it has to be.
local FIELDS = {
  { "step", is_count, "a whole number" }, { "position", is_count, "a whole number" },
  { "tokens", is_count, "a whole number" }, { "seconds", is_number, "a number" }, { "random", is_text, "a text" },
  { "order", json.is_object, "an object" }, { "optimizer", json.is_object, "an object" },
  { "evaluations", are_scored, "a list of objects with step and loss" },
  { "best", is_scored, "an object with step and loss", optional = true },
  { "config", json.is_object, "an object", optional = true }, { "seed", is_count, "a whole number", optional = true },
}

local function check_fields(path, about)
  for _, field in ipairs(FIELDS) do
    local name, fits, expected = table.unpack(field)
    local value = about[name]
    if not fits(value) and not (field.optional and value == nil) then
      raise("%s: metadata: %s: %s expected, got %s", path, name, expected, show(value))
    end
  end
end

local function check_losses(path, entry, step)
  if entry.dtype == "I64" and #entry.shape == 1 and entry.shape[1] == step then return end
  raise("%s: losses: I64 [%d] expected, one for each step, got %s [%s]", path, step, entry.dtype,
    table.concat(entry.shape, ", "))
end

local function read_about(path, opened)
  local text = opened.metadata.luagpt
  local about = text and json.decode(text, path .. ": metadata")
  if not json.is_object(about) or about.step == nil or not opened.by_name.losses then
    raise("%s is not a checkpoint of gpt.train", path)
  end
  check_fields(path, about)
  check_losses(path, opened.by_name.losses, about.step)
  return about
end

local function load_optimizer(path, optimizer, saved)
  local done, problem = attempt(optimizer.load_state, optimizer, saved)
  if done then return end
  if type(problem) ~= "string" then error(problem, 0) end
  raise("%s: the optimizer's state does not fit: %s", path, (problem:gsub("^.-:%d+: ", "")))
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
    local entry = type(name) == "string" and opened.by_name[name]
    return safetensors.read(entry or raise("%s: tensor %s is missing", path, show(name)), true)
  end
  local saved, losses = state.put_together(about.optimizer, tensor_of, path), unpack_doubles(tensor_of "losses")
  local tensors, sources = {}, {}
  for name, tensor in model:parameters() do tensors[#tensors + 1], sources[#sources + 1] = tensor, tensor_of(name) end
  load_optimizer(path, optimizer, saved) -- the run's own: of a run that does not begin nothing is seen
  core.no_grad(core._copy_all, tensors, sources)
  return about, losses
end

return checkpoint
