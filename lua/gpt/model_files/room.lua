-- Whether there is room for a model's weights. Where there is not, the error says what they take as each dtype.
local core = require "gpt.core"
local dtypes = require "gpt.support.dtypes"
local shown = require "gpt.support.bytes"

local room = {}

local SHOWN = { "f32", "bf16", "q8_0", "q4_0" } -- f16 takes what bf16 does
local NEEDS = "not enough memory"

-- Bytes of one weight as a dtype: vectors stay f32, and rows that are no whole blocks become f16.
local function bytes_of(shape, dtype)
  local count = shape[1] * (shape[2] or 1)
  if #shape ~= 2 then return 4 * count end
  local row = dtypes.by_name[dtype]
  if shape[2] % row.block ~= 0 then return 2 * count end
  return count // row.block * row.bytes
end

local function advice(shapes)
  local parts = {}
  for i, dtype in ipairs(SHOWN) do
    local bytes = 0
    for _, shape in pairs(shapes) do bytes = bytes + bytes_of(shape, dtype) end
    parts[i] = ("%s as %s"):format(shown(bytes), dtype)
  end
  return ("\n  its weights take %s (the option dtype), and no memory of the process's own where they are mapped as "
    .. "they are in the file"):format(table.concat(parts, ", "))
end

-- Runs fn and returns what it does. Raises what it raises; with that advice where memory is short.
-- @string path of the model's files
-- @tparam {[string]={integer,...}} shapes of its parameters
function room.guard(path, shapes, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local problem = results[2]
  if type(problem) ~= "string" or not problem:find(NEEDS, 1, true) then error(problem, 0) end
  core._raise(("%s: %s%s"):format(path, problem:match(NEEDS .. ".*"), advice(shapes)))
end

-- The bytes that loading makes of a file's tensor: none where it stays as it is, mapped.
local function owned_bytes(item, dtype, options)
  local target = #item.shape == 2 and options.dtype or dtype
  local stays = target == dtype and options.map and not (item.form and item.form.copies)
  return stays and 0 or bytes_of(item.shape, target)
end

-- Raises before anything is read where there is no room for what loading will copy or convert.
-- @tparam {table,...} list the files' layout
-- @func dtype_of returns what a tensor of the files is, by its name; nil where it is missing
-- @tparam table options of gpt.load
function room.check(path, list, shapes, dtype_of, options)
  local bytes = 0
  for _, item in ipairs(list) do
    local dtype = dtype_of(item.name)
    if dtype and dtypes.by_name[dtype] then bytes = bytes + owned_bytes(item, dtype, options) end
  end
  room.guard(path, shapes, core._need_memory, bytes)
end

return room
