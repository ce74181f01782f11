-- The model families that files may hold. Each is one table, a file of lua/gpt/families: what its config and its
-- tensors are called in each format, and where they stand in a Model.
local families = { gpt2 = require "gpt.families.gpt2" }

local ALL = { families.gpt2 }
local COLUMN = { huggingface = 3, gguf = 4 } -- of a tensor's names

-- The family that files of that format call so, or nil.
function families.find(format, name)
  for _, family in ipairs(ALL) do
    if family[format].name == name then return family end
  end
end

-- What there is, for messages.
function families.names()
  local names = {}
  for i, family in ipairs(ALL) do names[i] = family.name end
  return table.concat(names, ", ")
end

-- The tensors that a file of that format has for a model of that config.
-- @tparam table family
-- @tparam table config with every key
-- @string format "huggingface" or "gguf"
-- @treturn {table,...} in the order of the model's layers, each: `name`; `shape` as the file has it; `paths` in a Model
-- of the parts that lie in it side by side; `turned` where the file's [in, out] is a Model's [out, in]; `role`
function families.layout(family, config, format)
  local list = {}
  for i, item in ipairs(family.tensors(config)) do
    local paths, shape = item[1], item[2]
    local turned = format == "huggingface" and item.turned or false
    if turned then shape = { shape[2], shape[1] } end
    list[i] = { name = item[COLUMN[format]], shape = shape, paths = paths, turned = turned, role = item.role }
  end
  return list
end

return families
