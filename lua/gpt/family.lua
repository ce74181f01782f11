--- gpt.family: a model family of one's own.
-- @submodule gpt
local configs = require "gpt.config"
local core = require "gpt.core"
local families = require "gpt.families"
local fields = require "gpt.config.fields"
local kinds = require "gpt.model_files.kinds"
local validate = require "gpt.support.validate"

local function of_type(kind, expected)
  return function(value)
    if type(value) == kind then return value end
    return nil, expected
  end
end

-- Each { name, { other names }, { its keys } }.
local function presets(value)
  local fits = type(value) == "table"
  for _, preset in ipairs(fits and value or {}) do
    fits = fits and type(preset) == "table" and type(preset[1]) == "string" and type(preset[2]) == "table"
      and type(preset[3]) == "table"
  end
  if fits then return value end
  return nil, "a list of { name, { other names }, { keys } }"
end

local text, list = of_type("string", "a string"), of_type("table", "a list")
local values, fn = of_type("table", "a table"), of_type("function", "a function")

local RECIPE = {
  { "name", text }, { "title", text, optional = true }, { "defaults", values, optional = true },
  { "presets", presets, optional = true }, { "parts", fn, optional = true }, { "tensors", list },
  { "huggingface", values, optional = true }, { "gguf", values, optional = true },
}

local FORMATS = {
  huggingface = {
    { "name", text }, { "architecture", text }, { "prefix", text, optional = true }, { "keys", list },
    { "ignored", list, optional = true }, { "fixed", list, optional = true }, { "also", fn, optional = true },
    { "end_token", fn, optional = true },
  },
  gguf = {
    { "name", text }, { "prefix", text, optional = true }, { "keys", list }, { "ignored", list, optional = true },
    { "fixed", list, optional = true }, { "defaults", values, optional = true },
  },
}

local function refuse(format, ...)
  core._raise("gpt.family: " .. format:format(...))
end

local function check_fields(where, given, rules)
  local _, problems = validate.read(given, rules)
  validate.raise("gpt.family" .. where, problems)
end

local function is_paths(value)
  if type(value) == "string" then return true end
  for _, path in ipairs(type(value) == "table" and value or {}) do
    if type(path) ~= "string" then return false end
  end
  return type(value) == "table" and #value > 0
end

-- A tensor: the paths of its parameters, then its names.
local function check_tensor(i, tensor)
  if type(tensor) ~= "table" or not is_paths(tensor[1]) then
    refuse("tensors[%d]: { path or paths, Hugging Face's name, GGUF's name } expected, got %s", i,
      validate.show(type(tensor) == "table" and tensor[1] or tensor))
  end
  for column = 2, 3 do
    local name = tensor[column]
    if name and type(name) ~= "string" then
      refuse("tensors[%d]: a name or false expected, got %s", i, validate.show(name))
    end
  end
  if tensor.when ~= nil and not fields.KNOWN[tensor.when] then
    refuse("tensors[%d]: when: a key of configs expected, got %s", i, validate.show(tensor.when))
  end
end

local function names_of(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local is_key, is_kind = validate.one_of(names_of(fields.KNOWN)), validate.one_of(names_of(kinds))

-- An entry of a format's keys: a config's key, names, a kind; or functions that read and write.
local function check_key(format, i, entry)
  local where = ("%s: keys[%d]"):format(format, i)
  if type(entry) ~= "table" then refuse("%s: a table expected, got %s", where, validate.show(entry)) end
  if type(entry.read) == "function" and type(entry.write) == "function" then return end
  if not is_key(entry[1]) then refuse("%s: a key of configs expected, got %s", where, validate.show(entry[1])) end
  if not is_paths(entry[2]) then refuse("%s: a name or names expected, got %s", where, validate.show(entry[2])) end
  if not is_kind(entry[3]) then
    refuse("%s: one of the kinds %s expected, got %s", where, table.concat(names_of(kinds), ", "),
      validate.show(entry[3]))
  end
  if entry[3] == "word" and type(entry.words) ~= "table" then refuse("%s: words: a table expected", where) end
end

local function check_format(recipe, format)
  local own = recipe[format]
  if own == nil then return end
  check_fields(": " .. format, own, FORMATS[format])
  for i, entry in ipairs(own.keys) do check_key(format, i, entry) end
end

-- A name belongs to one family; a recipe may take the place of an earlier one of the user's.
local function check_names(recipe)
  local other = families.named(recipe.name)
  if other and not families.is_added(other) then refuse("name: %q is a family of luagpt's own", recipe.name) end
  local huggingface = recipe.huggingface
  other = huggingface and families.find("huggingface", huggingface.name)
  if other and other.name ~= recipe.name then
    refuse("huggingface: name: %q is what files of %s are called", huggingface.name, other.title)
  end
end

--- Adds a model family: then `gpt.load`, `model:save`, `gpt.config` and `gpt.Model` know it, as they know their own.
--
-- A recipe says what the family's files say: which of their keys is which key of a config, of what kind and with what
-- default, and what their tensors are called. docs/families.md tells of all its fields, with an example. A family whose
-- blocks a config cannot describe brings them along, as layers in Lua: `parts`.
-- @function family
-- @tparam table recipe `name`, `title` (for messages), `defaults` (of configs of the family), `presets`, `parts`, a
-- function of a config that returns parts for `gpt.Model`, `tensors`, `huggingface`, `gguf`
-- @treturn table the recipe
-- @raise if a field is missing, unknown or of another type, or if the name is that of one of luagpt's own families
-- @usage gpt.family {
--   name = "plain", defaults = { drop_rate = 0, qkv_bias = true },
--   tensors = { { "token_embedding.weight", "embedding.weight" }, { "head.weight", "head" } },
--   huggingface = {
--     name = "plain", architecture = "Plain", keys = { { "emb_dim", "hidden_size", "size", 768 } },
--   },
-- }
return function(recipe)
  if type(recipe) ~= "table" then refuse("a recipe, a table, expected, got %s", validate.show(recipe)) end
  check_fields("", recipe, RECIPE)
  for i, tensor in ipairs(recipe.tensors) do check_tensor(i, tensor) end
  for format in pairs(FORMATS) do check_format(recipe, format) end
  check_names(recipe)
  recipe.title = recipe.title or recipe.name
  families.add(recipe)
  configs.add_presets(recipe)
  return recipe
end
