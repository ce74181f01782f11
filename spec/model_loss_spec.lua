local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local raised = require "spec.support.raised"

local function config(overrides)
  local c = { vocab_size = 13, context_length = 6, emb_dim = 8, n_heads = 2, n_layers = 2, drop_rate = 0.0,
    qkv_bias = true }
  for key, value in pairs(overrides or {}) do c[key] = value end
  return c
end

local ids = { { 1, 2, 3, 4, 12 }, { 5, 6, 7, 8, 0 } }
local targets = { { 2, 3, 4, -1, 0 }, { 6, 7, -1, 12, 1 } }

local function gradients_of(model, loss)
  local all = {}
  for _, p in model:parameters() do p.grad = nil end
  loss:backward()
  for path, p in model:parameters() do all[path] = p.grad and p.grad:clone() or false end
  return all
end

-- Compares model:loss with the cross-entropy of all logits: the value, and every gradient.
local function compare(model, x, y, bound)
  local random = gpt.random_state()
  local whole = gpt.cross_entropy(model(x), gpt.is_tensor(y) and y or gpt.tensor(y))
  local expected = gradients_of(model, whole)
  gpt.random_state(random)
  local loss = model:loss(x, y)
  assert.same({}, loss:shape())
  assert.is_true(math.abs(loss:item() - whole:item()) < 1e-6)
  local compared = 0
  for path, grad in pairs(gradients_of(model, loss)) do
    assert.equal(not expected[path], not grad)
    if grad then
      local off = (grad - expected[path]):abs():max():item()
      assert.is_true(off <= 1e-6 + (bound or 1e-5) * expected[path]:abs():max():item(), path)
      compared = compared + 1
    end
  end
  assert.is_true(compared > 0)
  return compared
end

describe("model:loss", function()
  before_each(function() gpt.seed(5) end)

  it("is the cross-entropy of the logits, in value and gradients", function()
    compare(gpt.Model(config()), ids, targets)
    compare(gpt.Model(config()), gpt.tensor(ids), gpt.tensor(targets))
    compare(gpt.Model(config { tie_weights = true }), ids, targets)
  end)

  it("caps the logits as the model does, in value and gradients", function()
    local model = gpt.Model(config { logit_softcap = 2.5 })
    gpt.no_grad(function()
      for _, p in model:parameters() do p:copy(p * 40) end -- so that the cap bends
    end)
    assert.is_true(model(ids):abs():max():item() > 2)
    assert.is_true(model(ids):abs():max():item() <= 2.5)
    compare(model, ids, targets)
  end)

  it("caps what a head that is no Linear returns", function()
    local model = gpt.Model(config { logit_softcap = 0.5 }, { head = function()
      return gpt.nn.Sequential { gpt.nn.Linear(8, 13), function(x) return x * 3 end }
    end })
    compare(model, ids, targets)
  end)

  it("takes a soft cap of a large vocabulary in pieces", function()
    compare(gpt.Model(config { vocab_size = 1100, logit_softcap = 1, n_layers = 1 }),
      { { 1, 511, 512, 513 } }, { { 511, 512, 1024, 1099 } })
  end)

  it("gives the same gradients at every backward that keeps the graph", function()
    local model = gpt.Model(config { tie_weights = true })
    local loss = model:loss(ids, targets) * 3
    loss:backward { keep = true }
    local first = {}
    for path, p in model:parameters() do first[path] = p.grad:clone() end
    for _ = 1, 2 do loss:backward { keep = true } end
    for path, p in model:parameters() do
      assert.is_true((p.grad - first[path] * 3):abs():max():item() < 1e-5, path)
    end
  end)

  it("leaves out targets of -1, and of -100", function()
    for _, masked in ipairs { -1, -100 } do
      local some = gpt.tensor(targets)
      some[1][1] = masked
      compare(gpt.Model(config()), ids, some)
    end
  end)

  it("draws the same dropout", function()
    compare(gpt.Model(config { drop_rate = 0.3 }), ids, targets)
  end)

  it("takes a single row", function()
    local model = gpt.Model(config())
    local a = model:loss({ 1, 2, 3 }, { 2, 3, 4 }):item()
    assert.equal(a, model:loss({ { 1, 2, 3 } }, gpt.tensor { 2, 3, 4 }):item())
  end)

  it("takes a head with a bias, one that is frozen, and one that is no Linear", function()
    compare(gpt.Model(config(), { head = gpt.nn.Linear(8, 13) }), ids, targets)
    local frozen = gpt.Model(config())
    frozen.head:freeze()
    compare(frozen, ids, targets)
    local only = gpt.Model(config())
    for path, p in only:parameters() do p:requires_grad(path == "head.weight") end
    assert.equal(1, compare(only, ids, targets))
    local deep = gpt.nn.Sequential { gpt.nn.Linear(8, 5), gpt.nn.GELU(), gpt.nn.Linear(5, 13) }
    compare(gpt.Model(config(), { head = deep }), ids, targets)
  end)

  it("goes through more rows than it holds at a time", function()
    local n, vocabulary = 40, 300000
    local model = gpt.Model(config { vocab_size = vocabulary, context_length = n, emb_dim = 6, n_heads = 1,
      n_layers = 1 }, { head = gpt.nn.Linear(6, vocabulary) })
    local x, y = gpt.randint(0, vocabulary, { 1, n }), gpt.randint(0, vocabulary, { 1, n })
    y[1][7] = -1
    compare(model, x, y, 1e-3)
  end)

  it("never holds all the logits", function()
    local n, vocabulary = 512, 50000
    local model = gpt.Model(config { vocab_size = vocabulary, context_length = n, emb_dim = 2, n_heads = 1,
      n_layers = 1 })
    local x, y = gpt.randint(0, vocabulary, n), gpt.randint(0, vocabulary, n)
    collectgarbage()
    collectgarbage()
    local logits = 4 * n * vocabulary
    gpt.memory { limit = gpt.memory().live + logits // 2 }
    local done, message = pcall(function() model:loss(x, y):backward() end)
    local plain = pcall(function() return model(x) end)
    gpt.memory { limit = 0 }
    assert(done, message)
    assert.is_false(plain)
  end)

  it("records nothing inside no_grad", function()
    local model = gpt.Model(config())
    local loss = gpt.no_grad(function() return model:loss(ids, targets) end)
    assert.is_false(loss:requires_grad())
    assert.equal(model:loss(ids, targets):item(), loss:item())
  end)

  it("goes backward from a part of a sum, and more than once", function()
    local model = gpt.Model(config())
    local once = gradients_of(model, model:loss(ids, targets) * 3)
    for _, p in model:parameters() do p.grad = nil end
    local loss = model:loss(ids, targets)
    for _ = 1, 2 do loss:backward { keep = true } end
    loss:backward()
    for path, p in model:parameters() do
      assert.is_true((p.grad - once[path]):abs():max():item() < 1e-5, path)
    end
    assert.equal("backward: the graph was freed by an earlier backward; give that one {keep = true}",
      raised(function() loss:backward() end))
  end)

  it("has the gradient that differences have", function()
    local model = gpt.Model(config { n_layers = 1 })
    local weight = model.head.weight
    gradients.check(function(w)
      model.head = gpt.nn.Linear(8, 13, { bias = false })
      model.head.weight = gpt.nn.parameter(w)
      return model:loss(ids, targets)
    end, { weight })
  end)

  it("adds up over micro-batches to what one large batch gives", function()
    local model = gpt.Model(config())
    local y = { { 2, 3, 4, 5, 0 }, { 6, 7, 1, 12, 1 } }
    local whole = gradients_of(model, model:loss(ids, y))
    for _, p in model:parameters() do p.grad = nil end
    for i = 1, 2 do (model:loss({ ids[i] }, { y[i] }) / 2):backward() end
    for path, p in model:parameters() do
      assert.is_true((p.grad - whole[path]):abs():max():item() < 1e-6, path)
    end
  end)

  it("says what is wrong", function()
    local model = gpt.Model(config())
    local function refusal(x, y) return raised(function() return model:loss(x, y) end) end
    assert.equal("loss: ids of shape [1, 2] and targets of shape [1, 3] do not fit; each id needs one target",
      refusal({ 1, 2 }, { 1, 2, 3 }))
    assert.equal("loss: target 13 at [1, 2] is no token id of a vocabulary of 13 (0 to 12; -1 leaves a position out)",
      refusal({ 1, 2 }, { 1, 13 }))
    assert.equal("loss: no target left to average over: targets of shape [1, 2] are all masked (-1 or -100)",
      refusal({ 1, 2 }, { -1, -1 }))
    assert.equal("bad argument #2 to 'loss' (loss expects a tensor or an array of token ids, got nil)",
      (refusal({ 1, 2 }):gsub("#%d", "#2")))
    assert.equal("loss: targets are token ids, an i64 tensor; got f32 of shape [1, 2]",
      refusal({ 1, 2 }, gpt.ones(1, 2)))
  end)
end)
