local gpt = require "gpt"
local raised = require "spec.support.raised"

local function leaf(values)
  return gpt.tensor(values, { dtype = "f32" }):requires_grad(true)
end

-- AdamW after the paper's formula, in double precision: the weight after a step for each gradient (false: none).
local function reference(w, gradients, o)
  local mean, square, t = 0, 0, 0
  for _, g in ipairs(gradients) do
    if g then
      t = t + 1
      mean = o.betas[1] * mean + (1 - o.betas[1]) * g
      square = o.betas[2] * square + (1 - o.betas[2]) * g * g
      local m, v = mean / (1 - o.betas[1] ^ t), square / (1 - o.betas[2] ^ t)
      w = w - o.lr * o.weight_decay * w - o.lr * m / (math.sqrt(v) + o.eps)
    end
  end
  return w
end

local function close(a, b, bound)
  return math.abs(a - b) <= (bound or 1e-6) * (1 + math.abs(b))
end

local function small_model(seed)
  gpt.seed(seed or 1)
  return gpt.Model { vocab_size = 11, context_length = 6, emb_dim = 8, n_heads = 2, n_layers = 2, drop_rate = 0.0,
    qkv_bias = true }
end

local ids, targets = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } }, { { 2, 3, 4, 5 }, { 6, 7, 8, 10 } }

local function train(model, optimizer, steps)
  local losses = {}
  for i = 1, steps do
    optimizer:zero_grad()
    local loss = model:loss(ids, targets)
    loss:backward()
    optimizer:step()
    losses[i] = loss:item()
  end
  return losses
end

local function bytes_of(model)
  local all = {}
  for _, p in model:parameters() do all[#all + 1] = p:bytes() end
  return table.concat(all)
end

describe("gpt.optim.AdamW", function()
  it("computes what the paper says", function()
    local options = { lr = 0.1, betas = { 0.8, 0.9 }, eps = 0.01, weight_decay = 0.2 }
    local values, history = { 1.0, -2.0, 0.5, 3.0, -0.25 }, {}
    local w = leaf(values)
    local optimizer = gpt.optim.AdamW({ w }, options)
    for step = 1, 7 do
      local g = {}
      for i = 1, #values do
        g[i] = math.sin(step * i * 1.7)
        history[i] = history[i] or {}
        history[i][step] = g[i]
      end
      w.grad = gpt.tensor(g)
      optimizer:step()
    end
    for i, value in ipairs(values) do assert.is_true(close(w[i]:item(), reference(value, history[i], options))) end
  end)

  it("has PyTorch's defaults", function()
    local w = leaf { 2.0 }
    local optimizer = gpt.optim.AdamW { w }
    w.grad = gpt.tensor { 0.5 }
    optimizer:step()
    local defaults = { lr = 0.001, betas = { 0.9, 0.999 }, eps = 1e-8, weight_decay = 0.01 }
    assert.is_true(close(w[1]:item(), reference(2, { 0.5 }, defaults)))
    assert.equal(0.001, optimizer.lr)
  end)

  it("passes over what has no gradient: its steps do not count", function()
    local options = { lr = 0.1, betas = { 0.9, 0.99 }, eps = 1e-8, weight_decay = 0.1 }
    local a, b = leaf { 1.0 }, leaf { 1.0 }
    local optimizer = gpt.optim.AdamW({ a, b }, options)
    for step = 1, 3 do
      optimizer:zero_grad()
      a.grad = gpt.tensor { 1.0 }
      if step > 1 then b.grad = gpt.tensor { -1.0 } end
      optimizer:step()
    end
    assert.is_true(close(a[1]:item(), reference(1, { 1, 1, 1 }, options)))
    assert.is_true(close(b[1]:item(), reference(1, { false, -1, -1 }, options)))
    assert.same({ ["1"] = 3, ["2"] = 2 }, optimizer:state().steps)
  end)

  it("has groups with rates of their own, which follow lr", function()
    local a, b = leaf { 1.0 }, leaf { 1.0 }
    local optimizer = gpt.optim.AdamW({ { params = { a }, weight_decay = 0, betas = { 0.5, 0.5 } },
      { params = { b }, lr = 0.01, eps = 0.5 } }, { lr = 0.1, weight_decay = 0.5 })
    optimizer.lr = 0.2
    assert.equal(0.2, optimizer.lr)
    a.grad, b.grad = gpt.tensor { 1.0 }, gpt.tensor { 1.0 }
    optimizer:step()
    assert.is_true(close(a[1]:item(), reference(1, { 1 }, { lr = 0.2, betas = { 0.5, 0.5 }, eps = 1e-8,
      weight_decay = 0 })))
    assert.is_true(close(b[1]:item(), reference(1, { 1 }, { lr = 0.02, betas = { 0.9, 0.999 }, eps = 0.5,
      weight_decay = 0.5 })))
    optimizer.lr = 0
    optimizer:step()
    optimizer.lr = 0.1
    local before = b[1]:item()
    b.grad = gpt.tensor { 0.0 }
    optimizer:step()
    assert.is_true(b[1]:item() < before and b[1]:item() > before - 0.02)
  end)

  it("writes strided weights where they lie, with moments of their shape", function()
    for _, shape in ipairs { { 70, 130 }, { 3, 5 }, { 2, 65, 66 }, { 4, 3, 2, 5 } } do
      gpt.seed(3)
      local plain, n = gpt.randn(shape), #shape
      local last, before = n - 1, n
      local strided = plain:transpose(last, before):contiguous():transpose(last, before)
      plain:requires_grad(true)
      strided:requires_grad(true)
      local one, two = gpt.optim.AdamW({ plain }, { lr = 0.1 }), gpt.optim.AdamW({ strided }, { lr = 0.1 })
      for _ = 1, 2 do
        plain.grad = gpt.randn(shape)
        strided.grad = plain.grad
        one:step()
        two:step()
      end
      assert.equal(plain:bytes(), strided:contiguous():bytes())
      assert.same(shape, two:state().tensors["exp_avg.1"]:shape())
      assert.equal(one:state().tensors["exp_avg_sq.1"]:bytes(), two:state().tensors["exp_avg_sq.1"]:bytes())
    end
  end)

  it("gives the same numbers for any number of threads", function()
    local threads, all = gpt.threads and gpt.threads() or 0, {}
    for i, count in ipairs { 1, 2, 3 } do
      gpt.set_threads(count)
      gpt.seed(2)
      local w = gpt.randn(300, 301):requires_grad(true)
      local optimizer = gpt.optim.AdamW({ w }, { lr = 0.1 })
      w.grad = gpt.randn(300, 301)
      local norm = gpt.clip_grad_norm({ w }, 1)
      optimizer:step()
      all[i] = ("%a "):format(norm) .. w:bytes()
    end
    gpt.set_threads(threads)
    assert.is_true(all[1] == all[2] and all[1] == all[3])
  end)

  it("trains a model, and lets frozen parts be", function()
    local model = small_model()
    local frozen = model.token_embedding:freeze().weight:bytes()
    local losses = train(model, gpt.optim.AdamW(model, { lr = 0.01 }), 30)
    assert.is_true(losses[30] < losses[1] / 3)
    assert.equal(frozen, model.token_embedding.weight:bytes())
    assert.is_nil(model.token_embedding.weight.grad)
  end)

  it("trains a shared weight once", function()
    local shared = gpt.nn.Linear(4, 4, { bias = false })
    local twice = gpt.nn.Sequential { shared, gpt.nn.GELU(), shared }
    local optimizer = gpt.optim.AdamW(twice)
    twice(gpt.ones(2, 4)):sum():backward()
    optimizer:step()
    assert.same({ ["1.weight"] = 1 }, optimizer:state().steps)
  end)

  it("lets gradients go, and keeps their memory for the next ones", function()
    local model = small_model()
    local optimizer = gpt.optim.AdamW(model)
    model:loss(ids, targets):backward()
    optimizer:zero_grad()
    for _, p in model:parameters() do assert.is_nil(p.grad) end
  end)

  it("prints its rates and what it trains", function()
    local model = small_model()
    local optimizer = gpt.optim.AdamW(model, { lr = 3e-4 })
    assert.equal("AdamW { lr = 0.0003, betas = { 0.9, 0.999 }, eps = 1e-08, weight_decay = 0.01 }"
      .. "  -- 37 parameters, 1,984; 0 steps", tostring(optimizer))
    local groups = gpt.optim.AdamW { { params = model.head, weight_decay = 0 }, { params = { model.final_norm.bias } } }
    train(model, groups, 1)
    assert.equal([[
AdamW {  -- 2 groups; 1 step
  { lr = 0.001, betas = { 0.9, 0.999 }, eps = 1e-08, weight_decay = 0 },  -- 1 parameter, 88
  { lr = 0.001, betas = { 0.9, 0.999 }, eps = 1e-08, weight_decay = 0.01 },  -- 1 parameter, 8
}]], tostring(groups))
  end)

  it("holds what it trains, and lets go of it", function()
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    do
      local model <const> = small_model()
      train(model, gpt.optim.AdamW(model), 2)
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, gpt.memory().live)
  end)

  local function refusal(...)
    return raised(gpt.optim.AdamW, ...)
  end

  it("says what is wrong with its parameters", function()
    local w = leaf { 1.0 }
    local what = "gpt.optim.AdamW: a layer, a list of tensors or a list of groups {params = ...} expected, got "
    assert.equal(what .. "nil", refusal())
    assert.equal(what .. "gpt.Tensor", refusal(w))
    assert.equal("gpt.optim.AdamW: there are no parameters in it", refusal {})
    assert.equal("gpt.optim.AdamW: there are no parameters in it", refusal(gpt.nn.GELU()))
    assert.equal("gpt.optim.AdamW: item 2 of the list: a tensor or a layer expected, got number", refusal { w, 3 })
    assert.equal("gpt.optim.AdamW: parameter '2' is there already, as '1'", refusal { w, w })
    local linear = gpt.nn.Linear(2, 2)
    assert.equal("gpt.optim.AdamW: parameter '2.1' is there already, as '1.weight'",
      refusal { { params = linear }, { params = { linear.weight } } })
    assert.equal("gpt.optim.AdamW: parameter '1' was computed from others; a leaf that requires a gradient expected",
      refusal { w * 2 })
    for _, wide in ipairs { gpt.ones(1, 3):expand(2, 3), gpt.ones(2, 1):expand(2, 9) } do
      assert.equal("gpt.optim.AdamW: parameter '1' has elements that share memory (it was expanded)",
        refusal { wide:requires_grad(true) })
    end
    assert.equal("gpt.optim.AdamW: parameter '1' is i64: training needs f32 weights; model:to \"f32\" converts them, "
      .. "and a list of parameters leaves them out",
      refusal { gpt.tensor { 1, 2 } })
    assert.equal("gpt.optim.AdamW: group 2: params: a layer or a list of tensors expected, got nil",
      refusal { { params = { w } }, { lr = 1 } })
    assert.equal("gpt.optim.AdamW: group 2: a table {params = ...} expected, got gpt.Tensor",
      refusal { { params = { w } }, w })
  end)

  it("says what is wrong with its rates", function()
    local w = leaf { 1.0 }
    local function with(options) return refusal({ w }, options) end
    assert.equal("gpt.optim.AdamW: lr: a finite number of at least 0 expected, got -1", with { lr = -1 })
    for _, nan in ipairs { 0 / 0, -(0 / 0) } do -- one of them is "-nan" to Lua
      assert.equal("gpt.optim.AdamW: lr: a finite number of at least 0 expected, got nan", with { lr = nan })
      assert.equal("gpt.optim.AdamW: betas: two numbers from 0 to less than 1 expected, number 1 is nan",
        with { betas = { nan, 0.9 } })
      assert.equal("bad argument #2 to 'clip_grad_norm' (a norm above 0 expected, got nan)",
        raised(function() gpt.clip_grad_norm({ w }, nan) end))
    end
    assert.equal("gpt.optim.AdamW: betas: two numbers from 0 to less than 1 expected, number 2 is string",
      with { betas = { 0.9, "x" } })
    assert.equal("gpt.optim.AdamW: lr: a finite number of at least 0 expected, got string", with { lr = "1" })
    assert.equal("gpt.optim.AdamW: eps: a finite number of at least 0 expected, got -0.1", with { eps = -0.1 })
    assert.equal("gpt.optim.AdamW: weight_decay: a finite number of at least 0 expected, got inf",
      with { weight_decay = math.huge })
    assert.equal("gpt.optim.AdamW: betas: two numbers from 0 to less than 1 expected, number 2 is 1",
      with { betas = { 0.9, 1 } })
    assert.equal("gpt.optim.AdamW: betas: two numbers from 0 to less than 1 expected, got another count",
      with { betas = { 0.9 } })
    assert.equal("gpt.optim.AdamW: betas: two numbers from 0 to less than 1 expected, got number",
      with { betas = 0.9 })
    assert.equal("gpt.optim.AdamW: unknown option 'weigth_decay'; did you mean 'weight_decay'?",
      with { weigth_decay = 0 })
    assert.equal("gpt.optim.AdamW: group 1: lr: a finite number of at least 0 expected, got -2",
      refusal { { params = { w }, lr = -2 } })
    assert.equal("gpt.optim.AdamW: group 1: 'lr': it follows the optimizer's own lr, which has to be above 0 then",
      refusal({ { params = { w }, lr = 1 } }, { lr = 0 }))
    assert.equal("gpt.optim.AdamW: group 1: unknown option 'param'; did you mean 'params'?",
      refusal { { param = { w } } })
    local optimizer = gpt.optim.AdamW { w }
    assert.equal("lr: a finite number of at least 0 expected, got -3", raised(function() optimizer.lr = -3 end))
    assert.equal("lr: a finite number of at least 0 expected, got nan", raised(function() optimizer.lr = 0 / 0 end))
    assert.equal("a gpt.Optimizer has no field 'rate' to set; lr is one", raised(function() optimizer.rate = 1 end))
    assert.equal(0.001, optimizer.lr)
  end)
end)

describe("an optimizer's state", function()
  it("goes on elsewhere, bit for bit", function()
    local model = small_model()
    local optimizer = gpt.optim.AdamW(model, { lr = 0.01 })
    train(model, optimizer, 3)
    local copy = small_model(9)
    local weights = {}
    for path, p in model:parameters() do weights[path] = p end
    gpt.no_grad(function()
      for path, p in copy:parameters() do p:copy(weights[path]) end
    end)
    local other = gpt.optim.AdamW(copy, { lr = 5 })
    other:load_state(optimizer:state())
    assert.equal(0.01, other.lr)
    assert.equal(3, other:state().step)
    assert.same(train(model, optimizer, 4), train(copy, other, 4))
    assert.equal(bytes_of(model), bytes_of(copy))
  end)

  it("is a plain table", function()
    local w = leaf { 1.0, 2.0 }
    local optimizer = gpt.optim.AdamW({ w, leaf { 3.0 } }, { lr = 0.5, betas = { 0.5, 0.75 } })
    w.grad = gpt.tensor { 2.0, 4.0 }
    optimizer:step()
    local state = optimizer:state()
    assert.equal(1, state.step)
    assert.equal(0.5, state.lr)
    assert.same({ ["1"] = 1, ["2"] = 0 }, state.steps)
    assert.same({ 1.0, 2.0 }, state.tensors["exp_avg.1"]:totable())
    assert.same({ 1.0, 4.0 }, state.tensors["exp_avg_sq.1"]:totable())
    assert.is_nil(state.tensors["exp_avg.2"])
  end)

  it("is checked, and taken whole or not at all", function()
    local w, v = leaf { 1.0, 2.0 }, leaf { 1.0 }
    local optimizer = gpt.optim.AdamW { w, v }
    local function refusal(state) return raised(function() optimizer:load_state(state) end) end
    local two, one = gpt.ones(2), gpt.ones(1)
    assert.equal("load_state: steps: a table expected, got nil; state() makes such a table", refusal {})
    assert.equal("load_state: tensors: a table expected, got nil; state() makes such a table", refusal { steps = {} })
    assert.equal("load_state: the optimizer has no parameter '3'", refusal { steps = { ["3"] = 1 }, tensors = {} })
    assert.equal("load_state: steps: '1': a whole number of at least 0 expected, got -1",
      refusal { steps = { ["1"] = -1 }, tensors = {} })
    assert.equal("load_state: steps: '1': a whole number of at least 0 expected, got table",
      refusal { steps = { ["1"] = setmetatable({}, { __tostring = error }) }, tensors = {} })
    assert.equal("load_state: tensors: 'exp_avg.1': a tensor expected, got nil",
      refusal { steps = { ["1"] = 1 }, tensors = {} })
    assert.equal("load_state: exp_avg_sq of parameter '1': f32 of shape [2] expected, got f32 of shape [1]",
      refusal { steps = { ["1"] = 1 }, tensors = { ["exp_avg.1"] = two, ["exp_avg_sq.1"] = one } })
    assert.equal("load_state: lr: a finite number of at least 0 expected, got -1",
      refusal { lr = -1, steps = {}, tensors = {} })
    assert.same({ ["1"] = 0, ["2"] = 0 }, optimizer:state().steps)
    optimizer:load_state { steps = { ["2"] = 4 }, tensors = { ["exp_avg.2"] = one, ["exp_avg_sq.2"] = one } }
    assert.same({ ["1"] = 0, ["2"] = 4 }, optimizer:state().steps)
    one:fill(7)
    assert.same({ 1.0 }, optimizer:state().tensors["exp_avg.2"]:totable())
  end)

  it("stays as it is where memory is short", function()
    local w, v = gpt.zeros(1000):requires_grad(true), gpt.zeros(1000):requires_grad(true)
    local optimizer = gpt.optim.AdamW { w, v }
    w.grad, v.grad = gpt.ones(1000), gpt.ones(1000)
    optimizer:step()
    local state, tensors = optimizer:state(), {}
    for name, tensor in pairs(state.tensors) do tensors[name] = tensor:clone():fill(9) end
    collectgarbage()
    for room = 0, 16000, 2000 do
      gpt.memory { limit = gpt.memory().live + room }
      local ok = pcall(optimizer.load_state, optimizer, { steps = { ["1"] = 5, ["2"] = 6 }, tensors = tensors })
      gpt.memory { limit = 0 }
      assert.is_false(ok)
      local now = optimizer:state()
      assert.same({ ["1"] = 1, ["2"] = 1 }, now.steps)
      for name, tensor in pairs(state.tensors) do assert.equal(tensor:bytes(), now.tensors[name]:bytes()) end
    end
  end)
end)

describe("gpt.clip_grad_norm", function()
  it("returns the norm, and scales what is above the limit", function()
    local a, b, none = leaf { 0.0, 0.0 }, leaf { 0.0 }, leaf { 0.0 }
    a.grad, b.grad = gpt.tensor { 3.0, 0.0 }, gpt.tensor { -4.0 }
    assert.equal(5.0, gpt.clip_grad_norm({ a, b, none }, 10))
    assert.same({ 3.0, 0.0 }, a.grad:totable())
    assert.equal(5.0, gpt.clip_grad_norm({ { params = { a } }, { params = { b } } }, 1))
    assert.is_true(close(a.grad[1]:item(), 0.6) and close(b.grad[1]:item(), -0.8))
    assert.is_true(close(gpt.clip_grad_norm({ a, b }, math.huge), 1))
    assert.equal(0.0, gpt.clip_grad_norm({ none }, 1))
    b.grad:fill(0 / 0) -- a norm that is no number leaves no gradient that looks like one
    local norm = gpt.clip_grad_norm({ a, b }, 1)
    assert.is_true(norm ~= norm)
    for _, value in ipairs(a.grad:totable()) do assert.is_true(value ~= value) end
  end)

  it("keeps its digits over many numbers", function()
    local w = gpt.zeros(1000, 1000):requires_grad(true)
    w.grad = gpt.full({ 1000, 1000 }, 0.1)
    assert.is_true(close(gpt.clip_grad_norm({ w }, math.huge), 100, 1e-6))
  end)

  it("says what is wrong", function()
    local w = leaf { 1.0 }
    assert.equal("bad argument #2 to 'fn' (a norm above 0 expected, got -1)",
      (raised(gpt.clip_grad_norm, { w }, -1):gsub("'.-'", "'fn'")))
    assert.equal("gpt.clip_grad_norm: item 1 of the list: a tensor or a layer expected, got string",
      raised(gpt.clip_grad_norm, { "w" }, 1))
  end)
end)
