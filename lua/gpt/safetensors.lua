-- safetensors, the file format of weights: a header's length (8 bytes), the header (JSON), then the tensors' bytes.
-- A file from outside is checked in full before anything is read from it: what the format forbids is refused, by name.
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local json = require "gpt.support.json"

local safetensors = {}

local MOST_HEADER = 100000000
local MOST_ELEMENTS = math.maxinteger // 512 -- of a tensor: none takes more than 64 bits each

-- Every element type of the format, in bits.
local BITS = {
  BOOL = 8, F4 = 4, F6_E2M3 = 6, F6_E3M2 = 6, U8 = 8, I8 = 8, F8_E5M2 = 8, F8_E4M3 = 8, F8_E8M0 = 8,
  F8_E4M3FNUZ = 8, F8_E5M2FNUZ = 8, I16 = 16, U16 = 16, F16 = 16, BF16 = 16, I32 = 32, U32 = 32, F32 = 32,
  C64 = 64, F64 = 64, I64 = 64, U64 = 64,
}
local READABLE = {
  F32 = true, F16 = true, BF16 = true, F64 = true, I64 = true, I32 = true, I16 = true, I8 = true, U32 = true,
  U16 = true, U8 = true, BOOL = true,
}
local FILE_DTYPES = { f32 = "F32", f16 = "F16", bf16 = "BF16", i64 = "I64" }

-- A name from a file, fit for a message.
local function shown(name)
  local text = json.quote(name)
  return #text <= 120 and text or text:sub(1, 100) .. '..."'
end

local function refuse(path, format, ...)
  core._raise(path .. ": " .. format:format(...))
end

local function is_size(value)
  return math.type(value) == "integer" and value >= 0
end

local function is_size_list(value)
  if not json.is_array(value) then return false end
  for _, item in ipairs(value) do
    if not is_size(item) then return false end
  end
  return true
end

local function read_header(path, file)
  local size = file.size
  if size < 8 then refuse(path, "not a safetensors file: it has %d bytes, the header's length alone takes 8", size) end
  local length = string.unpack("<i8", file:bytes(0, 8))
  if length < 0 or length > MOST_HEADER then
    local said = length < 0 and length + 2.0 ^ 64 or length
    refuse(path, "not a safetensors file: its header would be %.0f bytes long, at most %d are allowed", said,
      MOST_HEADER)
  end
  if length > size - 8 then
    refuse(path, "cut short, or not a safetensors file: its header would take %d bytes, %d are there", length, size - 8)
  end
  local header = file:bytes(8, length)
  if header:sub(1, 1) ~= "{" then refuse(path, "not a safetensors file: its header does not begin with '{'") end
  return json.decode(header, path .. ": header"), 8 + length
end

local function check_metadata(path, metadata)
  if metadata == nil or metadata == json.null then return {} end
  if not json.is_object(metadata) then refuse(path, "__metadata__ is not an object") end
  for key, value in pairs(metadata) do
    if type(value) ~= "string" then refuse(path, "__metadata__: %s is not a string", shown(key)) end
  end
  return metadata
end

-- Bytes of a shape, or nil where they cannot be counted or are no whole number. Sizes beside one of 0 count, too:
-- strides are made of them.
local function count_bytes(shape, dtype)
  local count, empty = 1, false
  for _, size in ipairs(shape) do
    if size > 0 and count > MOST_ELEMENTS // size then return nil end
    count, empty = count * math.max(size, 1), empty or size == 0
  end
  local bits = empty and 0 or count * BITS[dtype]
  if bits % 8 ~= 0 then return nil end
  return bits // 8
end

-- One tensor's description, checked by itself.
local function check_entry(path, name, entry)
  local called = shown(name)
  if not json.is_object(entry) then refuse(path, "tensor %s: its description is not an object", called) end
  local dtype, shape, offsets = entry.dtype, entry.shape, entry.data_offsets
  if type(dtype) ~= "string" then refuse(path, "tensor %s: dtype is not a string", called) end
  if not BITS[dtype] then refuse(path, "tensor %s: the format has no dtype %s", called, shown(dtype)) end
  if not is_size_list(shape) then refuse(path, "tensor %s: shape is not a list of sizes", called) end
  if not is_size_list(offsets) or #offsets ~= 2 then
    refuse(path, "tensor %s: data_offsets is not a pair of positions", called)
  end
  local first, last = offsets[1], offsets[2]
  if last < first then refuse(path, "tensor %s ends at byte %d, before it begins at %d", called, last, first) end
  local bytes = count_bytes(shape, dtype)
  if not bytes then refuse(path, "tensor %s: no file holds %s of %s", called, name_list.shape(shape), dtype) end
  if bytes ~= last - first then
    refuse(path, "tensor %s: %s of %s takes %d bytes, its data_offsets hold %d", called, name_list.shape(shape), dtype,
      bytes, last - first)
  end
  return { name = name, dtype = dtype, shape = shape, first = first, last = last }
end

local function before(a, b)
  if a.first ~= b.first then return a.first < b.first end
  if a.last ~= b.last then return a.last < b.last end
  return a.name < b.name
end

-- The format wants the tensors to cover the data: no overlap, no hole, nothing behind.
local function check_cover(path, entries, size)
  local stop, previous = 0, nil
  for _, entry in ipairs(entries) do
    if entry.last > size then
      refuse(path, "cut short: tensor %s ends at byte %d of the data, %d are there", shown(entry.name), entry.last,
        size)
    end
    if entry.first < stop then
      refuse(path, "tensors %s and %s overlap: bytes %d to %d and %d to %d of the data", shown(previous.name),
        shown(entry.name), previous.first, previous.last, entry.first, entry.last)
    end
    if entry.first > stop then refuse(path, "bytes %d to %d of the data belong to no tensor", stop, entry.first) end
    stop, previous = entry.last, entry
  end
  if stop < size then refuse(path, "bytes %d to %d of the data belong to no tensor", stop, size) end
end

local File = {}
File.__index = File

-- Lets go of the file; tensors that are views of it keep what they need.
function File:close()
  self.file:close()
end
File.__close = File.close

-- Reads what the header says of the tensors.
local function read_entries(result)
  local path, file = result.path, result.file
  local header, start = read_header(path, file)
  result.metadata = check_metadata(path, header.__metadata__)
  header.__metadata__ = nil
  for name, description in pairs(header) do
    local entry = check_entry(path, name, description)
    entry.source, entry.offset = result, start + entry.first
    result.entries[#result.entries + 1], result.by_name[name] = entry, entry
  end
  table.sort(result.entries, before)
  check_cover(path, result.entries, file.size - start)
end

-- Opens a file and checks it.
-- @string path
-- @treturn table `path`, `entries` (in the order of their bytes; each `name`, `dtype` as the format calls it, `shape`),
-- `by_name`, `metadata`; to be closed
function safetensors.open(path)
  local file = core._map_file(path)
  local result = setmetatable({ path = path, entries = {}, by_name = {}, file = file }, File)
  local done, problem = pcall(read_entries, result)
  if done then return result end
  file:close()
  error(problem, 0)
end

-- Whether the format has a dtype of ours.
function safetensors.holds(dtype)
  return FILE_DTYPES[dtype] ~= nil
end

-- The tensor of an entry, in its own dtype; F64 becomes f32, smaller whole numbers and truth values i64.
-- @tparam table entry of an opened file
-- @bool view aligned ones as views of the file (a write touches only this process's copy), else all copied
function safetensors.read(entry, view)
  local path = entry.source.path
  if not READABLE[entry.dtype] then
    refuse(path, "tensor %s is %s, which is not implemented", shown(entry.name), entry.dtype)
  end
  if #entry.shape > 8 then refuse(path, "tensor %s has %d dimensions, more than 8", shown(entry.name), #entry.shape) end
  return entry.source.file:tensor(entry.offset, entry.dtype, entry.shape, view)
end

-- Whether all bytes of an entry are 0.
function safetensors.is_zero(entry)
  return entry.source.file:is_zero(entry.offset, entry.last - entry.first)
end

local function header_of(items, metadata)
  local header, position = { __metadata__ = metadata }, 0
  for _, item in ipairs(items) do
    local dtype = FILE_DTYPES[item.dtype or "f32"]
    local stop = position + count_bytes(item.shape, dtype)
    if header[item.name] then error("two tensors named " .. item.name) end
    local shape = json.array { table.unpack(item.shape) }
    header[item.name] = { dtype = dtype, shape = shape, data_offsets = { position, stop } }
    position = stop
  end
  local text = json.encode(header)
  return text .. (" "):rep(-#text % 8) -- so that float32 data is aligned and can be mapped
end

-- Writes tensors into an open new file, one after the other.
-- @param file a file writer, or a set in which one was begun
-- @tparam table items in the order of their bytes: `name`, `shape`, `dtype` (f32), `tensor` or `make`, a function that
-- returns it and is called when its turn comes
-- @tparam[opt] table metadata strings by name; `format = "pt"` where absent, which transformers demands
function safetensors.write_into(file, items, metadata)
  local header = header_of(items, metadata or { format = "pt" })
  file:write(string.pack("<I8", #header)):write(header)
  for _, item in ipairs(items) do
    file:write(item.tensor or item.make())
  end
end

-- The same as a file of its own, which appears whole or not at all.
-- @string path
-- @tparam table items
-- @tparam[opt] table metadata
function safetensors.write(path, items, metadata)
  local file <close> = core._file_writer(path)
  safetensors.write_into(file, items, metadata)
  file:commit()
end

return safetensors
