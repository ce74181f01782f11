-- Writing GGUF, version 3: metadata, descriptions of tensors, then their bytes. Reading is csrc/core/io/gguf.c.
local core = require "gpt.core"

local ALIGNMENT = 32
local ENCODINGS = core._gguf_encodings()

-- Types of values: the format's numbers, and how a value lies in the file.
local TYPES = { u32 = { 4, "<I4" }, f32 = { 6, "<f" }, bool = { 7, "<I1" }, string = { 8, "<s8" }, f64 = { 12, "<d" } }

local function pack_pair(pair)
  local key, kind, value = table.unpack(pair)
  local number, format = table.unpack(TYPES[kind])
  if kind == "bool" then value = value and 1 or 0 end
  return string.pack("<s8I4" .. format, key, number, value)
end

local function padding(length)
  return ("\0"):rep(-length % ALIGNMENT)
end

-- Bytes of a tensor of that shape; a row is a multiple of the block.
local function count_bytes(shape, encoding)
  local count = 1
  for _, size in ipairs(shape) do count = count * size end
  return count // encoding.block * encoding.bytes
end

-- The format lists the innermost dimension first.
local function describe(item, position)
  local shape, encoding = item.shape, ENCODINGS[item.dtype]
  local parts = { string.pack("<s8I4", item.name, #shape) }
  for d = #shape, 1, -1 do parts[#parts + 1] = string.pack("<I8", shape[d]) end
  parts[#parts + 1] = string.pack("<I4I8", encoding.number, position)
  return table.concat(parts), count_bytes(shape, encoding)
end

local function header_of(pairs_of, items)
  local parts, keys, position = { "" }, 0, 0
  for _, pair in ipairs(pairs_of) do
    parts[#parts + 1] = pair.bytes or pack_pair(pair)
    keys = keys + (pair.count or 1)
  end
  for _, item in ipairs(items) do
    local text, bytes = describe(item, position)
    parts[#parts + 1] = text
    position = position + bytes + #padding(bytes)
  end
  parts[1] = string.pack("<c4I4I8I8", "GGUF", 3, #items, keys)
  local text = table.concat(parts)
  return text .. padding(#text)
end

local function write_tensor(file, item)
  for _, tensor in ipairs(item.make()) do file:write(tensor) end
  file:write(padding(count_bytes(item.shape, ENCODINGS[item.dtype])))
end

-- Writes a file, which appears whole or not at all.
-- @string path
-- @tparam {table,...} metadata each `{ key, type, value }`, or `{ bytes = , count = }`: so many keys, already packed
-- @tparam {table,...} items the tensors in their order, each: `name`, `shape`, `dtype`, and `make`, a function that is
-- called when its turn comes and returns the tensors whose rows, of that dtype, follow each other
return function(path, metadata, items)
  local file <close> = core._file_writer(path)
  file:write(header_of(metadata, items))
  for _, item in ipairs(items) do write_tensor(file, item) end
  file:commit()
end
