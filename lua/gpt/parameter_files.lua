--- layer:save_parameters and layer:load_parameters: any layer's parameters by path, in a safetensors file.
-- @submodule gpt
local core = require "gpt.core"
local fold = require "gpt.fold"
local rules = require "gpt.rules"
local safetensors = require "gpt.safetensors"

local parameter_files = {}

local OPTIONS = { { "strict", rules.boolean, optional = true } }

local function check_name(who, file)
  if type(file) ~= "string" then core._raise(("%s: a file's name expected, got %s"):format(who, rules.show(file))) end
end

local function shape_text(shape)
  return "[" .. table.concat(shape, ", ") .. "]"
end

--- Writes a layer's parameters by path (`blocks.3.attention.query.weight`) into a safetensors file, a shared one once.
-- An error, a full disk or a kill leaves the old file as it was.
-- @function Layer:save_parameters
-- @tparam string file
-- @raise where it cannot be written
-- @usage model.head:save_parameters "head.safetensors"
function parameter_files.save(layer, file)
  check_name("save_parameters", file)
  local items = {}
  for path, tensor in layer:parameters() do
    items[#items + 1] = { name = path, shape = tensor:shape(), dtype = tensor:dtype(), tensor = tensor }
  end
  safetensors.write(file, items)
end

-- What the layer wants and the file has: pairs to copy, and lists of what does not fit.
local function compare(layer, opened)
  local pairs_, missing, unexpected, misshaped, known = {}, {}, {}, {}, {}
  for path, tensor in layer:parameters() do
    local entry = opened.by_name[path]
    known[path] = true
    local shape, wanted = entry and shape_text(entry.shape), shape_text(tensor:shape())
    if not entry then
      missing[#missing + 1] = path
    elseif shape ~= wanted then
      misshaped[#misshaped + 1] = ("%s is %s, not %s"):format(path, shape, wanted)
    else
      pairs_[#pairs_ + 1] = { tensor, entry }
    end
  end
  for _, entry in ipairs(opened.entries) do
    if not known[entry.name] then unexpected[#unexpected + 1] = entry.name end
  end
  return pairs_, missing, unexpected, misshaped
end

local function check(file, strict, missing, unexpected, misshaped)
  local lines = {}
  local function tell(what, names)
    if #names > 0 then lines[#lines + 1] = ("\n  %s: %s"):format(what, fold.line(names)) end
  end
  if strict then
    tell("missing", missing)
    tell("unexpected", unexpected)
  end
  tell("of another shape", misshaped)
  if #lines > 0 then core._raise(("%s does not fit this layer%s"):format(file, table.concat(lines))) end
end

--- Copies parameters from a safetensors file into a layer, by path. Nothing is copied unless all fit.
-- @function Layer:load_parameters
-- @tparam string file
-- @tparam[opt] table options `strict` (true): the file has exactly the layer's parameters; false leaves out what only
-- one of them has
-- @treturn {string,...} the paths that the file lacks
-- @treturn {string,...} the names that the layer lacks
-- @raise where the file is not what its format allows, and where names or shapes do not fit: all of them in one error
-- @usage layer:save_parameters("layer.safetensors")
-- layer:load_parameters("layer.safetensors")
function parameter_files.load(layer, file, options)
  check_name("load_parameters", file)
  if options ~= nil and type(options) ~= "table" then
    core._raise("load_parameters: a table of options expected, got " .. rules.show(options))
  end
  local values, problems = rules.read(options or {}, OPTIONS)
  rules.raise("load_parameters", problems)
  local opened <close> = safetensors.open(file)
  local found, missing, unexpected, misshaped = compare(layer, opened)
  check(file, values.strict ~= false, missing, unexpected, misshaped)
  for _, pair in ipairs(found) do pair[2] = safetensors.read(pair[2], true) end
  core.no_grad(function()
    for _, pair in ipairs(found) do pair[1]:copy(pair[2]) end
  end)
  return missing, unexpected
end

return parameter_files
