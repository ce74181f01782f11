local gpt = require "gpt"
local measure = require "spec.support.measure"
local nn = gpt.nn
local difference = measure.difference

local function small(overrides)
  local config = { vocab_size = 61, context_length = 16, emb_dim = 24, n_heads = 3, n_layers = 2, drop_rate = 0, qkv_bias = true }
  for key, value in pairs(overrides or {}) do config[key] = value end
  return config
end

local function greedy(model, ids, n)
  local session, out = model:session(), {}
  local logits = session:feed(ids)
  for i = 1, n do
    out[i] = gpt.sample(logits)
    if i < n then logits = session:feed { out[i] } end
  end
  return out
end

describe("a model", function()
  it("with the published seed gives the published numbers", function()
    local config = gpt.config("gpt2-small", { drop_rate = 0, init = "torch" })
    gpt.seed(123)
    local model = gpt.Model(config)
    assert.equal(163009536, model:num_parameters())
    assert.same({ 27018, 24086, 47843, 30961, 42348, 7267, 49706, 43231, 47062, 34657 }, greedy(model, { 15496, 11, 314, 716 }, 10))
    local first = gpt.no_grad(model, { 6109, 3626, 6100, 345 })[1][1]:narrow(1, 1, 4)
    assert.is_true(difference(first, gpt.tensor { 0.0642, 0.2044, -0.1695, 0.0997 }) < 6e-5)
  end)

  it("whose blocks and norm pass everything through gives the published numbers", function()
    local config = gpt.config("gpt2-small", { drop_rate = 0, init = "torch" })
    gpt.seed(123)
    local model = gpt.Model(config, { block = nn.Identity, final_norm = nn.Identity })
    local first = gpt.no_grad(model, { 6109, 3626, 6100, 345 })[1][1]:narrow(1, 1, 4)
    assert.is_true(difference(first, gpt.tensor { -1.1947, 0.1392, -0.8616, 0.8910 }) < 6e-5)
  end)

  it("counts a tied head once", function()
    local model = gpt.Model(small { tie_weights = true })
    assert.equal(gpt.size(small { tie_weights = true }).parameters, model:num_parameters())
    assert.equal(gpt.Model(small()):num_parameters() - 61 * 24, model:num_parameters())
  end)

  for _, overrides in ipairs {
    {}, { qkv_bias = false }, { tie_weights = true }, { n_heads = 1, n_layers = 3 }, { hidden_dim = 40, activation = "relu" },
    { activation = "gelu_exact", emb_dim = 30, n_heads = 5, norm_eps = 1 },
  } do
    it("has as many parameters as gpt.size says", function()
      assert.equal(gpt.size(small(overrides)).parameters, gpt.Model(small(overrides)):num_parameters())
    end)

    it("gives the same logits with a cache, in slices and in a batch", function()
      local model = gpt.Model(small(overrides)):eval()
      local ids = { 5, 60, 0, 7, 7, 31, 12, 44, 2, 9 }
      local whole = gpt.no_grad(model, ids)[1]
      local one, sliced, other = model:session(), model:session(), model:session()
      for i, id in ipairs(ids) do assert.is_true(difference(whole[i], one:feed { id }) < 1e-5) end
      sliced:feed { table.unpack(ids, 1, 4) }
      assert.is_true(difference(whole[10], sliced:feed { table.unpack(ids, 5) }) < 1e-5)
      other:feed { 1, 2, 3 }
      local alone = other:fork():feed { 4 }
      local fresh = model:session()
      local both = gpt.feed({ other, fresh }, { { 4 }, ids })
      assert.is_true(difference(alone, both[1]) < 1e-5)
      assert.is_true(difference(whole[10], both[2]) < 1e-5)
      assert.equal(4, other.length)
      assert.equal(10, fresh.length)
    end)
  end

  it("is a batch of one for a plain array, and takes arrays of arrays and tensors", function()
    local model = gpt.Model(small()):eval()
    assert.same({ 1, 3, 61 }, model({ 1, 2, 3 }):shape())
    assert.same({ 2, 3, 61 }, model({ { 1, 2, 3 }, { 4, 5, 6 } }):shape())
    assert.same({ 2, 3, 61 }, model(gpt.tensor { { 1, 2, 3 }, { 4, 5, 6 } }):shape())
    assert.is_true(difference(model({ { 9, 9, 9 }, { 4, 5, 6 } })[2], model({ 4, 5, 6 })[1]) < 1e-5)
  end)

  it("built by hand from layers in a Lua function gives the same logits, and generates", function()
    local config = small()
    local model = gpt.Model(config):eval()
    local tokens, positions = nn.Embedding(61, 24), nn.Embedding(16, 24)
    local blocks = { nn.TransformerBlock(config), nn.TransformerBlock(config) }
    local norm, head = nn.LayerNorm(24), nn.Linear(24, 61, { bias = false })
    local function forward(ids)
      local x = tokens(gpt.tensor { ids }) + positions(gpt.arange(0, #ids - 1))
      for _, block in ipairs(blocks) do x = block(x) end
      return head(norm(x))
    end
    local mine = nn.List { tokens, positions, blocks[1], blocks[2], norm, head }
    local next_own = model:parameters()
    gpt.no_grad(function()
      for _, tensor in mine:parameters() do
        local _, own = next_own()
        tensor:copy(own)
      end
    end)
    assert.is_nil(next_own())
    assert.is_true(difference(model { 3, 1, 4, 1, 5 }, forward { 3, 1, 4, 1, 5 }) < 1e-5)
    local options = { max_new_tokens = 8, context_length = 16 }
    assert.same(gpt.generate(model, { 3, 1, 4 }, { max_new_tokens = 8 }), gpt.generate(forward, { 3, 1, 4 }, options))
  end)

  it("takes layers and functions as parts, called in construction order", function()
    local called = {}
    local function made(name, layer)
      return function(config, i)
        assert.equal(24, config.emb_dim)
        table.insert(called, name .. i)
        return layer
      end
    end
    local model = gpt.Model(small(), {
      head = made("head", nn.Linear(24, 61)),
      block = function(_, i)
        table.insert(called, "block" .. i)
        return nn.Identity()
      end,
      token_embedding = made("token_embedding", nn.Embedding(61, 24)),
      final_norm = nn.Identity(),
      position_embedding = false,
    })
    assert.same({ "token_embedding1", "block1", "block2", "head1" }, called)
    assert.equal(61 * 24 + 61 * 24 + 61, model:num_parameters())
    assert.same({ 1, 2, 61 }, model({ 1, 2 }):shape())
    assert.is_nil(model.position_embedding)
    assert.is_nil(nn.Linear(2, 2, { bias = false }).bias)
    assert.equal("Model", model.kind)
  end)

  it("refuses parts that are none", function()
    assert.error_matches(function() gpt.Model(small(), { blocks = nn.Identity }) end,
      "gpt.Model: parts: unknown option 'blocks'; did you mean 'block'?", 1, true)
    assert.error_matches(function() gpt.Model(small(), { head = 3 }) end,
      "gpt.Model: part 'head' must be a layer, or a function that returns one; got number", 1, true)
    assert.error_matches(function() gpt.Model(small(), { block = function() end }) end,
      "gpt.Model: part 'block': its function returned nil; does it return the layer?", 1, true)
    assert.error_matches(function() gpt.Model(small(), { block = function() error("no block today") end }) end, "no block today", 1, true)
  end)

  it("says which token is wrong, and how many are too many", function()
    local model = gpt.Model(small()):eval()
    assert.error_matches(function() model { 1, 61 } end,
      "token_embedding: id 61 at position 2 is out of the vocabulary: ids are 0 .. 60", 1, true)
    assert.error_matches(function() model { { 1, 2 }, { 3, -1 } } end,
      "token_embedding: id -1 at position 2 of row 2 is out of the vocabulary: ids are 0 .. 60", 1, true)
    assert.error_matches(function() model { 1, 2.5 } end, "token ids are integers: got 2.5 (number) at position 2", 1, true)
    assert.error_matches(function() model { { 1, 2 }, { 3 } } end,
      "rows of token ids must be equally long: row 1 has 2, row 2 has 1", 1, true)
    assert.error_matches(function() model { {}, { 3 } } end,
      "rows of token ids must be equally long: row 1 has 0, row 2 has 1", 1, true)
    assert.error_matches(function() model {} end, "Model: at least one token expected, got ids of shape [1, 0]", 1, true)
    assert.error_matches(function() model(gpt.zeros(1, 17, { dtype = "i64" })) end, "Model: 17 tokens are more than context_length, 16", 1, true)
    assert.error_matches(function() model(gpt.zeros(1, 3)) end,
      "Model: token ids (i64) of shape [batch, tokens] expected, got f32 of [1, 3]", 1, true)
    assert.error_matches(function() model "hello" end, "Model expects a tensor or an array of token ids, got string", 1, true)
  end)

  it("that cannot fit says how many bytes it needs", function()
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    assert.error_matches(function() gpt.Model "gpt3" end,
      "Model: 175218278400 parameters in float32 need 652.74 GiB: not enough memory: 652.74 GiB requested, the machine has", 1, true)
    assert.equal(before, gpt.memory().live)
  end)

  it("drops in training mode only", function()
    local model = gpt.Model(small { drop_rate = 0.5 })
    assert.is_true(model.training)
    assert.is_true(difference(model { 1, 2, 3 }, model { 1, 2, 3 }) > 0)
    model:eval()
    assert.is_false(model.blocks[2].attention.training)
    assert.equal(0, difference(model { 1, 2, 3 }, model { 1, 2, 3 }))
    model:train()
    local session = model:session() -- never drops, never records
    local logits = session:feed { 1, 2, 3 }
    assert.equal(0, difference(logits, model:session():feed { 1, 2, 3 }))
    assert.is_false(logits:requires_grad())
  end)
end)

describe("a session", function()
  local model = gpt.Model(small()):eval()

  it("rewinds and forks", function()
    local session = model:session()
    local first = session:feed { 1, 2, 3 }
    local fork = session:fork()
    session:feed { 4, 5 }
    session:rewind(3)
    assert.equal(3, session.length)
    assert.is_true(difference(session:feed { 9 }, fork:feed { 9 }) < 1e-6)
    session:rewind(0)
    assert.is_true(difference(first, session:feed { 1, 2, 3 }) < 1e-5)
    assert.same({ 1, 2, 3 }, session:ids())
    assert.equal("Session(3 of 16 tokens)", tostring(session))
  end)

  it("keeps every token when its cache grows", function()
    local long = gpt.Model(small { context_length = 150 }):eval()
    local ids = {}
    for i = 1, 150 do ids[i] = i * 7 % 61 end
    local expected, session = gpt.no_grad(long, ids)[1], long:session()
    local at = 0
    for _, count in ipairs { 1, 62, 1, 1, 84, 1 } do
      local logits = session:feed(table.move(ids, at + 1, at + count, 1, {}))
      at = at + count
      assert.is_true(difference(logits, expected[at]) < 1e-4, at .. " tokens")
    end
  end)

  it("holds no more than its context needs", function()
    local before = measure.live()
    local session = model:session()
    session:feed { 1 }
    assert.is_true(measure.live() - before < gpt.size(model.config).kv_cache_bytes + 4096)
    session:free()
  end)

  it("has random numbers of its own, which a fork goes on with", function()
    local options = { max_new_tokens = 6, temperature = 3 }
    local session = model:session { seed = 5 }
    session:feed { 1 }
    session:generate(options)
    local fork = session:fork()
    assert.same(session:generate(options), fork:generate(options))
  end)

  it("runs its tokens again without a cache, and so does a fork", function()
    local rows = {}
    local Count = nn.layer("Count", { positionwise = true, forward = function(_, x) table.insert(rows, x:shape()[2]) return x end })
    local counted = gpt.Model(small { n_layers = 1 }, { block = Count }):eval()
    local session = counted:session { use_cache = false }
    session:feed { 1, 2 }
    session:feed { 3 }
    local fork = session:fork()
    fork:feed { 4 }
    fork:feed { 5 }
    assert.same({ 2, 3, 4, 5 }, rows)
  end)

  it("gives all rows to what comes last in a model and mixes positions", function()
    local Mean = nn.layer("Mean", {
      init = function(self, layer) self.layer = layer end,
      forward = function(self, x) return self.layer(x) + x:mean(2, true):sum(3, true) end,
    })
    for _, parts in ipairs {
      { head = function(c) return Mean(nn.Linear(c.emb_dim, c.vocab_size, { bias = false })) end },
      { final_norm = function(c) return Mean(nn.LayerNorm(c.emb_dim)) end },
    } do
      local mixing = gpt.Model(small { n_layers = 1 }, parts):eval()
      local session, expected = mixing:session(), gpt.no_grad(mixing, { 1, 2, 3, 4 })[1]
      assert.is_true(difference(session:feed { 1, 2, 3 }, gpt.no_grad(mixing, { 1, 2, 3 })[1][3]) < 1e-5)
      assert.is_true(difference(session:feed { 4 }, expected[4]) < 1e-5)
    end
  end)

  it("is as it was after a layer that fails, or memory that is short", function()
    local fails = false
    local Fail = nn.layer("Fail", { positionwise = true, forward = function(_, x) if fails then error "no" end return x end })
    local failing = gpt.Model(small { n_layers = 1 }, { block = function(c) return nn.Sequential { nn.TransformerBlock(c), Fail() } end }):eval()
    local session = failing:session()
    session:feed { 1, 2 }
    fails = true
    assert.is_false(pcall(session.feed, session, { 5, 6 }))
    fails = false
    gpt.memory { limit = measure.live() }
    local fed = pcall(session.feed, session, { 5, 6 })
    gpt.memory { limit = 0 }
    assert.is_false(fed)
    assert.same({ 1, 2 }, session:ids())
    assert.is_true(difference(session:feed { 3 }, gpt.no_grad(failing, { 1, 2, 3 })[1][3]) < 1e-5)
  end)

  it("changes nothing where feeding fails", function()
    local session = model:session()
    session:feed { 1, 2 }
    assert.error_matches(function() session:feed { 3, 99 } end, "id 99 at position 2 is out of the vocabulary: ids are 0 .. 60", 1, true)
    assert.error_matches(function() session:feed {} end, "feed: at least one token expected", 1, true)
    assert.error_matches(function() session:feed(gpt.zeros(20, { dtype = "i64" })) end,
      "feed: 20 tokens after 2 go past context_length, 16; rewind the session or begin a new one", 1, true)
    assert.error_matches(function() session:rewind(3) end,
      "rewind: a number of tokens from 0 to the session's length (2) expected, got 3", 1, true)
    assert.error_matches(function() gpt.feed({ session, session }, { { 1 }, { 2 } }) end, "feed: sessions 1 and 2 are the same one", 1, true)
    assert.error_matches(function() gpt.feed({ session }, { { 1 }, { 2 } }) end,
      "as many lists of ids as sessions (1) expected, got 2", 1, true)
    assert.error_matches(function() gpt.feed({ session, model:session() }, { { 1 }, { 61 } }) end,
      "id 61 at position 1 of list 2 is out of the vocabulary: ids are 0 .. 60", 1, true)
    assert.error_matches(function() gpt.feed({ session, gpt.Model(small()):session() }, { { 1 }, { 1 } }) end,
      "feed: all sessions must be of one model; session 2 is of another", 1, true)
    assert.error_matches(function() session:feeed { 1 } end, "a gpt.Session has no field or method 'feeed'; did you mean 'feed'?", 1, true)
    assert.error_matches(function() model:session { sed = 1 } end, "session: unknown option 'sed'; did you mean 'seed'?", 1, true)
    assert.equal(2, session.length)
    assert.is_true(difference(session:feed { 3 }, gpt.no_grad(model, { 1, 2, 3 })[1][3]) < 1e-5)
  end)

  it("runs its tokens again after a part was exchanged", function()
    local other = gpt.Model(small()):eval()
    local session = other:session()
    session:feed { 1 }
    other.blocks[2].attention = nn.MultiHeadAttention { emb_dim = 24, n_heads = 3, context_length = 16 }
    assert.is_true(difference(session:feed { 2 }, gpt.no_grad(other, { 1, 2 })[1][2]) < 1e-5)
    other.blocks[1].norm1.weight = gpt.rand(24)
    assert.is_true(difference(session:fork():feed { 3 }, gpt.no_grad(other, { 1, 2, 3 })[1][3]) < 1e-5)
  end)

  it("runs them again for changes of its own model alone", function()
    local rows = {}
    local Count = nn.layer("Count", { positionwise = true, forward = function(_, x) table.insert(rows, x:shape()[2]) return x end })
    local counted = gpt.Model(small(), { block = Count }):eval()
    local session = counted:session()
    session:feed { 1, 2, 3 }
    rows = {} -- these ran also to check positionwise
    local other = gpt.Model(small())
    other.blocks[1].norm1.weight = gpt.ones(24)
    other.final_norm = nn.Identity()
    local spare = nn.Sequential { nn.GELU() }
    spare[1] = nn.ReLU()
    session:feed { 4 }
    local fork = session:fork()
    fork:feed { 5 }
    assert.same({ 1, 1, 1, 1 }, rows)
    counted.final_norm.weight = gpt.rand(24)
    session:feed { 5 }
    fork:feed { 6 }
    session:feed { 6 }
    assert.same({ 5, 5, 4, 4, 3, 3, 1, 1, 6, 6, 1, 1 }, table.move(rows, 5, 16, 1, {})) -- checked again after the first
    gpt.no_grad(function() counted.final_norm.weight:fill(1) end) -- written in place: new tokens only
    session:feed { 7 }
    assert.equal(1, rows[#rows])
  end)

  it("finds each layer's keys in whatever order layers run, and says where keys are missing", function()
    local order, twice = { 1, 2 }, false
    local Swap = nn.layer("Swap", {
      init = function(self)
        self.a = nn.MultiHeadAttention { emb_dim = 24, n_heads = 3, context_length = 16 }
        self.b = nn.MultiHeadAttention { emb_dim = 24, n_heads = 3, context_length = 16 }
      end,
      forward = function(self, x)
        local parts, sum = { self.a, self.b }, x
        for _, i in ipairs(order) do sum = sum + parts[i](x) end
        return twice and sum + self.a(x * 2) or sum
      end,
      positionwise = true,
    })
    local swapped = gpt.Model(small { n_layers = 1 }, { block = Swap }):eval()
    local session = swapped:session()
    session:feed { 1, 2, 3 }
    order = { 2, 1 }
    assert.is_true(difference(session:feed { 4 }, gpt.no_grad(swapped, { 1, 2, 3, 4 })[1][4]) < 1e-5)
    order = { 2 }
    session:feed { 5 } -- the first attention gets no keys of this token
    order = { 1, 2 }
    assert.error_matches(function() session:feed { 6 } end, "a: attention: this layer did not run, or not as often, "
      .. "for the 5 tokens before, so that their keys are missing; a forward that runs its parts now and then cannot be positionwise", 1, true)
    session:rewind(4)
    assert.is_true(difference(session:feed { 5 }, gpt.no_grad(swapped, { 1, 2, 3, 4, 5 })[1][5]) < 1e-5)
    session:rewind(2)
    order = { 2 }
    session:feed { 3, 4, 5 } -- what the first attention held of these before the rewind is of no use now
    order = { 1, 2 }
    assert.error_matches(function() session:feed { 6 } end, "this layer did not run, or not as often, for the 5 tokens before", 1, true)
    session:rewind(0)
    session:feed { 1, 2, 3, 4, 5 }
    twice = true
    assert.error_matches(function() session:feed { 6 } end, "this layer did not run, or not as often, for the 5 tokens before", 1, true)
    session:rewind(0)
    session:feed { 1, 2, 3 }
    assert.is_true(difference(session:feed { 4 }, gpt.no_grad(swapped, { 1, 2, 3, 4 })[1][4]) < 1e-5)
  end)

  it("tells the runs of a layer apart, whatever runs between them", function()
    local order = { "first", "b", "second", "c" }
    local Runs = nn.layer("Runs", {
      init = function(self)
        for _, name in ipairs { "a", "b", "c" } do
          self[name] = nn.MultiHeadAttention { emb_dim = 24, n_heads = 3, context_length = 16 }
        end
      end,
      forward = function(self, x)
        local sum = x
        for _, name in ipairs(order) do
          if name == "first" then sum = sum + self.a(x)
          elseif name == "second" then sum = sum + self.a(x * -2)
          else sum = sum + self[name](x) end
        end
        return sum
      end,
      positionwise = true,
    })
    local runs = gpt.Model(small { n_layers = 1 }, { block = Runs }):eval()
    local session = runs:session()
    session:feed { 1, 2, 3 }
    order = { "b", "c", "first", "second" }
    assert.is_true(difference(session:feed { 4 }, gpt.no_grad(runs, { 1, 2, 3, 4 })[1][4]) < 1e-5)
  end)

  it("asks the system for no memory while it decodes", function()
    local session = model:session():reserve(16)
    local logits = session:feed { 1, 2 }
    local id = gpt.sample(logits)
    for _ = 1, 3 do id = gpt.sample(session:feed { id }) end
    collectgarbage()
    local before = gpt.memory().system_calls
    for _ = 1, 10 do
      local next_logits <close> = session:feed { id }
      id = gpt.sample(next_logits)
    end
    assert.equal(before, gpt.memory().system_calls)
  end)

  it("gives its memory back", function()
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    do
      local session <close> = model:session()
      session:feed { 1, 2, 3 }:free()
      pcall(session.feed, session, { 99 })
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, gpt.memory().live)
  end)

  it("over a stack that cannot be cached runs the tokens again", function()
    local Mix = nn.layer("Mix", { forward = function(_, x) return x + x:mean(2, true) end })
    local mixed = gpt.Model(small(), { block = Mix }):eval()
    local session = mixed:session()
    session:feed { 1, 2, 3 }
    assert.equal("Session(3 of 16 tokens, uncached)", tostring(session))
    assert.is_true(difference(session:feed { 4, 5 }, gpt.no_grad(mixed, { 1, 2, 3, 4, 5 })[1][5]) < 1e-5)
    local both = gpt.feed({ session, mixed:session() }, { { 6 }, { 1 } })
    assert.is_true(difference(both[1], gpt.no_grad(mixed, { 1, 2, 3, 4, 5, 6 })[1][6]) < 1e-5)
  end)

  it("without a cache gives the same", function()
    local cached, uncached = model:session(), model:session { use_cache = false }
    for _, id in ipairs { 4, 8, 15 } do
      assert.is_true(difference(cached:feed { id }, uncached:feed { id }) < 1e-5)
    end
  end)
end)
