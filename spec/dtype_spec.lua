local gpt = require "gpt"
local raised = require "spec.support.raised"
local fixture = dofile "spec/fixtures/dtypes.lua"

local function bytes_of(hexadecimal)
  return (hexadecimal:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local BLOCK = { q4_k = { 256, 144 }, q5_k = { 256, 176 }, q6_k = { 256, 210 }, q8_0 = { 32, 34 }, q4_0 = { 32, 18 },
  q4_1 = { 32, 20 }, q5_0 = { 32, 22 }, q5_1 = { 32, 24 }, f16 = { 1, 2 }, bf16 = { 1, 2 }, f32 = { 1, 4 }, i64 = { 1, 8 } }

-- Equal bit for bit, but that one NaN is as good as another.
local function assert_same_floats(expected, got)
  assert.equal(#expected, #got)
  for at = 1, #expected, 4 do
    local a, b = expected:sub(at, at + 3), got:sub(at, at + 3)
    if a ~= b then
      local x, y = string.unpack("<f", a), string.unpack("<f", b)
      if x == x or y == y then error(("number %d is %a, not %a"):format((at + 3) // 4, y, x), 2) end
    end
  end
end

describe("dtypes", function()
  it("of blocks are read as gguf reads them", function()
    for dtype, case in pairs(fixture.read) do
      local blocks, floats = bytes_of(case[1]), bytes_of(case[2])
      local t = gpt.from_bytes(blocks, { 1, #floats // 4 }, dtype)
      assert.equal(dtype, t:dtype())
      assert_same_floats(floats, t:float():bytes())
      assert_same_floats(floats, t:to("f32"):bytes())
      assert.equal(blocks, t:bytes())
      assert.equal(blocks, t:clone():bytes())
      local third = t:totable()[1][3]
      assert.equal(string.unpack("<f", floats, 9), third)
      assert.equal(third, t:float()[1][3]:item())
    end
  end)

  it("are written as gguf writes them", function()
    local floats = gpt.from_bytes(bytes_of(fixture.written.floats), { 11, 32 })
    for dtype, expected in pairs(fixture.written) do
      if dtype ~= "floats" then
        local got = floats:to(dtype):bytes()
        for row = 1, 11 do
          local size = #got // 11
          local function part(bytes) return bytes:sub((row - 1) * size + 1, row * size):gsub(".", function(c)
            return ("%02x"):format(c:byte())
          end) end
          assert.equal(part(bytes_of(expected)), part(got), dtype .. " row " .. row)
        end
      end
    end
  end)

  it("f16 and bf16 round to the nearest, ties to even, at every border", function()
    local source = bytes_of(fixture.halves.floats)
    local floats = gpt.from_bytes(source, { #source // 4 })
    for _, dtype in ipairs { "f16", "bf16" } do
      local expected = gpt.from_bytes(bytes_of(fixture.halves[dtype]), { #source // 4 }, dtype)
      assert_same_floats(expected:float():bytes(), floats:to(dtype):float():bytes())
    end
    for _, dtype in ipairs { "f16", "bf16" } do
      local nan = gpt.from_bytes(string.pack("<I4I4", 0x7f800001, 0xffc00000), { 2 }):to(dtype):totable()
      assert.is_true(nan[1] ~= nan[1] and nan[2] ~= nan[2])
    end
  end)

  it("every half survives the way to float and back", function()
    local words = {}
    for bits = 0, 65535 do words[bits + 1] = string.pack("<I2", bits) end
    local bytes = table.concat(words)
    for _, dtype in ipairs { "f16", "bf16" } do
      local t = gpt.from_bytes(bytes, { 65536 }, dtype)
      local back = t:float():to(dtype):bytes()
      local values = t:totable()
      for i = 1, 65536 do
        local same = bytes:sub(2 * i - 1, 2 * i) == back:sub(2 * i - 1, 2 * i)
        if not same and values[i] == values[i] then error(dtype .. ": " .. i - 1 .. " changed") end
      end
    end
  end)

  it("a matrix of 768 x 3,072 in parallel is what gguf makes of it", function()
    gpt.seed(1)
    local w = gpt.randn(768, 3072)
    for dtype, sum in pairs(fixture.sums) do
      local bytes = w:to(dtype):bytes()
      assert.equal(768 * 3072 // BLOCK[dtype][1] * BLOCK[dtype][2], #bytes)
      assert.equal(sum, gpt.from_bytes(bytes, { #bytes // 8 }, "i64"):sum():item(), dtype)
    end
  end)

  it("strange floats make some block and no undefined number", function()
    local inf, nan = 1 / 0, 0 / 0
    local rows = {}
    for i, odd in ipairs { inf, -inf, nan, 1e-44, 3e38 } do
      rows[i] = {}
      for j = 1, 32 do rows[i][j] = j == 5 and odd or j / 10 end
    end
    for j = 1, 32 do rows[4][j] = 1e-44 * j end
    local t = gpt.tensor(rows)
    for _, dtype in ipairs { "q8_0", "q4_0", "q4_1", "q5_0", "q5_1" } do
      local blocks = t:to(dtype)
      assert.equal(5 * BLOCK[dtype][2], #blocks:bytes())
      for j = 1, 32 do assert.is_true(math.abs(blocks:totable()[4][j]) < 1e-7) end
    end
  end)

  -- A row of 32 numbers: those given by position, and 0.25 elsewhere.
  local function row_with(given)
    local row = {}
    for i = 1, 32 do row[i] = given[i] or 0.25 end
    return gpt.tensor { row }
  end

  it("of two numbers equally far from 0 the first sets the scale, as in gguf", function()
    for dtype, steps in pairs { q4_0 = 8, q5_0 = 16 } do
      for _, first in ipairs { 1.0, -1.0 } do
        local t = row_with({ [3] = first, [9] = -first }):to(dtype)
        local scale = gpt.from_bytes(t:bytes():sub(1, 2), { 1 }, "f16"):totable()[1]
        assert.equal(-first / steps, scale)
        assert.same({ first, -first * (steps - 1) / steps }, { t:totable()[1][3], t:totable()[1][9] })
      end
    end
  end)

  it("numbers whose scale would be below the smallest float are zeros, as in gguf", function()
    local t = gpt.full({ 1, 32 }, 2.0 ^ -149)
    for _, dtype in ipairs { "q8_0", "q5_0", "q4_0" } do
      local bytes = t:to(dtype):bytes()
      local zeros = gpt.zeros(1, 32):to(dtype):bytes()
      assert.equal(zeros, bytes)
    end
  end)

  it("a NaN in a block is its lowest number, and changes no other", function()
    for _, dtype in ipairs { "q4_0", "q4_1", "q5_0", "q5_1" } do
      local clean = row_with({ [1] = -1.0, [2] = 0.9 }):to(dtype):totable()[1]
      local got = row_with({ [1] = -1.0, [2] = 0.9, [20] = 0 / 0 }):to(dtype):totable()[1]
      clean[20] = clean[1]
      assert.same(clean, got, dtype)
    end
  end)

  it("numbers of any dtype are made, shown and read", function()
    local values = {}
    for i = 1, 32 do values[i] = (i - 16) / 2 end
    for _, dtype in ipairs { "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1" } do
      local t = gpt.tensor({ values }, { dtype = dtype })
      assert.equal(dtype, t:dtype())
      assert.same({ 1, 32 }, t:shape())
      local text, floats = tostring(t), tostring(t:float())
      assert.equal(floats:gsub("f32", dtype, 1), text)
      assert.same(t:float():totable(), t:totable())
      assert.equal(dtype, gpt.zeros({ 2, 64 }, { dtype = dtype }):dtype())
      assert.same(gpt.zeros(2, 64):totable(), (gpt.zeros({ 2, 64 }, { dtype = dtype }) :float() + 0):totable())
      assert.equal(gpt.ones(2, 64):to(dtype):bytes(), gpt.ones({ 2, 64 }, { dtype = dtype }):bytes())
    end
    assert.equal(-1.5, gpt.tensor(-1.5, { dtype = "f16" }):item())
    assert.equal("tensor [] bf16 -1.5000", tostring(gpt.tensor(-1.5, { dtype = "bf16" })))
    assert.equal("i64", gpt.tensor({ 1.9, -1.9 }):to("i64"):dtype())
    assert.same({ 1, -1 }, gpt.tensor({ 1.9, -1.9 }):to("f16"):to("i64"):totable())
    local t = gpt.rand(2, 3)
    t:to("f32"):fill(7) -- itself
    assert.equal(42, t:sum():item())
  end)

  it("halves are viewed as floats are, and blocks by whole blocks", function()
    gpt.seed(3)
    local w = gpt.randn(4, 6, 64)
    local half = w:to "f16"
    local turned = half:transpose(1, 3):narrow(1, 3, 7)
    assert.same(w:transpose(1, 3):narrow(1, 3, 7):to("f16"):totable(), turned:totable())
    assert.same(turned:totable(), turned:contiguous():totable())
    local blocks = w:to "q8_0"
    local floats = blocks:float()
    assert.same(floats[2]:totable(), blocks[2]:totable())
    assert.same(floats:narrow(2, 3, 2):totable(), blocks:narrow(2, 3, 2):totable())
    assert.same(floats:narrow(2, 3, 2):totable(), blocks:narrow(2, 3, 2):clone():totable())
    assert.same(floats:narrow(3, 33, 32):totable(), blocks:narrow(3, 33, 32):contiguous():totable())
    assert.same(floats:transpose(1, 2):totable(), blocks:transpose(1, 2):clone():totable())
    assert.same(floats:view(24, 64):totable(), blocks:view(24, 64):totable())
    assert.same(floats:view(48, 32):totable(), blocks:view(48, 32):totable())
    local cut = "a view of a q8_0 tensor cannot cut or turn its blocks of 32 numbers; t:float() converts it"
    for _, view in ipairs {
      function() return blocks:transpose(2, 3) end, function() return blocks:narrow(3, 2, 32) end,
      function() return blocks:narrow(3, 1, 31) end, function() return blocks[1][1][1] end,
      function() return blocks:view(96, 16) end, function() return blocks:select(3, 1) end,
      function() return blocks:unsqueeze(-1) end,
    } do
      assert.equal(cut, raised(view))
    end
  end)

  it("are written into", function()
    gpt.seed(4)
    local w = gpt.randn(3, 64)
    for _, dtype in ipairs { "f16", "bf16", "q8_0", "q5_1" } do
      local t = gpt.zeros({ 3, 64 }, { dtype = dtype })
      t:copy(w)
      assert.equal(w:to(dtype):bytes(), t:bytes())
      t[2] = 1
      assert.same(gpt.ones(64):to(dtype):totable(), t[2]:totable())
      assert.equal(w:to(dtype)[3]:bytes(), t[3]:bytes())
      t:narrow(1, 1, 2):copy(w[3])
      assert.equal(w:to(dtype)[3]:bytes():rep(3), t:bytes())
      t:copy(t:clone())
      t:fill(-2)
      assert.equal(gpt.full({ 3, 64 }, -2.0):to(dtype):bytes(), t:bytes())
      local floats = w:clone()
      floats:copy(t)
      assert.same(t:totable(), floats:totable())
    end
    local read_only = gpt.from_bytes(("\0"):rep(144), { 256 }, "q4_k")
    assert.equal("q4_k is read only: nothing can be converted to it; q4_0, q4_1, q5_0, q5_1, q8_0, f16 and bf16 can be "
      .. "written", raised(function() read_only:fill(1) end))
  end)

  it("bad input is told by name", function()
    local list = "f32, i64, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k and q6_k"
    for _, case in ipairs {
      { "bad argument #1 to 'to' (there is no dtype 'Q8_0'; did you mean 'q8_0'?)",
        function() return gpt.ones(32):to "Q8_0" end },
      { "bad argument #1 to 'to' (there is no dtype 'bfloat16'; did you mean 'bf16'?)",
        function() return gpt.ones(32):to "bfloat16" end },
      { "bad argument #1 to 'to' (there is no dtype 'complex'; there are " .. list .. ")",
        function() return gpt.ones(32):to "complex" end },
      { "zeros: dtype: there is no dtype 'float16'; did you mean 'f16'?",
        function() return gpt.zeros({ 2 }, { dtype = "float16" }) end },
      { "a q8_0 tensor has rows of whole blocks of 32 numbers; shape [2, 33] has rows of 33",
        function() return gpt.ones(2, 33):to "q8_0" end },
      { "a q4_k tensor has rows of whole blocks of 256 numbers; shape [2, 128] has rows of 128",
        function() return gpt.from_bytes("", { 2, 128 }, "q4_k") end },
      { "a q4_0 tensor has rows of whole blocks of 32 numbers; shape [] has rows of 1",
        function() return gpt.tensor(1, { dtype = "q4_0" }) end },
      { "q6_k is read only: nothing can be converted to it; q4_0, q4_1, q5_0, q5_1, q8_0, f16 and bf16 can be written",
        function() return gpt.ones(256):to "q6_k" end },
      { "zeros: requires_grad: only f32 tensors have gradients, this one is f16",
        function() return gpt.zeros({ 2 }, { dtype = "f16", requires_grad = true }) end },
      { "bad argument #1 to 'from_bytes' (68 bytes expected for q8_0 of shape [64], got 5)",
        function() return gpt.from_bytes("abcde", { 64 }, "q8_0") end },
    } do
      assert.equal(case[1], raised(case[2]))
    end
  end)
end)
