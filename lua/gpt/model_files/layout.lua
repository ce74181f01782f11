-- Where a model's parameters stand in the files of a family: a recipe's list of tensors, for the blocks that there are.
local name_list = require "gpt.support.name_list"
local neutral = require "gpt.support.neutral"

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

-- Whether files of that format may have zeros where a model lacks a tensor: true, a function of the config, or nil.
local function zeros_of(tensor, format)
  if type(tensor.zeros) == "table" then return tensor.zeros[format] end
  return tensor.zeros
end

local function item_of(family, tensor, format, block)
  local full = named(tensor[COLUMN[format]], block - 1)
  return { paths = paths_of(tensor, block), full = full, name = layout.bare(family, format, full),
    form = tensor[format], when = tensor.when, zeros = zeros_of(tensor, format), tensor = tensor }
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
-- nil; `when`, the config's key that says whether a model has it, and `zeros`, where files may have it all the same;
-- `tensor`, what the recipe says
function layout.all(family, config, format)
  local list = {}
  each(family, config.n_layers, function(tensor, block)
    if tensor[COLUMN[format]] then list[#list + 1] = item_of(family, tensor, format, block) end
  end)
  return list
end

local function shape_of(item, shapes)
  local rows, rest = 0, {}
  for _, path in ipairs(item.paths) do
    local shape = shapes[path]
    if not shape then return nil end
    rows, rest = rows + shape[1], { table.unpack(shape, 2) }
  end
  return { rows, table.unpack(rest) }
end

-- The shape of biases that a model lacks: as long as their weights have rows.
local function shape_of_zeros(item, shapes)
  local rows = 0
  for _, path in ipairs(item.paths) do rows = rows + shapes[(path:gsub("bias$", "weight"))][1] end
  return { rows }
end

-- Whether files have an item that the model lacks.
local function has_zeros(item, config, there)
  if there then return item.zeros and there[item.name] ~= nil end
  return type(item.zeros) == "function" and item.zeros(config) or item.zeros == true
end

-- Marks what files do not have and need not: one kind of bias in all blocks, where they have another that the same key
-- of the config stands for. They are zeros then.
local function mark_absent(list, there)
  local has_tensor, has_key = {}, {}
  for _, item in ipairs(list) do
    if item.when and there[item.name] then has_tensor[item.tensor], has_key[item.when] = true, true end
  end
  for _, item in ipairs(list) do
    item.may_miss = item.when and has_key[item.when] and not has_tensor[item.tensor]
  end
end

-- The same for a model that there is: only what it has, or files of it have as zeros, and each item with its `shape` in
-- the file.
-- @tparam {[string]={integer,...}} shapes of the model's parameters, by path
-- @tparam[opt] table there what files that are read have, by name; then items have `may_miss` that they lack and may
function layout.of(family, config, format, shapes, there)
  local list = {}
  for _, item in ipairs(layout.all(family, config, format)) do
    local shape = shape_of(item, shapes)
    if not shape and has_zeros(item, config, there) then shape = shape_of_zeros(item, shapes) end
    if shape then
      item.shape = item.form and item.form.shape and item.form.shape(shape) or shape
      list[#list + 1] = item
    end
  end
  if there then mark_absent(list, there) end
  return list
end

-- Sets the keys of a config that files contradict: where they have a tensor that the config says there is not. One that
-- may be there as zeros has to have others.
-- @tparam table there what the files have, by name
-- @func is_zero called with one and its name, tells whether all its numbers are 0
-- @treturn {table,...} the items that contradicted, the first one for each key
function layout.heed(family, config, format, there, is_zero)
  local found = {}
  for _, item in ipairs(layout.all(family, config, format)) do
    local entry = item.when and not config[item.when] and there[item.name]
    if entry and not (item.zeros and is_zero(entry, item.name)) then
      config[item.when] = true
      found[#found + 1] = item
    end
  end
  return found
end

-- The parameters that files of that format have no place for, in one line; nil where there are none.
-- @tparam {table,...} list layout.of the model
-- @tparam {[string]=any} parameters by path
function layout.unplaced(list, parameters)
  local placed, left = {}, {}
  for _, item in ipairs(list) do
    for _, path in ipairs(item.paths) do placed[path] = true end
  end
  for path in pairs(parameters) do
    if not placed[path] then left[#left + 1] = path end
  end
  neutral.sort(left)
  return #left > 0 and name_list.line(left) or nil
end

local function is_ignored(family, format, name)
  for _, ignored in ipairs(family[format].ignored or {}) do
    local pattern = "^" .. ignored:gsub("[^%w*]", "%%%0"):gsub("%*", "%%d+") .. "$"
    if name:find(pattern) then return true end
  end
end

-- A file's tensors by name, but for those that a model does not need.
function layout.without_ignored(family, format, entries)
  local rest = {}
  for name, entry in pairs(entries) do
    if not is_ignored(family, format, name) then rest[name] = entry end
  end
  return rest
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
