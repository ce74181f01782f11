local gpt = require "gpt"
local files = require "spec.support.files"
local raised = require "spec.support.raised"

-- What the tokenizers library (0.22) learns from this text with BpeTrainer(vocab_size = 300) over ByteLevel's alphabet.
local TEXT = "aaaa aaa aa banana bandana cabana\nthe theme of the thesis: then, there, these — wwww ww's über überall "
  .. "1999 999\n\n  the end  "
local MERGES = {
  "h e", "t he", "Ġ the", "a a", "a n", "9 9", "w w", "b an", "b e", "¼ be", "Ã ¼be", "Ġ aa", "Ġ ww", "Ġ ban",
  "Ġ Ã¼be", "Ġthe s", "an a", "99 9", "ĠÃ¼be r", "' s", "1 999", "a l", "a ban", "c aban", "d ana", "e n", "i s",
  "m e", "o f", "r e", "â Ģ", "Ċ Ċ", "Ġ Ġ", "Ġ 999", "Ġ 1999", "Ġ caban", "Ġ en", "Ġ of", "Ġ âĢ", "Ġthe n",
  "Ġthe me", "Ġthe re", "aa aa", "Ġaa a",
}

describe("gpt.train_tokenizer", function()
  local dir
  before_each(function() dir = files.directory() end)
  after_each(function() files.remove(dir) end)

  -- Its merges, as it saves them.
  local function merges(tokenizer)
    tokenizer:save(dir)
    local list = {}
    for line in files.read(dir .. "/merges.txt"):gmatch "[^\n]+" do
      if not line:find "^#version" then list[#list + 1] = line end
    end
    return list
  end

  it("learns what Hugging Face's trainer learns, ties included", function()
    local tokenizer = gpt.train_tokenizer(TEXT, { vocab_size = 301 })
    assert.equal(301, tokenizer.vocab_size)
    assert.equal(300, tokenizer.eos)
    assert.same(MERGES, merges(tokenizer))
  end)

  it("numbers bytes as GPT-2 does, then merges, then the end of text", function()
    local tokenizer = gpt.train_tokenizer("ab ab", { vocab_size = 258 })
    assert.same({ 0, 94, 188, 220 },
      tokenizer:encode "!\xa1\0 ")
    assert.equal("ab", tokenizer:token(256))
    assert.equal("<|endoftext|>", tokenizer:token(257))
    assert.same({ 256, 257 }, tokenizer:encode("ab<|endoftext|>", { special = true }))
  end)

  it("encodes and decodes any bytes", function()
    local tokenizer = gpt.train_tokenizer(TEXT, { vocab_size = 400 })
    for _, text in ipairs { TEXT, "\0\255 new words", "" } do
      assert.equal(text, tokenizer:decode(tokenizer:encode(text)))
    end
    assert.is_true(#tokenizer:encode(TEXT) < #TEXT / 2)
  end)

  it("stops where no pair is left, or none that is frequent enough", function()
    assert.equal(256 + 3 + 1, gpt.train_tokenizer("abc abc", { vocab_size = 1000 }).vocab_size)
    assert.equal(257, gpt.train_tokenizer("abc def", { vocab_size = 1000, min_frequency = 2 }).vocab_size)
    assert.equal(257, gpt.train_tokenizer("", { vocab_size = 1000 }).vocab_size)
  end)

  it("does not learn from the mark between texts", function()
    assert.equal(257, gpt.train_tokenizer(("<|endoftext|>"):rep(9), { vocab_size = 300 }).vocab_size)
  end)

  it("reads a file, or what a function returns, as it reads the text", function()
    files.write(dir .. "/text", TEXT)
    assert.same(MERGES, merges(gpt.train_tokenizer(dir .. "/text", { vocab_size = 301 })))
    local words = { TEXT }
    assert.same(MERGES, merges(gpt.train_tokenizer(function() return table.remove(words) end, { vocab_size = 301 })))
  end)

  it("is saved, and loads the same", function()
    local tokenizer = gpt.train_tokenizer(TEXT, { vocab_size = 290 })
    tokenizer:save(dir)
    local again = gpt.tokenizer(dir)
    assert.same(tokenizer:encode(TEXT), again:encode(TEXT))
    assert.equal(tokenizer.eos, again.eos)
  end)

  it("says what is wrong", function()
    assert.equal("gpt.train_tokenizer: vocab_size: a whole number of at least 257 expected, got 256",
      raised(gpt.train_tokenizer, "a", { vocab_size = 256 }))
    assert.equal("gpt.train_tokenizer: vocabsize: unknown key; did you mean 'vocab_size'?",
      raised(gpt.train_tokenizer, "a", { vocab_size = 300, vocabsize = 3 }))
    assert.equal("gpt.train_tokenizer: a text or a text file's name expected, got a table",
      raised(gpt.train_tokenizer, {}, { vocab_size = 300 }))
  end)

  it("gives back its memory", function()
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    gpt.train_tokenizer(TEXT, { vocab_size = 300 })
    collectgarbage()
    collectgarbage()
    assert.equal(before, gpt.memory().live)
  end)

  it("may run out of memory anywhere, and leaves nothing", function()
    local live, done, failed = gpt.memory().live, false, 0
    for room = 0, 2 ^ 24, 30011 do
      collectgarbage()
      collectgarbage()
      gpt.trim()
      assert.equal(live, gpt.memory().live)
      gpt.memory { limit = live + room + 1 }
      done = pcall(gpt.train_tokenizer, TEXT, { vocab_size = 280 })
      gpt.memory { limit = 0 }
      if done then break end
      failed = failed + 1
    end
    assert.is_true(done)
    assert.is_true(failed > 3)
  end)
end)
