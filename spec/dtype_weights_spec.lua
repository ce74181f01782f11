-- Linear, Embedding and a model's head over weights of every dtype.
local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local inputs = require "spec.support.inputs"
local raised = require "spec.support.raised"

local WRITABLE = { "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1" }
local READ_ONLY = { q4_k = 144, q5_k = 176, q6_k = 210 }

-- A weight of a k type: bytes with small scales, so that the numbers are ordinary.
local function k_weight(dtype, rows, columns)
  local size, blocks = READ_ONLY[dtype], {}
  local scale = string.pack("<I2", 0x1400) -- 2^-10
  gpt.seed(11)
  local bytes = gpt.randint(0, 256, { rows * columns // 256 * size }):totable()
  for b = 1, rows * columns // 256 do
    local block = string.char(table.unpack(bytes, (b - 1) * size + 1, b * size))
    blocks[b] = dtype == "q6_k" and block:sub(1, 208) .. scale or scale .. scale .. block:sub(5)
  end
  return gpt.from_bytes(table.concat(blocks), { rows, columns }, dtype)
end

local function assert_close(expected, got, tolerance)
  assert.same(expected:shape(), got:shape())
  local difference = (expected - got):abs():max():item()
  local size = expected:abs():max():item()
  if difference ~= difference or difference > (tolerance or 1e-5) * size then
    error(("%g apart, of %g"):format(difference, size), 2)
  end
end

-- Two Linear layers: over the weight as it is, and over the same numbers in f32.
local function pair(weight, bias)
  local out, inner = weight:size(1), weight:size(2)
  local plain, other = gpt.nn.Linear(inner, out, { bias = bias }), gpt.nn.Linear(inner, out, { bias = bias })
  other.weight, plain.weight = weight, weight:float()
  if bias then other.bias = plain.bias end
  return plain, other
end

-- With more than two rows f16 may be rounded to bf16.
local function many_rows(x, dtype)
  return dtype == "f16" and x:size(1) > 2 and 4e-3 or nil
end

describe("a weight", function()
  it("of any dtype is multiplied as its numbers are", function()
    gpt.seed(1)
    local large, small = gpt.randn(3072, 768), gpt.randn(96, 768)
    local given = {}
    for i, rows in ipairs { 1, 3, 8, 40 } do given[i] = inputs.eight_bits(rows, 768) end
    for _, dtype in ipairs(WRITABLE) do
      local w = (dtype == "q8_0" or dtype == "f16") and large or small
      local plain, other = pair(w:to(dtype), dtype ~= "q8_0")
      for _, x in ipairs(given) do
        assert_close(plain(x), other(x), many_rows(x, dtype))
        assert.equal("f32", other(x):dtype())
      end
    end
    for dtype in pairs(READ_ONLY) do
      local plain, other = pair(k_weight(dtype, 64, 768), true)
      for _, x in ipairs(given) do assert_close(plain(x), other(x)) end
    end
  end)

  it("of halves is multiplied where it lies, [in, out] too", function()
    gpt.seed(2)
    local file = gpt.randn(768, 2304)
    for _, dtype in ipairs { "f16", "bf16" } do
      local turned = file:to(dtype):transpose(1, 2)
      local plain, other = pair(turned:narrow(1, 769, 768), true)
      for _, rows in ipairs { 1, 5, 40 } do
        local x = inputs.eight_bits(rows, 768)
        assert_close(plain(x), other(x), many_rows(x, dtype))
      end
      local repeated = gpt.nn.Linear(8, 4, { bias = false })
      repeated.weight = gpt.ones({ 1, 8 }, { dtype = dtype }):expand(4, 8)
      assert.same({ { 8, 8, 8, 8 } }, repeated(gpt.ones(1, 8)):totable())
    end
  end)

  it("of integers is turned into f32 or refused", function()
    local layer = gpt.nn.Linear(4, 2)
    assert.equal("Linear.weight: an f32 tensor of shape [2, 4] expected, got i64 of [2, 4]",
      raised(function() layer.weight = gpt.zeros({ 2, 4 }, { dtype = "i64" }) end))
    assert.equal("Linear.bias: an f32 tensor of shape [2] expected, got f16 of [2]",
      raised(function() layer.bias = gpt.zeros({ 2 }, { dtype = "f16" }) end))
    assert.equal("LayerNorm.weight: an f32 tensor of shape [4] expected, got f16 of [4]",
      raised(function() gpt.nn.LayerNorm(4).weight = gpt.zeros({ 4 }, { dtype = "f16" }) end))
  end)

  it("query, key and value run as one where they are adjacent, and apart", function()
    gpt.seed(3)
    local options = { emb_dim = 64, n_heads = 2, context_length = 16, drop_rate = 0, qkv_bias = true }
    local fused = gpt.randn(192, 64)
    local x = inputs.eight_bits(14, 64):view(2, 7, 64)
    for _, dtype in ipairs { "f16", "q8_0", "q4_1" } do
      local whole = fused:to(dtype)
      local adjacent, apart, plain = gpt.nn.MultiHeadAttention(options), gpt.nn.MultiHeadAttention(options),
        gpt.nn.MultiHeadAttention(options)
      for i, name in ipairs { "query", "key", "value" } do
        local rows = whole:narrow(1, 64 * (i - 1) + 1, 64)
        adjacent[name].weight, apart[name].weight, plain[name].weight = rows, rows:clone(), rows:float()
        for _, other in ipairs { apart, plain } do other[name].bias = adjacent[name].bias end
      end
      for _, other in ipairs { apart, plain } do
        other.output.weight, other.output.bias = adjacent.output.weight, adjacent.output.bias
      end
      assert_close(plain(x), adjacent(x), dtype == "f16" and 4e-3 or nil)
      assert_close(plain(x), apart(x), dtype == "f16" and 4e-3 or nil)
    end
  end)

  it("is looked up in any dtype", function()
    gpt.seed(4)
    for _, dtype in ipairs(WRITABLE) do
      local n, dim = 300, 64
      if dtype == "q8_0" then n, dim = 50257, 768 end
      local layer = gpt.nn.Embedding(n, dim)
      layer.weight = layer.weight:detach():to(dtype)
      local rows = layer(gpt.tensor { { 0, n - 1, 7 }, { 7, 1, 30 } })
      assert.equal("f32", rows:dtype())
      assert.same(layer.weight[n]:totable(), rows[1][2]:totable())
      assert.same(layer.weight[8]:totable(), rows[2][1]:totable())
    end
    local turned = gpt.nn.Embedding(8, 5)
    turned.weight = gpt.randn(5, 8):to("f16"):transpose(1, 2)
    assert.same(turned.weight[3]:totable(), turned(gpt.tensor { 2 })[1]:totable())
    for dtype in pairs(READ_ONLY) do
      local layer = gpt.nn.Embedding(4, 512)
      layer.weight = k_weight(dtype, 4, 512)
      assert.same(layer.weight[3]:totable(), layer(gpt.tensor { 2 })[1]:totable())
    end
  end)

  it("lets gradients through to what comes before it", function()
    gpt.seed(5)
    for _, dtype in ipairs { "f16", "q8_0", "q4_0" } do
      local w = gpt.randn(32, 64):to(dtype)
      local plain, other = pair(w, true)
      local x = inputs.eight_bits(5, 64):requires_grad(true)
      local y = x:detach():clone():requires_grad(true)
      plain(x):pow(2):sum():backward()
      other(y):pow(2):sum():backward()
      assert_close(x.grad, y.grad, many_rows(x, dtype))
      assert_close(plain.bias.grad, plain.bias.grad)
      assert.is_nil(other.weight.grad)
      -- Over blocks the input is rounded to eight bits, in whose steps no difference has a slope.
      if dtype == "f16" then
        gradients.check(function(input) return other(input):pow(2):mean() end, { gpt.randn(2, 64) })
      end
    end
  end)

  it("of halves, [in, out], lets gradients through", function()
    gpt.seed(6)
    local plain, other = pair(gpt.randn(64, 32):to("bf16"):transpose(1, 2), false)
    local x = gpt.randn({ 5, 64 }, { requires_grad = true })
    local y = x:detach():clone():requires_grad(true)
    plain(x):pow(2):sum():backward()
    other(y):pow(2):sum():backward()
    assert_close(x.grad, y.grad)
  end)
end)

describe("a model's head", function()
  local config = { vocab_size = 300, context_length = 16, emb_dim = 64, n_heads = 2, n_layers = 1, drop_rate = 0,
    qkv_bias = true, tie_weights = true }

  it("of any dtype has the loss that its logits have, and gradients for what is below", function()
    gpt.seed(7)
    local ids, targets = { { 3, 1, 4, 1, 5 } }, { { 1, 4, 1, 5, 9 } }
    for _, dtype in ipairs { "bf16", "q8_0", "q4_0" } do
      local model = gpt.Model(config)
      local weight = gpt.randn(300, 64):to(dtype)
      model.token_embedding.weight = weight
      model.head.weight = model.token_embedding.weight
      local norm = model.final_norm.weight
      local logits = model(ids)
      assert_close(logits:view(5, 300), gpt.nn.Identity()(logits):view(5, 300))
      local expected = gpt.cross_entropy(logits, gpt.tensor(targets))
      expected:backward()
      local gradient = norm.grad
      norm.grad = nil
      local loss = model:loss(ids, targets)
      assert_close(expected:view(1), loss:view(1))
      loss:backward()
      assert_close(gradient, norm.grad)
      assert.is_nil(model.head.weight.grad)
    end
  end)
end)

describe("packed weights", function()
  local function layer_of(weight)
    local layer = gpt.nn.Linear(weight:size(2), weight:size(1))
    layer.weight = weight
    return layer
  end

  local function weight_of(dtype, rows, columns)
    return READ_ONLY[dtype] and k_weight(dtype, rows, columns) or gpt.randn(rows, columns):to(dtype)
  end

  it("give what the weights give, for every dtype and any number of rows", function()
    gpt.seed(8)
    for _, dtype in ipairs { "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k" } do
      local layer = layer_of(weight_of(dtype, 77, 512))
      local expected, given = {}, { inputs.eight_bits(2, 512), inputs.eight_bits(5, 512), inputs.eight_bits(61, 512) }
      for i, x in ipairs(given) do expected[i] = layer(x) end
      assert.equal(layer, layer:pack())
      for i, x in ipairs(given) do assert_close(expected[i], layer(x), many_rows(x, dtype)) end
    end
  end)

  it("of halves may lie [in, out] and be deeper than a panel", function()
    gpt.seed(9)
    for _, dtype in ipairs { "f16", "bf16" } do
      for _, weight in ipairs { gpt.randn(300, 70):to(dtype):transpose(1, 2), gpt.randn(40, 5000):to(dtype) } do
        local layer, x = layer_of(weight), inputs.eight_bits(9, weight:size(2))
        local expected = layer(x)
        assert_close(expected, layer:pack()(x), 4e-3)
      end
    end
  end)

  it("are found from a part of the weight, where panels begin with it", function()
    gpt.seed(10)
    local whole, x = gpt.randn(96, 64):to "q8_0", inputs.eight_bits(7, 64)
    local parts = { layer_of(whole:narrow(1, 1, 96)), layer_of(whole:narrow(1, 33, 32)), layer_of(whole:narrow(1, 6, 40)) }
    local expected = {}
    for i, part in ipairs(parts) do expected[i] = part(x) end
    parts[1]:pack()
    for i, part in ipairs(parts) do assert_close(expected[i], part(x)) end
  end)

  it("count as memory, and go with the weight", function()
    local layer = layer_of(gpt.randn(64, 256):to "q8_0")
    local function live()
      collectgarbage()
      return gpt.memory().live
    end
    local before = live()
    layer:pack()
    local packed = live() - before
    assert.is_true(packed >= 64 * 256, tostring(packed))
    assert.is_true(packed <= 1.5 * 64 * 256, tostring(packed))
    layer:pack() -- again: nothing is made twice
    assert.equal(packed, live() - before)
    layer:to "f32"
    layer:to "q8_0"
    assert.equal(before, live())
  end)

  it("of numbers of 4 bits take no more memory than the weight", function()
    for dtype, bytes in pairs { q4_0 = 18, q4_1 = 20 } do
      local layer = layer_of(gpt.randn(64, 256):to(dtype))
      collectgarbage()
      local before = gpt.memory().live
      layer:pack()
      local packed, weight = gpt.memory().live - before, 64 * 256 / 32 * bytes
      assert.is_true(packed >= weight and packed <= weight + 512, ("%s: %d bytes"):format(dtype, packed))
    end
  end)

  it("of several layers go with the last of them", function()
    gpt.seed(12)
    local function live()
      collectgarbage()
      collectgarbage()
      return gpt.memory().live
    end
    local function packed_with_another(last) -- the other goes
      gpt.nn.Sequential({ layer_of(gpt.randn(32, 64):to "q8_0"), last }):pack()
    end
    local function try()
      local last, x = layer_of(gpt.randn(32, 64):to "q4_0"), inputs.eight_bits(9, 64)
      local expected, without = last(x), live()
      packed_with_another(last)
      assert.is_true(live() - without >= 32 * 64 / 32 * (18 + 34)) -- both's panels lie in one piece
      assert_close(expected, last(x))
    end
    local before = live()
    try()
    assert.equal(before, live())
  end)

  it("are used no more once the weight is written to", function()
    gpt.seed(11)
    local layer, other, x = layer_of(gpt.randn(32, 64):to "bf16"), gpt.randn(32, 64):to "bf16", inputs.eight_bits(9, 64)
    layer:pack()
    layer.weight:copy(other)
    local plain = layer_of(other)
    plain.bias = layer.bias
    assert_close(plain(x), layer(x))
    layer:pack()
    assert_close(plain(x), layer(x))
  end)
end)
