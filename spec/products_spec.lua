-- Matrix products in every layout, at the edges of tiles, panels and depths; with the kernels of this processor and
-- with lesser ones: of deep products avx512 multiplies panels, generic and avx2 leave them to OpenBLAS.
local process = require "spec.support.process"

local code = [=[
local gpt = require "gpt"
gpt.seed(1)

-- Small whole numbers: every sum is exact, whatever its order.
local function whole(...)
  return gpt.randint(-3, 4, { ... }):float()
end

local function turned(t)
  return t:transpose(1, 2):contiguous():transpose(1, 2)
end

-- A few rows at a time are another kernel's work.
local function by_few_rows(a, b)
  local parts, rows = {}, #a
  for first = 1, rows, 8 do
    parts[#parts + 1] = a:narrow(1, first, math.min(8, rows - first + 1)):matmul(b)
  end
  return gpt.cat(parts, 1)
end

local function check(what, got, expected)
  if got:eq(expected):min():item() ~= 1 then error(what .. " is wrong") end
end

local function check_shape(m, k, n)
  local a, b = whole(m, k), whole(k, n)
  local expected, name = by_few_rows(a, b), ("%d x %d x %d"):format(m, k, n)
  check(name .. ", by rows", a:matmul(b), expected)
  check(name .. ", right side by columns", a:matmul(turned(b)), expected)
  check(name .. ", left side by columns", turned(a):matmul(b), expected)
  check(name .. ", both by columns", turned(a):matmul(turned(b)), expected)
end

for _, m in ipairs { 9, 11, 97, 481 } do
  for _, n in ipairs { 1, 15, 17, 385 } do
    for _, k in ipairs { 1, 255, 513 } do check_shape(m, k, n) end
  end
end
check_shape(12, 0, 16)
check_shape(1000, 257, 33)
check_shape(130, 700, 800)
check_shape(70, 1100, 40)
check_shape(530, 4110, 20)

-- A layer's bias, and gradients that are added to those of an earlier backward.
for _, size in ipairs { { 70, 50, 90 }, { 600, 530, 1050 }, { 4110, 20, 60 } } do
  local inputs, outputs, rows = table.unpack(size)
  local layer, x, dy = gpt.nn.Linear(inputs, outputs), whole(rows, inputs), whole(rows, outputs)
  gpt.no_grad(function()
    layer.weight:copy(whole(outputs, inputs))
    layer.bias:copy(whole(outputs))
  end)
  x:requires_grad(true)
  for _ = 1, 2 do (layer(x) * dy):sum():backward() end
  check("bias", layer(x), by_few_rows(x, layer.weight:transpose(1, 2)) + layer.bias)
  check("input's gradient", x.grad, by_few_rows(dy, layer.weight) * 2)
  check("weight's gradient", layer.weight.grad, by_few_rows(turned(dy):transpose(1, 2), x) * 2)
end

-- Weights that no product takes as they lie: repeated rows, columns between others, and three of these side by side.
local function check_weight(what, weight)
  local layer, x = gpt.nn.Linear(#weight[1], #weight), whole(20, #weight[1])
  layer.weight = weight
  gpt.no_grad(function() layer.bias:fill(0) end)
  check(what, layer(x), by_few_rows(x, weight:contiguous():transpose(1, 2)))
end
for _, k in ipairs { 30, 600 } do
  check_weight("a weight of repeated rows", whole(1, k):expand(20, k))
  check_weight("a weight of repeated columns", whole(20, 1):expand(20, k))
  check_weight("a weight between others", whole(20, k, 2):select(3, 1))
end
local beside, attention = whole(72, 24, 2):select(3, 1),
  gpt.nn.MultiHeadAttention { emb_dim = 24, n_heads = 2, context_length = 20, drop_rate = 0 }
local function with_weights(make)
  for i, name in ipairs { "query", "key", "value" } do
    attention[name].weight = make(beside:narrow(1, 24 * i - 23, 24))
  end
  return attention(gpt.ones(1, 10, 24))
end
check("attention's weights side by side", with_weights(function(w) return w end),
  with_weights(function(w) return w:contiguous() end))

-- Attention beside its definition.
local function by_hand(attention, x)
  local batch, tokens, dim, heads = #x, #x[1], #x[1][1], 2
  local function split(t) return t:view(batch, tokens, heads, dim // heads):transpose(2, 3) end
  local q, k, v = split(attention.query(x)), split(attention.key(x)), split(attention.value(x))
  local unseen = gpt.ones(tokens, tokens):triu(1)
  local scores = (q:matmul(k:transpose(3, 4)) / math.sqrt(dim // heads)):masked_fill(unseen, -math.huge)
  return attention.output(scores:softmax(4):matmul(v):transpose(2, 3):reshape(batch, tokens, dim))
end

local function gradients(attention, forward, x, dy)
  for _, p in attention:parameters() do p.grad = nil end
  x.grad = nil
  local y = forward(x);
  (y * dy):sum():backward()
  return { y = y:detach(), x = x.grad, query = attention.query.weight.grad, key = attention.key.weight.grad,
    value = attention.value.weight.grad }
end

-- Attention by hand consists of products in bf16 there, attention itself does not.
local lengths = gpt.precision() == "f32" and { 9, 65, 127, 128, 129, 260, 520 } or {}
for _, tokens in ipairs(lengths) do
  local attention = gpt.nn.MultiHeadAttention { emb_dim = 24, n_heads = 2, context_length = 600, drop_rate = 0 }
  local x, dy = gpt.randn(2, tokens, 24):requires_grad(true), gpt.randn(2, tokens, 24)
  local ours = gradients(attention, attention, x, dy)
  local theirs = gradients(attention, function(t) return by_hand(attention, t) end, x, dy)
  for name, t in pairs(theirs) do
    local off = (ours[name] - t):abs():max():item() / t:abs():max():item()
    if not (off < 2e-5) then error(("attention over %d tokens: %s is off by %g"):format(tokens, name, off)) end
  end
end
print "done"
]=]

describe("a matrix product", function()
  for _, set in ipairs { "", "generic", "avx2", "avx512" } do
    local kernels = set ~= "" and "LUAGPT_KERNELS=" .. set or ""
    local runs = set == "" or process.lua('io.write(require "gpt.core"._kernels())', kernels) == set
    local check = runs and it or pending
    check("is right at every edge, " .. (kernels == "" and "with this processor's kernels" or kernels), function()
      local output, ok = process.lua(code, kernels)
      assert.equal("done\n", output)
      assert.is_true(ok)
    end)
  end

  it("has the same bits for any number of threads", function()
    local output = process.lua [=[
      local gpt = require "gpt"
      local function products()
        gpt.seed(1)
        local parts = {}
        for _, k in ipairs { 100, 700, 4200 } do
          local a, b = gpt.randn(70, k), gpt.randn(110, k):transpose(1, 2)
          for _, t in ipairs { a:matmul(b), a:matmul(b:contiguous()), b:transpose(1, 2):matmul(a:transpose(1, 2)) } do
            parts[#parts + 1] = t:contiguous():bytes()
          end
        end
        return table.concat(parts)
      end
      gpt.set_threads(1)
      local alone = products()
      for _, threads in ipairs { 2, 3, 5 } do
        gpt.set_threads(threads)
        print(threads, products() == alone)
      end]=]
    assert.equal("2\ttrue\n3\ttrue\n5\ttrue\n", output)
  end)

  for _, kernels in ipairs { "", "LUAGPT_KERNELS=tiles" } do
    local where = kernels == "" and "where the processor has it" or "by tiles in plain C where it has pairs"
    it("is right at every edge in bf16, " .. where .. ": whole numbers are exact there", function()
      local output, ok = process.lua('require "gpt".set_precision "bf16"\n' .. code, kernels)
      assert.equal("done\n", output)
      assert.is_true(ok)
    end)
  end
end)
