local gpt = require "gpt"
local raised = require "spec.support.raised"
local script = require "spec.support.script"

local nan = 0 / 0
local mixes = script.mixes(16)

-- What greedy generation is, written out.
local function by_hand(fn, ids, steps, context_length)
  ids = table.move(ids, 1, #ids, 1, {})
  for _ = 1, steps do
    local logits = fn(table.move(ids, math.max(1, #ids - context_length + 1), #ids, 1, {}))
    local last = logits:select(1, 1):select(1, -1):totable()
    local best = 1
    for i, value in ipairs(last) do if value > last[best] then best = i end end
    ids[#ids + 1] = best - 1
  end
  return ids
end

describe("gpt.generate with a function", function()
  it("goes on greedily, 50 tokens by default", function()
    local expected = by_hand(mixes, { 3, 1, 4 }, 50, 100)
    assert.same(expected, gpt.generate(mixes, { 3, 1, 4 }, { context_length = 100 }))
    assert.equal(53, #expected)
  end)

  it("takes callable tables, and logits with and without a batch dimension", function()
    local expected = gpt.generate(mixes, { 3, 1, 4 }, { context_length = 100, max_new_tokens = 5 })
    for _, select in ipairs {
      function(logits) return logits[1] end,
      function(logits) return logits[1][-1] end,
      function(logits) return logits:narrow(2, -1, 1) end,
    } do
      local model = setmetatable({}, { __call = function(_, ids) return select(mixes(ids)) end })
      assert.same(expected, gpt.generate(model, { 3, 1, 4 }, { context_length = 100, max_new_tokens = 5 }))
    end
  end)

  it("sees the last context_length tokens alone", function()
    local most = 0
    local function fn(ids)
      most = math.max(most, #ids)
      return mixes(ids)
    end
    local expected = by_hand(mixes, { 3, 1, 4, 1, 5, 9, 2 }, 12, 5)
    assert.same(expected, gpt.generate(fn, { 3, 1, 4, 1, 5, 9, 2 }, { context_length = 5, max_new_tokens = 12 }))
    assert.equal(5, most)
  end)

  it("leaves the prompt alone, and returns it for no new tokens without running anything", function()
    local prompt, fn, calls = { 1, 2 }, script.says({ 3 }, 2, 5)
    assert.same({ 1, 2 }, gpt.generate(fn, prompt, { context_length = 9, max_new_tokens = 0 }))
    assert.equal(0, calls.count)
    assert.same({ 1, 2, 3 }, gpt.generate(fn, prompt, { context_length = 9, max_new_tokens = 1 }))
    assert.same({ 1, 2 }, prompt)
  end)

  it("takes whole floats as ids, and returns integers", function()
    local answer = gpt.generate(mixes, { 3.0 }, { context_length = 9, max_new_tokens = 1 })
    assert.equal("integer", math.type(answer[1]))
    assert.equal("integer", math.type(answer[2]))
  end)

  it("records nothing", function()
    local weight = gpt.ones(16):requires_grad(true)
    local function fn(ids) return gpt.cat({ mixes(ids)[1], weight:view(1, 16) }, 1) end
    local function backward(logits) logits:select(1, 1):select(1, 1):backward() end
    assert.is_true(pcall(backward, fn { 1 }))
    local inside
    gpt.generate(function(ids)
      inside = fn(ids)
      return inside
    end, { 1 }, { context_length = 9, max_new_tokens = 1 })
    assert.is_false(pcall(backward, inside))
  end)

  it("takes many prompts of any lengths", function()
    local prompts, options = { { 1 }, { 2, 3, 4 }, { 5, 6 } }, { context_length = 6, max_new_tokens = 9 }
    local returns = gpt.generate(mixes, prompts, options)
    for i, prompt in ipairs(prompts) do assert.same(gpt.generate(mixes, prompt, options), returns[i]) end
    assert.equal(3, #returns)
  end)

  it("returns tensors for tensors", function()
    local options = { context_length = 9, max_new_tokens = 2 }
    local one = gpt.generate(mixes, gpt.tensor { 1, 2 }, options)
    assert.same(gpt.generate(mixes, { 1, 2 }, options), one:totable())
    assert.equal("i64", one:dtype())
    local two = gpt.generate(mixes, gpt.tensor { { 1, 2 }, { 3, 4 } }, options)
    assert.same(gpt.generate(mixes, { { 1, 2 }, { 3, 4 } }, options), two:totable())
    options.stop = one[3]:item()
    local uneven = gpt.generate(mixes, gpt.tensor { { 1, 2 }, { 3, 4 } }, options)
    assert.same({ 1, 2 }, uneven[1]:totable())
    assert.same(4, #uneven[2])
  end)

  it("drops the rows that are done", function()
    local calls = 0
    local function fn(ids)
      calls = calls + 1
      local logits = gpt.zeros(#ids, 4)
      logits[#ids][#ids >= ids[1] and 4 or 1] = 1
      return logits
    end
    local returns = gpt.generate(fn, { { 3 }, { 1 }, { 2 } }, { context_length = 9, max_new_tokens = 8, stop = 3 })
    assert.same({ { 3, 0, 0 }, { 1 }, { 2, 0 } }, returns)
    assert.equal(6, calls)
  end)
end)

describe("sampling in gpt.generate", function()
  local options = { context_length = 8, max_new_tokens = 30, temperature = 1.5, top_k = 12, seed = 5 }

  local function with(name, value)
    local copy = {}
    for key, each in pairs(options) do copy[key] = each end
    copy[name] = value
    return copy
  end

  it("repeats itself with a seed, and leaves the state's random numbers alone", function()
    local state = gpt.random_state()
    local first = gpt.generate(mixes, { 1 }, options)
    assert.same(first, gpt.generate(mixes, { 1 }, options))
    assert.not_same(first, gpt.generate(mixes, { 1 }, with("seed", 6)))
    assert.equal(state, gpt.random_state())
  end)

  it("goes on with the state's random numbers without", function()
    local unseeded = with("seed", nil)
    gpt.seed(3)
    local first, second = gpt.generate(mixes, { 1 }, unseeded), gpt.generate(mixes, { 1 }, unseeded)
    assert.not_same(first, second)
    gpt.seed(3)
    assert.same(first, gpt.generate(mixes, { 1 }, unseeded))
  end)

  it("draws for row i of a batch as the call alone with seed + i - 1", function()
    local returns = gpt.generate(mixes, { { 1 }, { 2, 3 } }, options)
    assert.same(gpt.generate(mixes, { 1 }, options), returns[1])
    assert.same(gpt.generate(mixes, { 2, 3 }, with("seed", 6)), returns[2])
    assert.same({ returns[1] }, gpt.generate(mixes, { { 1 } }, options))
  end)

  it("is what gpt.sample draws, step by step", function()
    local expected, alone = { 1, 2 }, { temperature = 1.5, top_k = 12, top_p = 0.9, min_p = 0.01 }
    local state = gpt.random_state()
    gpt.seed(5)
    for _ = 1, 10 do
      alone.repetition_penalty, alone.ids = 1.3, expected
      expected[#expected + 1] = gpt.sample(mixes(expected)[1][-1], alone)
    end
    gpt.random_state(state)
    assert.same(expected, gpt.generate(mixes, { 1, 2 }, {
      context_length = 20, max_new_tokens = 10, temperature = 1.5, top_k = 12, top_p = 0.9, min_p = 0.01,
      repetition_penalty = 1.3, seed = 5,
    }))
  end)

  it("penalises what was said", function()
    local function flat(ids)
      local logits = gpt.zeros(#ids, 4)
      logits[#ids] = gpt.tensor { 1.0, 0.9, 0.8, 0.7 }
      return logits
    end
    local got = gpt.generate(flat, { 0 }, { context_length = 9, max_new_tokens = 3, repetition_penalty = 2 })
    assert.same({ 0, 1, 2, 3 }, got)
  end)

  it("returns log probabilities of the model's own distribution", function()
    local ids, logprobs = gpt.generate(mixes, { 1, 2 }, { context_length = 9, max_new_tokens = 4, temperature = 3,
      seed = 1, logprobs = true })
    assert.equal(4, #logprobs)
    for i, logprob in ipairs(logprobs) do
      local last = mixes(table.move(ids, 1, 1 + i, 1, {}))[1][-1]:totable()
      local total = 0
      for _, value in ipairs(last) do total = total + math.exp(value) end
      assert.near(last[ids[2 + i] + 1] - math.log(total), logprob, 1e-5)
    end
    local _, both = gpt.generate(mixes, { { 1, 2 }, { 3 } },
      { context_length = 9, max_new_tokens = 4, logprobs = true })
    assert.same({ 4, 4 }, { #both[1], #both[2] })
    assert.equal(1, select("#", gpt.generate(mixes, { 1 }, { context_length = 9, max_new_tokens = 1 })))
  end)
end)

describe("a string prompt", function()
  local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
  local cat = tokenizer:encode " cat"

  it("goes on over ids that the tokenizer lacks, as a padded vocabulary has them", function()
    local ids = { 400, cat[1], 407 }
    table.move(cat, 2, #cat, 4, ids)
    ids[#ids + 1] = 401
    local options = { context_length = 99, tokenizer = tokenizer, max_new_tokens = #ids, stop = "dog" }
    local start = #tokenizer:encode "The"
    local function fn() return (script.says(ids, start, 408)) end
    assert.equal("The cat", gpt.generate(fn(), "The", options))
    options.logprobs = true
    local _, logprobs = gpt.generate(fn(), "The", options)
    assert.equal(#ids, #logprobs)
    local pieces = {}
    for piece in gpt.stream(fn(), "The", options) do pieces[#pieces + 1] = piece end
    assert.equal(" cat", table.concat(pieces))
    options.stop = " cat"
    assert.equal("The", gpt.generate(fn(), "The", options))
  end)

  it("ends at every end token, unless stop is false", function()
    local ends = { eos = 399, end_tokens = { 399, 5, 7 }, encode = function() return { 1 } end,
      decode = function(_, ids) return ("<%d>"):rep(#ids, ","):format(table.unpack(ids)) end }
    local function run(ids, stop, ending)
      return gpt.generate(script.says(ids, 1, 400), "!", { context_length = 9, tokenizer = ending or ends,
        max_new_tokens = #ids, stop = stop })
    end
    assert.equal("!<1>", run { 1, 7, 2 })
    assert.equal("!<1>", run { 1, 5, 2 })
    assert.equal("!", run { 399, 5, 2 })
    assert.equal("!<1>", run({ 1, 9, 5 }, 9))
    assert.equal("!<1><5><399>", run({ 1, 5, 399 }, false))
    local only = setmetatable({ eos = 399, encode = ends.encode, decode = ends.decode }, { __index = error })
    assert.equal("!<5>", run({ 5, 399, 7 }, nil, only))
    assert.same({ 1, 5 }, gpt.generate(script.says({ 5 }, 1, 400), { 1 }, { context_length = 9, tokenizer = ends,
      max_new_tokens = 1 }))
  end)

  it("has marks as text, or with special as their ids", function()
    local seen
    local function fn(ids)
      seen = ids
      return gpt.zeros(#ids, 400)
    end
    local text = "The<|endoftext|> cat"
    for _, special in ipairs { false, true } do
      local options = { context_length = 99, tokenizer = tokenizer, max_new_tokens = 1, special = special }
      local answer = gpt.generate(fn, text, options)
      assert.same(tokenizer:encode(text, { special = special }), seen)
      assert.equal(text .. "!", answer)
      seen = nil
      for piece in gpt.stream(fn, text, options) do assert.equal("!", piece) end
      assert.same(tokenizer:encode(text, { special = special }), seen)
    end
    gpt.generate(fn, text, { context_length = 99, tokenizer = tokenizer, max_new_tokens = 1 })
    assert.same(tokenizer:encode(text), seen)
    assert.equal("gpt.generate: special: true or false expected, got 1",
      raised(gpt.generate, fn, text, { context_length = 9, tokenizer = tokenizer, special = 1 }))
  end)
end)

describe("stop", function()
  local tokenizer = script.tokenizer { "ab", "cd\nef", "\xE2\x82", "\xAC", "\n\n", "END", "" }
  local word = { ab = 257, cdef = 258, euro1 = 259, euro2 = 260, newlines = 261, END = 262, empty = 263 }

  local function run(ids, stop, options)
    options = options or {}
    options.context_length, options.tokenizer, options.stop = 99, tokenizer, stop
    options.max_new_tokens = options.max_new_tokens or #ids
    return gpt.generate(script.says(ids, options.text and 1 or 2, 264), options.prompt or { 1, 2 }, options)
  end

  -- For a string prompt of one byte.
  local function text(ids, stop, logprobs)
    local fn, calls = script.says(ids, 1, 264)
    local options = { context_length = 99, tokenizer = tokenizer, stop = stop, max_new_tokens = #ids }
    options.logprobs = logprobs
    local answer, second = gpt.generate(fn, ">", options)
    return answer, calls.count, second
  end

  it("takes ids, and leaves them out", function()
    assert.same({ 1, 2, 7 }, run({ 7, 9, 8 }, 9))
    assert.same({ 1, 2, 7 }, run({ 7, 9, 8 }, { 5, 9 }))
    assert.same({ 1, 2, 7, 9, 8 }, run({ 7, 9, 8 }, {}))
    assert.same({ 1, 2 }, run({ 9 }, 9))
  end)

  it("takes strings, across tokens and inside of one", function()
    assert.equal(">a", (text({ 97, 98, 99, 100 }, "bc")))
    assert.equal(">", (text({ word.ab, 99 }, "abc")))
    assert.equal(">cd", (text({ word.cdef, 99 }, "\n")))
    assert.equal(">xabab", (text({ 120, word.ab, word.ab, word.ab, 99 }, "abc")))
    assert.equal(">a", (text({ 97, word.newlines, 98 }, { "zzz", "\n\n" })))
    assert.equal(">aEN", (text({ 97, 69, 78 }, "END")))
    assert.equal(">a", (text({ 97, 98, 99, 100 }, { "cd", "bc" })))
    assert.equal(">c", (text({ word.cdef }, { "e", "d" }))) -- the first to begin, not the first of the list
    assert.equal(">", (text({ 97, 98, 88 }, { "abX", "zz" }))) -- held back for any of them
  end)

  it("ends as soon as a stop is there", function()
    assert.equal(3, select(2, text({ 97, 98, 99, 100 }, "bc")))
    assert.equal(2, select(2, text({ 97, 98, 99, 100 }, 98)))
  end)

  it("leaves whole tokens out of an answer of ids", function()
    assert.same({ 1, 2, 97 }, run({ 97, 98, 99, 100 }, "bc"))
    assert.same({ 1, 2, 120 }, run({ 120, word.cdef, 99 }, "\n"))
    assert.same({ 1, 2, 97, 69, 78 }, run({ 97, 69, 78 }, "END"))
    assert.same({ 1, 2, 97, 69, word.END }, run({ 97, 69, word.END, 5, word.END }, { "DE", "\5E" }))
  end)

  it("is not looked for in the prompt", function()
    local fn = script.says({ 98, 99 }, 1, 264)
    assert.equal("abc", gpt.generate(fn, "a", { context_length = 9, tokenizer = tokenizer, max_new_tokens = 2,
      stop = "ab" }))
  end)

  it("is the end of text too for strings, unless false", function()
    assert.equal(">a", (text({ 97, 256, 98 })))
    assert.equal(">a", (text({ 97, 256, 98 }, "zz")))
    assert.equal(">a<|endoftext|>b", (text({ 97, 256, 98 }, false)))
    assert.same({ 1, 2, 97, 256, 98 }, run({ 97, 256, 98 }))
  end)

  it("counts the tokens that end before it", function()
    local _, _, logprobs = text({ 97, word.ab, word.cdef, 99 }, "\n", true)
    assert.equal(2, #logprobs)
    _, _, logprobs = text({ 97, word.empty, 256, 99 }, nil, true)
    assert.equal(2, #logprobs)
  end)

  it("says what it may be", function()
    local start = "gpt.generate: stop: a token id, a string that is not empty, or a list of these expected, got "
    for shown, value in pairs { ["-1"] = -1, ["1.5"] = 1.5, ['""'] = "", ["true"] = true, ["a table"] = { {} } } do
      assert.equal(start .. shown, raised(gpt.generate, mixes, { 1 }, { context_length = 9, stop = value }))
    end
    assert.equal("gpt.generate: stop: a string needs a tokenizer, and this model has none; give a token id, or set "
      .. "model.tokenizer or the option tokenizer (gpt.tokenizer(dir) makes one)",
      raised(gpt.generate, mixes, { 1 }, { context_length = 9, stop = "x" }))
  end)
end)

describe("an interrupt", function()
  -- What the handler of lua5.4 does at Ctrl-C.
  local function interrupt()
    debug.sethook(function()
      debug.sethook()
      error("interrupted!", 0)
    end, "crl", 1)
  end

  after_each(function() debug.sethook() end)

  it("ends a long generation within a token", function()
    local calls = 0
    local function fn(ids)
      calls = calls + 1
      if calls == 3 then interrupt() end
      return mixes(ids)
    end
    local ok, text = pcall(gpt.generate, fn, { 1 }, { context_length = 4, max_new_tokens = 1000000 })
    assert.same({ false, "interrupted!" }, { ok, text })
    assert.equal(3, calls)
    assert.equal(6, #gpt.generate(fn, { 1 }, { context_length = 4, max_new_tokens = 5 }))
  end)
end)

describe("bad input to gpt.generate", function()
  local function generate(prompt, options, fn)
    options = options or {}
    options.context_length = options.context_length or 9
    return raised(gpt.generate, fn or mixes, prompt, options)
  end

  it("of the prompt", function()
    local empty = " is empty: at least one token is needed to go on from"
    assert.equal("gpt.generate: prompt" .. empty, generate {})
    assert.equal("gpt.generate: prompt 2" .. empty, generate { { 1 }, {} })
    assert.equal("gpt.generate: prompt" .. empty, generate("", { tokenizer = script.tokenizer {} }))
    assert.equal("gpt.generate: prompt: a token id expected at position 2, got 1.5", generate { 1, 1.5 })
    assert.equal('gpt.generate: prompt 2: a token id expected at position 1, got "x"', generate { { 1 }, { "x" } })
    assert.equal("gpt.generate: prompt: id -1 at position 2 is not in the vocabulary: ids start at 0",
      generate { 1, -1 })
    local forms = "token ids, a string, or a list of either expected, got "
    assert.equal("gpt.generate: prompt: " .. forms .. "nil", generate(nil))
    assert.equal("gpt.generate: prompt 2: " .. forms .. "3", generate { { 1 }, 3 })
    assert.equal("gpt.generate: prompt: an i64 tensor of shape [tokens] or [batch, tokens] expected, "
      .. "got f32 of shape [2]", generate(gpt.zeros(2)))
    assert.equal("gpt.generate: prompt: a string needs a tokenizer, and this model has none; give token ids, or set "
      .. "model.tokenizer or the option tokenizer (gpt.tokenizer(dir) makes one)", generate("Hello"))
  end)

  it("of the options", function()
    for _, case in ipairs {
      { { max_tokens = 5 }, "unknown option 'max_tokens'; did you mean 'max_new_tokens'?" },
      { { [1] = 5 }, "options are names, as in { max_new_tokens = 5 }, got 5 at position 1" },
      { { max_new_tokens = -1 }, "max_new_tokens: a whole number of at least 0 expected, got -1" },
      { { max_new_tokens = 1.5 }, "max_new_tokens: a whole number of at least 0 expected, got 1.5" },
      { { temperature = -1 }, "temperature: a finite number of at least 0 expected, got -1" },
      { { top_k = 0 }, "top_k: a whole number of at least 1 expected, got 0" },
      { { seed = "x" }, "seed: a whole number expected, got string" },
      { { use_cache = 1 }, "use_cache: true or false expected, got 1" },
      { { logprobs = "yes" }, 'logprobs: true or false expected, got "yes"' },
      { { overflow = "drop" }, 'overflow: "crop" or "error" expected, got "drop"' },
      { { context_length = 0 }, "context_length: a whole number of at least 1 expected, got 0" },
    } do
      assert.equal("gpt.generate: " .. case[2], generate({ 1 }, case[1]))
    end
    assert.equal("gpt.generate: options: a table expected, got 5", raised(gpt.generate, mixes, { 1 }, 5))
  end)

  it("of a length that does not fit, where overflow is an error", function()
    local function fits(n, new)
      local prompt = {}
      for i = 1, n do prompt[i] = 1 end
      local options = { context_length = 4, max_new_tokens = new, overflow = "error" }
      return function() return (gpt.generate(mixes, prompt, options)) end
    end
    assert.equal(5, #fits(3, 2)())
    assert.equal(4, #fits(4, 0)())
    local tail = '; overflow = "crop" lets the first ones go'
    assert.equal("gpt.generate: 3 tokens and 3 new ones need a context_length of 5, and this one is 4" .. tail,
      raised(fits(3, 3)))
    assert.equal("gpt.generate: 6 tokens and 1 new ones need a context_length of 6, and this one is 4" .. tail,
      raised(fits(6, 1)))
  end)

  it("of what stands for the model", function()
    assert.equal("gpt.generate: a function in place of a model needs the option context_length, "
      .. "the most tokens it takes", raised(gpt.generate, mixes, { 1 }))
    assert.equal("gpt.generate: a model, or a function from ids to logits, expected, got a table; a method is called with a colon: model:generate(...)",
      raised(gpt.generate, {}, { 1 }))
    assert.equal("gpt.generate: a model, or a function from ids to logits, expected, got nil",
      raised(gpt.generate, nil, { 1 }))
  end)

  it("of what the function returns", function()
    local start = "gpt.generate: the function has to return f32 logits of shape [tokens, vocab_size] or "
      .. "[1, tokens, vocab_size], got "
    for shown, value in pairs {
      ["nil"] = false, ["5"] = 5, ["i64 of shape [2, 3]"] = gpt.tensor { { 1, 2, 3 }, { 1, 2, 3 } },
      ["f32 of shape [2, 1, 3]"] = gpt.zeros(2, 1, 3), ["f32 of shape [1, 0]"] = gpt.zeros(1, 0),
      ["f32 of shape [1, 1, 2, 3]"] = gpt.zeros(1, 1, 2, 3), ["f32 of shape []"] = gpt.zeros(1)[1],
    } do
      assert.equal(start .. shown, generate({ 1 }, nil, function() return value or nil end))
    end
    assert.equal("logits are not numbers: id 0 has nan; look for nan and inf in the weights",
      generate({ 1 }, nil, function() return gpt.tensor { { nan, 1.0 } } end))
  end)

  it("changes nothing", function()
    local state = gpt.random_state()
    generate({ 1, -1 }, { temperature = 1 })
    generate({ 1 }, { temperature = 1 }, function() return gpt.tensor { { nan, 1.0 } } end)
    assert.equal(state, gpt.random_state())
  end)
end)
