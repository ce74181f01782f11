-- GGUF files built by hand, field by field, so that specs can break any of them.
local gguf = {}

local NUMBERS = {
  u8 = { 0, "<I1" }, i8 = { 1, "<i1" }, u16 = { 2, "<I2" }, i16 = { 3, "<i2" }, u32 = { 4, "<I4" }, i32 = { 5, "<i4" },
  f32 = { 6, "<f" }, bool = { 7, "<I1" }, string = { 8, "<s8" }, u64 = { 10, "<I8" }, i64 = { 11, "<i8" },
  f64 = { 12, "<d" },
}

--- The bytes of a key and its value.
function gguf.pair(key, kind, value)
  local number, format = table.unpack(NUMBERS[kind])
  return string.pack("<s8I4" .. format, key, number, value)
end

--- The bytes of a key and its array.
function gguf.array(key, kind, values)
  local number, format = table.unpack(NUMBERS[kind])
  local parts = { string.pack("<s8I4I4I8", key, 9, number, #values) }
  for _, value in ipairs(values) do parts[#parts + 1] = string.pack(format, value) end
  return table.concat(parts)
end

--- The bytes of a tensor's description; `shape` with the innermost dimension first, as the file has it.
function gguf.tensor(name, shape, kind, offset)
  local parts = { string.pack("<s8I4", name, #shape) }
  for _, size in ipairs(shape) do parts[#parts + 1] = string.pack("<i8", size) end
  return table.concat(parts) .. string.pack("<I4I8", kind, offset)
end

--- A file: `pairs`, `tensors` (lists of bytes), `data`, and what else is to differ: `version`, `alignment`, `counts`.
function gguf.file(parts)
  local keys, tensors = parts.pairs or {}, parts.tensors or {}
  local counts = parts.counts or { #tensors, #keys }
  local header = string.pack("<c4I4i8i8", parts.magic or "GGUF", parts.version or 3, counts[1], counts[2])
    .. table.concat(keys) .. table.concat(tensors)
  if not parts.data then return header end
  return header .. ("\0"):rep(-#header % (parts.alignment or 32)) .. parts.data
end

return gguf
