local gpt = require "gpt"
local measure = require "spec.support.measure"
local raised = require "spec.support.raised"
local live = measure.live

local function leaf(...)
  return gpt.tensor({ ... }, { dtype = "f32" }):requires_grad(true)
end

describe("backward", function()
  it("adds up where a tensor is used more than once", function()
    local x = leaf(1, 2, 3)
    local y = x * 2
    (y * y + y + x):sum():backward()
    assert.same({ 11.0, 19.0, 27.0 }, x.grad:totable())
  end)

  it("adds to the gradient that is there", function()
    local x = leaf(1, 2)
    for _ = 1, 3 do (x * x):sum():backward() end
    assert.same({ 6.0, 12.0 }, x.grad:totable())
    x.grad = nil
    x:sum():backward()
    assert.same({ 1.0, 1.0 }, x.grad:totable())
  end)

  it("adds up long gradients, the same for any number of threads", function()
    gpt.seed(2)
    local start, results = gpt.randn(300000), {}
    for threads = 1, 3 do
      gpt.set_threads(threads)
      local x = start:detach():requires_grad(true)
      for _ = 1, 2 do (x * x + x:tanh() + x):sum():backward() end
      results[threads] = x.grad:bytes()
    end
    gpt.set_threads(0)
    assert.is_true(results[1] == results[2] and results[1] == results[3])
  end)

  it("gives one gradient to two leaves without tying them together", function()
    local a, b = leaf(1, 2), leaf(3, 4)
    ;(a + b):sum():backward()
    a.grad:fill(7)
    assert.same({ 1.0, 1.0 }, b.grad:totable())
  end)

  it("leaves what does not lead to a leaf alone", function()
    local x, plain = leaf(1, 2), gpt.ones(2)
    local y = (x * plain):sum()
    y:backward()
    assert.is_nil(plain.grad)
    assert.is_nil(y.grad)
  end)

  it("frees the graph as it goes", function()
    local x = gpt.rand(1000):requires_grad(true)
    x:sum():backward()
    local before = live()
    local y = x:exp():log():exp():sum()
    assert.is_true(live() >= before + 2 * 4000)
    y:backward()
    assert.is_true(live() < before + 1000)
    y = nil
    assert.equal(before, live())
    assert.is_nil(y)
  end)

  it("frees a graph that no backward went through", function()
    local x = gpt.rand(1000):requires_grad(true)
    local before = live()
    for _ = 1, 10 do x:exp():tanh():sum() end
    assert.equal(before, live())
  end)

  it("may go twice only if the first keeps the graph", function()
    local x = leaf(1, 2)
    local y = (x * x):sum()
    y:backward { keep = true }
    y:backward()
    assert.same({ 4.0, 8.0 }, x.grad:totable())
    assert.equal("backward: the graph was freed by an earlier backward; give that one {keep = true}",
      raised(function() y:backward() end))
    assert.same({ 4.0, 8.0 }, x.grad:totable())
  end)

  it("notices that another backward freed part of the graph", function()
    local x = leaf(1, 2)
    local y = x:exp()
    local first, second = y:sum(), (y * y):sum()
    first:backward()
    assert.equal("backward: the graph was freed by an earlier backward; give that one {keep = true}",
      raised(function() second:backward() end))
  end)

  it("notices that a tensor it needs was changed in place", function()
    local x, w = leaf(1, 2), gpt.ones(2)
    local y = (x * w):sum()
    w:fill(3)
    assert.equal("backward: a tensor that mul needs was changed in place after it was used; change a clone() instead",
      raised(function() y:backward() end))
    assert.is_nil(x.grad)
  end)

  it("notices that a gradient it needs was added to, clipped or stepped over", function()
    local text = "backward: a tensor that mul needs was changed in place after it was used; change a clone() instead"
    local linear, embedding, norm = gpt.nn.Linear(3, 3), gpt.nn.Embedding(3, 3), gpt.nn.LayerNorm(3)
    local function run() norm(linear(embedding { 0, 1, 2 })):pow(2):sum():backward() end
    run()
    local v = gpt.ones(1):requires_grad(true)
    local places = { linear.weight, linear.bias, embedding.weight, norm.weight, norm.bias }
    local ys, changes = {}, { run, function() gpt.clip_grad_norm({ linear, embedding, norm }, 1e-3) end }
    for _, change in ipairs(changes) do
      for i, place in ipairs(places) do ys[i] = (place.grad * v):sum() end
      change()
      for i = 1, #places do assert.equal(text, raised(function() ys[i]:backward() end)) end
    end
    local x = leaf(1, 2)
    x.grad = gpt.ones(2)
    local y = (x.grad * v):sum()
    x:sum():backward()
    assert.equal(text, raised(function() y:backward() end))
    y = (x * v):sum()
    gpt.optim.AdamW { x }:step()
    assert.equal(text, raised(function() y:backward() end))
  end)

  it("does not mind changes to what it does not need", function()
    local x, w = leaf(1, 2), gpt.ones(2)
    local y = (x * 2 + w):neg()
    local z = y:sum()
    w:fill(3)
    gpt.no_grad(function() y:fill(3) end)
    z:backward()
    assert.same({ -2.0, -2.0 }, x.grad:totable())
  end)

  it("starts from one number", function()
    local x = leaf(1, 2)
    assert.equal("backward: a tensor with one element expected (a loss), got shape [2]; take its sum() or mean() first",
      raised(function() x:exp():backward() end))
    local one = gpt.ones(1, 1):requires_grad(true)
    ;(one * 5):backward()
    assert.same({ { 5.0 } }, one.grad:totable())
  end)

  it("needs a graph", function()
    local text = "backward: nothing was recorded for this tensor; does any input require a gradient, "
      .. "outside gpt.no_grad?"
    assert.equal(text, raised(function() gpt.ones(2):sum():backward() end))
    local x = leaf(1, 2)
    assert.equal(text, raised(function() gpt.no_grad(function() return x:sum() end):backward() end))
    assert.equal(text, raised(function() x:sum():detach():backward() end))
    assert.equal(text, raised(function() x:eq(x):sum():backward() end))
  end)

  it("walks and frees 100,000 ops in a row", function()
    local x = leaf(1)
    local before = live()
    local y = x
    for _ = 1, 100000 do y = -y end
    y:sum():backward()
    assert.same({ 1.0 }, x.grad:totable())
    y = x
    for _ = 1, 100000 do y = -y end
    y = nil
    assert.is_true(live() < before + 1000)
    assert.is_nil(y)
  end)

  it("walks a graph of many ways once", function()
    local x = leaf(1)
    local y = x
    for _ = 1, 60 do y = y + y end
    y:sum():backward()
    assert.same({ 2.0 ^ 60 }, x.grad:totable())
  end)
end)

describe("gpt.no_grad", function()
  it("records nothing, and hands on arguments and results", function()
    local x = leaf(1, 2)
    local y, z = gpt.no_grad(function(a, n) return a * n, a end, x, 3)
    assert.same({ 3.0, 6.0 }, y:totable())
    assert.is_false(y:requires_grad())
    assert.is_true(z:requires_grad())
    assert.is_true((x * 3):requires_grad())
  end)

  it("is over after an error", function()
    local x = leaf(1, 2)
    pcall(gpt.no_grad, function() error("stop") end)
    ;(x * 2):sum():backward()
    assert.same({ 2.0, 2.0 }, x.grad:totable())
  end)
end)

describe("detach", function()
  it("cuts the way back, over the same memory", function()
    local x = leaf(1, 2)
    local y = x * 2
    local cut = y:detach()
    ;(y * cut):sum():backward()
    assert.same({ 4.0, 8.0 }, x.grad:totable())
    assert.is_false(cut:requires_grad())
    x:detach():fill(9)
    assert.same({ 9.0, 9.0 }, x:totable())
  end)
end)
