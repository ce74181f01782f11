-- Where a model's parameters stand in the files of a family: a recipe's list of tensors, for the blocks that there are.
local layout = {}

local COLUMN = { huggingface = 2, gguf = 3 } -- of a tensor's names

local function named(name, block)
  return (name:gsub("%*", tostring(block)))
end

local function paths_of(tensor, block)
  local paths = {}
  local own = type(tensor[1]) == "table" and tensor[1] or { tensor[1] }
  for i, path in ipairs(own) do paths[i] = named(path, block) end
  return paths
end

local function item_of(family, tensor, format, block)
  local full = named(tensor[COLUMN[format]], block - 1)
  return { paths = paths_of(tensor, block), full = full, name = layout.bare(family, format, full),
    form = tensor[format], when = tensor.when, zeros = tensor.zeros }
end

-- A name without the prefix that a format's names may have or lack.
function layout.bare(family, format, name)
  local prefix = family[format].prefix or ""
  return name:sub(1, #prefix) == prefix and name:sub(#prefix + 1) or name
end

local function is_of_blocks(tensor)
  return tensor[2]:find("*", 1, true) ~= nil
end

-- Calls add(tensor, block) for all, in the order of a model's layers: block after block, each with all of its tensors.
local function each(family, n_layers, add)
  local i, list = 1, family.tensors
  while i <= #list do
    local last = i
    if is_of_blocks(list[i]) then
      while list[last + 1] and is_of_blocks(list[last + 1]) do last = last + 1 end
    end
    for block = 1, is_of_blocks(list[i]) and n_layers or 1 do
      for j = i, last do add(list[j], block) end
    end
    i = last + 1
  end
end

-- All that files of that format may have for a model of that config.
-- @tparam table family
-- @tparam table config
-- @string format "huggingface" or "gguf"
-- @treturn {table,...} in the order of the model's layers, each: `paths` in a Model of the parameters that lie in it
-- one after the other; `name`, without the prefix that names may lack, and `full`; `form` (gpt.model_files.forms) or
-- nil; `when`, the config's key that says whether a model has it, and `zeros`, where files have it all the same
function layout.all(family, config, format)
  local list = {}
  each(family, config.n_layers, function(tensor, block)
    if tensor[COLUMN[format]] then list[#list + 1] = item_of(family, tensor, format, block) end
  end)
  return list
end

-- The shape of an item's parameters one after the other; nil where the model has none. Those that only files have are
-- biases, as long as their weights have rows.
local function shape_of(item, shapes)
  local rows, rest = 0, {}
  for _, path in ipairs(item.paths) do
    local shape = shapes[path]
    if not shape and item.zeros then shape = { shapes[(path:gsub("bias$", "weight"))][1] } end
    if not shape then return nil end
    rows, rest = rows + shape[1], { table.unpack(shape, 2) }
  end
  return { rows, table.unpack(rest) }
end

-- The same for a model that there is: only what it has, and each item with its `shape` in the file.
-- @tparam {[string]={integer,...}} shapes of the model's parameters, by path
function layout.of(family, config, format, shapes)
  local list = {}
  for _, item in ipairs(layout.all(family, config, format)) do
    local shape = shape_of(item, shapes)
    if shape then
      item.shape = item.form and item.form.shape and item.form.shape(shape) or shape
      list[#list + 1] = item
    end
  end
  return list
end

-- The shapes of a layer's parameters, by path.
function layout.shapes(layer)
  local shapes = {}
  for path, tensor in layer:parameters() do shapes[path] = tensor:shape() end
  return shapes
end

-- What a format calls the parameter at a path of no block, without the prefix; nil where it has none.
function layout.name(family, format, path)
  for _, tensor in ipairs(family.tensors) do
    if tensor[1] == path and tensor[COLUMN[format]] then
      return layout.bare(family, format, tensor[COLUMN[format]])
    end
  end
end

return layout
