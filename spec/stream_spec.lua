local gpt = require "gpt"
local characters = require "gpt.generate.characters"
local raised = require "spec.support.raised"
local script = require "spec.support.script"

local mixes = script.mixes(16)

local function collect(...)
  local values = {}
  for value in ... do values[#values + 1] = value end
  return values
end

describe("gpt.stream", function()
  local tokenizer = script.tokenizer { "ab", "\xE2\x82", "\xAC!", "\xF0\x9F", "\x98\x80" }

  local function pieces(ids, options)
    options = options or {}
    options.context_length, options.tokenizer, options.max_new_tokens = 99, tokenizer, #ids
    return collect(gpt.stream(script.says(ids, 1, 262), ">", options))
  end

  it("returns ids one by one, as generate does all of them", function()
    local options = { context_length = 6, max_new_tokens = 9, temperature = 1, seed = 2 }
    local ids = collect(gpt.stream(mixes, { 1, 2 }, options))
    assert.equal(9, #ids)
    assert.same(table.move(ids, 1, 9, 3, { 1, 2 }), gpt.generate(mixes, { 1, 2 }, options))
  end)

  it("returns pieces of whole UTF-8 for a string", function()
    assert.same({ "ab", "\u{20AC}!", "\u{1F600}" }, pieces { 257, 258, 259, 260, 261 })
    assert.same({ "\u{20AC}" }, pieces { 0xE2, 0x82, 0xAC })
  end)

  it("flushes what is left at the end, and does not wait for bytes that cannot become a character", function()
    assert.same({ "a", "\xE2\x82" }, pieces { 97, 258 })
    assert.same({ "\xE2\x82", "a" }, { table.concat(pieces { 258, 97 }):sub(1, 2), "a" })
    assert.same({ "\xFF", "\x80", "a" }, pieces { 0xFF, 0x80, 97 })
    assert.same({ "\xC3" }, pieces { 0xC3, 256, 97 })
  end)

  it("holds back what may begin a stop string", function()
    assert.same({ "x", "a", "b", "c" }, pieces({ 120, 97, 98, 99 }))
    assert.same({ "x", "abc" }, pieces({ 120, 97, 98, 99 }, { stop = "abd" }))
    assert.same({ "x" }, pieces({ 120, 97, 98, 100 }, { stop = "abd" }))
    assert.same({ "x", "ab" }, pieces({ 120, 97, 98 }, { stop = "abd" }))
  end)

  it("returns log probabilities beside", function()
    local count = 0
    for id, logprob in gpt.stream(mixes, { 1 }, { context_length = 9, max_new_tokens = 3, logprobs = true }) do
      assert.equal("integer", math.type(id))
      assert.is_true(logprob < 0)
      count = count + 1
    end
    assert.equal(3, count)
    local options = { context_length = 9, max_new_tokens = 3, logprobs = true, tokenizer = tokenizer }
    for piece, logprobs in gpt.stream(script.says({ 258, 259, 97 }, 1, 262), ">", options) do
      assert.equal(piece == "a" and 1 or 2, #logprobs)
    end
  end)

  it("returns tables for a list of prompts", function()
    local options = { context_length = 9, max_new_tokens = 3 }
    local ids = { { 1 }, { 2, 3 } }
    for new in gpt.stream(mixes, ids, options) do
      for i, id in pairs(new) do table.insert(ids[i], id) end
    end
    assert.same(gpt.generate(mixes, { { 1 }, { 2, 3 } }, options), ids)
  end)

  it("runs a step for each token, when it is asked for", function()
    local fn, calls = script.says({ 1, 2, 3 }, 1, 5)
    local step = gpt.stream(fn, { 0 }, { context_length = 9, max_new_tokens = 3 })
    assert.equal(0, calls.count)
    assert.equal(1, step())
    assert.equal(1, calls.count)
    assert.same({ 2, 3 }, { step(), step() })
    assert.is_nil(step())
    assert.is_nil(step())
    assert.equal(3, calls.count)
  end)

  it("can be driven from coroutines", function()
    local options = { context_length = 9, max_new_tokens = 5 }
    local step = gpt.stream(mixes, { 1 }, options)
    local ids = { 1 }
    for i = 1, 5 do
      ids[i + 1] = i % 2 == 0 and step() or coroutine.wrap(function() coroutine.yield(step()) end)()
    end
    assert.same(gpt.generate(mixes, { 1 }, options), ids)
  end)

  it("is over when the loop was left", function()
    local step, state, control, closing = gpt.stream(mixes, { 1 }, { context_length = 9 })
    local count = 0
    for _ in step, state, control, closing do
      count = count + 1
      if count == 2 then break end
    end
    assert.is_nil(step())
  end)
end)

describe("bad input to gpt.stream", function()
  it("is found before the first step", function()
    assert.equal("gpt.stream: top_k: a whole number of at least 1 expected, got 0",
      raised(gpt.stream, mixes, { 1 }, { top_k = 0, context_length = 9 }))
  end)

  it("that a step finds is raised where the step is asked for", function()
    local step = gpt.stream(function() return 5 end, { 1 }, { context_length = 9 })
    assert.equal("gpt.stream: the function has to return f32 logits of shape [tokens, vocab_size] or "
      .. "[1, tokens, vocab_size], got 5", raised(step))
  end)
end)

describe("unfinished characters", function()
  it("are the beginnings of UTF-8 alone", function()
    for bytes, count in pairs {
      [""] = 0, a = 0, ["\u{20AC}"] = 0, ["\xC3"] = 1, ["a\xE2"] = 1, ["\xE2\x82"] = 2, ["\xF0\x9F\x98"] = 3,
      ["\xC1"] = 0, ["\xF5"] = 0, ["\x80"] = 0, ["\xE0\x80"] = 0, ["\xED\xA0"] = 0, ["\xF4\x90"] = 0,
      ["\xF0\x80"] = 0, ["\xC3\xA9\x80"] = 0, ["\xF0\x9F\x98\x80"] = 0, ["\x80\x80\x80\x80"] = 0,
    } do
      assert.equal(count, characters.unfinished(bytes))
    end
  end)
end)
