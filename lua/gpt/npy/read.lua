-- An array of a .npy file, or of one inside a .npz, as a tensor.
local core = require "gpt.core"
local header = require "gpt.npy.header"
local name_list = require "gpt.support.name_list"
local validate = require "gpt.support.validate"

local MOST_DIMS = 8
local SIZES = {}
for _, name in ipairs { "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1" } do
  SIZES[name] = math.tointeger(name:sub(2))
end

local KINDS = {
  O = "Python objects, which are never read: they could run code", U = "text", S = "bytes", a = "bytes",
  V = "raw bytes (bfloat16 is written so)", c = "complex numbers", M = "dates", m = "time spans",
  f = "floats of that size",
}

local function refuse(path, format, ...) core._raise(path .. ": " .. format:format(...)) end

-- The type by the name that the core knows it by, and the bytes of a number.
local function type_of(path, descr)
  local order, kind = descr:match "^([<>|=]?)(.-)$"
  local size = SIZES[kind]
  if not size then
    local what = KINDS[kind:sub(1, 1)]
    refuse(path, "its numbers are %s, which is not read%s; f2, f4, f8, i1 to i8, u1 to u8 and b1 are",
      validate.show(descr), what and (" (%s)"):format(what) or "")
  end
  if size == 1 then return "|" .. kind, size end
  if order == "" or order == "|" then
    refuse(path, "%s does not say in which order its bytes are", validate.show(descr))
  end
  return (order == ">" and ">" or "<") .. kind, size
end

-- The other sizes of an array without elements have to be countable, too.
local function count_of(path, shape)
  local count, none = 1, false
  if #shape > MOST_DIMS then refuse(path, "an array of %d dimensions; a tensor has at most %d", #shape, MOST_DIMS) end
  for _, size in ipairs(shape) do
    if size > 0 and count > math.maxinteger // 8 // size then
      refuse(path, "no file holds an array of shape %s", name_list.shape(shape))
    end
    none, count = none or size == 0, count * math.max(size, 1)
  end
  return none and 0 or count
end

local function reversed(list)
  local back = {}
  for i = #list, 1, -1 do back[#back + 1] = list[i] end
  return back
end

local function check_unsigned(path, tensor)
  if tensor:numel() == 0 or tensor:min():item() >= 0 then return end
  refuse(path, "a number past 2^63 - 1, which i64 does not hold")
end

--- @string path for messages
--- @param file an opened one
--- @int at where the array begins
--- @int size where it ends
return function(path, file, at, size)
  local fields, start = header.read(path, file, at, size)
  local name, width = type_of(path, fields.descr)
  local shape = fields.shape
  local bytes = count_of(path, shape) * width
  if bytes > size - start then
    refuse(path, "cut short: %s of %s takes %d bytes, %d are there", name_list.shape(shape), fields.descr, bytes,
      size - start)
  end
  if bytes < size - start then
    refuse(path, "%d bytes behind the array; a file with several arrays behind each other is not read",
      size - start - bytes)
  end
  local turned = fields.fortran_order and #shape > 1
  local tensor = file:tensor(start, name, turned and reversed(shape) or shape, true)
  if name:sub(2) == "u8" then check_unsigned(path, tensor) end
  if not turned then return tensor end
  local dims = {}
  for d = 1, #shape do dims[d] = #shape + 1 - d end
  return tensor:permute(table.unpack(dims))
end
