-- The model families. Each is one table, a recipe: a file of lua/gpt/families, or the user's own (gpt.family). What a
-- recipe says is told in docs/families.md. This file, and all others, know no family by name.
local extended = require "gpt.support.extended"

local families = {}

-- The files of lua/gpt/families. The first one is what files are that do not say.
local NAMES = { "gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3" }
local ALL = {}
for i, name in ipairs(NAMES) do ALL[i] = require("gpt.families." .. name) end

-- What a config is of that does not say, and files.
families.default = ALL[1]

-- Their names, as a config's `family` has them.
families.NAMES = NAMES

-- Adds a recipe of the user's own, in place of an earlier one of that name.
function families.add(recipe)
  for i, family in ipairs(ALL) do
    if family.name == recipe.name then ALL[i] = recipe return end
  end
  ALL[#ALL + 1], NAMES[#NAMES + 1] = recipe, recipe.name
end

-- Whether a family was added.
function families.is_added(family)
  return package.loaded["gpt.families." .. family.name] ~= family
end

-- The parts of a model of that config: those of its family, with others in their places.
-- @tparam table config with every key
-- @tparam[opt] table given parts for core._model
function families.parts(config, given)
  local family = families.of(config)
  if not family.parts then return given end
  return extended(family.parts(config), given or {})
end

-- All of them, in order.
function families.each() return ipairs(ALL) end

-- The family that a config's `family` names, or nil.
function families.named(name)
  for _, family in ipairs(ALL) do
    if family.name == name then return family end
  end
end

-- The family of a config.
function families.of(config)
  local name = rawget(config, "family")
  return name == nil and families.default or families.named(name)
end

-- The family that files of that format call so, or nil.
-- @string format "huggingface" or "gguf"
function families.find(format, name)
  for _, family in ipairs(ALL) do
    if family[format] and family[format].name == name then return family end
  end
end

-- What files of that format call the families there are, for messages.
-- @string format
-- @func[opt] show how each is written
function families.names(format, show)
  local names, seen = {}, {}
  for _, family in ipairs(ALL) do
    local name = family[format] and family[format].name
    if name and not seen[name] then names[#names + 1], seen[name] = show and show(name) or name, true end
  end
  return table.concat(names, ", ")
end

return families
