-- Products with weights of every dtype, by every set of kernels that this processor runs, beside the same numbers in
-- f32: at odd sizes and real ones, few rows and many.
local process = require "spec.support.process"

-- The sets of each kind of processor
local SETS = { "generic", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "amx", "tiles", "dotprod",
  "i8mm" }

-- The set that is chosen where this one is asked for: another one where the processor lacks it.
local function chosen(set)
  return process.lua('io.write(require "gpt.core"._kernels())', "LUAGPT_KERNELS=" .. set)
end

local code = [=[
local gpt = require "gpt"
local inputs = require "spec.support.inputs"
gpt.set_threads(2)
gpt.seed(1)

local DTYPES = { "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k" }
local BLOCKS = { f16 = 1, bf16 = 1, q8_0 = 32, q4_0 = 32, q4_1 = 32, q5_0 = 32, q5_1 = 32, q4_k = 256, q5_k = 256,
  q6_k = 256 }
local SIZES = { q4_k = 144, q5_k = 176, q6_k = 210 }

-- A weight with ordinary numbers; of k types, which are not written, random bytes with small scales of their own.
local function weight(dtype, rows, columns)
  if not SIZES[dtype] then return gpt.randn(rows, columns):to(dtype) end
  local blocks, scale = {}, string.pack("<I2", 0x1400)
  local bytes = gpt.randint(0, 256, { rows * columns // 256, SIZES[dtype] }):totable()
  for i, row in ipairs(bytes) do
    local block = string.char(table.unpack(row))
    blocks[i] = dtype == "q6_k" and block:sub(1, 208) .. scale or scale .. scale .. block:sub(5)
  end
  return gpt.from_bytes(table.concat(blocks), { rows, columns }, dtype)
end

local function linear(w, bias)
  local layer = gpt.nn.Linear(w:size(2), w:size(1), { bias = bias ~= nil })
  layer.weight = w
  if bias then layer.bias = bias end
  return function(x) return gpt.no_grad(function() return layer(x) end) end
end

-- most: a part of the greatest number, or `size`
local function check(what, expected, got, most, size)
  local off, size = (expected - got):abs():max():item(), size or expected:abs():max():item()
  if not (off <= most * size) then error(("%s: %g apart, of %g"):format(what, off, size)) end
end

local function same(what, a, b)
  if a:bytes() ~= b:bytes() then error(what .. " depends on it") end
end

local function check_numbers(dtype, w, rows)
  local what = ("%s, %d rows by [%d, %d]"):format(dtype, rows, w:size(1), w:size(2))
  local bias = gpt.randn(w:size(1))
  local ours, plain = linear(w, bias), linear(w:float(), bias)
  local exact, any = inputs.eight_bits(rows, w:size(2)), gpt.randn(rows, w:size(2))
  -- f16 may be rounded to bf16 where there are many rows, any input to bf16 or to 8 bits.
  local size = w:size(2) ^ 0.5 * w:float():abs():max():item()
  check(what, plain(exact), ours(exact), dtype == "f16" and rows > 1 and 5e-3 or 1e-5, 2 * size)
  check(what, plain(any), ours(any), 2e-2, size)
  return ours, any
end

for _, dtype in ipairs(DTYPES) do
  local block = BLOCKS[dtype]
  for _, columns in ipairs { 1, 3, 5, 25, 80 } do
    local k = columns * block
    if k <= 1280 then
      local w = weight(dtype, 35, k)
      for _, rows in ipairs { 1, 2, 7, 8, 13, 25 } do check_numbers(dtype, w, rows) end
      check_numbers(dtype, w:narrow(1, 3, 1), 3)
      check_numbers(dtype, w:narrow(1, 2, 17), 16)
    end
  end
  local large = weight(dtype, SIZES[dtype] and 96 or 3072, 768)
  for _, rows in ipairs { 1, 8, 70 } do
    local ours, x = check_numbers(dtype, large, rows)
    local y = ours(x)
    gpt.set_threads(1)
    same(dtype .. ": the number of threads", y, ours(x))
    gpt.set_threads(2)
    local part = linear(large:narrow(1, 6, 50))
    same(dtype .. ": the cut", part(x), linear(large)(x):narrow(2, 6, 50):contiguous())
    if rows == 8 then same(dtype .. ": few rows", y:narrow(1, 3, 4):contiguous(), ours(x:narrow(1, 3, 4):contiguous())) end
  end
end

-- Panels made ahead give what the weight gives; over blocks each row is the same beside any others.
for _, dtype in ipairs(DTYPES) do
  local block = BLOCKS[dtype]
  for _, k in ipairs { block, 768 } do
    local w, bias, x = weight(dtype, 35, k), gpt.randn(35), inputs.eight_bits(70, k)
    local layer = gpt.nn.Linear(k, 35)
    layer.weight, layer.bias = w, bias
    layer:pack()
    local packed = function(rows) return gpt.no_grad(function() return layer(x:narrow(1, 1, rows)) end) end
    local expected, size = linear(w:float(), bias)(x), 2 * k ^ 0.5 * w:float():abs():max():item()
    local all = packed(70)
    for _, rows in ipairs { 1, 2, 3, 4, 5, 8, 9, 12, 13, 16, 24, 31, 32, 33, 40, 70 } do
      local y = packed(rows)
      check(("%s, packed, %d rows by [35, %d]"):format(dtype, rows, k), expected:narrow(1, 1, rows), y,
        dtype == "f16" and rows > 1 and 5e-3 or 1e-5, size)
      if block > 1 and rows > 2 then same(dtype .. ", packed: the rows beside it", y, all:narrow(1, 1, rows):contiguous()) end
    end
  end
end

-- Floats stored [out, in]: whole numbers are exact, whatever the order of a sum; a row's numbers depend neither on the
-- rows beside it nor on the cut.
for _, k in ipairs { 3, 64, 261, 770 } do
  for _, n in ipairs { 5, 131, 700 } do
    local what, w, x = ("f32, [%d, %d]"):format(n, k), gpt.randn(n, k), gpt.randn(48, k)
    local whole, few = gpt.randint(-3, 4, { n, k }):float(), gpt.randint(-3, 4, { 60, k }):float()
    local f, exact, expected, alone = linear(w, gpt.randn(n)), linear(whole), few:matmul(whole:transpose(1, 2)), {}
    for i = 1, #x do alone[i] = f(x:narrow(1, i, 1)) end
    for _, rows in ipairs { 1, 2, 3, 4, 6, 7, 8, 9, 12, 16, 31, 48 } do
      same(what .. ": the rows beside it", f(x:narrow(1, 1, rows)), gpt.cat({ table.unpack(alone, 1, rows) }, 1))
      check(what, expected:narrow(1, 1, rows), exact(few:narrow(1, 1, rows)), 0)
    end
  end
end

-- Deep ones stored [in, out]: sums of parts. Whole numbers are exact; neither rows nor threads count.
for _, k in ipairs { 767, 768, 1001 } do
  local w, x, bias = gpt.randn(k, 200):transpose(1, 2), gpt.randn(8, k), gpt.randint(-9, 10, { 200 }):float()
  local whole, few = gpt.randint(-3, 4, { k, 200 }):float():transpose(1, 2), gpt.randint(-3, 4, { 8, k }):float()
  local expected = linear(whole:contiguous(), bias)(few)
  for _, rows in ipairs { 1, 3, 8 } do
    local y = linear(w)(x:narrow(1, 1, rows))
    same("[in, out]: the rows beside it", y, linear(w)(x):narrow(1, 1, rows):contiguous())
    check("f32, deep, [in, out]", expected:narrow(1, 1, rows), linear(whole, bias)(few:narrow(1, 1, rows)), 0)
    gpt.set_threads(1)
    same("[in, out]: the number of threads", y, linear(w)(x:narrow(1, 1, rows)))
    gpt.set_threads(2)
  end
end

-- Halves stored [in, out], as in GPT-2's files: adjacent columns of one weight
for _, dtype in ipairs { "f16", "bf16" } do
  for _, k in ipairs { 1, 7, 33, 160 } do
    local w = gpt.randn(k, 150):to(dtype):transpose(1, 2)
    for _, rows in ipairs { 1, 2, 5, 8, 13, 40 } do
      local exact = gpt.randint(-127, 128, { rows, k }):float()
      check(("%s [in, out], %d rows"):format(dtype, rows), linear(w:float())(exact), linear(w)(exact),
        dtype == "f16" and 5e-3 or 1e-5)
      check(dtype .. " [in, out], a part", linear(w:float():narrow(1, 30, 77))(exact), linear(w:narrow(1, 30, 77))(exact),
        dtype == "f16" and 5e-3 or 1e-5)
    end
  end
end

-- What is not finite stays so in its row, and in no other; no rows give none; zeros give the bias.
for _, dtype in ipairs(DTYPES) do
  local block = BLOCKS[dtype]
  local w = weight(dtype, 33, block == 1 and 70 or 2 * block)
  local k, bias = w:size(2), gpt.randn(33)
  local f = linear(w, bias)
  for _, rows in ipairs { 3, 20 } do
    local x = inputs.eight_bits(rows, k)
    local clean = f(x):totable()
    x[2][k] = 0 / 0
    x[3][1] = math.huge
    local y = f(x):totable()
    for i, row in ipairs(y) do
      for j, value in ipairs(row) do
        local finite = value == value and math.abs(value) < math.huge
        if i == 2 or i == 3 then assert(not finite, dtype .. ": a row with what is not finite")
        else assert(value == clean[i][j], dtype .. ": a row beside it") end
      end
    end
    check(dtype .. ", zeros", bias:view(1, 33):expand(rows, 33), f(gpt.zeros(rows, k)), 0)
    check(dtype .. ", -0", bias:view(1, 33):expand(rows, 33), f(gpt.zeros(rows, k) * -1), 0)
    check(dtype .. ", tiny", bias:view(1, 33):expand(rows, 33), f(gpt.full({ rows, k }, 1e-41)), 1e-30)
  end
  assert(#f(gpt.zeros(0, k)) == 0)
end
print "done"
]=]

describe("products with weights of every dtype", function()
  -- An emulated processor is slow, and has one set of its own.
  for _, set in ipairs(os.getenv "LUAGPT_EMULATED" and { require("gpt.core")._kernels() } or SETS) do
    local name = "are right with the kernels named " .. set
    if chosen(set) == set then
      it(name, function()
        local output, ok = process.lua(code, "LUAGPT_KERNELS=" .. set)
        assert.equal("done\n", output)
        assert.is_true(ok)
      end)
    else
      pending(name .. ": this processor lacks its instructions")
    end
  end
end)
