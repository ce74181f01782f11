-- Generating with models and sessions; spec/generate_spec.lua has what any function shows.
local gpt = require "gpt"
local measure = require "spec.support.measure"
local raised = require "spec.support.raised"
local script = require "spec.support.script"
local live = measure.live

local function make(overrides)
  local config = { vocab_size = 40, context_length = 12, emb_dim = 16, n_heads = 2, n_layers = 2, drop_rate = 0.2,
    qkv_bias = true }
  for key, value in pairs(overrides or {}) do config[key] = value end
  gpt.seed(42)
  return gpt.Model(config)
end

local model = make()

-- The same model as a plain function, which knows no cache.
local function whole(ids) return model(ids) end

local function collect(...)
  local values = {}
  for value in ... do values[#values + 1] = value end
  return values
end

local function copy(list, more)
  list = table.move(list, 1, #list, 1, {})
  return table.move(more or {}, 1, #(more or {}), #list + 1, list)
end

describe("model:generate", function()
  local sampled = { max_new_tokens = 30, temperature = 2, top_k = 30, seed = 9, context_length = 12 }

  it("gives the same tokens with and without a cache, past context_length too", function()
    for _, options in ipairs { { max_new_tokens = 30, context_length = 12 }, sampled } do
      for _, prompt in ipairs { { 7 }, { 1, 2, 3 }, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } } do
        local expected = gpt.generate(whole, prompt, options)
        assert.equal(#prompt + 30, #expected)
        assert.same(expected, model:generate(prompt, options))
        options.use_cache = false
        assert.same(expected, model:generate(prompt, options))
        options.use_cache = nil
      end
    end
  end)

  it("gives the same log probabilities, and they are log_softmax's", function()
    local options = { max_new_tokens = 14, logprobs = true, context_length = 12 }
    local ids, cached = model:generate({ 1, 2, 3 }, options)
    local _, expected = gpt.generate(whole, { 1, 2, 3 }, options)
    for i = 1, 14 do assert.near(expected[i], cached[i], 1e-4) end
    model:eval()
    local own = model({ 1, 2, 3 }):log_softmax(-1)
    model:train()
    assert.near(own[1][3][ids[4] + 1]:item(), cached[1], 1e-4)
  end)

  it("gives each row of a ragged batch what it gets alone", function()
    local prompts = { { 5 }, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, { 3, 2, 1 } }
    prompts[4] = { 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 }
    local returns = model:generate(prompts, { max_new_tokens = 20 })
    for i, prompt in ipairs(prompts) do
      assert.same(model:generate(prompt, { max_new_tokens = 20 }), returns[i])
    end
    returns = model:generate(prompts, sampled)
    for i, prompt in ipairs(prompts) do
      sampled.seed = 9 + i - 1
      assert.same(model:generate(prompt, sampled), returns[i])
    end
    sampled.seed = 9
  end)

  it("drops rows that are done", function()
    local alone = model:generate({ 1, 2 }, { max_new_tokens = 10 })
    local stop = alone[6]
    local returns = model:generate({ { 1, 2 }, { 8 } }, { max_new_tokens = 10, stop = stop })
    assert.is_true(#returns[1] < 12)
    assert.same(model:generate({ 8 }, { max_new_tokens = 10, stop = stop }), returns[2])
  end)

  it("neither drops nor records, and leaves the mode as it is", function()
    model:train()
    local first = model:generate({ 1, 2 }, { max_new_tokens = 10 })
    assert.is_true(model.training)
    model:eval()
    assert.same(first, model:generate({ 1, 2 }, { max_new_tokens = 10 }))
    assert.is_false(model.training)
    model:train()
  end)

  it("uses a smaller context where asked, not a larger one", function()
    local options = { max_new_tokens = 9, context_length = 4 }
    assert.same(gpt.generate(whole, { 1, 2, 3, 4, 5 }, options), model:generate({ 1, 2, 3, 4, 5 }, options))
    assert.equal("gpt.generate: context_length: at most the model's, 12, expected, got 13",
      raised(model.generate, model, { 1 }, { context_length = 13 }))
  end)

  it("keeps no memory", function()
    model:generate({ { 1 }, { 2, 3 } }, { max_new_tokens = 15 })
    local before = live()
    for _ = 1, 3 do
      model:generate({ { 1 }, { 2, 3 } }, { max_new_tokens = 15, temperature = 1, repetition_penalty = 1.2 })
      pcall(model.generate, model, { 40 })
      for _ in model:stream({ 1 }, { max_new_tokens = 3 }) do end
    end
    assert.equal(before, live())
  end)

  it("asks the system for no memory, token by token", function()
    local long = make { context_length = 100 }
    local session = long:session():reserve(100)
    session:feed { 1, 2 }
    local options = { max_new_tokens = 90 }
    for _, step in ipairs { (long:stream({ 1, 2 }, options)), (session:stream(options)) } do
      for _ = 1, 5 do step() end
      collectgarbage()
      local before = gpt.memory()
      for _ = 1, 50 do step() end
      collectgarbage()
      local after = gpt.memory()
      assert.same({ before.system_calls, before.live }, { after.system_calls, after.live })
    end
  end)

  it("takes memory for what comes soon, however long it may become", function()
    local long = make { context_length = 6000 }
    local function peak(limit)
      local before = live()
      local step = long:stream({ 1, 2 }, { max_new_tokens = limit })
      step()
      return gpt.memory().live - before
    end
    assert.is_true(peak(5000) <= peak(256))
    assert.equal(602, #long:generate({ 1, 2 }, { max_new_tokens = 600 }))
  end)

  it("says what is wrong with the ids", function()
    assert.equal("gpt.generate: prompt: id 40 at position 2 is not in the vocabulary of 40 (0 to 39)",
      raised(model.generate, model, { 1, 40 }))
    assert.equal("gpt.generate: prompt 2: id -1 at position 1 is not in the vocabulary of 40 (0 to 39)",
      raised(model.generate, model, { { 1 }, { -1 } }))
    assert.equal("gpt.generate: prompt is empty: at least one token is needed to go on from",
      raised(model.generate, model, {}))
    assert.equal("gpt.generate: 10 tokens and 4 new ones need a context_length of 13, and this one is 12; "
      .. 'overflow = "crop" lets the first ones go',
      raised(model.generate, model, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, { max_new_tokens = 4, overflow = "error" }))
  end)

  it("says where weights have no numbers", function()
    local broken = make()
    broken.final_norm.weight = gpt.full({ 16 }, 0 / 0)
    assert.equal("logits are not numbers: id 0 has nan, and 39 more of 40 ids have nan or inf; "
      .. "look for them in the weights", raised(broken.generate, broken, { 1 }))
  end)
end)

describe("text", function()
  local tokenizer = script.tokenizer {}
  local texts = make { vocab_size = 257 }
  texts.tokenizer = tokenizer

  it("goes on from text, through model.tokenizer", function()
    local options = { max_new_tokens = 8, temperature = 1, seed = 3 }
    local ids = texts:generate({ 72, 105 }, options)
    local text = texts:generate("Hi", options)
    assert.equal(tokenizer:decode(ids), text)
    assert.equal(text, "Hi" .. table.concat(collect(texts:stream("Hi", options))))
    assert.same({ text }, texts:generate({ "Hi" }, options))
    options.seed = nil
    local mixed = texts:generate({ "Hi", { 72, 105 } }, { max_new_tokens = 8 })
    assert.equal(mixed[1], tokenizer:decode(mixed[2]))
  end)

  it("ends before a stop string", function()
    local options = { max_new_tokens = 12 }
    local text = texts:generate("Hi", options)
    options.stop = text:sub(6, 8)
    local at = text:find(options.stop, 3, true)
    assert.equal(text:sub(1, at - 1), texts:generate("Hi", options))
  end)
end)

describe("a layer in place of a model", function()
  it("gets its ids as a tensor", function()
    local Own = gpt.nn.layer("Own", {
      init = function(self) self.inner = model end,
      forward = function(self, ids)
        assert(ids:dtype() == "i64" and #ids:shape() == 2)
        return self.inner(ids)
      end,
    })
    local options = { max_new_tokens = 20, context_length = 12 }
    assert.same(model:generate({ 1, 2 }, options), Own():generate({ 1, 2 }, options))
  end)

  it("may be a function that puts layers together", function()
    local function by_hand(ids)
      local x = model.token_embedding(ids) + model.position_embedding(gpt.arange(0, #ids - 1))
      for i = 1, #model.blocks do x = model.blocks[i](x) end
      return model.head(model.final_norm(x))
    end
    local options = { max_new_tokens = 20, context_length = 12 }
    assert.same(model:generate({ 1, 2 }, options), gpt.generate(by_hand, { 1, 2 }, options))
  end)
end)

describe("session:generate", function()
  it("goes on from what was fed, and keeps the new tokens", function()
    local session = model:session()
    session:feed { 1, 2, 3 }
    local first = session:generate { max_new_tokens = 4 }
    assert.same(model:generate({ 1, 2, 3 }, { max_new_tokens = 4 }), copy({ 1, 2, 3 }, first))
    assert.same(copy({ 1, 2, 3 }, first), session:ids())
    session:feed { 5 }
    local second = session:generate { max_new_tokens = 3 }
    assert.same(model:generate(copy({ 1, 2, 3 }, copy(first, { 5 })), { max_new_tokens = 3 }),
      copy({ 1, 2, 3 }, copy(first, copy({ 5 }, second))))
    assert.equal(11, session.length)
  end)

  it("goes on past context_length", function()
    local session = model:session()
    session:feed { 1, 2, 3 }
    local new = session:generate { max_new_tokens = 25 }
    assert.same(model:generate({ 1, 2, 3 }, { max_new_tokens = 25 }), copy({ 1, 2, 3 }, new))
    assert.same(table.move(new, 14, 25, 1, {}), session:ids())
    assert.equal("session:generate: 12 tokens and 1 new ones need a context_length of 13, and this one is 12; "
      .. 'overflow = "crop" lets the first ones go',
      raised(session.generate, session, { max_new_tokens = 1, overflow = "error" }))
  end)

  it("leaves what stopped it out of the session", function()
    local all = model:generate({ 1, 2, 3 }, { max_new_tokens = 6 })
    local session = model:session()
    session:feed { 1, 2, 3 }
    local new = session:generate { max_new_tokens = 6, stop = all[7] }
    assert.same(copy({ 1, 2, 3 }, new), session:ids())
    assert.is_true(#new <= 3)
    local held = make { vocab_size = 257 }
    held.tokenizer = script.tokenizer {}
    local expected = held:generate({ 65, 66 }, { max_new_tokens = 8 })
    session = held:session()
    session:feed { 65, 66 }
    new = session:generate { max_new_tokens = 8, stop = string.char(expected[6], expected[7]) }
    assert.same(copy({ 65, 66 }, new), session:ids())
    assert.is_true(#new <= 3)
  end)

  it("draws from the session's random numbers, or from those of a seed", function()
    local options = { max_new_tokens = 5, temperature = 2 }
    local function two(seed)
      local session = model:session { seed = seed }
      session:feed { 1 }
      return { session:generate(options), session:generate(options) }
    end
    local state = gpt.random_state()
    local one = two(7)
    assert.same(one, two(7))
    assert.not_same(one, two(8))
    assert.equal(state, gpt.random_state())
    local session = model:session()
    session:feed { 1 }
    options.seed = 7
    assert.same(model:generate({ 1 }, options), copy({ 1 }, session:generate(options)))
    options.seed = nil
    session:generate(options)
    assert.not_equal(state, gpt.random_state())
  end)

  it("penalises the whole conversation", function()
    local options = { max_new_tokens = 6, repetition_penalty = 1.8 }
    local session = model:session()
    session:feed { 1, 2, 3 }
    assert.same(model:generate({ 1, 2, 3 }, options), copy({ 1, 2, 3 }, session:generate(options)))
  end)

  it("works without a cache, and on forks", function()
    local expected = model:generate({ 4, 5 }, { max_new_tokens = 6 })
    local session = model:session { use_cache = false }
    session:feed { 4, 5 }
    local fork = session:fork()
    assert.same(expected, copy({ 4, 5 }, session:generate { max_new_tokens = 6 }))
    assert.same(expected, copy({ 4, 5 }, fork:generate { max_new_tokens = 6 }))
  end)

  it("returns log probabilities where asked", function()
    local session = model:session()
    session:feed { 1 }
    local ids, logprobs = session:generate { max_new_tokens = 3, logprobs = true }
    local _, expected = model:generate({ 1 }, { max_new_tokens = 3, logprobs = true })
    assert.equal(3, #ids)
    for i = 1, 3 do assert.near(expected[i], logprobs[i], 1e-4) end
  end)

  it("needs something to go on from, and its options right", function()
    local session = model:session()
    assert.equal("session:generate: a session expected, got 3; a method is called with a colon: session:generate(...)",
      raised(function() model:session().generate(3) end))
    assert.equal("session:generate: the session is empty: feed it a prompt first, session:feed(ids)",
      raised(session.generate, session))
    assert.equal("session:stream: unknown option 'max_new_token'; did you mean 'max_new_tokens'?",
      raised(session.stream, session, { max_new_token = 1 }))
    assert.equal(0, session.length)
  end)
end)

describe("session:stream", function()
  it("returns and keeps the ids of generate", function()
    local session = model:session()
    session:feed { 1, 2, 3 }
    local ids = collect(session:stream { max_new_tokens = 5 })
    assert.same(model:generate({ 1, 2, 3 }, { max_new_tokens = 5 }), copy({ 1, 2, 3 }, ids))
    assert.same(copy({ 1, 2, 3 }, ids), session:ids())
  end)

  it("keeps what was returned when the loop is left early", function()
    local session, ids = model:session(), {}
    session:feed { 1, 2, 3 }
    for id in session:stream { max_new_tokens = 5 } do
      ids[#ids + 1] = id
      if #ids == 2 then break end
    end
    assert.same(copy({ 1, 2, 3 }, ids), session:ids())
    assert.same(model:generate({ 1, 2, 3 }, { max_new_tokens = 4 }),
      copy({ 1, 2, 3 }, copy(ids, session:generate { max_new_tokens = 2 })))
  end)
end)

describe("an interrupt", function()
  after_each(function() debug.sethook() end)

  -- Runs fn; after some calls of Lua functions the handler of lua5.4's Ctrl-C strikes.
  local function interrupted(fn)
    local calls = 0
    debug.sethook(function()
      calls = calls + 1
      if calls < 300 then return end
      debug.sethook()
      error("interrupted!", 0)
    end, "c")
    local ok, text = pcall(fn)
    debug.sethook()
    assert.same({ false, "interrupted!" }, { ok, text })
  end

  it("ends a long generation, frees its sessions, and leaves the model usable", function()
    local expected = model:generate({ 1 }, { max_new_tokens = 5 })
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    interrupted(function() model:generate({ { 1 }, { 2 } }, { max_new_tokens = 1000000 }) end)
    interrupted(function() for _ in model:stream({ 1 }, { max_new_tokens = 1000000 }) do end end)
    assert.same(expected, model:generate({ 1 }, { max_new_tokens = 5 }))
    collectgarbage()
    collectgarbage()
    assert.equal(before, gpt.memory().live)
  end)

  it("leaves a session as it was before generate", function()
    local session = model:session()
    session:feed { 1, 2, 3 }
    local long = make { context_length = 400 }
    session = long:session()
    session:feed { 1, 2, 3 }
    interrupted(function() session:generate { max_new_tokens = 390 } end)
    assert.same({ 1, 2, 3 }, session:ids())
    assert.same(long:generate({ 1, 2, 3 }, { max_new_tokens = 5 }),
      copy({ 1, 2, 3 }, session:generate { max_new_tokens = 5 }))
  end)
end)
