local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local spread, check = gradients.spread, gradients.check

-- What the user's code raises.
local function message(code, ...)
  local ok, text = pcall(load("local gpt, a = ... return " .. code, "=user"), gpt, ...)
  assert.is_false(ok)
  return text
end

describe("a reduction", function()
  local a = gpt.tensor { { 1.0, 5, 3 }, { 4, 2, 6 } }

  it("takes all elements, or one dimension", function()
    assert.equal(21.0, a:sum():item())
    assert.same({}, a:sum():shape())
    assert.same({ 5.0, 7.0, 9.0 }, a:sum(1):totable())
    assert.same({ 9.0, 12.0 }, a:sum(-1):totable())
    assert.same({ 3.0, 4.0 }, a:mean(2):totable())
    assert.same({ 4.0, 4.0 }, a:var(2):totable())
  end)

  it("keeps the dimension if asked", function()
    assert.same({ 2, 1 }, a:sum(2, true):shape())
    assert.same({ 1, 3 }, a:mean(1, true):shape())
    assert.same({ 1, 1 }, a:max(nil, true):shape())
    assert.same({ 2, 1 }, a:argmax(2, true):shape())
    local values, positions = a:min(1, true)
    assert.same({ { 1.0, 2.0, 3.0 } }, values:totable())
    assert.same({ { 1, 2, 1 } }, positions:totable())
  end)

  it("returns positions from 1", function()
    local values, positions = a:max(2)
    assert.same({ 5.0, 6.0 }, values:totable())
    assert.same({ 2, 3 }, positions:totable())
    assert.equal(6, a:argmax():item())
    assert.same({ 1, 2, 1 }, a:argmin(1):totable())
    assert.equal(1, select("#", a:max()))
  end)

  it("leaves i64 as it is, but for mean and var", function()
    local n = gpt.tensor { { 3, 1 }, { 2, math.maxinteger - 2 } }
    assert.equal(math.maxinteger, n:sum(1)[2]:item() + 1)
    assert.equal("i64", n:sum():dtype())
    assert.same({ 3, math.maxinteger - 2 }, (n:max(2)):totable())
    assert.equal(1, n:min():item())
    assert.equal("f32", n:mean():dtype())
    assert.equal(2.0, gpt.tensor { 1, 2, 3 }:mean():item())
    assert.equal(1.0, gpt.tensor { 1, 2, 3 }:var():item())
  end)

  it("takes var's options as the last argument", function()
    assert.same({ 8.0, 8.0 }, (a:var(2, { correction = 0 }) * 3):totable())
    assert.same({ { 4.0 }, { 4.0 } }, a:var(2, true, {}):totable())
    assert.equal(35.0, a:var { correction = 5.5 }:item())
  end)

  it("reads views", function()
    assert.same(a:sum(1):totable(), a:transpose(1, 2):sum(2):totable())
    assert.same({ 8.0, 8.0 }, a:narrow(2, 2, 2):sum(2):totable())
    assert.same({ 2, 2 }, select(2, a:transpose(1, 2):max(1)):narrow(1, 1, 1):expand(2):totable())
  end)

  it("sums nothing to 0", function()
    assert.same({ 0.0, 0.0, 0.0 }, gpt.zeros(0, 3):sum(1):totable())
    assert.equal(0.0, gpt.zeros(0):sum():item())
    assert.same({ 0 }, gpt.zeros(0, 3):sum(2):shape())
    local mean = gpt.zeros(0):mean():item()
    assert.is_true(mean ~= mean)
  end)

  it("divides by what the correction leaves, and never by less than 0", function()
    local one = gpt.tensor { 1.0 }:var { correction = 2 }:item()
    assert.is_true(one ~= one)
    assert.equal(math.huge, gpt.tensor { 1.0, 2, 3 }:var { correction = 5 }:item())
  end)

  it("takes the first nan as the largest and the least", function()
    local nan = 0 / 0
    for _, name in ipairs { "argmax", "argmin" } do
      assert.equal(2, gpt.tensor { 1.0, nan, 3, nan }[name](gpt.tensor { 1.0, nan, 3, nan }, 1):item())
    end
  end)

  it("shares the gradient of the extreme of all among equals", function()
    for _, sign in ipairs { 1, -1 } do
      local x = gpt.tensor({ 2.0 * sign, 0, 2.0 * sign }):requires_grad(true)
      x[sign == 1 and "max" or "min"](x):backward()
      assert.same({ 0.5, 0.0, 0.5 }, x.grad:totable())
    end
  end)

  it("is accurate over many elements", function()
    local n = 3 * 1000 * 1000
    local tenths = gpt.full({ n }, 0.1)
    local tenth = tenths[1]:item()
    assert.is_true(math.abs(tenths:sum():item() / (n * tenth) - 1) < 2 ^ -23)
    assert.is_true(math.abs(tenths:mean():item() / tenth - 1) < 2 ^ -23)
    assert.is_true(math.abs(tenths:view(n // 2, 2):sum(1)[1]:item() / (n / 2 * tenth) - 1) < 2 ^ -23)
    assert.is_true(math.abs((gpt.arange(1, 1001):float() + 4096):var():item() / 83583.5 - 1) < 2 ^ -22)
  end)

  it("gives the same numbers for any number of threads", function()
    gpt.seed(5)
    local x, results = gpt.randn(9000, 40), {}
    for threads = 1, 3 do
      gpt.set_threads(threads)
      local sums = { x:sum(), x:sum(1), x:sum(2), x:mean(1), x:var(2), x:softmax(1):sum(2), (x:max(1)) }
      for i, sum in ipairs(sums) do sums[i] = sum:bytes() end
      results[threads] = table.concat(sums)
    end
    gpt.set_threads(0)
    assert.is_true(results[1] == results[2] and results[1] == results[3])
  end)

  it("has the gradient that differences have", function()
    gpt.seed(5)
    for _, name in ipairs { "sum", "mean", "var", "std", "max", "min" } do
      for _, dim in ipairs { false, 1, 2, -1 } do
        for _, keepdim in ipairs { false, true } do
          local function f(x) return (x[name](x, dim or nil, keepdim)) end
          check(f, { spread({ 3, 2, 4 }, -2, 2) })
          check(function(x) return f(x:transpose(1, 2)) * 2 end, { spread({ 3, 2, 4 }, -2, 2) })
        end
      end
    end
    check(function(x) return x:var(1, { correction = 0 }) end, { spread({ 5 }, -2, 2) })
    check(function(x) return x:std { correction = 0 } end, { spread({ 5 }, -2, 2) })
    for dim = 1, 3 do
      check(function(x) return x:cumsum(dim) end, { spread({ 3, 2, 4 }, -2, 2) })
      check(function(x) return x:transpose(1, 3):cumsum(dim) end, { spread({ 3, 2, 4 }, -2, 2) })
    end
    for _, p in ipairs { 1, 2, 3, 1.5, 0.5, -1, math.huge, -math.huge } do
      for _, dim in ipairs { false, 1, -1 } do
        check(function(x) return x:transpose(1, 2):norm(p, dim or nil) end, { spread({ 3, 2, 4 }, 0.5, 4) })
        check(function(x) return x:norm(p, dim or nil, true) end, { -spread({ 3, 2, 4 }, 0.5, 4) })
      end
    end
  end)

  it("sums on along a dimension, and measures", function()
    assert.same({ { 1.0, 6.0, 9.0 }, { 4.0, 6.0, 12.0 } }, a:cumsum(-1):totable())
    assert.equal("i64", gpt.tensor { 1, 2 }:cumsum(1):dtype())
    assert.same({ math.maxinteger, math.mininteger }, gpt.tensor { math.maxinteger, 1 }:cumsum(1):totable())
    assert.same({ 0, 3 }, gpt.zeros(0, 3):cumsum(1):shape())
    assert.equal(5.0, gpt.tensor { 3, 4 }:norm():item())
    assert.equal(1, gpt.tensor({ 3e30, 4e30 }):norm():item() / 5e30 // 0.999999)
    assert.same({ { 5.0, 7.0, 9.0 } }, a:norm(1, 1, true):totable())
    assert.equal(0.0, gpt.zeros(0):norm():item())
    assert.equal(math.huge, gpt.zeros(0):norm(-1):item())
    assert.same({ 0.0, 2.0 }, gpt.tensor { { 5.0, 5.0 }, { 3.0, 7.0 } }:std(2, { correction = 0 }):totable())
    local nan = gpt.tensor { 1.0, 0 / 0, 3 }
    for _, p in ipairs { 1, 2, 3, math.huge, -math.huge } do
      local norm = nan:norm(p):item()
      assert.is_true(norm ~= norm)
    end
  end)

  it("measures many elements accurately, in any number of chunks", function()
    for _, n in ipairs { 4095, 4096, 4097, 100000 } do
      local x = gpt.full({ n }, -3.0)
      x[n] = 4
      assert.is_true(math.abs(x:norm():item() / math.sqrt(9 * (n - 1) + 16) - 1) < 1e-6)
      assert.equal(3.0 * (n - 1) + 4, x:norm(1):item())
      assert.equal(4.0, x:norm(math.huge):item())
      assert.equal(3.0, x:norm(-math.huge):item())
      x:requires_grad(true)
      x:norm(math.huge):backward()
      assert.equal(1.0, x.grad:sum():item())
      assert.equal(1.0, x.grad[n]:item())
    end
  end)

  it("has no positions to choose where there is nothing", function()
    assert.equal("user:1: max: nothing to choose from in a tensor of shape [0, 3]",
      message("a:max(1)", gpt.zeros(0, 3)))
    assert.equal("user:1: min: nothing to choose from in a tensor of shape [0]", message("a:min()", gpt.zeros(0)))
    assert.equal("user:1: argmax: nothing to choose from in a tensor of shape [3, 0]",
      message("a:argmax(-1)", gpt.zeros(3, 0)))
    assert.same({ 0 }, (gpt.zeros(0, 3):max(2)):shape())
  end)

  it("refuses wrong arguments", function()
    assert.equal("user:1: bad argument #1 to 'sum' (dim 3 out of range: the tensor has 2, counted 1..2, "
      .. "or -1 for the last)", message("a:sum(3)", a))
    assert.equal("user:1: bad argument #2 to 'mean' (boolean expected, got number)", message("a:mean(1, 2)", a))
    assert.equal("user:1: var: unknown option 'corection'; did you mean 'correction'?",
      message("a:var { corection = 1 }", a))
    assert.equal("user:1: std: correction: a number expected, got string", message("a:std(1, { correction = '1' })", a))
    assert.equal("user:1: bad argument #1 to 'norm' (p: a number or an infinity expected, got nan)",
      message("a:norm(0 / 0)", a))
    assert.equal("user:1: bad argument #1 to 'norm' (number expected, got string)", message("a:norm('fro')", a))
    assert.equal("user:1: norm: nothing to choose from in a tensor of shape [0, 3]",
      message("a:norm(math.huge, 1)", gpt.zeros(0, 3)))
    assert.equal("user:1: bad argument #1 to 'cumsum' (a dim expected (1..2, or -1 for the last), got no value)",
      message("a:cumsum()", a))
    assert.equal("user:1: var: correction: a number expected, got string", message("a:var(1, { correction = '1' })", a))
    assert.equal("user:1: bad argument #1 to 'max' (a tensor without dimensions has no dims to name)",
      message("a:max(1)", a:sum()))
  end)

  it("changes nothing that the graph holds when positions are written to", function()
    local x = gpt.tensor { { 1.0, 3, 2 } }:requires_grad(true)
    local values, positions = x:max(2)
    positions:fill(1)
    values:sum():backward()
    assert.same({ { 0.0, 1.0, 0.0 } }, x.grad:totable())
  end)
end)
