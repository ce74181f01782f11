local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local measure = require "spec.support.measure"
local nn = gpt.nn
local difference, live = measure.difference, measure.live

local function paths(layer)
  local list = {}
  for path in layer:parameters() do table.insert(list, path) end
  return list
end

describe("layers", function()
  it("print as the Lua that makes them", function()
    assert.equal("Linear(768, 50257, { bias = false })  -- 38,597,376", tostring(nn.Linear(768, 50257, { bias = false })))
    assert.equal("Linear(3, 4)  -- 16", tostring(nn.Linear(3, 4)))
    assert.equal("Embedding(5, 2)  -- 10", tostring(nn.Embedding(5, 2)))
    assert.equal("LayerNorm(8)  -- 16", tostring(nn.LayerNorm(8)))
    assert.equal("LayerNorm(8, { eps = 1e-06 })  -- 16", tostring(nn.LayerNorm(8, { eps = 1e-6 })))
    assert.equal("Dropout(0.1)", tostring(nn.Dropout(0.1)))
    assert.equal("GELU()", tostring(nn.GELU()))
    assert.equal("GELU({ exact = true })", tostring(nn.GELU { exact = true }))
    assert.equal("ReLU()", tostring(nn.ReLU()))
    assert.equal("Identity()", tostring(nn.Identity()))
    assert.equal([[
Sequential {  -- 12
  Linear(3, 3),  -- 12
  Shortcut {
    layer = GELU(),
  },
}]], tostring(nn.Sequential { nn.Linear(3, 3), nn.Shortcut(nn.GELU()) }))
    assert.equal("Sequential {}", tostring(nn.Sequential {}))
    assert.equal("MultiHeadAttention {  -- 68\n  emb_dim = 4, n_heads = 2, context_length = 8, drop_rate = 0, qkv_bias = false,\n"
      .. "  query = Linear(4, 4, { bias = false }),  -- 16\n  key = Linear(4, 4, { bias = false }),  -- 16\n"
      .. "  value = Linear(4, 4, { bias = false }),  -- 16\n  output = Linear(4, 4),  -- 20\n}",
      tostring(nn.MultiHeadAttention { emb_dim = 4, n_heads = 2, context_length = 8 }))
  end)

  it("compute", function()
    local x = gpt.randn(2, 5, 3)
    local linear = nn.Linear(3, 4)
    assert.is_true(difference(linear(x), x:matmul(linear.weight:transpose(1, 2)) + linear.bias) < 1e-5)
    local normed = nn.LayerNorm(3)(x)
    assert.is_true(normed:mean(-1):abs():max():item() < 1e-5)
    local shortcut = nn.Shortcut(nn.ReLU())
    assert.is_true(difference(shortcut(x), x + x:clamp(0, nil)) < 1e-6)
    assert.same({ 3, 4 }, nn.Embedding(9, 4)({ 0, 8, 3 }):shape())
    assert.same({ 2, 2, 4 }, nn.Embedding(9, 4)({ { 0, 8 }, { 1, 2 } }):shape())
    assert.same({ 2, 5, 3 }, nn.FeedForward { emb_dim = 3, activation = "relu" }(x):shape())
    assert.equal(0, difference(nn.Identity()(x), x))
    assert.same({ 2, 3 }, nn.Linear(2, 3)(gpt.tensor { { 1, 2 }, { 3, 4 } }):shape()) -- integers become f32
  end)

  it("mask the future in attention", function()
    local attention = nn.MultiHeadAttention { emb_dim = 6, n_heads = 2, context_length = 9 }
    local x = gpt.randn(1, 9, 6)
    local whole = attention(x)
    for n = 1, 9 do assert.is_true(difference(whole:narrow(2, 1, n), attention(x:narrow(2, 1, n))) < 1e-5) end
  end)

  it("attend over many tokens as plain ops do, in values and gradients", function()
    gpt.seed(4)
    local tokens, dim, heads = 150, 8, 2
    local attention = nn.MultiHeadAttention { emb_dim = dim, n_heads = heads, context_length = tokens, qkv_bias = true }
    local future = gpt.ones(tokens, tokens):triu(1)
    local function plain(x)
      local function split(part) return part(x):view(2, tokens, heads, dim // heads):transpose(2, 3) end
      local q, k, v = split(attention.query), split(attention.key), split(attention.value)
      local scores = q:matmul(k:transpose(3, 4)) / math.sqrt(dim / heads)
      local mixed = scores:masked_fill(future, -math.huge):softmax(4):matmul(v)
      return attention.output(mixed:transpose(2, 3):reshape(2, tokens, dim))
    end
    local start, mix = gpt.randn(2, tokens, dim), gpt.randn(2, tokens, dim)
    local function run(forward)
      local x, grads = start:clone():requires_grad(true), {}
      for _, p in attention:parameters() do p.grad = nil end
      local y = forward(x)
      ;(y * mix):sum():backward()
      for path, p in attention:parameters() do grads[path] = p.grad end
      grads.x = x.grad
      return y, grads
    end
    local y, grads = run(attention)
    local expected, all = run(plain)
    assert.is_true(difference(y, expected) < 1e-5)
    for name, grad in pairs(all) do assert.is_true(difference(grads[name], grad) < 1e-3, name) end
  end)

  it("drop attention weights for each head and query apart, and the same ones on the way back", function()
    gpt.seed(4)
    local tokens = 130
    local attention = nn.MultiHeadAttention { emb_dim = 4, n_heads = 2, context_length = tokens, drop_rate = 0.5 }
    local identity = gpt.tensor { { 1.0, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 }, { 0, 0, 0, 1 } }
    gpt.no_grad(function()
      attention.query.weight:fill(0) -- every key weighs the same
      attention.value.weight:copy(identity)
      attention.output.weight:copy(identity)
      attention.output.bias:fill(0)
    end)
    local x = gpt.ones(2, tokens, 4):requires_grad(true)
    local state = gpt.random_state()
    local y = attention(x)
    local rows = {} -- of values 1: how many weights stayed, which tells heads, queries and batch rows apart
    for b = 1, 2 do
      for head = 0, 1 do rows[#rows + 1] = y[b]:select(2, 2 * head + 1):totable() end
    end
    for i = 1, 4 do
      for j = i + 1, 4 do assert.not_same(rows[i], rows[j]) end
      assert.not_same({ table.unpack(rows[i], 1, 64) }, { table.unpack(rows[i], 65, 128) })
    end
    y:sum():backward()
    gpt.random_state(state)
    local bumped = x:detach():clone() -- linear in the values: a difference is exact
    bumped[1][1] = bumped[1][1] + 1
    assert.is_true(math.abs((attention(bumped) - y):sum():item() - x.grad[1][1]:sum():item()) < 1e-3)
  end)

  it("give the same attention for parts that are not plain Linear layers", function()
    local attention = nn.MultiHeadAttention { emb_dim = 6, n_heads = 3, context_length = 70, qkv_bias = true }
    local x = gpt.randn(2, 70, 6)
    local together = attention(x)
    attention.key = nn.Sequential { attention.key }
    assert.is_true(difference(together, attention(x)) < 1e-5)
    assert.equal("key.1.weight", paths(attention)[3])
  end)

  it("drop a share of the elements in training", function()
    local drop = nn.Dropout(0.25)
    local y = drop(gpt.ones(10000))
    local kept = y:gt(0):sum():item()
    assert.is_true(kept > 7300 and kept < 7700)
    assert.is_true(math.abs(y:max():item() - 1 / 0.75) < 1e-6)
    assert.equal(0, difference(drop:eval()(gpt.ones(10)), gpt.ones(10)))
    gpt.seed(5)
    local a = nn.Dropout(0.5)(gpt.ones(100))
    gpt.seed(5)
    assert.equal(0, difference(a, nn.Dropout(0.5)(gpt.ones(100))))
  end)

  it("go back through what dropout kept", function()
    local drop, x = nn.Dropout(0.5), gpt.ones(10000):requires_grad(true)
    local y = drop(x)
    y:sum():backward()
    assert.equal(0, difference(y, x.grad))
    local attention = nn.MultiHeadAttention { emb_dim = 4, n_heads = 2, context_length = 20, drop_rate = 0.5 }
    gradients.check(function(input)
      gpt.seed(7) -- the same mask each time
      return attention(input)
    end, { gpt.randn(1, 20, 4) })
  end)

  it("find, list, count and exchange their parts", function()
    local block = nn.TransformerBlock { vocab_size = 5, context_length = 4, emb_dim = 4, n_heads = 2, n_layers = 1, drop_rate = 0,
      qkv_bias = false }
    local names = {}
    for name in block:children() do table.insert(names, name) end
    assert.same({ "norm1", "attention", "norm2", "feed_forward" }, names)
    assert.equal(block.attention.query, block:find("attention.query"))
    assert.equal("attention.query.weight", paths(block)[3])
    local other = nn.Identity()
    assert.equal(block, block:replace("feed_forward.activation", other))
    assert.equal(other, block.feed_forward.activation)
    block.norm2 = other -- shared: its parameters would count once
    assert.equal(other, block.norm2)
    local visited = {}
    block:apply(function(layer) table.insert(visited, layer) end)
    assert.equal(block, visited[#visited])
    assert.equal(11, #visited)
    local list = nn.List { nn.Linear(1, 1), nn.Linear(2, 2) }
    assert.equal(2, #list)
    assert.equal(list[2], list[-1])
    assert.is_nil(list[3])
    local seen = 0
    for i, layer in ipairs(list) do seen = seen + i assert.equal(list[i], layer) end
    assert.equal(3, seen)
  end)

  it("tie what is shared", function()
    local linear = nn.Linear(3, 3)
    local stack = nn.Sequential { linear, nn.ReLU(), linear }
    assert.equal(12, stack:num_parameters())
    assert.same({ "1.weight", "1.bias" }, paths(stack))
  end)

  it("share parts: walks are linear, and what is shared prints once", function()
    local tree = nn.Linear(3, 3)
    for _ = 1, 60 do tree = nn.Sequential { tree, tree } end -- 2^60 places
    local before = live()
    assert.equal(12, tree:num_parameters())
    assert.equal(("1."):rep(60) .. "weight", paths(tree)[1])
    local count = 0
    tree:apply(function() count = count + 1 end)
    assert.equal(61, count)
    tree:eval():freeze():unfreeze():train()
    assert.is_true(tree.training)
    assert.is_true(#tostring(tree) < 10000)
    assert.equal("Linear", tree:find(("2."):rep(59) .. "1").kind)
    assert.equal(before, live())
    local pair, norm = nn.Sequential { nn.Linear(2, 2) }, nn.LayerNorm(2)
    assert.equal([[
Sequential {  -- 10
  -- 1 to 2: the same layer 2 times
  Sequential {  -- 6
    Linear(2, 2),  -- 6
  },
  LayerNorm(2),  -- 4
  LayerNorm(2),  -- the same layer as 3
  Shortcut {  -- 6
    layer = Sequential { ... },  -- the same layer as 1
  },
  GELU(),
}]], tostring(nn.Sequential { pair, pair, norm, norm, nn.Shortcut(pair), nn.GELU() }))
    local tied = nn.Sequential { nn.Linear(2, 2), nn.Linear(2, 2) }
    tied[2].weight = tied[1].weight
    assert.equal("Sequential {  -- 8\n  Linear(2, 2),  -- 6\n  Linear(2, 2),  -- 2, weight tied to 1.weight\n}", tostring(tied))
    assert.equal("Linear(2, 2)  -- 6", tostring(tied[2]))
  end)

  it("fold only neighbours that are the same trees", function()
    local function block(p, inner) return nn.Sequential { nn.Linear(2, 2), nn.Dropout(p), nn.Sequential { inner } } end
    local text = tostring(nn.Sequential { block(0.1, nn.ReLU()), block(0.1, nn.ReLU()), block(0.2, nn.ReLU()), block(0.2, nn.GELU()) })
    assert.matches("-- 1 to 2: 2 times", text, 1, true)
    assert.is_nil(text:find("3 to", 1, true))
    local _, linears = text:gsub("Linear", "")
    assert.equal(3, linears)
  end)

  it("lose nothing where memory runs out while they are listed, printed, traced or run", function()
    local Own = nn.layer("Own", {
      init = function(self) self.inner, self.weight = nn.Linear(2, 2), nn.parameter(gpt.ones(2)) end,
      forward = function(self, x, pass, more) return self.inner(x) * self.weight, pass.positions, more end,
      describe = function(self) return tostring(self.weight:shape()[1]) end,
    })
    local shared = Own()
    local tree, x = nn.Sequential { shared, nn.Shortcut(shared), nn.Linear(2, 2) }, gpt.ones(1, 2)
    for _, fn in ipairs {
      function() for _ in tree:parameters() do end end, -- luacheck: ignore
      function() tree:apply(function(each) each:eval() end) end,
      function() assert(tostring(tree):find "Own {") end,
      function() tree:freeze():unfreeze() end,
      function() tree:trace(x) end,
      function() gpt.no_grad(shared, x, 1) end,
      function() gpt.no_grad(tree, x) end,
    } do
      assert.is_true(measure.short_of_memory(fn, 256) > 0)
    end
  end)

  it("go to any depth, but do not run there", function()
    local deep = nn.Linear(1, 1)
    for _ = 1, 300 do deep = nn.Sequential { deep } end
    assert.equal(2, deep:num_parameters())
    assert.equal(("1."):rep(300) .. "bias", paths(deep)[2])
    deep:freeze()
    assert.is_false(deep:find(("1."):rep(299) .. "1").weight:requires_grad())
    assert.error_matches(function() deep(gpt.ones(1, 1)) end, "layers are nested more than 200 deep", 1, true)
    deep = nn.GELU()
    for _ = 1, 200000 do deep = nn.Sequential { deep } end
    assert.is_true(deep:eval().training == false)
    deep = nil -- luacheck: ignore
    collectgarbage()
  end)

  it("freeze", function()
    local linear = nn.Linear(3, 3)
    assert.is_true(linear.weight:requires_grad())
    assert.equal(linear, linear:freeze())
    assert.is_false(linear.weight:requires_grad())
    assert.is_false(linear(gpt.ones(1, 3)):requires_grad())
  end)

  it("take a tensor of the right shape as parameter", function()
    local linear = nn.Linear(3, 2)
    linear.bias = gpt.tensor { 1.0, 2.0 }
    assert.same({ 1.0, 2.0 }, linear.bias:totable())
    assert.error_matches(function() linear.bias = gpt.ones(3) end,
      "Linear.bias: an f32 tensor of shape [2] expected, got f32 of [3]", 1, true)
    assert.error_matches(function() linear.bias = 3 end, "Linear.bias: a tensor expected, got number", 1, true)
  end)

  it("refuse nonsense", function()
    local message = assert.error_matches
    message(function() nn.Linear(0, 3) end, "bad argument #1 to 'Linear' (the number of inputs must be at least 1, got 0)", 1, true)
    message(function() nn.Linear(3, 3, { bais = false }) end, "nn.Linear: unknown option 'bais'; did you mean 'bias'?", 1, true)
    message(function() nn.Linear(3, 3, { bias = 1 }) end, "nn.Linear: bias: true or false expected, got 1", 1, true)
    message(function() nn.Dropout(1) end, "a probability from 0 to less than 1 expected, got 1", 1, true)
    message(function() nn.LayerNorm(3, { eps = -1 }) end, "nn.LayerNorm: eps: a number from 0 to less than 1 expected, got -1", 1, true)
    message(function() nn.MultiHeadAttention { emb_dim = 4, n_heads = 3, context_length = 2 } end,
      "MultiHeadAttention: emb_dim (4) must be divisible by n_heads (3)", 1, true)
    message(function() nn.MultiHeadAttention { emb_dim = 4, n_heads = 2 } end,
      "nn.MultiHeadAttention: context_length: missing; a whole number of at least 1 expected", 1, true)
    message(function() nn.FeedForward { emb_dim = 2.5 } end,
      "nn.FeedForward: emb_dim: a whole number of at least 1 expected, got 2.5", 1, true)
    message(function() nn.FeedForward { emb_dim = 2, activation = "gleu" } end,
      "nn.FeedForward: activation: \"gelu\", \"gelu_exact\", \"relu\" or \"silu\" expected, got gleu", 1, true)
    message(function() nn.Sequential { nn.ReLU(), 3 } end, "nn.Sequential: item 2 must be a layer, got number", 1, true)
    message(function() nn.Sequential(nn.ReLU()) end, "nn.Sequential: a table of layers expected, got gpt.Layer: nn.Sequential { a, b }", 1, true)
    message(function() nn.List(3) end, "nn.List: a table of layers expected, got number: nn.List { a, b }", 1, true)
    message(function() nn.List { nn.ReLU() }(gpt.ones(1)) end,
      "a List only holds layers: call its members, list[i](x), or use a Sequential", 1, true)
    message(function() nn.Linear(3, 3)(3) end, "Linear expects a tensor, got number", 1, true)
    message(function() nn.Linear(3, 3)(gpt.ones(2, 4)) end,
      "linear: an input of shape [..., 3] expected for a weight [out, in] of [3, 3], got [2, 4]", 1, true)
    message(function() nn.LayerNorm(3)(gpt.ones(2, 4)) end, "layer_norm: an input of shape [..., 3] expected, got [2, 4]", 1, true)
    message(function() nn.Embedding(3, 3)(gpt.ones(2)) end, "embedding: ids must be integers (i64), got a tensor of f32", 1, true)
    message(function() nn.Embedding(3, 3) { 3 } end, "id 3 at position 1 is out of the vocabulary: ids are 0 .. 2", 1, true)
    message(function() nn.Shortcut(nn.Linear(3, 4))(gpt.ones(2, 3)) end,
      "Shortcut: its layer must keep the shape to be added to its input, but made [2, 4] of [2, 3]", 1, true)
    local attention = nn.MultiHeadAttention { emb_dim = 4, n_heads = 2, context_length = 2 }
    message(function() attention(gpt.ones(2, 3)) end, "attention: an input of shape [batch, tokens, 4] expected, got [1, 2, 3]", 1, true)
    message(function() attention(gpt.ones(1, 3, 4)) end, "attention: 3 tokens are more than its context_length, 2", 1, true)
    message(function() nn.Sequential { nn.Linear(3, 3), nn.Sequential { nn.ReLU(), nn.Linear(4, 4) } }(gpt.ones(1, 3)) end,
      "2.2: linear: an input of shape [..., 4] expected for a weight [out, in] of [4, 4], got [1, 3]", 1, true)
    message(function() return nn.Linear(3, 3).wieght end, "Linear has no field or method 'wieght'; did you mean 'weight'?", 1, true)
    message(function() nn.Linear(3, 3):paramters() end, "Linear has no field or method 'paramters'; did you mean 'parameters'?", 1, true)
    message(function() nn.Linear(3, 3).foo = nn.ReLU() end, "Linear has no field or method 'foo'", 1, true)
    message(function() nn.ReLU().training = true end, "ReLU.training is read-only: call train() or eval()", 1, true)
    message(function() nn.ReLU():train {} end,
      "train() only turns training mode on and takes no arguments; gpt.train { model = model, data = data } trains", 1, true)
    local stack = nn.Sequential { nn.ReLU(), nn.FeedForward { emb_dim = 2 } }
    message(function() stack:find("2.expnad") end, "no layer 'expnad' in path '2.expnad': FeedForward has expand, activation, project", 1, true)
    message(function() stack:find("1.x") end, "no layer 'x' in path '1.x': ReLU has no parts", 1, true)
    message(function() stack:find("1..x") end, "'1..x' is no path: names joined by single dots expected", 1, true)
    message(function() stack:replace("3", nn.ReLU()) end, "no layer '3' in path '3': Sequential has 1, 2", 1, true)
    message(function() stack:replace("2.expand", stack) end, "'2.expand' cannot be replaced by a layer that contains it", 1, true)
  end)
end)

describe("layers written in Lua", function()
  local Scale = nn.layer("Scale", {
    init = function(self, dim)
      self.note = "plain"
      self.weight = nn.parameter(gpt.ones(dim))
      self.inner = nn.Linear(dim, dim)
      self.bias = nn.parameter(gpt.zeros(dim))
    end,
    forward = function(self, x) return self.inner(x) * self.weight + self.bias end,
    double = function(self) return self.weight * 2 end,
    positionwise = true,
  })

  it("register parts in order of assignment, count, print and train", function()
    local scale = Scale(3)
    assert.same({ "weight", "inner.weight", "inner.bias", "bias" }, paths(scale))
    assert.equal(18, scale:num_parameters())
    assert.equal("plain", scale.note)
    assert.same({ 2.0, 2.0, 2.0 }, scale:double():totable())
    assert.equal([[
Scale {  -- 18
  weight = parameter [3],
  inner = Linear(3, 3),  -- 12
  bias = parameter [3],
}]], tostring(scale))
    scale(gpt.ones(2, 3)):sum():backward()
    assert.same({ 2.0, 2.0, 2.0 }, scale.bias.grad:totable())
    scale.inner = nil
    assert.same({ "weight", "bias" }, paths(scale))
    scale.weight = gpt.ones(3) -- no parameter any more
    assert.same({ "bias" }, paths(scale))
  end)

  it("have a kind, which is their name, and may have a field of that name", function()
    local Kind = nn.layer("Kind", { init = function(self) self.kind = "own" end, forward = function(_, x) return x end })
    assert.same({ "Scale", "own", "Linear", "Function" },
      { Scale(3).kind, Kind().kind, nn.Linear(1, 1).kind, nn.Sequential({ function(x) return x end })[1].kind })
    assert.error_matches(function() nn.Linear(1, 1).kind = "x" end, "Linear.kind is read-only", 1, true)
  end)

  it("keep the order of assignment between parameters and layers, also when one goes", function()
    local Mixed = nn.layer("Mixed", {
      init = function(self)
        self.first = nn.Linear(1, 1, { bias = false })
        self.scale = nn.parameter(gpt.ones(1))
        self.second = nn.Linear(1, 1, { bias = false })
        self.shift = nn.parameter(gpt.zeros(1))
      end,
      forward = function(self, x) return self.second(self.first(x) * self.scale) + self.shift end,
    })
    local mixed = Mixed()
    assert.same({ "first.weight", "scale", "second.weight", "shift" }, paths(mixed))
    assert.equal([[
Mixed {  -- 4
  first = Linear(1, 1, { bias = false }),  -- 1
  scale = parameter [1],
  second = Linear(1, 1, { bias = false }),  -- 1
  shift = parameter [1],
}]], tostring(mixed))
    mixed.first = nil
    assert.same({ "scale", "second.weight", "shift" }, paths(mixed))
    mixed.third = nn.Linear(1, 1, { bias = false })
    assert.same({ "scale", "second.weight", "shift", "third.weight" }, paths(mixed))
    mixed.second = nn.Linear(1, 1)
    assert.same({ "scale", "second.weight", "second.bias", "shift", "third.weight" }, paths(mixed))
  end)

  it("know the pass's mode", function()
    local modes = {}
    local Probe = nn.layer("Probe", { positionwise = true, forward = function(self, x) table.insert(modes, self.training) return x end })
    local config = { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = false }
    local model = gpt.Model(config, { block = Probe })
    model { 1 }
    model:session():feed { 1 }
    model:eval()
    model { 1 }
    assert.same({ true, false, false }, modes)
  end)

  it("stay usable with a cache where they mix no positions, and twice in a pass", function()
    local Twice = nn.layer("Twice", {
      init = function(self, config)
        self.attention = nn.MultiHeadAttention { emb_dim = config.emb_dim, n_heads = 2, context_length = config.context_length }
      end,
      forward = function(self, x) return x + self.attention(self.attention(x)) end,
      positionwise = true,
    })
    local config = { vocab_size = 9, context_length = 8, emb_dim = 4, n_heads = 2, n_layers = 2, drop_rate = 0, qkv_bias = false }
    local model = gpt.Model(config, { block = Twice }):eval()
    local session = model:session()
    assert.equal("Session(0 of 8 tokens)", tostring(session))
    session:feed { 1, 2, 3 }
    assert.is_true(difference(session:feed { 4 }, gpt.no_grad(model, { 1, 2, 3, 4 })[1][4]) < 1e-5)
  end)

  it("keep their errors, which gain the path", function()
    local Boom = nn.layer("Boom", { forward = function(_, x) return x:matmul(gpt.ones(9, 9)) end })
    local stack = nn.Sequential { nn.ReLU(), Boom() }
    local ok, message = pcall(stack, gpt.ones(2, 3))
    assert.is_false(ok)
    assert.matches("^2: [^\n]*layers_spec.lua:%d+: matmul: shapes %[2, 3%] and %[9, 9%]", message)
    assert.matches("\nstack traceback:\n", message)
    local thrown = setmetatable({}, { __tostring = function() return "mine" end })
    local Throw = nn.layer("Throw", { forward = function() error(thrown) end })
    local _, caught = pcall(nn.Sequential { Throw() }, gpt.ones(1))
    assert.equal(thrown, caught)
    local Nothing = nn.layer("Nothing", { forward = function() end })
    _, message = pcall(nn.Sequential { Nothing() }, gpt.ones(1))
    assert.matches(": 1: forward of Nothing must return a tensor, got nil; does it return one%?$", message)
    _, message = pcall(nn.Sequential { nn.ReLU(), function() return 3 end }, gpt.ones(1))
    assert.matches(": 2: forward of Function must return a tensor, got number$", message)
    local Yields = nn.layer("Yields", { forward = function(_, x) coroutine.yield() return x end })
    local thread = coroutine.create(function() return Yields()(gpt.ones(1)) end)
    local _, yielded = coroutine.resume(thread)
    assert.matches("a layer's forward cannot yield, because the core runs it", yielded, 1, true)
  end)

  it("get the pass, further arguments, and return all that forward returns", function()
    local kept
    local Two = nn.layer("Two", {
      init = function(self) self.inner = nn.Dropout(0.5) end,
      forward = function(self, x, pass, ...)
        kept = pass
        assert.is_true(pass.training or not self.training)
        return self.inner(x) * 0 + x, pass.training, select("#", ...), ...
      end,
      positionwise = true,
    })
    local two, x = Two(), gpt.ones(2, 3)
    local results = table.pack(two(x, "a", nil, 7, nil))
    assert.same({ true, 4, "a", nil, 7, nil, n = 6 }, table.pack(table.unpack(results, 2, results.n)))
    assert.equal(0, difference(x, results[1]))
    assert.equal(2, select("#", two:eval()(x)) - 1)
    assert.is_false(select(2, two(x)))
    assert.equal(1, select("#", nn.Sequential { two }(x))) -- containers hand on x, and take the tensor, alone
    local Outer = nn.layer("Outer", {
      init = function(self) self.two = two end,
      forward = function(self, input, pass)
        local y, training, n, first = self.two(input, "inner")
        assert.same({ false, 1, "inner" }, { training, n, first })
        assert.equal(pass, kept)
        return y
      end,
    })
    assert.equal(0, difference(x, Outer():eval()(x)))
    assert.error_matches(function() return kept.training end,
      "this pass has ended: it belongs to the forward that it was given to, and cannot be kept", 1, true)
    assert.error_matches(function() tostring(kept) end, "this pass has ended", 1, true)
    local old, asked = kept, 0
    local Ask = nn.layer("Ask", { forward = function(_, input) -- the next pass may lie where the old one lay
      asked = asked + 1
      assert.is_false((pcall(function() return old.training end)))
      return input
    end })
    for _ = 1, 3 do nn.Sequential { Ask() }(x) Ask()(x) end
    assert.equal(6, asked)
    local message = "Linear takes one argument, got 3: only layers written in Lua take more, and Sequential and Shortcut hand on x alone"
    assert.error_matches(function() nn.Linear(3, 3)(x, nil, 1) end, message, 1, true)
    assert.equal(2, #nn.Linear(3, 3)(x, nil)) -- trailing nils are nothing
  end)

  it("know the positions of their tokens, in sessions too", function()
    local seen
    local Probe = nn.layer("Probe", { positionwise = true, forward = function(_, x, pass) seen = pass.positions return x end })
    local function positions(x)
      Probe()(x)
      return seen:totable()
    end
    assert.same({ 1, 2, 3 }, positions(gpt.ones(2, 3, 4)))
    assert.same({ 1, 2 }, positions(gpt.ones(2, 4)))
    assert.same({ 1, 2, 3 }, positions(gpt.zeros(2, 3, { dtype = "i64" })))
    assert.same({ 1 }, positions(gpt.ones(4)))
    local config = { vocab_size = 9, context_length = 8, emb_dim = 4, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = false }
    local model = gpt.Model(config, { block = Probe })
    model { { 1, 2, 3 }, { 4, 5, 6 } }
    assert.same({ 1, 2, 3 }, seen:totable())
    local one, other = model:session(), model:session()
    one:feed { 1, 2 } -- and again, to check positionwise: the last token over a cache is the last run
    assert.same({ { 2 } }, seen:totable())
    gpt.feed({ one, other }, { { 3 }, { 4, 5, 6 } })
    assert.same({ { 3, 1, 2, 3 } }, seen:totable())
    one:rewind(1):feed { 7, 8 }
    assert.same({ { 2, 3 } }, seen:totable())
    assert.equal("i64", seen:dtype())
  end)

  it("describe themselves, in one short line, and print whatever goes wrong there", function()
    local text
    local Named = nn.layer("Named", { forward = function(_, x) return x end, describe = function() return text() end })
    local function shown(of) text = of return tostring(Named()) end
    assert.equal("Named(768, 4)", shown(function() return "768, 4" end))
    assert.equal("Named(a  b)", shown(function() return "a\n\tb" end))
    assert.equal("Named(" .. ("x"):rep(197) .. "...)", shown(function() return ("x"):rep(1000) end))
    assert.equal("Named(" .. ("é"):rep(98) .. "...)", shown(function() return ("é"):rep(1000) end))
    assert.equal("Named(describe fails: oops)", shown(function() error("oops", 0) end))
    assert.matches("^Named%(describe fails: .*describe must return a string, got nil%)$", shown(function() end))
    local named = Named()
    named.weight = nn.parameter(gpt.ones(2))
    text = function() return "2" end
    assert.equal("Named {  -- 2\n  2,\n  weight = parameter [2],\n}", tostring(named))
    text = function() return tostring(nn.Sequential { Named() }):sub(1, 20) end -- prints within a print
    assert.is_string(tostring(named))
  end)

  it("refuse plain tables of layers, and definitions without a forward", function()
    local Mixture = nn.layer("Mixture", {
      init = function(self) self.experts = { nn.ReLU(), nn.ReLU() } end,
      forward = function(_, x) return x end,
    })
    assert.error_matches(Mixture, "Mixture.experts: a plain table of layers would hide their parameters; use gpt.nn.List { ... }", 1, true)
    assert.error_matches(function() nn.layer("X", {}) end, "nn.layer: X: a table with forward = function(self, x) ... end expected", 1, true)
    local function refused(definition, wanted)
      assert.error_matches(function() nn.layer("X", definition) end, "nn.layer: X: " .. wanted, 1, true)
    end
    local function same(_, x) return x end
    refused({ froward = same }, "froward: unknown key; did you mean 'forward'?")
    refused({ forward = same, inti = same }, "inti: unknown key; did you mean 'init'?")
    refused({ forward = same, postionwise = true }, "postionwise: unknown key; did you mean 'positionwise'?")
    refused({ forward = same, init = 3 }, "init: a function expected, got number")
    refused({ forward = same, describe = "4" }, "describe: a function expected, got string")
    nn.layer("X", { forward = same, forwards = same, init = same, inits = same, reset = same }) -- methods
    assert.error_matches(function() nn.Linear(4, 3, false) end,
      "a table of options expected, got a boolean: nn.Linear(4, 3, { bias = false })", 1, true)
    assert.error_matches(function() nn.layer(3) end, "nn.layer: a name expected, got number", 1, true)
    assert.error_matches(function() nn.parameter(gpt.tensor { 1 }) end, "a parameter must be f32", 1, true)
    assert.error_matches(function() nn.parameter(nn.Linear(1, 1)(gpt.ones(1, 1))) end,
      "the result of a recorded op cannot be a parameter; detach() it first", 1, true)
  end)

  it("are collected in circles, and kept by the stacks they stand in", function()
    local Node = nn.layer("Node", {
      init = function(self, parent)
        self.weight = nn.parameter(gpt.ones(100))
        self.parent = parent
        self.me = self
      end,
      forward = function(_, x) return x end,
    })
    local before = live()
    do
      local root = Node()
      root.child = Node(root)
      root.other = nn.Sequential { Node(root) }
      assert.equal(3, #paths(root))
      assert.equal(300, root:num_parameters())
      assert.is_string(tostring(root))
    end
    assert.equal(before, live())
    local stack = nn.Sequential { nn.Sequential { Node() } }
    live()
    assert.same({ 2 }, stack(gpt.ones(2)):shape())
    assert.equal(100, stack[1][1]:num_parameters())
  end)

  it("join their paths where one written in Lua calls another", function()
    local Outer = nn.layer("Outer", { init = function(self, inner) self.inner = inner end,
      forward = function(self, x) return self.inner(x) end })
    local Fails = nn.layer("Fails", { forward = function() error "no" end })
    local stack = nn.Sequential { Outer(Outer(Fails())) }
    local _, message = pcall(stack, gpt.ones(2))
    assert.matches("^1%.inner%.inner: [^\n]*: no\n", message)
    local _, again = pcall(stack[1], gpt.ones(2))
    assert.matches("^inner%.inner: [^\n]*: no\n", again)
  end)
end)
