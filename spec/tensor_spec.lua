local gpt = require "gpt"
local raised = require "spec.support.raised"
local fixture = dofile "spec/fixtures/tensor.lua"

local nan, inf = 0 / 0, 1 / 0

describe("gpt.tensor", function()
  it("takes numbers and nested arrays", function()
    for _, nested in ipairs { { 1, 2, 3 }, { { 1, 2 }, { 3, 4 } }, { { { 1 }, { 2 } } },
      { { 0.5, 2.5 } }, { {}, {} } } do
      assert.same(nested, gpt.tensor(nested):totable())
    end
    assert.equal(7, gpt.tensor(7):totable())
    assert.same({}, gpt.tensor(7):shape())
    assert.same({ 2, 0 }, gpt.tensor({ {}, {} }):shape())
  end)

  it("takes arrays that are made as they are read", function()
    local function array(n, element)
      return setmetatable({}, { __len = function() return n end, __index = function(_, i) return element(i) end })
    end
    local nested = array(2, function(i) return array(3, function(j) return 10 * i + j end) end)
    assert.same({ { 11, 12, 13 }, { 21, 22, 23 } }, gpt.tensor(nested):totable())
    assert.equal("bad argument #1 to 'tensor' (element [3]: a number expected, got nil)",
      raised(function() gpt.tensor(array(3, function(i) return i < 3 and i or nil end)) end))
    local err = {}
    local ok, came = pcall(gpt.tensor, array(2, function() error(err) end))
    assert.is_false(ok)
    assert.equal(err, came)
  end)

  it("makes i64 of integers alone, f32 with any float, and what dtype says", function()
    assert.equal("i64", gpt.tensor({ 1, 2 }):dtype())
    assert.equal("f32", gpt.tensor({ 1, 2.0 }):dtype())
    assert.equal("f32", gpt.tensor({}):dtype())
    assert.equal("f32", gpt.tensor({ 1, 2 }, { dtype = "f32" }):dtype())
    assert.equal("i64", gpt.tensor({ 1.0, 2.0 }, { dtype = "i64" }):dtype())
    assert.equal("integer", math.type(gpt.tensor({ 1.0 }, { dtype = "i64" })[1]:item()))
    assert.equal("float", math.type(gpt.tensor({ 1 }, { dtype = "f32" })[1]:item()))
    assert.same({ math.maxinteger, math.mininteger }, gpt.tensor({ math.maxinteger, math.mininteger }):totable())
  end)

  it("knows requires_grad", function()
    assert.is_true(gpt.tensor({ 1.5 }, { requires_grad = true }):requires_grad())
    assert.is_false(gpt.tensor({ 1.5 }):requires_grad())
    assert.equal("tensor: requires_grad: only f32 tensors have gradients, this one is i64",
      raised(function() gpt.tensor({ 1 }, { requires_grad = true }) end))
  end)

  it("refuses ragged arrays, holes and what is no number, and says where", function()
    local start = "bad argument #1 to 'tensor' ("
    local function message(...)
      local arguments = table.pack(...)
      return raised(function() gpt.tensor(table.unpack(arguments, 1, arguments.n)) end)
    end
    assert.equal(start .. "the array at [2] has 1 elements, the first one at its depth has 2)",
      message { { 1, 2 }, { 3 } })
    assert.equal(start .. "the array at [2][1] has 2 elements, the first one at its depth has 1)",
      message { { { 1 }, { 2 } }, { { 1, 2 }, { 3 } } })
    assert.equal(start .. "element [2][2]: a number expected, got string)", message { { 1, 2 }, { 3, "x" } })
    assert.equal(start .. "element [1][1]: a number expected, got boolean)", message { { true } })
    assert.equal(start .. "element [2]: an array expected, got 5)", message { { 1 }, 5 })
    assert.equal(start .. "element [2]: a number expected, got table)", message { 1, { 5 } })
    assert.equal(start .. "element [2]: a number expected, got nil)", message { 1, nil, nil, 4 })
    assert.equal(start .. "the array has 2 elements and a key 'dtype' beside them: an array without holes or names "
      .. "expected)",
      message { 1, 2, dtype = "i64" })
    assert.equal(start .. "the array at [1] has 1 elements and a key '9' beside them: an array without holes or names "
      .. "expected)", message { { 1, [9] = 5 } })
    assert.equal(start .. "number or array of numbers expected, got string)", message("1"))
    assert.equal(start .. "number or array of numbers expected, got no value)", message())
    assert.equal(start .. "element [2]: a whole number, for dtype i64, expected, got 1.5)",
      message({ 1, 1.5 }, { dtype = "i64" }))
    assert.equal(start .. "a tensor has at most 8 dimensions, and these arrays are nested deeper)",
      message { { { { { { { { { 1 } } } } } } } } })
    assert.equal("tensor: unknown option 'dtpe'; did you mean 'dtype'?", message({ 1 }, { dtpe = "f32" }))
    assert.equal("tensor: dtype: there is no dtype 'f64'; did you mean 'f32'?", message({ 1 }, { dtype = "f64" }))
  end)
end)

describe("making tensors", function()
  it("fills", function()
    assert.same({ { 0, 0, 0 }, { 0, 0, 0 } }, gpt.zeros(2, 3):totable())
    assert.same({ { 1, 1, 1 }, { 1, 1, 1 } }, gpt.ones({ 2, 3 }, { dtype = "i64" }):totable())
    assert.same({ 0.5, 0.5 }, gpt.full({ 2 }, 0.5):totable())
    assert.same({ 3, 3 }, gpt.full(2, 3):totable())
    assert.equal("i64", gpt.full(2, 3):dtype())
    assert.same({ { 0.5, 0.5, 0.5 }, { 0.5, 0.5, 0.5 } }, gpt.full(2, 3, 0.5):totable())
    assert.same({ 2, 3, 4 }, gpt.full(2, 3, 4, 1, { dtype = "f32" }):shape())
    assert.same({ 2, 3 }, gpt.randint(0, 9, 2, 3):shape())
    assert.equal("f32", gpt.full(2, 3, { dtype = "f32" }):dtype())
    assert.same({ 2, 0, 3 }, gpt.zeros(2, 0, 3):shape())
    assert.equal(0, gpt.zeros({}):item())
    assert.is_true(gpt.zeros(1, 2, { requires_grad = true }):requires_grad())
  end)

  it("counts", function()
    assert.same({ 1, 2, 3 }, gpt.arange(1, 3):totable())
    assert.same({ 5, 3, 1 }, gpt.arange(5, 1, -2):totable())
    assert.same({ 1, 3 }, gpt.arange(1, 4, 2):totable())
    assert.same({ 0, 0.25, 0.5, 0.75, 1 }, gpt.arange(0, 1, 0.25):totable())
    assert.same({ 11 }, gpt.arange(0, 1, 0.1):shape())
    assert.same({ 3 }, gpt.arange(0.1, 0.3, 0.1):shape())
    assert.same({ 0 }, gpt.arange(2, 1):shape())
    assert.same({ 0 }, gpt.arange(2, 1.5):shape())
    assert.equal("i64", gpt.arange(1, 3):dtype())
    assert.equal("f32", gpt.arange(1.0, 3):dtype())
    assert.same({ math.maxinteger - 1, math.maxinteger }, gpt.arange(math.maxinteger - 1, math.maxinteger):totable())
    assert.same({ -1, -0.5, 0, 0.5, 1 }, gpt.linspace(-1, 1, 5):totable())
    assert.same({ 3 }, gpt.linspace(3, 9, 1):totable())
    assert.same({ 0 }, gpt.linspace(3, 9, 0):shape())
  end)

  it("goes through bytes and back", function()
    local t = gpt.tensor { { 1.5, -2 }, { nan, inf } }
    assert.equal(("<ffff"):pack(1.5, -2, nan, inf), t:bytes())
    assert.equal(("<ffff"):pack(1.5, nan, -2, inf), t:transpose(1, 2):bytes())
    assert.same({ { 1, 2 } }, gpt.from_bytes(("<i8i8"):pack(1, 2), { 1, 2 }, "i64"):totable())
    assert.equal(t:bytes(), gpt.from_bytes(t:bytes(), { 2, 2 }):bytes())
    assert.equal("", gpt.zeros(0):bytes())
    assert.same({ 0, 3 }, gpt.from_bytes("", { 0, 3 }):shape())
  end)

  it("knows a tensor", function()
    assert.is_true(gpt.is_tensor(gpt.zeros(1)))
    for _, value in ipairs { 1, "x", {}, io.stdout, print } do assert.is_false(gpt.is_tensor(value)) end
  end)

  it("refuses what makes no sense", function()
    local cases = {
      { "bad argument #1 to 'zeros' (a shape expected, as numbers or as one array, got no value)",
        function() gpt.zeros() end },
      { "bad argument #2 to 'zeros' (size 2 of the shape: a whole number expected, got 2.5)",
        function() gpt.zeros(1, 2.5) end },
      { "bad argument #1 to 'ones' (size 2 of the shape: a whole number expected, got string)",
        function() gpt.ones { 1, "a" } end },
      { "bad argument #1 to 'zeros' (a tensor has at most 8 dimensions, got 9)",
        function() gpt.zeros(1, 1, 1, 1, 1, 1, 1, 1, 1) end },
      { "a shape has no negative sizes, got [1, -2]", function() gpt.zeros(1, -2) end },
      { "a tensor of shape [1099511627776, 1099511627776] is too large", function() gpt.zeros(1 << 40, 1 << 40) end },
      { "bad argument #3 to 'zeros' (nothing expected after the options)", function() gpt.zeros(1, {}, 2) end },
      { "rand: dtype: 'f32' expected, got 'i64'", function() gpt.rand(1, { dtype = "i64" }) end },
      { "bad argument #2 to 'full' (number expected, got no value)", function() gpt.full({ 2 }) end },
      { "bad argument #1 to 'full' (a shape expected, as one array or one size, got no value)",
        function() gpt.full() end },
      { "bad argument #2 to 'randint' (a number above low (3) expected, got 3)",
        function() gpt.randint(3, 3, { 2 }) end },
      { "bad argument #1 to 'randperm' (a count of 0 or more expected, got -1)", function() gpt.randperm(-1) end },
      { "bad argument #3 to 'linspace' (a count of 0 or more expected, got -1)",
        function() gpt.linspace(1, 2, -1) end },
      { "bad argument #3 to 'arange' (a step other than 0 expected)", function() gpt.arange(1, 3, 0) end },
      { "bad argument #3 to 'arange' (a step other than 0 expected)", function() gpt.arange(1, 3, 0.0) end },
      { "arange: from 0 to inf in steps of 1 makes no finite number of elements",
        function() gpt.arange(0, math.huge) end },
      { "bad argument #1 to 'from_bytes' (8 bytes expected for f32 of shape [2], got 3)",
        function() gpt.from_bytes("abc", { 2 }) end },
      { "bad argument #3 to 'from_bytes' (there is no dtype 'half'; did you mean 'f16'?)",
        function() gpt.from_bytes("abc", { 2 }, "half") end },
    }
    for _, case in ipairs(cases) do assert.equal(case[1], raised(case[2])) end
  end)

  it("says how much memory is missing", function()
    assert.match("^not enough memory: 4%.00 TiB requested, the machine has .* left$",
      raised(function() gpt.zeros(1 << 40) end))
    gpt.memory { limit = gpt.memory().live + 100000 }
    local message = raised(function() gpt.zeros(1 << 20) end)
    gpt.memory { limit = 0 }
    assert.match("^not enough memory: 4%.00 MiB requested, .* live, the limit is .* "
      .. "%(gpt%.memory{limit = bytes} sets it%)$", message)
  end)
end)

describe("a tensor", function()
  local t = gpt.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

  it("tells of itself", function()
    assert.same({ 2, 3 }, t:shape())
    assert.equal(2, t:size(1))
    assert.equal(3, t:size(-1))
    assert.equal(2, t:dim())
    assert.equal(6, t:numel())
    assert.equal(2, #t)
    assert.equal("i64", t:dtype())
    assert.equal(5, t[2][2]:item())
    assert.equal(6, t[-1][-1]:item())
    assert.equal("i64", t[1]:dtype())
  end)

  it("is equal to itself alone", function()
    assert.is_true(t == t)
    assert.is_false(t == gpt.tensor(t:totable()))
  end)

  it("converts and copies", function()
    local f = t:float()
    assert.equal("f32", f:dtype())
    assert.same(t:totable(), f:totable())
    local c = t:clone()
    c[1][1] = 9
    assert.equal(1, t[1][1]:item())
    local d = f:detach()
    d[1][1] = 9
    assert.equal(9, f[1][1]:item())
    local turned = t:transpose(1, 2)
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, turned:contiguous():totable())
    assert.equal(turned:bytes(), turned:contiguous():bytes())
  end)

  it("refuses misuse", function()
    local cases = {
      { "item: a tensor with one element expected, got shape [2, 3]; t[1]:item() takes one element, t:totable() all", function() t:item() end },
      { "t[i]: position 3 out of range 1..2 (shape [2, 3]); a loop over all: for i = 1, #t do", function() return t[3] end },
      { "t[i]: position 0 out of range 1..2 (shape [2, 3])", function() return t[0] end },
      { "t[i]: position -3 out of range 1..2 (shape [2, 3])", function() return t[-3] end },
      { "t[i]: a tensor without dimensions has no elements to index; t:item() is its number",
        function() return t[1][1][1] end },
      { "#t: a tensor without dimensions has no length; t:item() is its number", function() return #t[1][1] end },
      { "a gpt.Tensor has no field or method 'veiw'; did you mean 'view'?", function() t:veiw(1) end },
      { "a gpt.Tensor has no field 'x' to set; t[i] = v writes elements, t.grad the gradient", function() t.x = 1 end },
      { "t[i] = v: a number or a tensor expected, got table", function() t[1] = { 1, 2, 3 } end },
      { "t[i]: position 3 out of range 1..2 (shape [2, 3]); a loop over all: for i = 1, #t do", function() t[3] = 1 end },
      { "shape [2] cannot be broadcast to [3]", function() t[1] = gpt.zeros(2) end },
      { "bad argument #1 to 'size' (dim 3 out of range: the tensor has 2, counted 1..2, or -1 for the last)",
        function() t:size(3) end },
      { "bad argument #1 to 'size' (a tensor without dimensions has no dims to name)", function() t[1][1]:size(1) end },
      { "bad argument #1 to 'copy' (gpt.Tensor expected, got number)", function() t:copy(3) end },
      { "requires_grad: only f32 tensors have gradients, this one is i64; float() it first",
        function() t:requires_grad(true) end },
      { "bad argument #1 to 'requires_grad' (boolean expected, got number)", function() t:requires_grad(1) end },
    }
    for _, case in ipairs(cases) do assert.equal(case[1], raised(case[2])) end
  end)

  it("is freed at once, once and for all", function()
    local live = gpt.memory().live
    local big = gpt.zeros(1000)
    assert.is_true(gpt.memory().live >= live + 4000)
    big:free()
    big:free()
    assert.equal(live, gpt.memory().live)
    assert.equal("Tensor (freed)", tostring(big))
    assert.equal("calling 'shape' on bad self (this gpt.Tensor was freed)", raised(function() big:shape() end))
    assert.equal("bad argument #1 to 'cat' (element [1]: this tensor was freed)",
      raised(function() gpt.cat { big } end))
    do
      local scoped <close> = gpt.zeros(1000)
      assert.equal(1000, #scoped)
    end
    assert.equal(live, gpt.memory().live)
  end)

  it("leaves a view of it whole", function()
    local whole = gpt.tensor { 1.5, 2.5 }
    local view = whole[2]
    whole:free()
    assert.equal(2.5, view:item())
  end)
end)

describe("writing in place", function()
  it("copies, fills and sets elements", function()
    local t = gpt.zeros(2, 3)
    assert.equal(t, t:copy(gpt.tensor { 1, 2, 3 }))
    assert.same({ { 1, 2, 3 }, { 1, 2, 3 } }, t:totable())
    assert.equal(t, t:fill(7))
    assert.same({ { 7, 7, 7 }, { 7, 7, 7 } }, t:totable())
    t[1] = gpt.tensor { 4, 5, 6 }
    t[-1][2] = 0.5
    assert.same({ { 4, 5, 6 }, { 7, 0.5, 7 } }, t:totable())
    t:transpose(1, 2)[1] = gpt.tensor { 8, 9 }
    assert.same({ { 8, 5, 6 }, { 9, 0.5, 7 } }, t:totable())
  end)

  it("converts to the dtype of what is written into", function()
    local t = gpt.zeros({ 5 }, { dtype = "i64" })
    t:copy(gpt.tensor { 1.9, -1.9, nan, inf, -inf })
    assert.same({ 1, -1, 0, math.maxinteger, math.mininteger }, t:totable())
    assert.same({ 3, 3, 3, 3, 3 }, t:fill(3.7):totable())
    t[1] = math.maxinteger
    assert.equal(math.maxinteger, t[1]:item())
  end)

  it("copes with a source that overlaps", function()
    local t = gpt.arange(1, 6)
    t:narrow(1, 2, 5):copy(t:narrow(1, 1, 5))
    assert.same({ 1, 1, 2, 3, 4, 5 }, t:totable())
    local square = gpt.tensor { { 1, 2 }, { 3, 4 } }
    square:copy(square:transpose(1, 2))
    assert.same({ { 1, 3 }, { 2, 4 } }, square:totable())
  end)

  it("refuses to break a graph", function()
    local x = gpt.tensor({ 1.5, 2.5 }, { requires_grad = true })
    local y = x:clone()
    local leaf = "this tensor requires a gradient, and the write would not be recorded; write inside gpt.no_grad"
    local recorded = "this tensor was recorded, and its gradient would no longer be true; write into detach() or "
      .. "clone() of it, or inside gpt.no_grad"
    local plain = gpt.zeros(2)
    assert.equal("t[i] = v: " .. leaf, raised(function() x[1] = 1 end))
    assert.equal("fill: " .. leaf, raised(function() x:fill(1) end))
    assert.equal("copy: " .. leaf, raised(function() x:copy(plain) end))
    assert.equal("fill: " .. recorded, raised(function() y:fill(1) end))
    assert.equal("t[i] = v: " .. recorded, raised(function() y[1] = 1 end))
    assert.equal("write: the source requires a gradient, and the write would not be recorded; write its detach(), or "
      .. "inside gpt.no_grad", raised(function() plain:copy(x) end))
    assert.equal("fill: several elements of this tensor share memory (it was expanded); write into a clone() of it",
      raised(function() plain:unsqueeze(1):expand(3, 2):fill(1) end))
    assert.same({ 1.5, 2.5 }, x:totable())
    gpt.no_grad(function() x[1] = 4 end)
    assert.same({ 4, 2.5 }, x:totable())
  end)

  it("is noticed by a backward that needs what was written over", function()
    local a, b = gpt.tensor({ 1.5 }, { requires_grad = true }), gpt.tensor { 2.5 }
    local y = a:matmul(b)
    b:fill(3)
    assert.equal("backward: a tensor that matmul needs was changed in place after it was used; change a clone() "
      .. "instead",
      raised(function() y:backward() end))
  end)
end)

describe("gradients", function()
  local function graph()
    local x = gpt.tensor({ 1.5, 2.5 }, { requires_grad = true })
    return x, x:matmul(gpt.tensor { 3.0, 4.0 })
  end

  it("are accumulated in grad, which can be dropped and set", function()
    local x, y = graph()
    assert.is_nil(x.grad)
    y:backward { keep = true }
    assert.same({ 3, 4 }, x.grad:totable())
    y:backward()
    assert.same({ 6, 8 }, x.grad:totable())
    x.grad = nil
    assert.is_nil(x.grad)
    local mine = gpt.tensor { 0.5, 0.25 }
    x.grad = mine
    mine:fill(9)
    assert.same({ 0.5, 0.25 }, x.grad:totable())
  end)

  it("say what is wrong", function()
    local x, y = graph()
    y:backward()
    local cases = {
      { "backward: the graph was freed by an earlier backward; give that one {keep = true}",
        function() y:backward() end },
      { "backward: a tensor with one element expected (a loss), got shape [2]; take its sum() or mean() first",
        function() x:backward() end },
      { "backward: nothing was recorded for this tensor; does any input require a gradient, outside gpt.no_grad?",
        function() gpt.zeros(1):backward() end },
      { "backward: unknown option 'kep'; did you mean 'keep'?", function() y:backward { kep = true } end },
      { "grad: nil or a tensor expected, got number", function() x.grad = 1 end },
      { "grad: an f32 tensor of shape [2] expected, got f32 of shape [3]", function() x.grad = gpt.zeros(3) end },
      { "grad: an f32 tensor of shape [2] expected, got i64 of shape [2]", function() x.grad = gpt.arange(1, 2) end },
      { "requires_grad: this tensor was computed from others that require a gradient; detach() it first",
        function() y:requires_grad(false) end },
    }
    for _, case in ipairs(cases) do assert.equal(case[1], raised(case[2])) end
  end)

  it("know which tensors they reach", function()
    local x, y = graph()
    assert.is_true(y:requires_grad())
    assert.is_false(y:detach():requires_grad())
    assert.equal(x, x:requires_grad(false))
    assert.is_false(x:requires_grad())
  end)

  it("stop in no_grad, which passes everything on", function()
    local x = graph()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(gpt.no_grad(function(...) return ... end, 1, nil, 3)))
    assert.same({ n = 0 }, table.pack(gpt.no_grad(function() end)))
    assert.is_false(gpt.no_grad(function() return x:clone():requires_grad() end))
    local thing = {}
    local ok, err = pcall(gpt.no_grad, error, thing)
    assert.is_false(ok)
    assert.equal(thing, err)
    assert.is_true(x:clone():requires_grad())
    local co = coroutine.wrap(function() gpt.no_grad(coroutine.yield) end)
    assert.equal("attempt to yield across a C-call boundary", select(2, pcall(co)))
    assert.is_true(x:clone():requires_grad())
    gpt.no_grad(gpt.no_grad, function() end)
    assert.is_true(x:clone():requires_grad())
    assert.equal("bad argument #1 to 'no_grad' (a function, or a layer, expected, got no value)", raised(function() gpt.no_grad() end))
  end)
end)

describe("printing", function()
  it("chooses the form of the numbers as PyTorch does", function()
    local count = 0
    for name, case in pairs(fixture.printed) do
      local t = gpt.tensor(case.x, { dtype = "f32" })
      local header = ("tensor [%s] f32\n"):format(table.concat(t:shape(), ", "))
      assert.equal(header .. case.text, tostring(t), name)
      count = count + 1
    end
    assert.equal(6, count)
  end)

  it("shows whole numbers, integers, a single one and none", function()
    assert.equal("tensor [2] f32\n{ 1.0, -2.0}", tostring(gpt.tensor { 1.0, -2.0 }))
    assert.equal("tensor [2, 2] i64\n{{  1,  20},\n {300,  -4}}", tostring(gpt.tensor { { 1, 20 }, { 300, -4 } }))
    assert.equal("tensor [] f32 0.5000", tostring(gpt.tensor(0.5)))
    assert.equal("tensor [] i64 5", tostring(gpt.tensor(5)))
    assert.equal("tensor [1, 1] i64\n{{5}}", tostring(gpt.tensor { { 5 } }))
    assert.equal("tensor [2, 0] f32 {}", tostring(gpt.zeros(2, 0)))
    assert.equal("tensor [2] f32\n{-0.0000,  0.5000}", tostring(gpt.tensor { -0.0, 0.5 }))
    assert.equal("tensor [2] f32\n{nan, nan}", tostring(gpt.tensor { nan, -nan }))
  end)

  it("shows where it stands in the graph", function()
    local x = gpt.tensor({ { 1.0, 2.0 } }, { requires_grad = true })
    assert.equal("tensor [1, 2] f32 (requires_grad)\n{{1.0, 2.0}}", tostring(x))
    assert.equal("tensor [2] f32 (from select)\n{1.0, 2.0}", tostring(x[1]))
    assert.equal("tensor [] f32 (from select) 2.0", tostring(x[1][2]))
    assert.equal("tensor [2] f32\n{1.0, 2.0}", tostring(x[1]:detach()))
  end)

  it("separates blocks of more dimensions, and follows strides", function()
    assert.equal([[
tensor [2, 2, 2] i64
{{{1, 3},
  {2, 4}},

 {{5, 7},
  {6, 8}}}]], tostring(gpt.arange(1, 8):view(2, 2, 2):transpose(2, 3)))
  end)

  it("breaks long rows", function()
    assert.equal([[
tensor [20] i64
{10001, 10002, 10003, 10004, 10005, 10006, 10007, 10008, 10009, 10010, 10011,
 10012, 10013, 10014, 10015, 10016, 10017, 10018, 10019, 10020}]], tostring(gpt.arange(10001, 10020)))
  end)

  it("elides the middle of a large one", function()
    assert.equal([[
tensor [40, 50] i64
{{   1,    2,    3, ...,   48,   49,   50},
 {  51,   52,   53, ...,   98,   99,  100},
 { 101,  102,  103, ...,  148,  149,  150},
 ...,
 {1851, 1852, 1853, ..., 1898, 1899, 1900},
 {1901, 1902, 1903, ..., 1948, 1949, 1950},
 {1951, 1952, 1953, ..., 1998, 1999, 2000}}]], tostring(gpt.arange(1, 2000):view(40, 50)))
    assert.equal("tensor [1001] i64\n{   1,    2,    3, ...,  999, 1000, 1001}", tostring(gpt.arange(1, 1001)))
    assert.equal([[
tensor [2, 2, 300] i64
{{{   1,    2,    3, ...,  298,  299,  300},
  { 301,  302,  303, ...,  598,  599,  600}},

 {{ 601,  602,  603, ...,  898,  899,  900},
  { 901,  902,  903, ..., 1198, 1199, 1200}}}]], tostring(gpt.arange(1, 1200):view(2, 2, 300)))
  end)
end)

describe("memory", function()
  it("stays bounded while a loop drops tensors", function()
    collectgarbage()
    local start, most = gpt.memory().live, 0
    for _ = 1, 2000 do
      local t = gpt.zeros(1 << 18)
      assert(t)
      most = math.max(most, gpt.memory().live - start)
    end
    assert.is_true(most < 64 << 20, most .. " bytes")
  end)

  it("stays bounded while a loop drops recorded graphs, and in generational mode", function()
    local x = gpt.zeros({ 1 << 18 }, { requires_grad = true })
    collectgarbage("generational")
    collectgarbage()
    local start, most = gpt.memory().live, 0
    for _ = 1, 500 do
      local y = x:clone():clone()
      assert(y)
      most = math.max(most, gpt.memory().live - start)
    end
    collectgarbage("incremental")
    assert.is_true(most < 64 << 20, most .. " bytes")
  end)

  it("comes back after calls that fail", function()
    local x = gpt.tensor({ { 1.5, 2.5 }, { 3.5, 4.5 } }, { requires_grad = true })
    local y = x:clone()
    local calls = {
      function() x:view(3) end, function() x:transpose(1, 2):view(4) end, function() x:matmul(gpt.zeros(3)) end,
      function() gpt.cat { x, gpt.zeros(2, 3), gpt.zeros(3, 3) } end, function() gpt.stack { x, gpt.zeros(1) } end,
      function() x:masked_fill(gpt.zeros(3), 1) end, function() x:index(1, { 1, 5 }) end,
      function() x:index(1, { 1, "x" }) end, function() x:fill(1) end, function() x[1] = 1 end,
      function() x:detach():copy(gpt.zeros(3)) end, function() x:backward() end, function() x:topk(9) end,
      function() gpt.zeros(1 << 40) end, function() gpt.tensor({ 1, 1.5 }, { dtype = "i64" }) end,
      function() gpt.from_bytes("x", { 2 }) end, function() y:squeeze(1) end, function() y:expand(3, 5) end,
      function() gpt.randn(2, { requires_grad = true, dtype = "i64" }) end,
    }
    collectgarbage()
    collectgarbage()
    local live = gpt.memory().live
    for i, call in ipairs(calls) do assert.is_false(pcall(call), "call " .. i) end
    collectgarbage()
    collectgarbage()
    assert.equal(live, gpt.memory().live)
  end)

  it("comes back after a backward, and when a graph is dropped without one", function()
    collectgarbage()
    collectgarbage()
    local live = gpt.memory().live
    do
      local x = gpt.zeros({ 100 }, { requires_grad = true })
      local y = x
      for _ = 1, 10000 do y = y:clone() end
      y:matmul(gpt.ones(100)):backward()
      local dropped = x
      for _ = 1, 10000 do dropped = dropped:clone() end
    end
    collectgarbage()
    collectgarbage()
    assert.equal(live, gpt.memory().live)
  end)

  it("that is short anywhere is an error, and comes back", function()
    local function scenario()
      local x = gpt.tensor({ { 1.5, 2.5, 3.5 }, { 4.5, 5.5, 6.5 } }, { requires_grad = true })
      local y = gpt.cat({ x, x:transpose(1, 2):reshape(2, 3) }, 1):index(1, { 1, 4, 1 })
      local z = gpt.stack { y:tril(), y:triu(1):masked_fill(y:detach(), 2) }:matmul(y):permute(3, 1, 2)
      local values, positions = z:sort(2)
      values = values:topk(1):expand(2, 3, 2, 4):narrow(4, 1, 2):select(1, 1):contiguous()
      values:reshape(-1):matmul(gpt.ones(12)):backward()
      x.grad = x.grad:clone()
      x:detach():copy(gpt.arange(1, 3))
      x:detach()[1] = 5
      return tostring(positions), x.grad:bytes()
    end
    local expected = scenario()
    collectgarbage()
    collectgarbage()
    local live, failures, limit = gpt.memory().live, 0, 0
    local ok, result
    repeat
      limit = limit + 240
      gpt.memory { limit = live + limit }
      ok, result = pcall(scenario)
      gpt.memory { limit = 0 }
      if not ok then
        failures = failures + 1
        assert.match("not enough memory: .* requested, .* live, the limit is ", result)
      end
      collectgarbage()
      collectgarbage()
      assert.equal(live, gpt.memory().live)
    until ok
    assert.equal(expected, result)
    assert.is_true(failures > 40, failures)
  end)
end)
