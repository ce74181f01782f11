-- Whether a Model is a family's own tree, which its files can hold, and with what config and parameters.
local build = require "gpt.model_files.build"
local configs = require "gpt.config"
local core = require "gpt.core"
local families = require "gpt.families"
local layout = require "gpt.model_files.layout"
local name_list = require "gpt.support.name_list"
local neutral = require "gpt.support.neutral"
local places = require "gpt.lora.places"

local FILES = { huggingface = "Hugging Face's files", gguf = "GGUF files" }

local function refuse(family, reason)
  core._raise(("save: this model is not %s's tree: %s; model:save_parameters(file) writes any layer's parameters")
    :format(family.title, reason))
end

local function parameters_of(layer)
  local by_path = {}
  for path, tensor in layer:parameters() do by_path[path] = tensor end
  return by_path
end

local function names_of(layer)
  local names = {}
  for name in layer:children() do names[#names + 1] = name end
  return names
end

-- What a layer says of itself, whatever dtype its weight has.
local function constructor(layer)
  local text = core._constructor(layer)
  return (text:gsub(', { dtype = "[%w_]+" }', ""):gsub(', dtype = "[%w_]+"', ""))
end

-- A part must be that of a plain Model: the same kinds of layers, made with the same arguments, with the same parts.
local function check_part(family, path, found, expected)
  local is, should_be = constructor(found), constructor(expected)
  if is ~= should_be then
    refuse(family, ("%s is %s where %s has %s"):format(path, is:sub(1, 200), family.title, should_be))
  end
  local names, wanted = names_of(found), names_of(expected)
  if table.concat(names, ", ") ~= table.concat(wanted, ", ") then
    refuse(family, ("%s has the parts %s where %s has %s"):format(path, name_list.line(names), family.title,
      name_list.line(wanted)))
  end
  for name, part in expected:children() do check_part(family, path .. "." .. name, found[name], part) end
end

local function check_tree(family, model, plain)
  if #model.blocks ~= #plain.blocks then
    refuse(family, ("it has %d blocks, not %d"):format(#model.blocks, #plain.blocks))
  end
  for name, part in plain:children() do
    if name ~= "blocks" then check_part(family, name, model[name], part) end
  end
  for i = 1, #plain.blocks do check_part(family, "blocks." .. i, model.blocks[i], plain.blocks[i]) end
end

local function check_parameters(family, parameters, expected)
  local missing, unexpected = {}, {}
  for path in pairs(expected) do
    if not parameters[path] then missing[#missing + 1] = path end
  end
  for path in pairs(parameters) do
    if not expected[path] then unexpected[#unexpected + 1] = path end
  end
  neutral.sort(missing)
  neutral.sort(unexpected)
  if #missing > 0 then refuse(family, "it has no " .. name_list.line(missing)) end
  if #unexpected > 0 then refuse(family, "it also has " .. name_list.line(unexpected)) end
end

local function check_adapters(model)
  for _, place in ipairs(places.find(model)) do
    if places.is_lora(place.layer) then
      core._raise(("save: %s has adapters: model:merge_lora() adds the one in use to the weights; "
        .. "model:save_adapter(dir) writes it alone"):format(place.path))
    end
  end
end

-- All parameters have a place in such files.
local function check_places(family, format, unplaced)
  if not unplaced then return end
  core._raise(("save: %s of %s have no place for %s; layer:save_parameters(file) writes any layer's parameters")
    :format(FILES[format], family.title, unplaced))
end

-- The config that the tree has by now: parts may have been exchanged since it was made.
local function config_of(family, model, parameters)
  local config = configs.check(model.config, "save: model.config")
  config.tie_weights = parameters["head.weight"] == nil
  local there = {}
  for _, tensor in ipairs(family.tensors) do
    local path = type(tensor[1]) == "table" and tensor[1][1] or tensor[1]
    if tensor.when then there[tensor.when] = there[tensor.when] or parameters[(path:gsub("%*", "1"))] ~= nil end
  end
  for key, is_there in pairs(there) do config[key] = is_there end
  return config
end

-- @tparam Layer model
-- @string format "huggingface" or "gguf"
-- @treturn table its family
-- @treturn table its config by now, with every key
-- @treturn table its parameters by path
-- @treturn {table,...} the layout of such files (layout.of)
-- @raise where it is another tree, or its family has no such files
return function(model, format)
  if not core._is_model(model) then refuse(families.default, "it is a " .. core._kind(model)) end
  check_adapters(model)
  local family, parameters = families.of(model.config), parameters_of(model)
  if not (family.tensors and family[format]) then
    core._raise(("save: %s of %s are not implemented; model:save_parameters(file) writes any layer's parameters")
      :format(FILES[format], family.title))
  end
  local config = config_of(family, model, parameters)
  local plain = build.empty(config)
  check_parameters(family, parameters, layout.shapes(plain))
  check_tree(family, model, plain)
  local list = layout.of(family, config, format, layout.shapes(model))
  check_places(family, format, layout.unplaced(list, parameters))
  return family, config, parameters, list
end
