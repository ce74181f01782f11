--- Arrays of numpy: gpt.read_npy, gpt.write_npy and gpt.read_npz.
-- @submodule gpt
local core = require "gpt.core"
local header = require "gpt.npy.header"
local listing = require "gpt.support.listing"
local read = require "gpt.npy.read"
local validate = require "gpt.support.validate"
local zip = require "gpt.npy.zip"

local npy = {}

local DESCRS = { f32 = "<f4", f16 = "<f2", i64 = "<i8" }

--- Reads an array that numpy.save wrote (.npy, versions 1.0 to 3.0).
--
-- f4, f2 and i8 in little-endian order are mapped, not read, as f32, f16 and i64; writing to the tensor changes only
-- this process's copy. All else is converted: f8 is rounded to f32, integers of other sizes and booleans become i64,
-- and big-endian numbers are turned. Arrays in Fortran's order come as a view, with the shape that numpy shows. Other
-- types are errors: text, complex numbers, records, and Python objects, which could run code.
-- @function read_npy
-- @string file
-- @treturn Tensor
-- @raise if the file is not valid (the message says what is wrong and where), if it has another type, or an unsigned
-- number past 2^63 - 1
-- @usage gpt.write_npy("ids.npy", gpt.tensor { 3, 1, 2 })
-- print(gpt.read_npy "ids.npy")
function npy.read_npy(file)
  validate.file_name("gpt.read_npy", file)
  local opened <close> = core._map_file(file)
  return read(file, opened, 0, opened.size)
end

--- Reads the arrays that numpy.savez wrote (.npz). What numpy.savez_compressed wrote is an error.
-- @function read_npz
-- @string file
-- @treturn table tensors by name, each as `gpt.read_npy` returns it; print it
-- @raise as gpt.read_npy
-- @usage -- local arrays = gpt.read_npz "batch.npz"
function npy.read_npz(file)
  validate.file_name("gpt.read_npz", file)
  local opened <close> = core._map_file(file)
  local tensors = {}
  for _, member in ipairs(zip(file, opened)) do
    local name = member.name:gsub("%.npy$", "")
    local path = ("%s: %s"):format(file, validate.show(member.name))
    tensors[name] = read(path, opened, member.first, member.first + member.size)
  end
  return listing.table(tensors)
end

--- Writes a tensor as an array that numpy.load reads: f32, f16 or i64 as they are. After an error, a full disk or a
-- kill the old file is unchanged.
-- @function write_npy
-- @string file
-- @tparam Tensor tensor
-- @raise if it cannot be written, or if numpy has no such dtype (bf16, blocks): `tensor:float()` converts
-- @usage gpt.write_npy("embedding.npy", model.token_embedding.weight)
function npy.write_npy(file, tensor)
  local who = "gpt.write_npy"
  validate.file_name(who, file)
  if not core.is_tensor(tensor) then
    core._raise(("%s: a tensor expected, got %s"):format(who, validate.show(tensor)))
  end
  local descr = DESCRS[tensor:dtype()]
  if not descr then
    core._raise(("%s: numpy has no %s; tensor:float() or tensor:to \"f16\" converts it"):format(who, tensor:dtype()))
  end
  local writer <close> = core._file_writer(file)
  writer:write(header.make(descr, tensor:shape())):write(tensor):commit()
end

return npy
