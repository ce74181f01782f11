local gpt = require "gpt"
local gradients = require "spec.support.gradients"

-- What gpt.cross_entropy raises.
local function message(logits, targets)
  local ok, text = pcall(load("local gpt, a, b = ... return gpt.cross_entropy(a, b)", "=user"), gpt, logits, targets)
  assert.is_false(ok)
  return text
end

describe("gpt.cross_entropy", function()
  local logits = gpt.tensor { { 1.0, 2, 3 }, { 0, 0, 0 } }

  it("is the mean of the targets' negative log probabilities", function()
    local loss = gpt.cross_entropy(logits, gpt.tensor { 2, 0 })
    local expected = -(logits:log_softmax(-1)[1][3]:item() + math.log(1 / 3)) / 2
    assert.same({}, loss:shape())
    assert.is_true(math.abs(loss:item() - expected) < 1e-6)
  end)

  it("takes any dimensions in front, and views", function()
    local a = gpt.cross_entropy(logits, gpt.tensor { 2, 0 }):item()
    assert.equal(a, gpt.cross_entropy(logits:view(1, 2, 1, 3), gpt.tensor { { { 2 }, { 0 } } }):item())
    local turned = logits:transpose(1, 2):contiguous():transpose(1, 2)
    assert.equal(a, gpt.cross_entropy(turned, gpt.tensor { { 2, 5 }, { 0, 5 } }:select(2, 1)):item())
    assert.is_true(math.abs(gpt.cross_entropy(logits[2], gpt.tensor(1)):item() - math.log(3)) < 1e-6)
  end)

  it("leaves out targets of -1, and of -100", function()
    for _, masked in ipairs { -1, -100 } do
      local x = logits:clone():requires_grad(true)
      local loss = gpt.cross_entropy(x, gpt.tensor { masked, 1 })
      assert.is_true(math.abs(loss:item() - math.log(3)) < 1e-6)
      loss:backward()
      assert.same({ 0.0, 0.0, 0.0 }, x.grad[1]:totable())
    end
  end)

  it("has the gradient that differences have", function()
    gpt.seed(1)
    local targets = gpt.tensor { { 0, -1 }, { 3, 1 } }
    gradients.check(function(x) return gpt.cross_entropy(x, targets) end, { gradients.spread({ 2, 2, 4 }, -2, 2) })
    gradients.check(function(x) return gpt.cross_entropy(x:transpose(1, 3), targets) * 3 end,
      { gradients.spread({ 4, 2, 2 }, -2, 2) })
  end)

  it("gives the same numbers for any number of threads", function()
    gpt.seed(1)
    local x, targets, results = gpt.randn(300, 500), gpt.randint(0, 500, { 300 }), {}
    for threads = 1, 3 do
      gpt.set_threads(threads)
      local leaf = x:detach():requires_grad(true)
      local loss = gpt.cross_entropy(leaf, targets)
      loss:backward()
      results[threads] = loss:bytes() .. leaf.grad:bytes()
    end
    gpt.set_threads(0)
    assert.is_true(results[1] == results[2] and results[1] == results[3])
  end)

  it("names the target that is no token", function()
    assert.equal("user:1: cross_entropy: target 3 at [2] is no token id of a vocabulary of 3 (0 to 2; -1 leaves a "
      .. "position out)", message(logits, gpt.tensor { 0, 3 }))
    assert.equal("user:1: cross_entropy: target -99 at [1, 2] is no token id of a vocabulary of 3 (0 to 2; -1 leaves "
      .. "a position out)", message(logits:view(1, 2, 3), gpt.tensor { { 0, -99 } }))
  end)

  it("needs a target that counts", function()
    assert.equal("user:1: cross_entropy: no target left to average over: targets of shape [2] are all masked (-1 or -100)",
      message(logits, gpt.tensor { -1, -1 }))
    assert.equal("user:1: cross_entropy: no target left to average over: targets of shape [0] hold nothing",
      message(gpt.zeros(0, 3), gpt.zeros(0, { dtype = "i64" })))
  end)

  it("names both shapes where they do not fit", function()
    assert.equal("user:1: cross_entropy: logits [2, 3] and targets [3] do not fit; logits of shape [..., vocabulary] "
      .. "need targets of shape [...]", message(logits, gpt.tensor { 0, 1, 2 }))
    assert.equal("user:1: cross_entropy: logits [] and targets [] do not fit; logits of shape [..., vocabulary] need "
      .. "targets of shape [...]", message(logits:sum(), gpt.tensor(1)))
  end)

  it("takes token ids only", function()
    assert.equal("user:1: cross_entropy: targets are token ids, an i64 tensor; got f32 of shape [2]",
      message(logits, gpt.tensor { 0.0, 1.0 }))
    assert.equal("user:1: bad argument #2 to 'cross_entropy' (gpt.Tensor expected, got table; gpt.tensor(array) makes one)",
      message(logits, { 0, 1 }))
  end)
end)
