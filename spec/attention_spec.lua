local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local measure = require "spec.support.measure"
local nn = gpt.nn
local difference, live = measure.difference, measure.live

-- Each head of keys as often as queries share it.
local function spread(t, n_heads)
  local order, group = {}, n_heads // t:shape()[3]
  for h = 1, n_heads do order[h] = (h - 1) // group + 1 end
  return t:index(3, order)
end

-- 1 where query i may not see key j.
local function unseen(queries, keys, options)
  local rows = {}
  for i = 1, queries do
    rows[i] = {}
    local own = keys - queries + i
    for j = 1, keys do
      local seen = options.causal == false or j <= own and (not options.window or j > own - options.window)
      rows[i][j] = seen and 0 or 1
    end
  end
  return gpt.tensor(rows)
end

-- The same of plain ops, with all scores at once.
local function plain(q, k, v, options)
  local shape, n_heads = q:shape(), q:shape()[3]
  k, v = spread(k, n_heads):transpose(2, 3), spread(v, n_heads):transpose(2, 3)
  local scores = q:transpose(2, 3):matmul(k:transpose(3, 4)) * (options.scale or shape[4] ^ -0.5)
  if options.softcap then scores = (scores / options.softcap):tanh() * options.softcap end
  scores = scores:masked_fill(unseen(shape[2], k:shape()[3], options), -math.huge)
  return scores:softmax(-1):matmul(v):transpose(2, 3)
end

local function draw(batch, tokens, heads, dim) return gpt.randn(batch, tokens, heads, dim):requires_grad(true) end

-- Outputs and gradients of both, side by side.
local function compare(q, k, v, options)
  local mix = gpt.randn(q:shape())
  local function run(attend)
    for _, t in ipairs { q, k, v } do t.grad = nil end
    local y = attend(q, k, v, options);
    (y * mix):sum():backward()
    return { y:detach(), q.grad, k.grad, v.grad }
  end
  local ours, theirs = run(gpt.attention), run(plain)
  for i = 1, 4 do assert.is_true(difference(ours[i], theirs[i]) < 2e-4 * (1 + theirs[i]:abs():max():item()), i) end
end

describe("gpt.attention", function()
  for _, case in ipairs {
    { 2, 5, 5, 2, 2, 3, {} },
    { 1, 70, 70, 4, 2, 8, {} },
    { 2, 130, 130, 3, 1, 4, { scale = 0.3 } },
    { 1, 3, 9, 4, 4, 6, {} },
    { 1, 66, 200, 2, 1, 5, { softcap = 1.5 } },
    { 2, 70, 70, 4, 2, 3, { causal = false } },
    { 1, 3, 80, 2, 2, 3, { causal = false, softcap = 2 } },
    { 1, 80, 3, 2, 2, 3, { causal = false } },
    { 1, 150, 150, 2, 2, 4, { window = 1 } },
    { 1, 150, 150, 4, 1, 4, { window = 7, softcap = 3 } },
    { 2, 200, 200, 2, 2, 4, { window = 65 } },
    { 1, 70, 170, 2, 1, 4, { window = 100 } },
    { 1, 20, 20, 2, 2, 4, { window = 1000, scale = 2 } },
    { 1, 1, 1, 1, 1, 1, {} },
  } do
    local batch, queries, keys, heads, kv_heads, dim, options = table.unpack(case)
    it("is the sum of its ops, forward and backward", function()
      gpt.seed(1)
      compare(draw(batch, queries, heads, dim), draw(batch, keys, kv_heads, dim), draw(batch, keys, kv_heads, dim), options)
    end)
  end

  it("takes views of any strides", function()
    gpt.seed(2)
    local q, k, v = gpt.randn(2, 4, 70, 6), gpt.randn(2, 70, 2, 5, 3), gpt.randn(70, 2, 2, 3)
    for _, t in ipairs { q, k, v } do t:requires_grad(true) end
    local function views() -- heads before tokens; every second number; broadcast over the batch
      return q:transpose(2, 3):narrow(4, 2, 3), k:select(4, 2), v:transpose(1, 2)
    end
    local mix = gpt.randn(2, 70, 4, 3)
    local function run(attend)
      for _, t in ipairs { q, k, v } do t.grad = nil end
      (attend(views()) * mix):sum():backward()
      return { q.grad, k.grad, v.grad }
    end
    local ours = run(gpt.attention)
    local theirs = run(function(a, b, c) return plain(a, b, c, {}) end)
    for i = 1, 3 do assert.is_true(difference(ours[i], theirs[i]) < 1e-4) end
    local one = gpt.randn(1, 1, 2, 3)
    local broadcast = one:expand(1, 70, 2, 3) -- tokens that lie upon each other
    assert.is_true(difference(gpt.attention(broadcast, broadcast, broadcast), broadcast) < 1e-5)
  end)

  it("drops weights, and goes back through what was kept", function()
    gpt.seed(3)
    local q, k, v = gpt.zeros(1, 70, 2, 3), gpt.zeros(1, 70, 1, 3), gpt.ones(1, 70, 1, 3)
    local y = gpt.attention(q, k, v, { dropout = 0.5, causal = false })
    assert.is_true(math.abs(y:mean():item() - 1) < 0.05)
    assert.is_true(y:var():item() > 1e-4)
    local a, b, c = draw(1, 6, 2, 2), draw(1, 6, 1, 2), draw(1, 6, 1, 2)
    for _, options in ipairs { { dropout = 0.4 }, { dropout = 0.4, window = 2 }, { dropout = 0.4, softcap = 2 } } do
      gradients.check(function(...)
        gpt.seed(4)
        local all = { ... }
        all[4] = options
        return gpt.attention(table.unpack(all))
      end, { a, b, c })
    end
  end)

  it("holds no matrix of tokens x tokens", function()
    local q = gpt.randn(1, 2048, 1, 8):requires_grad(true)
    local before = live()
    local y = gpt.attention(q, q, q)
    local peak = gpt.memory().peak
    assert.is_true(gpt.memory().live - before < 4 * 2048 * 20)
    y:sum():backward()
    assert.is_true(gpt.memory().peak - math.max(peak, before) < 4 * 2048 * 2048)
    q.grad = nil
  end)

  it("loses nothing where memory runs out", function()
    local q, k = draw(1, 9, 2, 4):transpose(3, 4):detach():requires_grad(true), draw(1, 9, 2, 2)
    local failures = measure.short_of_memory(function()
      q.grad, k.grad = nil, nil
      gpt.attention(q, k, k, { softcap = 2 }):sum():backward()
      q.grad, k.grad = nil, nil
    end, 256)
    assert.is_true(failures > 5)
  end)

  it("gives its memory back, says what is wrong, and suggests names", function()
    local q, k = gpt.ones(1, 3, 2, 4), gpt.ones(1, 3, 1, 4)
    local before = live()
    local function raises(message, ...)
      local arguments = { ... }
      assert.error_matches(function() gpt.attention(table.unpack(arguments)) end, message, 1, true)
    end
    raises("attention: queries of shape [batch, tokens, n_heads, head_dim], and keys and values of shape [batch, tokens, "
      .. "n_kv_heads, head_dim] expected, got [3, 2, 4], [1, 3, 1, 4] and [1, 3, 1, 4]", q[1], k, k)
    raises("expected, got [1, 3, 2, 4], [1, 3, 1, 4] and [1, 2, 1, 4]", q, k, k:narrow(2, 1, 2))
    raises("attention: the number of heads of keys and values must divide that of queries (2), got 3", q,
      gpt.ones(1, 3, 3, 4), gpt.ones(1, 3, 3, 4))
    raises("attention: at most as many queries as keys (2) expected, got 3", q, k:narrow(2, 1, 2), k:narrow(2, 1, 2))
    raises("attention: a window needs causal attention", q, k, k, { causal = false, window = 2 })
    raises("gpt.attention: window: a whole number of at least 1 expected, got 0", q, k, k, { window = 0 })
    raises("gpt.attention: softcap: a finite number above 0 expected, got -1", q, k, k, { softcap = -1 })
    raises("gpt.attention: scale: a finite number above 0 expected, got 0", q, k, k, { scale = 0 })
    raises("gpt.attention: unknown option 'casual'; did you mean 'causal'?", q, k, k, { casual = true })
    raises("a table of options expected, got boolean", q, k, k, true)
    raises("attention: an f32 or i64 tensor expected, got f16; t:float() converts it", q:to "f16", k, k)
    assert.equal(before, live())
  end)
end)

describe("pass:attention", function()
  local function grouped(options)
    return nn.layer("Grouped", {
      init = function(self, config)
        self.query = nn.Linear(config.emb_dim, config.emb_dim)
        self.pair = nn.Linear(config.emb_dim, config.emb_dim)
      end,
      forward = function(self, x, pass)
        local batch, tokens = table.unpack(x:shape())
        local q, pair = self.query(x):reshape(batch, tokens, 4, 2), self.pair(x):reshape(batch, tokens, 2, 2, 2)
        local y = pass:attention(q, pair:select(3, 1), pair:select(3, 2), options)
        y = pass:attention(y, pair:select(3, 2), pair:select(3, 1), options) -- a second run has keys of its own
        return x + y:reshape(batch, tokens, 8)
      end,
      positionwise = true,
    })
  end

  local config = { vocab_size = 31, context_length = 160, emb_dim = 8, n_heads = 2, n_layers = 2, drop_rate = 0, qkv_bias = false }
  local ids = {}
  for i = 1, 150 do ids[i] = i * 7 % 31 end

  for _, options in ipairs { {}, { window = 5 }, { window = 70, softcap = 2, scale = 0.7 } } do
    it("goes on over a KV cache: token by token, in slices, in ragged batches, on forks and after rewind", function()
      gpt.seed(5)
      local model = gpt.Model(config, { block = grouped(options) }):eval()
      local whole = gpt.no_grad(model, ids)[1]
      local one = model:session()
      assert.equal("Session(0 of 160 tokens)", tostring(one))
      for i = 1, 12 do assert.is_true(difference(one:feed { ids[i] }, whole[i]) < 1e-4) end
      local slices = model:session()
      slices:feed(table.move(ids, 1, 70, 1, {}))
      assert.is_true(difference(slices:feed(table.move(ids, 71, 149, 1, {})), whole[149]) < 1e-4)
      local fork = slices:fork()
      local both = gpt.feed({ one, fork }, { { ids[13], ids[14], ids[15] }, { ids[150] } })
      assert.is_true(difference(both[1], whole[15]) < 1e-4)
      assert.is_true(difference(both[2], whole[150]) < 1e-4)
      one:rewind(3)
      assert.is_true(difference(one:feed { ids[4], ids[5] }, whole[5]) < 1e-4)
    end)
  end

  it("reads keys that many queries share for several at once", function()
    gpt.seed(7)
    for _, heads in ipairs { { 16, 8 }, { 20, 2 }, { 40, 1 }, { 9, 3 } } do
      local n_heads, kv_heads = table.unpack(heads)
      local Many = nn.layer("Many", {
        init = function(self)
          self.query, self.key = nn.Linear(8, 2 * n_heads), nn.Linear(8, 2 * kv_heads)
          self.output = nn.Linear(2 * n_heads, 8)
        end,
        forward = function(self, x, pass)
          local tokens = x:shape()[2]
          local k = self.key(x):reshape(1, tokens, kv_heads, 2)
          return self.output(pass:attention(self.query(x * 3):reshape(1, tokens, n_heads, 2), k, k):reshape(1, tokens, -1))
        end,
        positionwise = true,
      })
      local model = gpt.Model(config, { block = Many }):eval()
      local session, whole = model:session(), gpt.no_grad(model, table.move(ids, 1, 12, 1, {}))[1]
      for i = 1, 12 do assert.is_true(difference(session:feed { ids[i] }, whole[i]) < 1e-4) end
    end
  end)

  it("reads heads of any size from pages, alone and for queries that share them", function()
    for _, shape in ipairs { { 4, 2, 33 }, { 2, 1, 64 }, { 16, 1, 100 }, { 24, 1, 20 }, { 1, 1, 128 }, { 1, 1, 300 } } do
      local n_heads, kv_heads, dim = table.unpack(shape)
      gpt.seed(8)
      local model = gpt.Model({ vocab_size = 31, context_length = 160, emb_dim = 6 * n_heads, n_heads = n_heads,
        n_layers = 1, drop_rate = 0, qkv_bias = false, n_kv_heads = kv_heads, head_dim = dim }):eval()
      local whole = gpt.no_grad(model, table.move(ids, 1, 132, 1, {}))[1]
      for dtype, error in pairs { f32 = 1e-4, f16 = 5e-3 } do
        local session = model:session { cache_dtype = dtype }
        session:feed(table.move(ids, 1, 125, 1, {}))
        for i = 126, 132 do assert.is_true(difference(session:feed { ids[i] }, whole[i]) < error) end
      end
    end
  end)

  it("leaves a session as it was where memory runs out", function()
    local model = gpt.Model(config, { block = grouped {} }):eval()
    local session, fresh = model:session(), nil
    session:feed { 1, 2, 3 }
    local expected = model:session():feed { 1, 2, 3, 4 }
    local failures = measure.short_of_memory(function()
      session:feed({ 4 }):free()
      session:rewind(3)
    end, 512)
    assert.is_true(failures > 3)
    assert.is_true(difference(session:feed { 4 }, expected) < 1e-5)
    failures = measure.short_of_memory(function()
      fresh = model:session()
      local ok, message = pcall(fresh.feed, fresh, { 1, 2 })
      fresh:free()
      if not ok then error(message, 0) end
    end, 2048)
    assert.is_true(failures > 3)
  end)

  it("runs outside a cache as gpt.attention, drops in training only, and is traced", function()
    gpt.seed(6)
    local options = { dropout = 0.5 }
    local Self = nn.layer("Self", {
      forward = function(_, x, pass) return pass:attention(x, x, x, options) end, positionwise = true })
    local layer, x = Self(), gpt.randn(1, 9, 2, 4)
    assert.is_true(difference(layer(x), gpt.attention(x, x, x)) > 1e-3)
    assert.equal(0, difference(layer:eval()(x), gpt.attention(x, x, x)))
    options = { window = 2, causal = true }
    local weights = layer:trace(x)[""].weights
    assert.same({ 1, 2, 9, 9 }, weights:shape())
    assert.is_true(difference(weights:sum(-1), gpt.ones(1, 2, 9)) < 1e-5)
    assert.equal(0, (weights * unseen(9, 9, options)):abs():max():item())
    assert.is_true(difference(weights:matmul(x:transpose(2, 3)):transpose(2, 3), gpt.attention(x, x, x, options)) < 1e-5)
    options = { windw = 2 }
    assert.error_matches(function() layer(x) end, "pass:attention: unknown option 'windw'; did you mean 'window'?", 1, true)
  end)

  it("says what cannot be in a pass with a cache", function()
    local options, view
    local Any = nn.layer("Any", {
      forward = function(_, x, pass)
        local q = view and view(x) or x:reshape(1, -1, 2, 4)
        return x + 0 * pass:attention(q, q, q, options):sum()
      end,
      positionwise = true,
    })
    local session = gpt.Model(config, { block = Any }):eval():session()
    local function raises(message)
      assert.error_matches(function() session:feed { 1, 2 } end, message, 1, true)
    end
    options = { causal = false }
    raises "attention: in a pass with a KV cache only causal attention is possible"
    options = nil
    view = function(x) return x:reshape(2, 1, 2, 4) end
    raises "attention: in a pass with a KV cache an input of shape [1, 2, ...] expected, got [2, 1, 2, 4]"
    view = function(x) return x end
    raises "attention: queries of shape [batch, tokens, n_heads, head_dim]"
    view = nil
    session:feed { 1, 2 }
    view = function(x) return x:reshape(1, -1, 4, 2) end
    raises "attention: 4 heads of 2 here, but 2 of 4 before, in the same layer"
    view = nil
    session:feed { 3 }
  end)
end)

describe("nn.MultiHeadAttention", function()
  local function made(options)
    local all = { emb_dim = 12, n_heads = 4, context_length = 90 }
    for key, value in pairs(options) do all[key] = value end
    return nn.MultiHeadAttention(all)
  end

  for _, options in ipairs {
    { n_kv_heads = 2 }, { n_kv_heads = 1, head_dim = 5, bias = false }, { sliding_window = 4 },
    { head_dim = 2, scale = 0.3, softcap = 2, qkv_bias = true, n_kv_heads = 2, sliding_window = 66 },
  } do
    it("is gpt.attention between its projections, with a cache too", function()
      gpt.seed(8)
      local attention = made(options)
      local x, dim, kv_heads = gpt.randn(2, 80, 12), options.head_dim or 3, options.n_kv_heads or 4
      local rule = { window = options.sliding_window, scale = options.scale, softcap = options.softcap }
      local function heads(name, n) return attention[name](x):reshape(2, 80, n, dim) end
      local function by_hand()
        local mixed = gpt.attention(heads("query", 4), heads("key", kv_heads), heads("value", kv_heads), rule)
        return attention.output(mixed:reshape(2, 80, 4 * dim))
      end
      local mix = gpt.randn(2, 80, 12)
      local function gradients_of(y)
        for _, parameter in attention:parameters() do parameter.grad = nil end
        (y * mix):sum():backward()
        return attention.query.weight.grad, attention.key.weight.grad
      end
      local y, expected = attention(x), by_hand()
      assert.is_true(difference(y, expected) < 1e-4)
      local a, b = gradients_of(y)
      local c, d = gradients_of(expected)
      assert.is_true(difference(a, c) < 1e-3 and difference(b, d) < 1e-3)
      local trace = attention:trace(x)
      assert.is_true(difference(trace["key"].output, attention.key(x)) < 1e-5)
      assert.same({ 2, 4, 80, 80 }, trace[""].weights:shape())
      attention.value = nn.Sequential { attention.value } -- projections that run apart
      assert.is_true(difference(attention(x), expected) < 1e-4)
      local Block = nn.layer("Block", {
        init = function(self) self.attention = made(options) end,
        forward = function(self, input) return input + self.attention(input) end,
        positionwise = true,
      })
      local model = gpt.Model({ vocab_size = 31, context_length = 90, emb_dim = 12, n_heads = 4, n_layers = 2, drop_rate = 0,
        qkv_bias = false }, { block = Block }):eval()
      local ids = {}
      for i = 1, 75 do ids[i] = i * 7 % 31 end
      local session, whole = model:session(), gpt.no_grad(model, ids)[1]
      session:feed(table.move(ids, 1, 70, 1, {}))
      for i = 71, 75 do assert.is_true(difference(session:feed { ids[i] }, whole[i]) < 1e-4) end
      local size = gpt.size(model)
      assert.equal(4 * 2 * 2 * 90 * kv_heads * dim, size.kv_cache_bytes)
      assert.equal(model:num_parameters(), size.parameters)
    end)
  end

  it("prints what differs from plain attention, and refuses what does not fit", function()
    assert.equal("MultiHeadAttention {  -- 240\n  emb_dim = 12, n_heads = 4, context_length = 90, drop_rate = 0, qkv_bias = "
      .. "false, n_kv_heads = 1, head_dim = 2, sliding_window = 8, scale = 0.5, softcap = 30, bias = false,\n",
      tostring(made { n_kv_heads = 1, head_dim = 2, sliding_window = 8, scale = 0.5, softcap = 30, bias = false }):match "^.-,\n")
    local function raises(message, options)
      assert.error_matches(function() made(options) end, message, 1, true)
    end
    raises("MultiHeadAttention: n_heads (4) must be divisible by n_kv_heads (3)", { n_kv_heads = 3 })
    raises("MultiHeadAttention: emb_dim (12) must be divisible by n_heads (5)", { n_heads = 5 })
    raises("nn.MultiHeadAttention: sliding_window: a whole number of at least 1 expected, got 0", { sliding_window = 0 })
    raises("nn.MultiHeadAttention: softcap: a finite number above 0 expected, got inf", { softcap = math.huge })
    raises("nn.MultiHeadAttention: unknown option 'n_kv_head'; did you mean 'n_kv_heads'?", { n_kv_head = 2 })
    local attention = made {}
    attention.key = nn.Linear(12, 6)
    attention.value = nn.Linear(12, 18) -- as wide together as they should be
    assert.error_matches(function() attention(gpt.ones(1, 2, 12)) end,
      "attention: its part 'key' must return [batch, tokens, 12], got [1, 2, 6]", 1, true)
  end)
end)
