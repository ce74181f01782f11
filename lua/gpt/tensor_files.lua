--- Files of tensors by name: gpt.read_gguf, gpt.read_safetensors and gpt.write_safetensors.
-- @submodule gpt
local core = require "gpt.core"
local listing = require "gpt.support.listing"
local safetensors = require "gpt.safetensors"
local validate = require "gpt.support.validate"

local tensor_files = {}

--- Reads everything in a GGUF file.
--
-- The tensors are mapped, not read, in the types of the file; writing to one changes only this process's copy. Their
-- shapes are [out, in], the reverse of the format's order. Tensors of f64 become f32, those of small integers i64.
-- Metadata are Lua values: arrays are tables, strings may hold any bytes, and an integer past 2^63 is a float.
-- @function read_gguf
-- @string file
-- @treturn table `metadata` by key, `tensors` by name; print it
-- @raise if the file is not valid (the message says what is wrong and where), if it is one of several that a model is
-- split into, or if a tensor has a type that is not implemented
-- @usage model:save "small.gguf"
-- local file = gpt.read_gguf "small.gguf"
-- print(file.metadata["general.architecture"], file.tensors["token_embd.weight"])
function tensor_files.read_gguf(file)
  validate.file_name("gpt.read_gguf", file)
  local opened <close> = core._gguf_open(file)
  local tensors = {}
  for _, entry in ipairs(opened:tensors()) do tensors[entry.name] = opened:tensor(entry.number, true) end
  return listing.file(opened:metadata(), tensors)
end

--- Reads everything in a safetensors file; returns what `gpt.read_gguf` does.
-- @function read_safetensors
-- @string file
-- @treturn table `metadata`, strings by name; `tensors` by name; print it
-- @raise if the file is not valid (the message says what is wrong and where), or if a tensor has a type that is not
-- implemented
-- @usage local file = gpt.read_safetensors "gpt2/model.safetensors"
-- print(file.tensors["wte.weight"])
function tensor_files.read_safetensors(file)
  validate.file_name("gpt.read_safetensors", file)
  local opened <close> = safetensors.open(file)
  local tensors = {}
  for _, entry in ipairs(opened.entries) do tensors[entry.name] = safetensors.read(entry, true) end
  return listing.file(opened.metadata, tensors)
end

local function items_of(who, tensors)
  if type(tensors) ~= "table" then
    core._raise(("%s: a table of tensors by name expected, got %s"):format(who, validate.show(tensors)))
  end
  local items = {}
  for name, tensor in pairs(tensors) do
    if type(name) ~= "string" then core._raise(("%s: [%s] is no name"):format(who, validate.show(name))) end
    if not core.is_tensor(tensor) then
      core._raise(("%s: %s: a tensor expected, got %s"):format(who, name, validate.show(tensor)))
    end
    if not safetensors.holds(tensor:dtype()) then
      core._raise(('%s: %s is %s, which safetensors files do not have; tensor:to "f16" or "f32" converts it, and a '
        .. ".gguf file holds it"):format(who, name, tensor:dtype()))
    end
    items[#items + 1] = { name = name, shape = tensor:shape(), dtype = tensor:dtype(), tensor = tensor }
  end
  table.sort(items, function(a, b) return a.name < b.name end)
  return items
end

local function check_metadata(who, metadata)
  if metadata == nil then return end
  if type(metadata) ~= "table" then
    core._raise(("%s: a table of metadata expected, got %s"):format(who, validate.show(metadata)))
  end
  for key, value in pairs(metadata) do
    if type(key) ~= "string" or type(value) ~= "string" then
      core._raise(("%s: metadata: strings by name expected, got [%s] = %s"):format(who, validate.show(key),
        validate.show(value)))
    end
  end
end

--- Writes tensors into a safetensors file, in the order of their names. After an error, a full disk or a kill the old
-- file is unchanged.
-- @function write_safetensors
-- @string file
-- @tparam table tensors by name
-- @tparam[opt] table metadata strings by name
-- @raise if it cannot be written, or if a tensor has a type that the format does not have
-- @usage gpt.write_safetensors("mean.safetensors", { mean = gpt.zeros(768) })
function tensor_files.write_safetensors(file, tensors, metadata)
  local who = "gpt.write_safetensors"
  validate.file_name(who, file)
  check_metadata(who, metadata)
  safetensors.write(file, items_of(who, tensors), metadata)
end

return tensor_files
