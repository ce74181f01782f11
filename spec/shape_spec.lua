local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local raised = require "spec.support.raised"
local fixture = dofile "spec/fixtures/tensor.lua"

-- Every case: the message, and the call that raises it.
local function check_messages(cases)
  for _, case in ipairs(cases) do assert.equal(case[1], raised(case[2])) end
end

-- Numbers without a pattern, none equal to another.
local function numbers(...)
  local shape = { ... }
  return gradients.spread(shape, -2, 2)
end

local count = gpt.arange(1, 24)

describe("view and reshape", function()
  it("show the same elements in another shape", function()
    assert.same({ { 1, 2 }, { 3, 4 } }, gpt.arange(1, 4):view(2, 2):totable())
    assert.same({ 2, 3, 4 }, count:view { 2, -1, 4 }:shape())
    assert.same({ 1 }, gpt.tensor(5):view(1):shape())
    assert.same({}, gpt.tensor({ 5 }):view({}):shape())
    assert.same({ 0, 7 }, gpt.zeros(7, 0):view(0, 7):shape())
  end)

  it("share memory where they can", function()
    local t = gpt.zeros(2, 3)
    t:view(3, 2)[1][2] = 5
    t:transpose(1, 2):view(3, 1, 2)[3] = 7
    assert.same({ { 0, 5, 7 }, { 0, 0, 7 } }, t:totable())
    t:transpose(1, 2):reshape(6)[1] = 9
    assert.equal(0, t[1][1]:item())
    t:narrow(2, 1, 1):reshape(2)[1] = 9
    assert.equal(9, t[1][1]:item())
  end)

  it("copy large ones right, whatever the strides", function()
    local t = gpt.arange(1, 70 * 50):view(70, 50)
    for _, x in ipairs { t, t:float(), t:view(2, 35, 50):transpose(1, 3), t:view(7, 10, 5, 10):permute(4, 2, 1, 3) } do
      local copy, sizes = x:contiguous(), x:shape()
      for n = 1, 200 do
        local a, b = x, copy
        for d, size in ipairs(sizes) do
          local i = (n * 7919 + d * 10007 * n) % size + 1
          a, b = a[i], b[i]
        end
        assert.equal(a:item(), b:item())
      end
    end
    assert.same({ 2, 52, 102 }, t:select(2, 2):contiguous():narrow(1, 1, 3):totable())
  end)

  it("split what lies apart", function()
    local t = count:view(2, 3, 4)
    assert.same(t:transpose(1, 2):contiguous():view(3, 2, 2, 2):totable(), t:transpose(1, 2):view(3, 2, 2, 2):totable())
    assert.same({ { 1, 5, 9 }, { 2, 6, 10 } }, t[1]:transpose(1, 2):reshape(12):view(4, 3):narrow(1, 1, 2):totable())
    assert.same({ { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } }, { { 13, 14, 15, 16 }, { 17, 18, 19, 20 } } },
      t:narrow(2, 1, 2):view(2, 8):view(2, 2, 4):totable())
  end)

  it("refuse what does not fit", function()
    local t = gpt.zeros(2, 3)
    check_messages {
      { "view: shape [2, 3] with 6 elements does not fit into shape [4]", function() t:view(4) end },
      { "view: shape [2, 3] with 6 elements does not fit into shape [4, -1]", function() t:view(4, -1) end },
      { "view: only one size may be -1, got [-1, -1]", function() t:view(-1, -1) end },
      { "view: shape [2, 3] with 6 elements does not fit into shape [-2, -3]", function() t:view(-2, -3) end },
      { "view: shape [0] with 0 elements does not fit into shape [-1, 0]", function() gpt.zeros(0):view(-1, 0) end },
      { "reshape: shape [2, 3] with 6 elements does not fit into shape [7]", function() t:reshape(7) end },
      { "view: shape [3, 2], with its strides, has no view of shape [6]; reshape() copies if needed",
        function() t:transpose(1, 2):view(6) end },
      { "bad argument #1 to 'view' (a shape expected, as numbers or as one array, got no value)",
        function() t:view() end },
      { "bad argument #1 to 'view' (size 1 of the shape: a whole number expected, got string)",
        function() t:view("6") end },
    }
  end)
end)

describe("the order of dims", function()
  it("changes", function()
    local t = count:view(2, 3, 4)
    assert.same({ 4, 3, 2 }, t:transpose(1, -1):shape())
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, gpt.tensor({ { 1, 2, 3 }, { 4, 5, 6 } }):transpose(1, 2):totable())
    assert.same({ 4, 2, 3 }, t:permute(3, 1, 2):shape())
    assert.equal(t[2][3][4]:item(), t:permute { -1, 1, 2 }[4][2][3]:item())
    assert.same(t:totable(), t:transpose(2, 2):totable())
  end)

  it("is checked", function()
    local t = gpt.zeros(2, 3)
    check_messages {
      { "bad argument #2 to 'transpose' (dim 3 out of range: the tensor has 2, counted 1..2, or -1 for the last)",
        function() t:transpose(1, 3) end },
      { "bad argument #1 to 'transpose' (dim 0 out of range: the tensor has 2, counted 1..2, or -1 for the last)",
        function() t:transpose(0, 1) end },
      { "permute: each of the dims 1..2 once expected, got [1, 1]", function() t:permute(1, 1) end },
      { "permute: each of the dims 1..2 once expected, got [1]", function() t:permute(1) end },
      { "permute: each of the dims 1..2 once expected, got [0, 1]", function() t:permute(0, 1) end },
      { "permute: each of the dims 1..2 once expected, got [1, 2, 3]", function() t:permute(1, 2, 3) end },
    }
  end)
end)

describe("slices", function()
  local t = count:view(2, 3, 4)

  it("are views", function()
    assert.same({ { 5, 6, 7, 8 }, { 9, 10, 11, 12 } }, t[1]:narrow(1, 2, 2):totable())
    assert.same({ { 9, 10, 11, 12 } }, t[1]:narrow(1, -1, 1):totable())
    assert.same({ 2, 0, 4 }, t:narrow(2, 4, 0):shape())
    assert.same({ { 2, 6, 10 }, { 14, 18, 22 } }, t:select(3, 2):totable())
    assert.same({ 21, 22, 23, 24 }, t:select(2, -1)[2]:totable())
    local mine = gpt.zeros(2, 2)
    mine:select(2, 1):fill(1)
    mine:narrow(1, 2, 1):fill(2)
    assert.same({ { 1, 0 }, { 2, 2 } }, mine:totable())
  end)

  it("gain and lose dims of size 1", function()
    assert.same({ 1, 2, 3, 4 }, t:unsqueeze(1):shape())
    assert.same({ 2, 3, 4, 1 }, t:unsqueeze(-1):shape())
    assert.same({ 2, 4 }, t:narrow(2, 1, 1):squeeze(2):shape())
    check_messages {
      { "squeeze: a dim of size 1 expected, dim 2 of shape [2, 3, 4] has size 3", function() t:squeeze(2) end },
      { "a tensor has at most 8 dimensions, got 9", function() gpt.zeros(1, 1, 1, 1, 1, 1, 1, 1):unsqueeze(1) end },
    }
  end)

  it("repeat without copying", function()
    local row = gpt.tensor { { 1, 2, 3 } }
    assert.same({ { 1, 2, 3 }, { 1, 2, 3 } }, row:expand(2, 3):totable())
    assert.same({ 4, 2, 3 }, row:expand(4, 2, -1):shape())
    check_messages {
      { "shape [1, 3] cannot be broadcast to [2, 4]", function() row:expand(2, 4) end },
      { "shape [1, 3] cannot be broadcast to [3]", function() row:expand(3) end },
      { "shape [1, 3] cannot be broadcast to [-1, 2, 3]", function() row:expand(-1, 2, 3) end },
    }
  end)

  it("are checked", function()
    check_messages {
      { "bad argument #2 to 'narrow' (position 5 out of range 1..3)", function() t:narrow(2, 5, 1) end },
      { "bad argument #2 to 'narrow' (position 0 out of range 1..3)", function() t:narrow(2, 0, 1) end },
      { "bad argument #3 to 'narrow' (length 3 from position 2 does not fit: dim 2 has size 3)",
        function() t:narrow(2, 2, 3) end },
      { "bad argument #3 to 'narrow' (length -1 from position 2 does not fit: dim 2 has size 3)",
        function() t:narrow(2, 2, -1) end },
      { "bad argument #2 to 'select' (position 4 out of range 1..3)", function() t:select(2, 4) end },
    }
  end)
end)

describe("cat and stack", function()
  it("join", function()
    local a, b = gpt.tensor { { 1, 2 } }, gpt.tensor { { 3, 4 } }
    assert.same({ { 1, 2 }, { 3, 4 } }, gpt.cat({ a, b }):totable())
    assert.same({ { 1, 2, 3, 4 } }, gpt.cat({ a, b }, -1):totable())
    assert.same({ { { 1, 2 } }, { { 3, 4 } } }, gpt.stack({ a, b }):totable())
    assert.same({ { { 1, 3 }, { 2, 4 } } }, gpt.stack({ a, b }, -1):totable())
    assert.same({ 5, 7 }, gpt.stack({ gpt.tensor(5), gpt.tensor(7) }):totable())
    assert.same({ 1, 3 }, gpt.cat({ a[1]:narrow(1, 1, 1), b:transpose(1, 2)[1] }):totable())
    assert.equal("i64", gpt.cat({ a, b }):dtype())
    assert.equal("f32", gpt.cat({ a, b:float() }):dtype())
    assert.same({ { 1, 2 }, { 3.5, 4 } }, gpt.cat({ a, gpt.tensor { { 3.5, 4 } } }):totable())
  end)

  it("refuse what does not fit", function()
    local a = gpt.zeros(2, 3)
    check_messages {
      { "cat: tensor 1 has shape [2, 3], tensor 2 has [2, 4]: they must agree everywhere but in dimension 1",
        function() gpt.cat { a, gpt.zeros(2, 4) } end },
      { "cat: tensor 1 has shape [2, 3], tensor 3 has [3]: they must agree everywhere but in dimension 2",
        function() gpt.cat({ a, a, gpt.zeros(3) }, 2) end },
      { "stack: tensor 1 has shape [2, 3], tensor 2 has [3, 2]: they must be equal",
        function() gpt.stack { a, gpt.zeros(3, 2) } end },
      { "cat: tensors without dimensions cannot be joined; stack them", function() gpt.cat { gpt.tensor(1) } end },
      { "bad argument #1 to 'cat' (at least one tensor expected, got an empty array)", function() gpt.cat {} end },
      { "bad argument #1 to 'cat' (element [2]: a tensor expected, got number)", function() gpt.cat { a, 4 } end },
      { "bad argument #1 to 'stack' (a list of tensors expected, { a, b }, got gpt.Tensor)", function() gpt.stack(a) end },
      { "bad argument #2 to 'cat' (dim 3 out of range: the tensor has 2, counted 1..2, or -1 for the last)",
        function() gpt.cat({ a }, 3) end },
    }
  end)
end)

describe("index", function()
  local t = gpt.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

  it("picks slices", function()
    assert.same({ { 3, 1, 1 }, { 6, 4, 4 } }, t:index(2, { -1, 1, 1 }):totable())
    assert.same({ { 4, 5, 6 } }, t:index(1, gpt.tensor { 2 }):totable())
    assert.same({ { { 1, 3 }, { 2, 2 } }, { { 4, 6 }, { 5, 5 } } },
      t:index(2, gpt.tensor { { 1, 3 }, { 2, -2 } }):totable())
    assert.same({ 3, 6 }, t:index(2, gpt.tensor(3)):totable())
    assert.same({ 0, 3 }, t:index(1, gpt.zeros({ 0 }, { dtype = "i64" })):shape())
    assert.same({ { 2, 5 } }, t:transpose(1, 2):index(1, { 2 }):totable())
    assert.same({ 2, 0 }, t:index(2, {}):shape())
  end)

  it("is checked", function()
    check_messages {
      { "bad argument #2 to 'index' (element [2] is position 4, out of range 1..3)",
        function() t:index(2, { 1, 4 }) end },
      { "bad argument #2 to 'index' (element [1] is position 0, out of range 1..3)", function() t:index(2, { 0 }) end },
      { "bad argument #2 to 'index' (element [1] is position -4, out of range 1..3)",
        function() t:index(2, gpt.tensor { -4 }) end },
      { "bad argument #2 to 'index' (element [2]: a position (a whole number) expected, got 1.5)",
        function() t:index(2, { 1, 1.5 }) end },
      { "bad argument #2 to 'index' (an i64 tensor of positions expected, got f32)",
        function() t:index(2, gpt.tensor { 1.0 }) end },
      { "bad argument #2 to 'index' (array or i64 tensor of positions expected, got number)",
        function() t:index(2, 3) end },
    }
  end)
end)

describe("flip", function()
  it("turns the order around", function()
    local t = gpt.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    assert.same({ { 4, 5, 6 }, { 1, 2, 3 } }, t:flip(1):totable())
    assert.same({ { 6, 5, 4 }, { 3, 2, 1 } }, t:flip(1, -1):totable())
    assert.same({ { 6, 3 }, { 5, 2 }, { 4, 1 } }, t:transpose(1, 2):flip { 2, 1 }:totable())
    assert.same({ 0, 3 }, gpt.zeros(0, 3):flip(1):shape())
    t:flip(1):fill(0)
    assert.same({ 1, 2, 3 }, t[1]:totable())
    local q = gpt.rand(3, 64):to "q8_0"
    assert.equal(q:float():flip(1):bytes(), q:flip(1):float():bytes())
    check_messages {
      { "flip: dims of 1..2 expected, each at most once, got [3]", function() t:flip(3) end },
      { "flip: dims of 1..2 expected, each at most once, got [1, -2]", function() t:flip(1, -2) end },
      { "a view of a q8_0 tensor cannot cut or turn its blocks of 32 numbers; t:float() converts it",
        function() q:flip(2) end },
    }
  end)
end)

describe("gather and scatter_add", function()
  local t = gpt.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

  it("take positions from 1, or from the end", function()
    assert.same({ { 3, 1 }, { 5, 6 } }, t:gather(2, gpt.tensor { { -1, 1 }, { 2, 3 } }):totable())
    assert.same({ { 4, 2 } }, t:gather(1, gpt.tensor { { 2, 1 } }):totable())
    assert.same({ 30, 10, 30 }, gpt.tensor { 10, 20, 30 }:gather(1, { 3, 1, -1 }):totable())
    assert.same({ 2, 0 }, t:gather(2, gpt.zeros({ 2, 0 }, { dtype = "i64" })):shape())
    assert.same({ 1.0, 2.0, 0.0 }, gpt.zeros(3):scatter_add(1, { 2, 1, 2 }, gpt.ones(3)):totable())
    assert.same({ { 1, 2, 13 }, { 4, 5, 6 } }, t:scatter_add(2, gpt.tensor { { 3 } }, gpt.full({ 2, 2 }, 10)):totable())
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, t:totable())
  end)

  it("keep i64, and add in f32 otherwise", function()
    assert.equal("i64", t:gather(1, gpt.tensor { { 1 } }):dtype())
    assert.equal("i64", t:scatter_add(1, gpt.tensor { { 1 } }, gpt.tensor { { 1 } }):dtype())
    assert.equal("f32", t:scatter_add(1, gpt.tensor { { 1 } }, gpt.tensor { { 0.5 } }):dtype())
    assert.equal(math.maxinteger, gpt.tensor { math.maxinteger }:gather(1, { 1 }):item())
  end)

  it("see nothing of a later write into the positions", function()
    local x, positions = gpt.ones(3):requires_grad(true), gpt.tensor { 3, 3 }
    local y = x:gather(1, positions)
    positions:fill(1)
    y:sum():backward()
    assert.same({ 0.0, 0.0, 2.0 }, x.grad:totable())
  end)

  it("give the same numbers for any number of threads", function()
    gpt.seed(6)
    local x, places, results = gpt.randn(600, 700), gpt.randint(1, 11, { 600, 700 }), {}
    for threads = 1, 2 do
      gpt.set_threads(threads)
      results[threads] = gpt.zeros(10, 700):scatter_add(1, places, x):bytes() .. x:gather(1, places):bytes()
        .. gpt.zeros(600, 10):scatter_add(2, places, x):bytes() .. x:cumsum(1):bytes() .. x:cumsum(2):bytes()
        .. x:norm():bytes() .. x:norm(3, 1):bytes() .. x:std(2):bytes()
    end
    gpt.set_threads(0)
    assert.is_true(results[1] == results[2])
  end)

  it("refuse what does not fit", function()
    local one = gpt.ones({ 1, 1 }, { dtype = "i64" })
    check_messages {
      { "gather: positions of shape [1] do not fit a tensor of shape [2, 3]: as many dims expected, and in each but dim 2 "
        .. "no larger size", function() t:gather(2, { 1 }) end },
      { "gather: positions of shape [3, 1] do not fit a tensor of shape [2, 3]: as many dims expected, and in each but dim "
        .. "2 no larger size", function() t:gather(2, one:expand(3, 1)) end },
      { "scatter_add: positions of shape [1, 4] do not fit a tensor of shape [2, 3]: as many dims expected, and in each "
        .. "but dim 1 no larger size", function() t:scatter_add(1, one:expand(1, 4), gpt.ones(2, 4)) end },
      { "scatter_add: positions of shape [2, 1] do not fit a source of shape [1, 3]: as many dims expected, and in none a "
        .. "larger size", function() t:scatter_add(1, one:expand(2, 1), gpt.ones(1, 3)) end },
      { "bad argument #2 to 'gather' (element [2] is position 4, out of range 1..3)",
        function() t:gather(2, gpt.tensor { { 1 }, { 4 } }) end },
      { "bad argument #2 to 'scatter_add' (element [1] is position 0, out of range 1..2)",
        function() t:scatter_add(1, gpt.tensor { { 0 } }, t) end },
      { "bad argument #2 to 'gather' (element [1]: a position (a whole number) expected, got a table; gpt.tensor { ... } "
        .. "makes positions of more dims)", function() t:gather(1, { { 1 } }) end },
      { "bad argument #3 to 'scatter_add' (gpt.Tensor expected, got number)", function() t:scatter_add(1, one, 2) end },
      { "bad argument #1 to 'gather' (a dim expected (1..2, or -1 for the last), got no value)",
        function() t:gather() end },
    }
  end)
end)

describe("where", function()
  local t = gpt.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

  it("chooses, with broadcasting and numbers", function()
    assert.same({ { 1, 0, 3 }, { 4, 0, 6 } }, gpt.where(gpt.tensor { 1, 0, 2 }, t, 0):totable())
    assert.same({ { 9.5, 2.0, 3.0 }, { 9.5, 5.0, 6.0 } }, t:where(gpt.tensor { 0.0, 0.5, -1 }, 9.5):totable())
    assert.same({ { -1, -1 }, { 1, 1 } }, gpt.where(gpt.tensor { { 0 }, { 1 } }, 1, gpt.tensor { -1, -1 }):totable())
    assert.same({ 1, 0 }, gpt.where(gpt.tensor { 1, 0 }, 1, 0):totable())
    assert.same({}, gpt.where(gpt.tensor(1), 2.5, 0):shape())
  end)

  it("is i64 where both values are", function()
    for _, case in ipairs { { "i64", 1, 0 }, { "i64", t, 0 }, { "i64", 0, t }, { "f32", t, 0.5 }, { "f32", t, 0.0 },
      { "f32", 1.0, 0 }, { "f32", t:float(), 0 }, { "f32", t, t:float() } } do
      assert.equal(case[1], gpt.where(gpt.tensor(1), case[2], case[3]):dtype())
    end
    assert.equal(math.maxinteger, gpt.where(gpt.tensor(0), 0, math.maxinteger):item())
  end)

  it("lets no gradient through from what it did not choose", function()
    local x = gpt.tensor({ 0.0, 4.0 }):requires_grad(true)
    gpt.where(x:gt(0), 1 / x, 0):sum():backward()
    assert.equal(-1 / 16, x.grad[2]:item())
    local a, b = gpt.ones(2):requires_grad(true), gpt.ones(1):requires_grad(true)
    gpt.where(gpt.tensor { 1, 0 }, a, b):sum():backward()
    assert.same({ { 1.0, 0.0 }, { 1.0 } }, { a.grad:totable(), b.grad:totable() })
  end)

  it("refuses what does not fit", function()
    check_messages {
      { "where: shapes [2, 3] and [4] do not fit: sizes 3 and 4 in dimension -1; counted from the last dimension, sizes "
        .. "must be equal or one of them 1", function() gpt.where(t, t, gpt.ones(4)) end },
      { "where: condition and values: shapes [3, 3] and [2, 3] do not fit: sizes 3 and 2 in dimension -2; counted from the "
        .. "last dimension, sizes must be equal or one of them 1", function() gpt.where(gpt.ones(3, 3), t, 1) end },
      { "bad argument #1 to 'where' (gpt.Tensor expected, got boolean)", function() gpt.where(true, t, t) end },
      { "bad argument #3 to 'where' (a tensor or a number expected, got string)", function() gpt.where(t, t, "0") end },
      { "bad argument #2 to 'where' (a tensor or a number expected, got no value)", function() t:where(t) end },
      { "bad argument #1 to 'where' (gpt.Tensor expected, got number)", function() t:where(1, t) end },
    }
  end)
end)

describe("masks", function()
  local t = gpt.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

  it("fill", function()
    assert.same({ { -1, 2, -1 }, { -1, 5, -1 } }, t:masked_fill(gpt.tensor { 1, 0, 2 }, -1):totable())
    assert.same({ { 9, 9, 9 }, { 4, 5, 6 } }, t:float():masked_fill(gpt.tensor { { 0.5 }, { 0.0 } }, 9):totable())
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, t:totable())
    assert.equal(-math.huge, t:float():masked_fill(gpt.ones(1), -math.huge)[1][1]:item())
    check_messages {
      { "masked_fill: the mask's shape [2] cannot be broadcast to the tensor's shape [2, 3]",
        function() t:masked_fill(gpt.zeros(2), 1) end },
      { "masked_fill: the mask's shape [1, 2, 3] cannot be broadcast to the tensor's shape [2, 3]",
        function() t:masked_fill(gpt.zeros(1, 2, 3), 1) end },
    }
  end)

  it("cut triangles", function()
    local square = gpt.arange(1, 9):view(3, 3)
    assert.same({ { 1, 0, 0 }, { 4, 5, 0 }, { 7, 8, 9 } }, square:tril():totable())
    assert.same({ { 1, 2, 3 }, { 0, 5, 6 }, { 0, 0, 9 } }, square:triu():totable())
    assert.same({ { 0, 2, 3 }, { 0, 0, 6 }, { 0, 0, 0 } }, square:triu(1):totable())
    assert.same({ { 0, 0, 0 }, { 4, 0, 0 }, { 7, 8, 0 } }, square:tril(-1):totable())
    assert.same(square:totable(), square:tril(math.maxinteger):totable())
    assert.same(square:totable(), square:triu(math.mininteger):totable())
    assert.same(gpt.zeros(3, 3):totable(), square:triu(math.maxinteger):totable())
    assert.same(gpt.zeros(3, 3):totable(), square:tril(math.mininteger):totable())
    assert.same({ { { 1, 0, 0 }, { 4, 5, 0 } } }, t:unsqueeze(1):tril():totable())
    check_messages {
      { "tril: a tensor with at least two dimensions expected, got shape [3]", function() t[1]:tril() end },
      { "triu: a tensor with at least two dimensions expected, got shape [3]", function() t[1]:triu() end },
    }
  end)
end)

describe("order", function()
  it("is PyTorch's, with nan and equal elements", function()
    assert.equal(4, #fixture.order)
    for _, case in ipairs(fixture.order) do
      local values, positions = gpt.tensor(case.x):sort(case.dim, { descending = case.descending })
      assert.same(case.positions, positions:totable())
      assert.equal(gpt.tensor(case.values):bytes():gsub("\xc0\x7f", "\xc0\xff"),
        (values:bytes():gsub("\xc0\x7f", "\xc0\xff")))
    end
  end)

  it("sorts many, and integers", function()
    local positions = gpt.randperm(1000)
    local values, places = positions:sort()
    assert.same(gpt.arange(1, 1000):totable(), values:totable())
    assert.same(values:totable(), positions:index(1, places):totable())
    assert.same({ math.mininteger, -1, 0, math.maxinteger },
      (gpt.tensor { 0, math.maxinteger, -1, math.mininteger }):sort():totable())
  end)

  it("finds the k largest and smallest", function()
    local t = gpt.tensor { { 3, 1, 2 }, { 5, 5, 9 } }
    local values, positions = t:topk(2)
    assert.same({ { 3, 2 }, { 9, 5 } }, values:totable())
    assert.same({ { 1, 3 }, { 3, 1 } }, positions:totable())
    values, positions = t:topk(1, 1, { largest = false })
    assert.same({ { 3, 1, 2 } }, values:totable())
    assert.same({ { 1, 1, 1 } }, positions:totable())
    assert.same({ 2, 0 }, (t:topk(0)):shape())
    assert.same({ 0, 3 }, (gpt.zeros(0, 3):sort(1)):shape())
    local all, where = gpt.randn(500):topk(20)
    assert.same({ 20 }, where:shape())
    for i = 2, 20 do assert.is_true(all[i - 1]:item() >= all[i]:item()) end
    check_messages {
      { "bad argument #1 to 'topk' (0 to 3 expected, as dim 2 has that size, got 4)", function() t:topk(4) end },
      { "bad argument #1 to 'topk' (0 to 2 expected, as dim 1 has that size, got -1)", function() t:topk(-1, 1) end },
      { "topk: unknown option 'larges'; did you mean 'largest'?", function() t:topk(1, 1, { larges = true }) end },
      { "sort: unknown option 'desc'; did you mean 'descending'?", function() t:sort(1, { desc = true }) end },
      { "bad argument #1 to 'sort' (dim 3 out of range: the tensor has 2, counted 1..2, or -1 for the last)",
        function() t:sort(3) end },
      { "calling 'sort' on bad self (a tensor with at least one dimension expected, got shape [])",
        function() gpt.tensor(1):sort() end },
    }
  end)
end)

describe("outer", function()
  it("multiplies every element by every other", function()
    local a, b = gpt.tensor { 1, 2, 3 }, gpt.tensor { 1, 10 }
    assert.same({ { 1.0, 10.0 }, { 2.0, 20.0 }, { 3.0, 30.0 } }, a:outer(b):totable())
    assert.same({ 3, 0 }, a:outer(gpt.zeros(0)):shape())
    check_messages {
      { "outer: two vectors expected, got shapes [3] and [1, 2]", function() a:outer(b:unsqueeze(1)) end },
      { "outer: two vectors expected, got shapes [] and [3]", function() gpt.tensor(1):outer(a) end },
    }
  end)
end)

describe("matmul", function()
  it("follows PyTorch's rules, backward too", function()
    assert.equal(9, #fixture.products)
    for _, case in ipairs(fixture.products) do
      local a, b = gpt.tensor(case.a, { requires_grad = true }), gpt.tensor(case.b, { requires_grad = true })
      local y = a:matmul(b)
      assert.same(case.shape, y:shape())
      assert.same(case.result, y:totable())
      y:reshape(-1):matmul(gpt.tensor(case.upstream):reshape(-1)):backward()
      assert.same(case.grad_a, a.grad:totable())
      assert.same(case.grad_b, b.grad:totable())
    end
  end)

  it("multiplies strided and expanded operands", function()
    local a, b = numbers(4, 3), numbers(4, 5)
    local expected = a:transpose(1, 2):contiguous():matmul(b):totable()
    assert.same(expected, a:transpose(1, 2):matmul(b):totable())
    local wide = gpt.zeros(4, 10)
    wide:narrow(2, 3, 5):copy(b)
    assert.same(expected, a:transpose(1, 2):matmul(wide:narrow(2, 3, 5)):totable())
    local ones = gpt.ones(1, 1)
    assert.same({ { 4, 4 }, { 4, 4 }, { 4, 4 } }, ones:expand(3, 4):matmul(ones:expand(4, 2)):totable())
    assert.same({ { 3 }, { 3 } }, ones:expand(2, 3):matmul(ones:expand(3, 1)):totable())
    assert.same({ { 11, 14 } }, gpt.tensor({ { 1, 4 } }):matmul(gpt.tensor { { 3, 2 }, { 2, 3 } }):totable())
    assert.equal("f32", gpt.arange(1, 2):matmul(gpt.arange(1, 2)):dtype())
  end)

  it("knows empty tensors", function()
    assert.same({ { 0, 0 }, { 0, 0 } }, gpt.zeros(2, 0):matmul(gpt.zeros(0, 2)):totable())
    assert.same({ 0, 2 }, gpt.zeros(0, 3):matmul(gpt.zeros(3, 2)):shape())
    assert.same({ 0, 2, 4 }, gpt.zeros(0, 2, 3):matmul(gpt.zeros(3, 4)):shape())
    local x = gpt.zeros(2, 3, 4):requires_grad(true)
    x:matmul(gpt.zeros(4, 0)):sum():backward()
    assert.same({ 2, 3, 4 }, x.grad:shape())
    assert.equal(0, gpt.zeros(0):matmul(gpt.zeros(0)):item())
  end)

  it("gives large batches the same as one by one", function()
    for _, case in ipairs { { 3, 130, 90, 110 }, { 20, 17, 33, 9 } } do
      local n, m, k, p = table.unpack(case)
      local a, b = gpt.randn(n, m, k), gpt.randn(n, k, p)
      local y = a:matmul(b)
      for i = 1, n do
        assert.is_true((a[i]:matmul(b[i]) - y[i]):abs():max():item() < 1e-4)
      end
    end
  end)

  it("refuses what does not fit", function()
    local fit = " do not fit: [..., m, k] and [..., k, n] expected, and equal sizes (or 1) before them"
    check_messages {
      { "matmul: shapes [2, 3] and [2, 3]" .. fit, function() gpt.zeros(2, 3):matmul(gpt.zeros(2, 3)) end },
      { "matmul: shapes [2, 2, 3] and [3, 3, 2]" .. fit, function() gpt.zeros(2, 2, 3):matmul(gpt.zeros(3, 3, 2)) end },
      { "matmul: shapes [3] and [4]" .. fit, function() gpt.zeros(3):matmul(gpt.zeros(4)) end },
      { "matmul: tensors with at least one dimension expected, got shapes [] and [3]; * multiplies by a number",
        function() gpt.tensor(1):matmul(gpt.zeros(3)) end },
      { "bad argument #1 to 'matmul' (gpt.Tensor expected, got number)", function() gpt.zeros(3):matmul(2) end },
    }
  end)
end)

describe("the way back", function()
  local cases = {
    view = { function(x) return x:view(3, -1):view(6) end, numbers(2, 3) },
    ["reshape of a transposed one"] = { function(x) return x:transpose(1, 2):reshape(6) end, numbers(2, 3) },
    permute = { function(x) return x:permute(3, 1, 2) end, numbers(2, 3, 2) },
    narrow = { function(x) return x:narrow(2, 2, 2) end, numbers(2, 4, 2) },
    select = { function(x) return x:select(2, -1) end, numbers(2, 3, 2) },
    ["t[i]"] = { function(x) return gpt.cat({ x[1], x[2], x[1] }) end, numbers(2, 3) },
    expand = { function(x) return x:expand(2, 3, 4) end, numbers(3, 1) },
    ["unsqueeze and squeeze"] = { function(x) return x:unsqueeze(2):squeeze(1) end, numbers(1, 3) },
    ["contiguous and clone"] = { function(x) return x:transpose(1, 2):contiguous():clone() end, numbers(2, 3) },
    cat = { function(x, y) return gpt.cat({ x, y, x }, -1) end, numbers(2, 3), numbers(2, 2) },
    stack = { function(x, y) return gpt.stack({ x, y }, 2) end, numbers(2, 3), numbers(2, 3) },
    index = { function(x) return x:index(2, { 1, 3, 3, -1 }) end, numbers(2, 4, 2) },
    ["index by a matrix"] = { function(x) return x:index(1, gpt.tensor { { 1, 3 }, { 1, 1 } }) end, numbers(3, 2) },
    ["index by one position"] = { function(x) return x:index(1, gpt.tensor(2)) end, numbers(3, 2) },
    gather = { function(x) return x:gather(2, gpt.tensor { { { 1, 4 }, { 1, 2 } } }) end, numbers(2, 4, 2) },
    ["gather from a view"] = { function(x) return x:transpose(1, 2):gather(1, gpt.tensor { { 3, 1 }, { 3, 3 } }) end,
      numbers(2, 3) },
    scatter_add = { function(x, y) return x:scatter_add(1, gpt.tensor { { 2, 1 }, { 2, 3 } }, y) end, numbers(3, 3),
      numbers(2, 3) },
    ["scatter_add along the last"] = { function(x, y) return x:scatter_add(-1, gpt.tensor { { 2, 1, 2 } }, y) end,
      numbers(1, 2), numbers(1, 3) },
    where = { function(x, y) return gpt.where(gpt.tensor { 1, 0, 1 }, x, y) end, numbers(2, 1), numbers(3) },
    ["where with itself"] = { function(x) return x:where(x:gt(0), x * x) end, numbers(2, 3) },
    flip = { function(x) return x:flip(1, -1) end, numbers(2, 3, 2) },
    ["flip of a view"] = { function(x) return x:transpose(1, 2):flip(2) end, numbers(2, 3) },
    outer = { function(x, y) return x:outer(y) end, numbers(3), numbers(2) },
    ["outer with itself"] = { function(x) return x:outer(x) end, numbers(3) },
    masked_fill = { function(x) return x:masked_fill(gpt.tensor { 1, 0, 1 }, 9) end, numbers(2, 3) },
    tril = { function(x) return x:tril(-1) end, numbers(2, 3, 3) },
    triu = { function(x) return x:triu(1) end, numbers(2, 3, 4) },
    sort = { function(x) return (x:sort(1, { descending = true })) end, numbers(4, 3) },
    topk = { function(x) return (x:topk(2, 2)) end, numbers(2, 5, 3) },
    matmul = { function(x, y) return x:matmul(y) end, numbers(2, 3), numbers(3, 4) },
    ["matmul of batches"] = { function(x, y) return x:matmul(y) end, numbers(2, 1, 2, 3), numbers(3, 3, 2) },
    ["matmul of a batch and a matrix"] = { function(x, y) return x:matmul(y) end, numbers(2, 2, 3), numbers(3, 2) },
    ["matmul of a transposed batch"] = { function(x, y) return x:transpose(1, 2):matmul(y:transpose(1, 2)) end,
      numbers(2, 3, 2), numbers(3, 2) },
    ["matmul of vectors"] = { function(x, y) return x:matmul(y) end, numbers(3), numbers(3) },
    ["matmul with itself"] = { function(x) return x:matmul(x) end, numbers(3, 3) },
    ["a view of a stack of views"] = { function(x) return gpt.stack { x[1], x[2]:clone() }:narrow(2, 1, 2) end,
      numbers(2, 3) },
  }

  for name, case in pairs(cases) do
    it("through " .. name, function()
      gradients.check(case[1], table.move(case, 2, #case, 1, {}))
    end)
  end
end)
