local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local spread, check = gradients.spread, gradients.check

local functions = {
  neg = { -2, 2 }, exp = { -2, 2 }, log = { 0.5, 3 }, sqrt = { 0.5, 3 }, tanh = { -2, 2 }, abs = { -2, 2 },
  relu = { -2, 2 }, gelu = { -3, 3 }, gelu_exact = { -3, 3 },
}

describe("functions of one tensor", function()
  for name in pairs(functions) do
    it(name .. " reads views of any strides, with the same numbers", function()
      gpt.seed(3)
      local x = gpt.rand(5, 700) + 0.1
      local f = function(t) return t[name](t) end
      local expected = f(x:transpose(1, 2):contiguous()):bytes()
      assert.is_true(expected == f(x:transpose(1, 2)):bytes())
      assert.is_true(f(x:narrow(2, 3, 100):contiguous()):bytes() == f(x:narrow(2, 3, 100)):bytes())
    end)

    it(name .. " has the gradient that differences have", function()
      gpt.seed(3)
      local low, high = table.unpack(functions[name])
      check(function(x) return x[name](x) end, { spread({ 3, 4 }, low, high) })
      check(function(x) return x[name](x:transpose(1, 2)):transpose(1, 2) end, { spread({ 3, 4 }, low, high) })
    end)
  end

  it("clamp has the gradient that differences have", function()
    gpt.seed(3)
    check(function(x) return x:clamp(-1, 1) end, { spread({ 3, 4 }, -2, 2) })
    check(function(x) return x:clamp(nil, 1):clamp(-1) end, { spread({ 3, 4 }, -2, 2) })
  end)

  it("clamp needs a bound", function()
    local ok, text = pcall(load("return (...):clamp()", "=user"), gpt.ones(2))
    assert.is_false(ok)
    assert.equal("user:1: clamp: a lowest number, a highest one or both expected, got neither", text)
  end)

  it("take empty tensors, and tensors without dimensions", function()
    for name in pairs(functions) do
      assert.same({ 0, 2 }, gpt.zeros(0, 2)[name](gpt.zeros(0, 2)):shape())
      assert.same({}, gpt.ones(3):sum()[name](gpt.ones(3):sum()):shape())
    end
  end)
end)

describe("softmax", function()
  it("adds up to 1 along its dimension", function()
    gpt.seed(3)
    local x = gpt.randn(4, 5, 6) * 10
    for dim = 1, 3 do
      local off = (x:softmax(dim):sum(dim) - 1):abs():max():item()
      assert.is_true(off < 1e-6)
      assert.is_true((x:log_softmax(dim):exp() - x:softmax(dim)):abs():max():item() < 1e-6)
    end
  end)

  it("has the gradient that differences have", function()
    gpt.seed(3)
    for dim = 1, 3 do
      check(function(x) return x:softmax(dim) end, { spread({ 2, 3, 2 }, -2, 2) })
      check(function(x) return x:log_softmax(dim) end, { spread({ 2, 3, 2 }, -2, 2) })
      check(function(x) return x:transpose(1, 3):softmax(dim) end, { spread({ 2, 3, 2 }, -2, 2) })
      check(function(x) return x:log_softmax(dim):transpose(1, 3) end, { spread({ 2, 3, 2 }, -2, 2) })
    end
  end)

  it("names the dimension that is not there", function()
    local ok, text = pcall(load("return (...):softmax(3)", "=user"), gpt.ones(2, 2))
    assert.is_false(ok)
    assert.equal("user:1: bad argument #1 to 'softmax' (dim 3 out of range: the tensor has 2, counted 1..2, "
      .. "or -1 for the last)", text)
  end)
end)
