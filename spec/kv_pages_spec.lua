-- Keys and values lie in pages that conversations share until one of them writes. Everything here is longer than a page.
local gpt = require "gpt"
local measure = require "spec.support.measure"
local nn = gpt.nn

local config = { vocab_size = 61, context_length = 700, emb_dim = 32, n_heads = 4, n_layers = 2, drop_rate = 0,
  qkv_bias = true }

local function ids(n, seed)
  local list = {}
  for i = 1, n do list[i] = (i * i + 7 * (seed or 1)) % 61 end
  return list
end

-- What is attended to has to weigh something in the logits, or no faults in it would show.
local function weighty(model)
  gpt.no_grad(function()
    for path, tensor in model:parameters() do
      if path:find "value" or path:find "output" then tensor:copy(tensor * 12) end
    end
  end)
  return model:eval()
end

-- A model whose blocks attend as those options say.
local function model_of(options)
  gpt.seed(3)
  return weighty(gpt.Model(config, { block = function(c)
    local attention = { emb_dim = c.emb_dim, n_heads = c.n_heads, context_length = c.context_length, drop_rate = 0,
      qkv_bias = true }
    for name, value in pairs(options or {}) do attention[name] = value end
    return nn.Shortcut(nn.MultiHeadAttention(attention))
  end }))
end

local function distance(a, b)
  return (a - b):abs():max():item() / a:abs():max():item()
end

-- Feeds slices of those lengths, and compares the logits after each with those of the whole run at once.
local function check_slices(model, lengths, options, tolerance)
  local total = 0
  for _, n in ipairs(lengths) do total = total + n end
  local all, at, session <close> = ids(total), 0, model:session(options)
  local expected = gpt.no_grad(model, all)[1]
  for _, n in ipairs(lengths) do
    local logits = session:feed(table.move(all, at + 1, at + n, 1, {}))
    at = at + n
    assert.is_true(distance(expected[at], logits) < tolerance, ("%d tokens"):format(at))
  end
end

describe("a cache in pages", function()
  local slices = { 1, 126, 1, 1, 1, 7, 120, 64, 3, 70, 1, 200, 8, 1 }

  it("is read across their edges, whatever attends", function()
    for _, options in ipairs {
      {}, { n_kv_heads = 1 }, { n_kv_heads = 2, softcap = 4 }, { sliding_window = 100 },
      { sliding_window = 5, n_kv_heads = 2 }, { rope_base = 10000, head_dim = 6 },
    } do
      local model = model_of(options)
      check_slices(model, slices, nil, 1e-5)
      check_slices(model, slices, { cache_dtype = "f16" }, 1e-3)
    end
  end)

  it("takes ragged batches of any lengths", function()
    local model = model_of { n_kv_heads = 2, sliding_window = 150 }
    local lengths, fed, sessions, lists = { 1, 127, 128, 129, 300 }, { 3, 1, 2, 130, 1 }, {}, {}
    for i, n in ipairs(lengths) do
      sessions[i] = model:session()
      sessions[i]:feed(ids(n, i))
      lists[i] = ids(fed[i], 50 + i)
    end
    local logits = gpt.feed(sessions, lists)
    for i, n in ipairs(lengths) do
      local all = table.move(lists[i], 1, fed[i], n + 1, ids(n, i))
      assert.is_true(distance(gpt.no_grad(model, all)[1][-1], logits[i]) < 1e-5, i)
    end
  end)

  it("forks into conversations that do not see each other", function()
    local model = model_of()
    for _, options in ipairs { {}, { cache_dtype = "f16" } } do
      for _, n in ipairs { 1, 127, 128, 129, 400 } do
        local session <close> = model:session(options)
        session:feed(ids(n))
        local twins = { session, session:fork(), session:fork() }
        twins[4] = twins[3]:fork()
        for round = 1, 2 do
          for i, twin in ipairs(twins) do
            local plain <close> = model:session(options)
            local new = ids(round == 1 and 2 or 150, i)
            plain:feed(twin:ids())
            assert.is_true(distance(plain:feed(new), twin:feed(new)) < 1e-5)
          end
          twins[2]:free()
          table.remove(twins, 2)
        end
        for i = 2, #twins do twins[i]:free() end
      end
    end
  end)

  it("counts what forks share once, and gives all of it back", function()
    local model = model_of()
    local before = measure.live()
    local session = model:session()
    session:feed(ids(500))
    local held = measure.live() - before
    local forks = {}
    for i = 1, 8 do forks[i] = session:fork() end
    assert.is_true(measure.live() - before < 1.3 * held, "forks")
    session:free()
    for i = 1, 7 do forks[i]:free() end
    assert.is_true(measure.live() - before > 0.9 * held, "the last one holds all")
    assert.equal(500, forks[8].length)
    forks[8]:free()
    assert.equal(before, measure.live())
  end)

  it("frees pages at a rewind", function()
    local model = model_of()
    local session <close> = model:session()
    session:feed(ids(10))
    local little = measure.live()
    session:feed(ids(600))
    local much = measure.live()
    session:rewind(10)
    assert.is_true(measure.live() - little < 0.3 * (much - little))
    local plain <close> = model:session()
    plain:feed(ids(10))
    assert.is_true(distance(plain:feed(ids(140, 2)), session:feed(ids(140, 2))) < 1e-5)
  end)

  it("grows without a second copy of what is there", function()
    local model = model_of()
    local before = measure.live()
    local session <close> = model:session()
    session:feed(ids(512))
    local held = measure.live() - before
    session:feed { 1 } -- the scratch of a token
    session:rewind(512)
    gpt.trim()
    gpt.memory { limit = measure.live() + held * 3 // 4 }
    local ok, text = pcall(session.feed, session, { 1 })
    gpt.memory { limit = 0 }
    assert.is_true(ok, text)
  end)

  it("reserves until a rewind", function()
    local model = model_of()
    local session <close> = model:session()
    local empty = measure.live()
    session:reserve(700):feed { 1 }
    local reserved = measure.live()
    session:rewind(1)
    local left = (measure.live() - empty) / (reserved - empty)
    assert.is_true(left < 0.3, left)
  end)

  it("keeps nothing of a call that finds too little memory", function()
    local model = model_of()
    local session = model:session()
    session:feed(ids(120))
    local fork = session:fork()
    local held = measure.live()
    for name, work in pairs {
      reserve = function() session:reserve(700) end,
      feed = function() gpt.feed({ session, fork }, { ids(300, 2), ids(9, 3) }) end,
    } do
      local failed = 0
      for more = 10000, 3000000, 40000 do
        gpt.memory { limit = held + more }
        local ok, problem = pcall(work)
        gpt.memory { limit = 0 }
        if ok then break end
        assert.is_truthy(problem:find("not enough memory", 1, true))
        assert.equal(held, measure.live(), name)
        failed = failed + 1
      end
      assert.is_true(failed > 3, name)
      session:rewind(120)
      fork:rewind(120)
      held = measure.live()
    end
    local plain <close> = model:session()
    plain:feed(ids(120))
    assert.is_true(distance(plain:feed(ids(50, 4)), session:feed(ids(50, 4))) < 1e-5)
  end)
end)
