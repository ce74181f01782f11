local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local spread, check = gradients.spread, gradients.check

-- What a function of the user's raises.
local function message(code, ...)
  local call = load("local gpt, a, b = ... return " .. code, "=user")
  local ok, text = pcall(call, gpt, ...)
  assert.is_false(ok)
  return text
end

describe("arithmetic", function()
  local a, b = gpt.tensor { { 1.0, 2, 3 }, { 4, 5, 6 } }, gpt.tensor { 1.0, 2, 4 }

  it("works element by element on equal shapes", function()
    assert.same({ { 2.0, 4.0, 6.0 }, { 8.0, 10.0, 12.0 } }, (a + a):totable())
    assert.same({ { 0.0, 0.0, 0.0 }, { 0.0, 0.0, 0.0 } }, (a - a):totable())
    assert.same({ { 1.0, 4.0, 9.0 }, { 16.0, 25.0, 36.0 } }, (a * a):totable())
    assert.same({ { 1.0, 1.0, 1.0 }, { 1.0, 1.0, 1.0 } }, (a / a):totable())
    assert.same({ 1.0, 4.0, 256.0 }, (b ^ b):totable())
    assert.same({ -1.0, -2.0, -4.0 }, (-b):totable())
  end)

  it("broadcasts", function()
    assert.same({ { 2.0, 4.0, 7.0 }, { 5.0, 7.0, 10.0 } }, (a + b):totable())
    assert.same({ { 0.0, 0.0, -1.0 }, { 3.0, 3.0, 2.0 } }, (a - b):totable())
    local column = gpt.tensor { { 10.0 }, { 100.0 } }
    assert.same({ { 10.0, 20.0, 40.0 }, { 100.0, 200.0, 400.0 } }, (column * b):totable())
    assert.same({ 2, 1, 2, 3 }, (gpt.zeros(2, 1, 1, 3) + a):shape())
  end)

  it("takes a number on either side", function()
    assert.same({ 2.0, 3.0, 5.0 }, (b + 1):totable())
    assert.same({ 2.0, 3.0, 5.0 }, (1 + b):totable())
    assert.same({ 0.0, 1.0, 3.0 }, (b - 1):totable())
    assert.same({ 0.0, -1.0, -3.0 }, (1 - b):totable())
    assert.same({ 0.5, 1.0, 2.0 }, (b * 0.5):totable())
    assert.same({ 2.0, 4.0, 8.0 }, (2 * b):totable())
    assert.same({ 0.5, 1.0, 2.0 }, (b / 2):totable())
    assert.same({ 4.0, 2.0, 1.0 }, (4 / b):totable())
    assert.same({ 1.0, 4.0, 16.0 }, (b ^ 2):totable())
    assert.same({ 2.0, 4.0, 16.0 }, (2 ^ b):totable())
  end)

  it("has methods of the same names", function()
    assert.same((b + 3):totable(), b:add(3):totable())
    assert.same((b - 3):totable(), b:sub(3):totable())
    assert.same((b * 3):totable(), b:mul(3):totable())
    assert.same((b / 3):totable(), b:div(3):totable())
    assert.same((b ^ 3):totable(), b:pow(3):totable())
    assert.same((-b):totable(), b:neg():totable())
  end)

  it("turns i64 into f32", function()
    local n = gpt.tensor { 1, 2, 3 }
    for _, y in ipairs { n + n, n - 1, 2 * n, n / n, n ^ 2, -n, n + b, n:exp() } do assert.equal("f32", y:dtype()) end
    assert.same({ 0.5, 1.0, 1.5 }, (n / 2):totable())
  end)

  it("reads views where they lie", function()
    local turned = a:transpose(1, 2)
    assert.same({ { 2.0, 6.0 }, { 4.0, 8.0 }, { 6.0, 10.0 } }, (turned * 2 + gpt.tensor { 0.0, -2 }):totable())
    assert.same({ { 2.0, 3.0 }, { 5.0, 6.0 } }, (a:narrow(2, 2, 2) * 1):totable())
    local square = gpt.arange(1, 9):float():view(3, 3)
    local sums = { { 2.0, 6.0, 10.0 }, { 6.0, 10.0, 14.0 }, { 10.0, 14.0, 18.0 } }
    assert.same(sums, (square + square:transpose(1, 2)):totable())
    assert.same({ { 1.0, 1.0 }, { 4.0, 4.0 } }, (a:narrow(2, 1, 1):expand(2, 2) * 1):totable())
  end)

  it("takes empty tensors, and tensors without dimensions", function()
    assert.same({ 0, 3 }, (gpt.zeros(0, 3) + b):shape())
    assert.equal(10.0, (a:sum() - 11):item())
    assert.same({}, (a:sum() - 11):shape())
  end)

  it("gives the same numbers for any number of threads", function()
    gpt.seed(1)
    local x, row = gpt.rand(300, 1000), gpt.rand(1000)
    local results = {}
    for threads = 1, 3 do
      gpt.set_threads(threads)
      results[threads] = ((x * row + x):exp() / (x:transpose(1, 2):contiguous():transpose(1, 2) + 1)):bytes()
    end
    gpt.set_threads(0)
    assert.is_true(results[1] == results[2] and results[1] == results[3])
  end)

  it("says which shapes do not fit", function()
    local rule = "; counted from the last dimension, sizes must be equal or one of them 1"
    assert.equal("user:1: add: shapes [2, 3] and [4] do not fit: sizes 3 and 4 in dimension -1" .. rule,
      message("a + b", a, gpt.ones(4)))
    assert.equal("user:1: div: shapes [2, 3] and [3, 1] do not fit: sizes 2 and 3 in dimension -2" .. rule,
      message("a:div(b)", a, gpt.ones(3, 1)))
    assert.equal("user:1: lt: shapes [2, 3] and [2] do not fit: sizes 3 and 2 in dimension -1" .. rule,
      message("a:lt(b)", a, gpt.tensor { 1, 2 }))
  end)

  it("refuses what is no number", function()
    local expected = "a tensor or a number expected, got "
    assert.equal("user:1: bad argument #2 to 'add' (" .. expected .. "nil)", message("a + b", a))
    assert.equal("user:1: bad argument #1 to 'mul' (" .. expected .. "table)", message("b * a", a, {}))
    assert.equal("user:1: bad argument #1 to 'pow' (" .. expected .. "string)", message("a:pow(b)", a, "2"))
    assert.equal("user:1: arithmetic with a tensor: " .. expected .. "string", message("b - a", a, "2"))
  end)

  it("refuses a freed tensor", function()
    local freed = gpt.ones(2)
    freed:free()
    assert.equal("user:1: bad argument #2 to 'add' (this gpt.Tensor was freed)", message("a + b", a, freed))
  end)
end)

describe("comparison", function()
  local a = gpt.tensor { 1.0, 2, 3, 0 / 0 }

  it("returns 0 and 1 as i64", function()
    assert.equal("i64", a:eq(2):dtype())
    assert.same({ 0, 1, 0, 0 }, a:eq(2):totable())
    assert.same({ 1, 0, 1, 1 }, a:ne(2):totable())
    assert.same({ 1, 0, 0, 0 }, a:lt(2):totable())
    assert.same({ 1, 1, 0, 0 }, a:le(2):totable())
    assert.same({ 0, 0, 1, 0 }, a:gt(2):totable())
    assert.same({ 0, 1, 1, 0 }, a:ge(2):totable())
  end)

  it("broadcasts, and reads views", function()
    local n = gpt.tensor { { 1, 2 }, { 3, 4 } }
    assert.same({ { 1, 0 }, { 0, 0 } }, n:eq(gpt.tensor { 1, 3 }):totable())
    assert.same({ { 1, 0 }, { 0, 1 } }, n:eq(n:transpose(1, 2)):totable())
  end)

  it("compares i64 exactly", function()
    local n = gpt.tensor { math.maxinteger, math.maxinteger - 1 }
    assert.same({ 1, 0 }, n:eq(math.maxinteger):totable())
    assert.same({ 0, 1 }, n:lt(n[1]):totable())
    assert.same({ 1, 0 }, gpt.tensor { 1, 2 }:lt(1.5):totable())
  end)

  it("compares with a number as f32 has it", function()
    assert.same({ 1 }, gpt.tensor { 0.1 }:eq(0.1):totable())
  end)
end)

describe("gradients of arithmetic", function()
  before_each(function() gpt.seed(7) end)

  local ops = {
    add = function(x, y) return x + y end,
    sub = function(x, y) return x - y end,
    mul = function(x, y) return x * y end,
    div = function(x, y) return x / y end,
    pow = function(x, y) return x ^ y end,
  }
  for name, op in pairs(ops) do
    it(name .. " of equal shapes", function()
      check(op, { spread({ 2, 3 }, 0.5, 2), spread({ 2, 3 }, 0.5, 2) })
    end)

    it(name .. " through broadcasting", function()
      check(op, { spread({ 2, 3 }, 0.5, 2), spread({ 3 }, 0.5, 2) })
      check(op, { spread({ 2, 1 }, 0.5, 2), spread({ 1, 3 }, 0.5, 2) })
      check(op, { spread({}, 0.5, 2), spread({ 2, 1, 3 }, 0.5, 2) })
      check(op, { spread({ 2, 1, 2, 1 }, 0.5, 2), spread({ 3, 1, 2 }, 0.5, 2) })
    end)

    it(name .. " of views", function()
      check(function(x, y) return op(x:transpose(1, 2), y) end, { spread({ 2, 3 }, 0.5, 2), spread({ 3, 2 }, 0.5, 2) })
      check(function(x, y) return op(x, y):transpose(1, 2) end, { spread({ 2, 3 }, 0.5, 2), spread({ 2, 3 }, 0.5, 2) })
    end)

    it(name .. " with a number", function()
      check(function(x) return op(x, 3) end, { spread({ 2, 3 }, 0.5, 2) })
      check(function(x) return op(1.5, x) end, { spread({ 2, 3 }, 0.5, 2) })
    end)

    it(name .. " of a tensor with itself", function()
      check(function(x) return op(x, x) + x end, { spread({ 3 }, 0.5, 2) })
    end)
  end

  it("the unary minus", function()
    check(function(x) return -x end, { spread({ 2, 3 }, -1, 1) })
  end)

  it("only where they are wanted", function()
    local x, y = gpt.ones(2):requires_grad(true), gpt.ones(2)
    local sum = (x * y):sum()
    sum:backward()
    assert.same({ 1.0, 1.0 }, x.grad:totable())
    assert.is_nil(y.grad)
  end)
end)
