-- Whether a Model is a family's own tree, which its files can hold, and with what config and parameters.
local configs = require "gpt.config"
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local neutral = require "gpt.support.neutral"

local function refuse(reason)
  core._raise(("save: this model is not GPT-2's tree: %s; model:save_parameters(file) writes any layer's parameters")
    :format(reason))
end

local function parameters_of(layer)
  local by_path, order = {}, {}
  for path, tensor in layer:parameters() do by_path[path], order[#order + 1] = tensor, path end
  return by_path, order
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
local function check_part(path, found, expected)
  local is, should_be = constructor(found), constructor(expected)
  if is ~= should_be then refuse(("%s is %s where GPT-2 has %s"):format(path, is:sub(1, 200), should_be)) end
  local names, wanted = names_of(found), names_of(expected)
  if table.concat(names, ", ") ~= table.concat(wanted, ", ") then
    refuse(("%s has the parts %s where GPT-2 has %s"):format(path, name_list.line(names), name_list.line(wanted)))
  end
  for name, part in expected:children() do check_part(path .. "." .. name, found[name], part) end
end

local function check_tree(model, plain)
  if #model.blocks ~= #plain.blocks then refuse(("it has %d blocks, not %d"):format(#model.blocks, #plain.blocks)) end
  for name, part in plain:children() do
    if name ~= "blocks" then check_part(name, model[name], part) end
  end
  for i = 1, #plain.blocks do check_part("blocks." .. i, model.blocks[i], plain.blocks[i]) end
end

local function check_parameters(parameters, plain)
  local missing, unexpected, expected = {}, {}, parameters_of(plain)
  for path in pairs(expected) do
    if not parameters[path] then missing[#missing + 1] = path end
  end
  for path in pairs(parameters) do
    if not expected[path] then unexpected[#unexpected + 1] = path end
  end
  neutral.sort(missing)
  neutral.sort(unexpected)
  if #missing > 0 then refuse("it has no " .. name_list.line(missing)) end
  if #unexpected > 0 then refuse("it also has " .. name_list.line(unexpected)) end
end

-- The config that the tree has by now: parts may have been exchanged since it was made.
local function config_of(model, parameters)
  local config = configs.check(model.config, "save: model.config")
  config.tie_weights = parameters["head.weight"] == nil
  config.qkv_bias = parameters["blocks.1.attention.query.bias"] ~= nil
  return config
end

local function plain_model(config)
  local absent = configs.check(config, "save")
  absent.init = "absent"
  return core._model(absent)
end

-- @tparam Layer model
-- @treturn table its config by now, with every key
-- @treturn table its parameters by path
-- @raise where it is another tree
return function(model)
  if not core._is_model(model) then refuse("it is a " .. core._kind(model)) end
  local parameters = parameters_of(model)
  local config = config_of(model, parameters)
  local plain = plain_model(config)
  check_parameters(parameters, plain)
  check_tree(model, plain)
  return config, parameters
end
