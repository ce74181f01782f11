-- A GGUF file as llama.cpp's tools write it.
local build = require "gpt.model_files.build"
local core = require "gpt.core"
local families = require "gpt.families"
local fit = require "gpt.model_files.fit"
local layout = require "gpt.model_files.layout"
local model_config = require "gpt.gguf.config"
local room = require "gpt.model_files.room"
local validate = require "gpt.support.validate"

local ARCHITECTURE = "general.architecture"

-- What the file says for us alone goes before what it says for all.
local function family_of(file)
  local name = file:value(ARCHITECTURE)
  local own = families.named(file:value "luagpt.family")
  if own and own.gguf and own.gguf.name == name then return own end
  if name == nil then core._raise(("%s: %s is missing, so this is no model"):format(file.path, ARCHITECTURE)) end
  local family = families.find("gguf", name)
  if family then return family end
  core._raise(("%s: %s is %s; what is implemented: %s"):format(file.path, ARCHITECTURE, validate.show(name),
    families.names "gguf"))
end

-- The tensors by name, and their shapes.
local function entries_of(file)
  local by_name, shapes = {}, {}
  for _, entry in ipairs(file:tensors()) do by_name[entry.name], shapes[entry.name] = entry, entry.shape end
  return by_name, shapes
end

local function reader(file, entries, options)
  return function(item)
    local entry = entries[item.name]
    if not entry then return core.zeros(item.shape) end
    return file:tensor(entry.number, build.wants_view(item, options))
  end
end

local function is_zero(tensor)
  return tensor:numel() == 0 or core.no_grad(function() return tensor:float():abs():max():item() == 0 end)
end

-- What tells of the config: metadata, shapes, and the numbers of some tensors.
local function facts_of(file, entries, shapes)
  local function tensor(name) return entries[name] and file:tensor(entries[name].number, true) end
  return {
    shapes = shapes, value = function(key) return file:value(key) end,
    numbers = function(name) return entries[name] and tensor(name):float():totable() end,
    is_zero = function(_, name) return is_zero(tensor(name)) end,
  }
end

local function has_tokenizer(file)
  local kind = file:value "tokenizer.ggml.model"
  return kind ~= nil and kind ~= "none"
end

local function load_template(file)
  local template = file:value "tokenizer.chat_template"
  return type(template) == "string" and template or nil
end

-- @string path
-- @tparam table options `map`, `tokenizer`, `strict`
-- @treturn Model
-- @treturn Tokenizer or nil
return function(path, options)
  local file <close> = core._gguf_open(path)
  local family = family_of(file)
  local entries, file_shapes = entries_of(file)
  local config = model_config.read(path, family, facts_of(file, entries, file_shapes))
  local model = build.empty(config)
  local shapes = layout.shapes(model)
  local list = layout.of(family, config, "gguf", shapes, entries)
  build.check_places(path, family, layout.unplaced(list, shapes))
  local needed = layout.without_ignored(family, "gguf", entries)
  fit(path .. ": the tensors do not fit the metadata", list, needed, options.strict)
  room.check(path, list, shapes, function(name) return entries[name] and entries[name].encoding end, options)
  room.guard(path, shapes, build.fill, model, list, shapes, config, reader(file, entries, options))
  if options.tokenizer and has_tokenizer(file) then
    build.bring_tokenizer(model, build.tokenizer(file.tokenizer, file))
  end
  build.bring_template(model, load_template(file))
  return model:eval(), model.tokenizer
end
