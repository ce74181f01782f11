--- layer:save_parameters and layer:load_parameters: any layer's parameters by path, in a safetensors file.
-- @submodule gpt
local core = require "gpt.core"
local mismatch = require "gpt.support.mismatch"
local validate = require "gpt.support.validate"
local safetensors = require "gpt.safetensors"

local parameter_files = {}

local OPTIONS = { { "strict", validate.boolean, optional = true } }

-- A layer's parameters as safetensors.write takes them.
function parameter_files.items(layer)
  local items = {}
  for path, tensor in layer:parameters() do
    items[#items + 1] = { name = path, shape = tensor:shape(), dtype = tensor:dtype(), tensor = tensor }
  end
  return items
end

--- Writes a layer's parameters by path (`blocks.3.attention.query.weight`) into a safetensors file, shared ones once.
-- Each is written in its own dtype: f32, f16 or bf16. After an error, a full disk or a kill the old file is unchanged.
-- @function Layer:save_parameters
-- @tparam string file
-- @raise if the file cannot be written, or if a weight has a block type (layer:to), which the format does not have
-- @usage model.head:save_parameters "head.safetensors"
function parameter_files.save(layer, file)
  validate.file_name("save_parameters", file)
  local items = parameter_files.items(layer)
  for _, item in ipairs(items) do
    if not safetensors.holds(item.dtype) then
      core._raise(('save_parameters: %s is %s, which a safetensors file cannot hold; layer:to "f16" converts it')
        :format(item.name, item.dtype))
    end
  end
  safetensors.write(file, items)
end

--- Copies parameters from a safetensors file into a layer, by path, converted to the layer's dtypes. If one does not
-- match, or memory runs out, nothing is copied.
-- @function Layer:load_parameters
-- @tparam string file
-- @tparam[opt] table options `strict` (true): the file must have exactly the layer's parameters; false ignores those
-- that only one of them has
-- @treturn {string,...} the paths that the file lacks
-- @treturn {string,...} the names that the layer lacks
-- @raise if the file is not valid, or if names or shapes do not match: all of them in one error
-- @usage layer:save_parameters("layer.safetensors")
-- layer:load_parameters("layer.safetensors")
function parameter_files.load(layer, file, options)
  validate.file_name("load_parameters", file)
  local values, problems = validate.read(validate.options("load_parameters", options), OPTIONS)
  validate.raise("load_parameters", problems)
  local opened <close> = safetensors.open(file)
  local items = parameter_files.items(layer)
  local found = mismatch.compare(items, opened.by_name)
  local strict = values.strict ~= false
  local text = mismatch.text(strict and found or { missing = {}, unexpected = {}, misshaped = found.misshaped })
  if text then core._raise(("%s does not fit this layer%s"):format(file, text)) end
  local tensors, sources = {}, {}
  for _, item in ipairs(items) do
    local entry = opened.by_name[item.name]
    if entry then tensors[#tensors + 1], sources[#sources + 1] = item.tensor, safetensors.read(entry, true) end
  end
  core.no_grad(core._copy_all, tensors, sources)
  return found.missing, found.unexpected
end

return parameter_files
