local gpt = require "gpt"
local grammar = require "examples.support.grammar"
local tales = require "examples.support.tales"

local function rounded(x)
  return ("%.6f"):format(x)
end

describe("a grammar", function()
  it("says what was said, and measures it exactly", function()
    local g = grammar.new {
      start = { "{who} likes {what}. {They} said {what}!" },
      who = { { "{girl}", They = "She" }, { "a boy", They = "He" } },
      girl = { "Ann", "Barbara" },
      what = { "tea", "rain", "salt", "bells" },
    }
    local seen, count, write = {}, 0, g:writer(1)
    for _ = 1, 500 do
      local text = write()
      if not seen[text] then seen[text], count = true, count + 1 end
      local who, what, they = text:match "^([%a ]+) likes (%a+)%. (%a+) said %2!$"
      assert.equal(who == "a boy" and "He" or "She", they, text)
      assert.is_truthy(what)
    end
    assert.equal(12, count)
    local bits, size = g:measure()
    assert.equal(rounded(1 + 0.5 + 2), rounded(bits))
    assert.equal(rounded(0.25 * 3 + 0.25 * 7 + 0.5 * 5 + #" likes " + #". " + 0.5 * 3 + 0.5 * 2 + #" said " + #"!"
      + 2 * (3 + 4 + 4 + 5) / 4), rounded(size))
  end)

  it("chooses by what was chosen before", function()
    local g = grammar.new {
      start = { { "{animal} {sound/kind}", kind = "cat" }, { "{animal/kind} {sound/kind}", kind = "dog" } },
      animal = { "it", "she", dog = { "Rex" } }, sound = { cat = { "purrs" }, dog = { "barks", "growls" } },
    }
    local write = g:writer(3)
    for _ = 1, 50 do
      local text = write()
      assert.equal(text:find "Rex" ~= nil, text:find "purrs" == nil)
    end
    assert.equal(rounded(1 + 0.5 * 1 + 0.5 * 1), rounded((g:measure())))
  end)
end)

describe("the tales", function()
  local text = tales.write(2000, 7)
  local list = {}
  for tale in text:gmatch "(.-)<|endoftext|>" do list[#list + 1] = tale end

  it("follow from the seed, and are all different", function()
    assert.equal(2000, #list)
    assert.equal(text, tales.write(2000, 7))
    assert.not_equal(text, tales.write(2000, 8))
    local seen = {}
    for _, tale in ipairs(list) do
      assert.is_nil(seen[tale], tale)
      seen[tale] = true
    end
  end)

  it("hold together", function()
    for _, tale in ipairs(list) do
      local girl = tale:find " her name was " or tale:find "^Long ago.-[Ss]he " or tale:find " [Ss]he "
      local boy = tale:find " his name was " or tale:find " [Hh]e "
      assert.is_false(girl ~= nil and boy ~= nil, tale)
      assert.equal(tale:find "dragon slept" ~= nil, select(2, tale:gsub("dragon", "")) >= 2, tale)
      assert.is_nil(tale:find "[{}]", tale)
    end
  end)

  it("have the size and the entropy that are told", function()
    local tokenizer = gpt.train_tokenizer(text, { vocab_size = 600 })
    local nats, bits, tokens = tales.floor(tokenizer)
    local ids = tokenizer:encode(text, { special = true })
    local mean = #ids / #list
    assert.is_true(math.abs(mean - tokens) < 1, ("%f in the mean, %f told"):format(mean, tokens))
    assert.is_true(bits > 40 and bits < 45)
    assert.equal(rounded(bits * math.log(2) / tokens), rounded(nats))
  end)

  it("come whole for evaluation", function()
    local tokenizer = gpt.train_tokenizer(text, { vocab_size = 600 })
    local count, rows = 0, 0
    for ids, targets in tales.sequences(20, 7, tokenizer).batches() do
      rows = rows + #ids
      count = count + targets:ge(0):sum():item()
      assert.equal(tokenizer.eos, ids[1][1]:item())
      assert.same(ids:shape(), targets:shape())
    end
    assert.equal(20, rows)
    assert.equal(#tokenizer:encode(tales.write(20, 7), { special = true }), count)
  end)
end)
