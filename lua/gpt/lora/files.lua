--- Adapters in the files of PEFT: model:save_adapter and gpt.load_adapter.
-- @submodule gpt
local configs = require "gpt.lora.adapter_config"
local core = require "gpt.core"
local families = require "gpt.families"
local layout = require "gpt.model_files.layout"
local lora = require "gpt.lora"
local methods = require "gpt.support.methods"
local mismatch = require "gpt.support.mismatch"
local modules = require "gpt.lora.modules"
local name_list = require "gpt.support.name_list"
local places = require "gpt.lora.places"
local safetensors = require "gpt.safetensors"
local validate = require "gpt.support.validate"

local files = {}

local CONFIG, WEIGHTS, PREFIX = "adapter_config.json", "adapter_model.safetensors", "base_model.model."

local function family_of(who, model)
  if core._typename(model) == "gpt.Layer" and core._is_model(model) then return families.of(model.config) end
  core._raise(("%s: a Model expected, got %s; layer:save_parameters writes any layer's parameters"):format(who,
    core._typename(model) == "gpt.Layer" and "a " .. core._kind(model) or validate.show(model)))
end

local function check_directory(who, dir)
  if type(dir) == "string" and dir ~= "" then return end
  core._raise(("%s: the name of a directory expected, got %s"):format(who, validate.show(dir)))
end

-- The modules that have an adapter of that name, each with its `a` and `b`, `rank` and `scale`.
local function adapted(list, name)
  local found = {}
  for _, module in ipairs(list) do
    local adapters = {}
    for i, place in ipairs(module.places) do adapters[i] = places.adapter(place.layer, name) end
    if next(adapters) then
      local a, b, rank, scale = modules.joined(module, adapters)
      local dropout = select(3, core._adapter_options(select(2, next(adapters))))
      found[#found + 1] = { module = module, a = a, b = b, rank = rank, scale = scale, dropout = dropout }
    end
  end
  return found
end

local function check_all_found(model, list, name)
  local known, others = {}, {}
  for _, module in ipairs(list) do
    for _, place in ipairs(module.places) do known[place.path] = true end
  end
  for _, place in ipairs(places.find(model)) do
    if places.adapter(place.layer, name) and not known[place.path] then others[#others + 1] = place.path end
  end
  if #others > 0 then
    core._raise("save_adapter: PEFT's files have no name for these layers: " .. name_list.line(others))
  end
end

local function items_of(found)
  local items = {}
  for _, each in ipairs(found) do
    for _, part in ipairs { { "lora_A", each.a }, { "lora_B", each.b } } do
      local name = ("%s%s.%s.weight"):format(PREFIX, each.module.name, part[1])
      items[#items + 1] = { name = name, shape = part[2]:shape(), tensor = part[2]:detach():contiguous() }
    end
  end
  return items
end

local function chosen_adapter(model, name)
  local names, active = lora.adapters(model)
  if name == nil and active then return active end
  for _, each in ipairs(names) do
    if each == name then return name end
  end
  if #names == 0 then core._raise "save_adapter: there is no adapter; gpt.lora makes one" end
  local said = name == nil and "none is in use" or "there is none called " .. validate.show(name)
  core._raise(("save_adapter: %s; there is %s"):format(said, name_list.line(names)))
end

--- Writes an adapter alone, in the files of PEFT: adapter_config.json and adapter_model.safetensors. PEFT loads them
-- over the model that `model:save` writes as a Hugging Face directory.
--
-- Where that model has one projection for query, key and value, as GPT-2's has, their adapters are written as one: its
-- rank is the sum of theirs.
-- @function Model:save_adapter
-- @string dir made if absent
-- @tparam[opt] string name the adapter; without it the one in use
-- @raise if there is no adapter, or if a file cannot be written
-- @usage gpt.lora(model)
-- model:save_adapter "my-adapter"
function files.save_adapter(model, dir, name)
  local family = family_of("save_adapter", model)
  check_directory("save_adapter", dir)
  name = chosen_adapter(model, name)
  local list = modules.of(model, family)
  check_all_found(model, list, name)
  local found = core.no_grad(adapted, list, name)
  core._make_directory(dir)
  local set <close> = core._file_set(dir)
  safetensors.write_into(set:add(WEIGHTS), items_of(found))
  set:add(CONFIG):write(configs.encode(list, found))
  set:commit()
end

-- place: from core._directory, so that both files are of one save
local function file_of(place, dir, name)
  local path, there = place:path(name)
  if there then return path end
  core._raise(("gpt.load_adapter: %s: no %s there%s"):format(dir, name, name == WEIGHTS
    and core._file_exists(dir .. "/adapter_model.bin")
    and " (adapter_model.bin is read by running code in it; save it again as safetensors)" or ""))
end

-- What the file has, by module: entries `lora_A` and `lora_B`.
local function entries_of(opened, family)
  local found = {}
  for _, entry in ipairs(opened.entries) do
    local name, part = entry.name:match "^base_model%.model%.(.+)%.(lora_[AB])%.weight$"
    if not name then
      core._raise(("%s: tensor %s: only lora_A and lora_B of Linear layers are implemented"):format(opened.path,
        name_list.line { entry.name }))
    end
    name = layout.bare(family, "huggingface", name)
    found[name] = found[name] or {}
    found[name][part] = entry
  end
  return found
end

-- All that does not fit the model comes in one error.
local function check_fit(path, list, found, family)
  local wanted, there = {}, {}
  for name, entries in pairs(found) do
    for part, entry in pairs(entries) do there[("%s.%s"):format(name, part)] = entry end
  end
  for _, module in ipairs(list) do
    local name = layout.bare(family, "huggingface", module.name)
    local entries = found[name]
    if entries then
      local inputs, outputs = modules.size(module)
      local rank = (entries.lora_A or entries.lora_B).shape[entries.lora_A and 1 or 2] or "rank" -- no matrix
      wanted[#wanted + 1] = { name = name .. ".lora_A", shape = { rank, inputs } }
      wanted[#wanted + 1] = { name = name .. ".lora_B", shape = { outputs, rank } }
    end
  end
  local text = mismatch.text(mismatch.compare(wanted, there))
  if text then core._raise(("gpt.load_adapter: %s is for another model%s"):format(path, text)) end
  if #wanted == 0 then core._raise(("gpt.load_adapter: %s holds no adapter"):format(path)) end
end

-- Puts a module's tensors into the adapters of its parts: they share a, and have each their rows of b.
local function fill(parts, a, b)
  local first = 1
  for _, part in ipairs(parts) do
    local rows = part.b:size(1)
    core._set_parameter(part, "a", a)
    core._set_parameter(part, "b", b:narrow(1, first, rows):clone())
    first = first + rows
  end
end

local function floats(entry) return safetensors.read(entry, false):float() end

local function add(model, list, found, config, name, family)
  local chosen, module_of = {}, {}
  for _, module in ipairs(list) do
    module.entries = found[layout.bare(family, "huggingface", module.name)]
    for _, place in ipairs(module.entries and module.places or {}) do
      chosen[#chosen + 1], module_of[place] = place, module
    end
  end
  local function options_of(place)
    local module = module_of[place]
    local rank = module.entries.lora_A.shape[1]
    return rank, config:scale(module.name, rank) * rank, config.dropout, false
  end
  lora.add(model, chosen, name, options_of, function(adapters)
    local parts = {}
    for i, place in ipairs(chosen) do
      local module = module_of[place]
      parts[module] = parts[module] or {}
      table.insert(parts[module], adapters[i])
    end
    for module, own in pairs(parts) do fill(own, floats(module.entries.lora_A), floats(module.entries.lora_B)) end
  end)
end

--- Loads an adapter from the files of PEFT, puts it on a model and uses it, as `gpt.lora` does with a new one.
--
-- Where the files have one adapter for a projection that is query, key and value here, as for GPT-2, the three share
-- its `a` and have each their rows of its `b`.
-- @function load_adapter
-- @tparam Model model
-- @string dir with adapter_config.json and adapter_model.safetensors
-- @tparam[opt] string name ("default") for `model:use_adapter`
-- @treturn Model the model itself
-- @raise if a file is missing or not valid, if the adapter is for another model, or of a kind that is not implemented
-- (DoRA, changed embeddings or biases), or if the model has an adapter of that name
-- @usage gpt.lora(model)
-- model:save_adapter "my-adapter"
-- gpt.load_adapter(model, "my-adapter", "again")
-- print(model:adapters())
function files.load_adapter(model, dir, name)
  local family = family_of("gpt.load_adapter", model)
  check_directory("gpt.load_adapter", dir)
  name = lora.check_new_name("gpt.load_adapter", model, name or "default")
  local place <close> = core._directory(dir)
  local config = configs.read(file_of(place, dir, CONFIG))
  local opened <close> = safetensors.open(file_of(place, dir, WEIGHTS))
  place:close()
  local list, found = modules.of(model, family), entries_of(opened, family)
  check_fit(opened.path, list, found, family)
  add(model, list, found, config, name, family)
  return model
end

core._layer_methods.save_adapter = methods.of_layers("save_adapter", files.save_adapter)

return files
