local gpt = require "gpt"
local core = require "gpt.core"
local files = require "spec.support.files"
local raised = require "spec.support.raised"
local script = require "spec.support.script"
local validate = require "gpt.support.validate"

local function count_up(n)
  local ids = {}
  for i = 1, n do ids[i] = i - 1 end
  return ids
end

-- The first id of every window of an epoch, in the order of the batches.
local function firsts(data, position)
  local list = {}
  for ids in data:batches(position) do
    for i = 1, #ids do list[#list + 1] = ids[i][1]:item() end
  end
  return list
end

local function sorted(list)
  local copy = { table.unpack(list) }
  table.sort(copy)
  return copy
end

describe("a dataset", function()
  it("cuts ids into windows, with targets one further", function()
    local data = gpt.dataset(count_up(11), { context_length = 4, stride = 3, batch_size = 2, shuffle = false })
    assert.equal(3, data.windows)
    assert.equal(2, #data)
    local batches = {}
    for ids, targets in data:batches() do batches[#batches + 1] = { ids:totable(), targets:totable() } end
    assert.same({
      { { { 0, 1, 2, 3 }, { 3, 4, 5, 6 } }, { { 1, 2, 3, 4 }, { 4, 5, 6, 7 } } },
      { { { 6, 7, 8, 9 } }, { { 7, 8, 9, 10 } } },
    }, batches)
    assert.equal("Dataset { 11 tokens, 3 windows of 4, stride 3, 2 batches of 2 }", tostring(data))
  end)

  it("takes windows that do not overlap, where no stride is given", function()
    assert.same({ 0, 4, 8 }, firsts(gpt.dataset(count_up(13), { context_length = 4, shuffle = false })))
    assert.same({ 0, 4 }, firsts(gpt.dataset(count_up(12), { context_length = 4, shuffle = false })))
  end)

  it("takes an i64 tensor", function()
    local data = gpt.dataset(gpt.tensor(count_up(9)), { context_length = 4, shuffle = false })
    assert.same({ 0, 4 }, firsts(data))
  end)

  it("leaves out a last batch that is not full, where that is asked for", function()
    local data = gpt.dataset(count_up(21), { context_length = 4, batch_size = 2, drop_last = true })
    assert.equal(2, #data)
    assert.equal(4, #firsts(data))
    assert.equal(1, #gpt.dataset(count_up(9), { context_length = 4, batch_size = 2, drop_last = true }))
  end)

  it("shuffles every epoch anew, by seed alone, each window once", function()
    local options = { context_length = 1, batch_size = 7, seed = 5 }
    local data, again = gpt.dataset(count_up(101), options), gpt.dataset(count_up(101), options)
    local first, second = firsts(data), firsts(data)
    assert.same(count_up(100), sorted(first))
    assert.same(count_up(100), sorted(second))
    assert.not_same(first, second)
    assert.not_same(count_up(100), first)
    assert.same(first, firsts(again))
    assert.same(second, firsts(again, { epoch = 2 }))
    assert.not_same(first, firsts(gpt.dataset(count_up(101), { context_length = 1, batch_size = 7, seed = 6 })))
    assert.not_same(second, firsts(gpt.dataset(count_up(101), { context_length = 1, batch_size = 7, seed = 2 }), { epoch = 5 }))
  end)

  it("keeps the order of a seed for good: runs that were stopped go on with it", function()
    local data = gpt.dataset(count_up(21), { context_length = 1, seed = 5 })
    assert.same({ 3, 7, 1, 4, 16, 13, 14, 15, 10, 17, 9, 5, 2, 0, 12, 8, 6, 18, 19, 11 },
      firsts(data, { epoch = 1 }))
    assert.same({ 12, 5, 16, 18, 7, 14, 10, 1, 6, 17, 19, 13, 15, 8, 0, 4, 11, 3, 2, 9 },
      firsts(data, { epoch = 2 }))
  end)

  it("touches no other random numbers", function()
    local before = gpt.random_state()
    firsts(gpt.dataset(count_up(50), { context_length = 2 }))
    assert.equal(before, gpt.random_state())
  end)

  it("begins at any batch of any epoch", function()
    local data = gpt.dataset(count_up(41), { context_length = 2, batch_size = 4 })
    local all = firsts(data, { epoch = 3 })
    assert.same({ table.unpack(all, 9) }, firsts(data, { epoch = 3, first = 3 }))
    assert.equal(all[5], data:batch(3, 2)[1][1]:item())
  end)

  it("splits into training and validation, which share no token", function()
    local data = gpt.dataset(count_up(100), { context_length = 4, shuffle = false, batch_size = 100 })
    local training, validation = data:split(0.8)
    assert.equal(80, training.tokens)
    assert.equal(20, validation.tokens)
    local _, targets = training:batch(1, 1)
    assert.equal(76, targets[-1][-1]:item())
    assert.same({ 80, 84, 88, 92 }, firsts(validation))
    _, targets = validation:batch(1, 1)
    assert.equal(96, targets[-1][-1]:item())
  end)

  it("encodes text by a tokenizer", function()
    local data = gpt.dataset("abcde", { context_length = 2, tokenizer = script.tokenizer {}, shuffle = false })
    assert.same({ 97, 99 }, firsts(data))
  end)

  it("says what is wrong", function()
    local ids = count_up(10)
    assert.equal("gpt.dataset: 10 tokens are shorter than one window: context_length 10 takes 11, the last one as a "
      .. "target", raised(gpt.dataset, ids, { context_length = 10 }))
    assert.equal("gpt.dataset: stride: a whole number of at least 1 expected, got 0",
      raised(gpt.dataset, ids, { context_length = 4, stride = 0 }))
    assert.equal("gpt.dataset: strid: unknown key; did you mean 'stride'?",
      raised(gpt.dataset, ids, { context_length = 4, strid = 2 }))
    assert.equal("gpt.dataset: context_length: missing; a whole number of at least 1 expected",
      raised(gpt.dataset, ids, {}))
    assert.equal("gpt.dataset: a table of options expected, got nil", raised(gpt.dataset, ids))
    assert.equal("gpt.dataset: a text, token ids, or a file's name expected, got 7",
      raised(gpt.dataset, 7, { context_length = 4 }))
    assert.equal("token id -1 at position 2 does not fit into u32 (0 to 4294967295)",
      raised(gpt.dataset, { 0, -1 }, { context_length = 1 }))
    assert.equal("gpt.dataset: a text needs the option tokenizer (gpt.tokenizer(dir) or gpt.train_tokenizer(text) "
      .. 'makes one), or was "no such.txt" meant as a file? There is none of that name',
      raised(gpt.dataset, "no such.txt", { context_length = 4 }))
    assert.equal("gpt.dataset: 2 windows are less than one batch of 8, and drop_last leaves that out",
      raised(gpt.dataset, ids, { context_length = 4, drop_last = true }))
    local data = gpt.dataset(ids, { context_length = 4 })
    assert.equal("split: validation: 1 tokens are shorter than one window: context_length 4 takes 5, the last one as a "
      .. "target", raised(data.split, data, 0.9))
    assert.equal("split: a share above 0 and below 1 expected, got 1", raised(data.split, data, 1))
    assert.equal("batch: a number from 1 to 1 expected, got 2", raised(data.batch, data, 1, 2))
  end)
end)

describe("a token file", function()
  local dir
  setup(function() dir = files.directory() end)
  teardown(function() files.remove(dir) end)

  it("holds little-endian numbers, 2 or 4 bytes each", function()
    assert.equal(3, gpt.write_tokens(dir .. "/a.bin", { 1, 258, 65535 }))
    assert.equal("\1\0\2\1\255\255", files.read(dir .. "/a.bin"))
    assert.equal(2, gpt.write_tokens(dir .. "/a.u32", gpt.tensor { 1, 70000 }))
    assert.equal("\1\0\0\0\112\17\1\0", files.read(dir .. "/a.u32"))
    assert.equal(1, gpt.write_tokens(dir .. "/a", { 7 }, { dtype = "u32" }))
    assert.equal("gpt.write_tokens: a table of options expected, got 1",
      raised(gpt.write_tokens, dir .. "/a.bin", { 7 }, 1))
    assert.equal("\7\0\0\0", files.read(dir .. "/a"))
  end)

  it("gives the dataset that its ids give, and is mapped", function()
    local ids, options = count_up(70001), { context_length = 50, stride = 7, batch_size = 3 }
    for _, name in ipairs { "/b.u32", "/b.tokens" } do
      options.dtype = name == "/b.tokens" and "u32" or nil
      gpt.write_tokens(dir .. name, ids, { dtype = "u32" })
      local before = gpt.memory()
      local data = gpt.dataset(dir .. name, options)
      assert.equal(before.mapped + 4 * 70001, gpt.memory().mapped)
      assert.is_true(gpt.memory().live < before.live + 10000)
      options.dtype = nil
      assert.same(firsts(gpt.dataset(ids, options), { epoch = 2 }), firsts(data, { epoch = 2 }))
    end
  end)

  it("is written from text, piece by piece, with the ids of the whole", function()
    local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
    local text = ("It was 1984, wasn't it?\n\n  The  end \n"):rep(40000)
    assert.is_true(#text > 2 ^ 20)
    files.write(dir .. "/text.txt", text)
    local whole = tokenizer:encode(text)
    for _, source in ipairs { text, dir .. "/text.txt" } do
      assert.equal(#whole, gpt.write_tokens(dir .. "/c.bin", source, { tokenizer = tokenizer }))
      assert.is_true(files.read(dir .. "/c.bin") == core._pack_ids(whole, 2))
    end
  end)

  it("has the ids of marks in a text, unless told otherwise", function()
    local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
    local text, options = "one<|endoftext|>two", { tokenizer = tokenizer, context_length = 2, shuffle = false }
    local marked = tokenizer:encode(text, { special = true })
    assert.equal(#marked, gpt.dataset(text, options).tokens)
    assert.equal(#marked, gpt.write_tokens(dir .. "/m.bin", text, { tokenizer = tokenizer }))
    assert.equal(core._pack_ids(marked, 2), files.read(dir .. "/m.bin"))
    options.special = false
    assert.equal(#tokenizer:encode(text), gpt.dataset(text, options).tokens)
    assert.equal(#tokenizer:encode(text),
      gpt.write_tokens(dir .. "/m.bin", text, { tokenizer = tokenizer, special = false }))
  end)

  it("keeps a mark whole that lies across a slice's border", function()
    files.copy("spec/fixtures/tokenizer", dir .. "/tokenizer")
    files.write(dir .. "/tokenizer/added_tokens.json", '{"the end of it": 400, "miller  ": 401}')
    local tokenizer = gpt.tokenizer(dir .. "/tokenizer")
    for _, before in ipairs { 3, 9, 12 } do
      local text = ("a b "):rep(2 ^ 18):sub(1, -before) .. "the end of it miller  x" .. ("\n"):rep(20)
      local whole = tokenizer:encode(text, { special = true })
      files.write(dir .. "/long.txt", text)
      local at = 0
      local function pieces()
        at = at + 65537
        return text:sub(at - 65536, at) ~= "" and text:sub(at - 65536, at) or nil
      end
      for _, source in ipairs { { text = text }, dir .. "/long.txt", pieces } do
        gpt.write_tokens(dir .. "/c.bin", source, { tokenizer = tokenizer })
        assert.is_true(files.read(dir .. "/c.bin") == core._pack_ids(whole, 2))
      end
    end
  end)

  it("is written from a text without a place to cut it", function()
    local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
    local text = ("\n"):rep(2 ^ 21)
    local whole = tokenizer:encode(text)
    assert.equal(#whole, gpt.write_tokens(dir .. "/w.bin", text, { tokenizer = tokenizer }))
  end)

  it("is written from a function of pieces", function()
    local pieces = { { 1, 2 }, { 3 } }
    assert.equal(3, gpt.write_tokens(dir .. "/d.bin", function() return table.remove(pieces, 1) end))
    assert.equal("\1\0\2\0\3\0", files.read(dir .. "/d.bin"))
    local texts = { "ab", "c" }
    local options = { tokenizer = script.tokenizer {} }
    gpt.write_tokens(dir .. "/d.bin", function() return table.remove(texts, 1) end, options)
    assert.equal("a\0b\0c\0", files.read(dir .. "/d.bin"))
  end)

  it("stays whole when its successor cannot be written", function()
    gpt.write_tokens(dir .. "/e.bin", { 1 })
    assert.equal("token id 65536 at position 2 does not fit into u16 (0 to 65535)",
      raised(gpt.write_tokens, dir .. "/e.bin", { 1, 65536 }))
    assert.equal("\1\0", files.read(dir .. "/e.bin"))
  end)

  it("may have the header that llm.c's files have, which says how long an id is", function()
    local function write(mark, version, count, ids)
      files.write(dir .. "/h.bin", string.pack("<i4i4i4", mark, version, count) .. ("\0"):rep(1012) .. ids)
      return gpt.dataset(dir .. "/h.bin", { context_length = 2, shuffle = false })
    end
    local data = write(20240520, 1, 5, string.pack("<I2I2I2I2I2", 7, 50256, 9, 10, 11))
    assert.equal(5, data.tokens)
    assert.same({ 7, 9 }, firsts(data))
    local _, targets = data:batch(1, 1)
    assert.same({ { 50256, 9 }, { 10, 11 } }, targets:totable())
    assert.same({ 7, 9 }, firsts(write(20240801, 7, 5, string.pack("<I4I4I4I4I4", 7, 128000, 9, 10, 11))))
    assert.equal(dir .. "/h.bin: its header says 6 tokens of 2 bytes each, and 4 bytes follow",
      raised(write, 20240520, 1, 6, "abcd"))
    assert.equal(512 + 2, write(20240520, 2, 2, "abcd").tokens) -- no such version: plain ids
    assert.equal("gpt.dataset: 0 tokens are shorter than one window: context_length 2 takes 3, the last one as a target",
      raised(write, 20240520, 1, 0, ""))
  end)

  it("says what is wrong", function()
    assert.equal(dir .. "/none: No such file or directory",
      raised(gpt.dataset, dir .. "/none", { context_length = 4, dtype = "u16" }))
    files.write(dir .. "/odd.bin", "abc")
    assert.equal(dir .. "/odd.bin: 3 bytes are no whole number of u16 tokens of 2 bytes each",
      raised(gpt.dataset, dir .. "/odd.bin", { context_length = 1 }))
    files.write(dir .. "/empty.bin", "")
    assert.equal("gpt.dataset: 0 tokens are shorter than one window: context_length 4 takes 5, the last one as a "
      .. "target", raised(gpt.dataset, dir .. "/empty.bin", { context_length = 4 }))
    assert.equal('gpt.write_tokens: x: a name that ends in .bin, .u16 or .u32, or the option dtype ("u16" or "u32") '
      .. "expected", raised(gpt.write_tokens, "x", { 1 }))
    assert.equal('gpt.dataset: dtype: "u16" or "u32" expected, got "u8"',
      raised(gpt.dataset, { 1, 2 }, { context_length = 1, dtype = "u8" }))
  end)

  it("leaves nothing behind", function()
    collectgarbage()
    collectgarbage()
    local before = gpt.memory()
    do
      local data = gpt.dataset(dir .. "/b.u32", { context_length = 50 })
      firsts(data)
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before.live, gpt.memory().live)
    assert.equal(before.mapped, gpt.memory().mapped)
  end)
end)

describe("a string that looks like a file's name and is none", function()
  local tokenizer, dir = script.tokenizer {}, nil
  setup(function() dir = files.directory() end)
  teardown(function() files.remove(dir) end)

  local function refusal(what, name)
    local shown = ('"%s"'):format(name)
    return ("%s: no file is called %s; a text that reads like a name is given as { text = %s }"):format(what, shown, shown)
  end

  it("is an error that says how to give a text", function()
    for _, name in ipairs { "bok.txt", "data/book", "./book", "/tmp/my book", "~/book", "../bok", "train.bin", "C.lua",
      "https://example.org", "a.b.jsonl", "books/" } do
      assert.equal(refusal("gpt.dataset", name),
        raised(gpt.dataset, name, { context_length = 1, tokenizer = tokenizer }))
      assert.equal(refusal("gpt.write_tokens", name),
        raised(gpt.write_tokens, dir .. "/x.bin", name, { tokenizer = tokenizer }))
      assert.equal(refusal("gpt.train_tokenizer", name), raised(gpt.train_tokenizer, name, { vocab_size = 300 }))
    end
    assert.same({}, files.list(dir))
  end)

  it("is a text otherwise", function()
    for _, text in ipairs { "Hello.", "3.14", "a b.txt", "one\ntwo.txt", "Who?", "and so on ...", "x.superlongword",
      "1/2 cup" } do
      assert.equal(#text, gpt.dataset(text, { context_length = 1, tokenizer = tokenizer }).tokens)
    end
    for _, text in ipairs { "bok.txt", "/x", "" } do
      assert.equal(#text, gpt.write_tokens(dir .. "/x.bin", { text = text }, { tokenizer = tokenizer }))
    end
    assert.equal(257, gpt.train_tokenizer({ text = "book.txt" }, { vocab_size = 257 }).vocab_size)
  end)

  it("says what is wrong", function()
    files.write(dir .. "/train.bin", "ab")
    local shown = validate.show(dir .. "/train.bin")
    assert.equal("gpt.train_tokenizer: " .. shown .. " is a file of token ids, by its name, and a text is expected",
      raised(gpt.train_tokenizer, dir .. "/train.bin", { vocab_size = 300 }))
    assert.equal("gpt.write_tokens: " .. shown .. " is a file of token ids, by its name, and a text is expected",
      raised(gpt.write_tokens, dir .. "/y.bin", dir .. "/train.bin", { tokenizer = tokenizer }))
    assert.equal("gpt.dataset: text: a string expected, got 5", raised(gpt.dataset, { text = 5 }, { context_length = 1 }))
    assert.equal("gpt.dataset: txt: unknown key; did you mean 'text'?",
      raised(gpt.dataset, { text = "a", txt = "b" }, { context_length = 1 }))
    assert.equal("gpt.dataset: dtype is for token files, and this is a text of 1 bytes",
      raised(gpt.dataset, { text = "a" }, { context_length = 1, dtype = "u16" }))
    assert.equal("gpt.train_tokenizer: a text or a text file's name expected, got a table",
      raised(gpt.train_tokenizer, { 1, 2 }, { vocab_size = 300 }))
    local pieces = { {}, "a" }
    assert.equal("gpt.write_tokens: piece 2: a string expected, got a table", raised(gpt.write_tokens, dir .. "/x.bin",
      function() return table.remove(pieces) end, { tokenizer = tokenizer }))
  end)
end)

describe("gpt.evaluate", function()
  local function model_of(drop_rate)
    gpt.seed(1)
    return gpt.nn.Sequential { gpt.nn.Embedding(20, 8), gpt.nn.Dropout(drop_rate),
      gpt.nn.Linear(8, 20) }
  end

  it("is the mean over all targets, without dropping or recording", function()
    local model = model_of(0.5)
    local data = gpt.dataset(count_up(20), { context_length = 3, batch_size = 4, stride = 2 })
    local before, sum, count = gpt.random_state(), 0, 0
    local loss, tokens = gpt.evaluate(model, data)
    assert.equal(before, gpt.random_state())
    assert.is_true(model.training)
    model:eval()
    for ids, targets in data:batches { epoch = 1 } do
      local n = targets:numel()
      sum, count = sum + gpt.cross_entropy(model(ids), targets):item() * n, count + n
    end
    assert.equal(sum / count, loss)
    assert.equal(count, tokens)
    for _, parameter in model:parameters() do assert.is_nil(parameter.grad) end
  end)

  it("takes at most so many batches", function()
    local data = gpt.dataset(count_up(20), { context_length = 3, batch_size = 2 })
    local _, tokens = gpt.evaluate(model_of(0), data, { batches = 2 })
    assert.equal(12, tokens)
  end)

  it("takes arrays, and leaves out targets of -1 and -100", function()
    local model = model_of(0)
    local function data(...)
      local list = { ... }
      return { batches = function() return function() return table.unpack(table.remove(list, 1) or {}) end end }
    end
    local loss, count = gpt.evaluate(model, data({ { 1, 2, 3 }, { 2, -1, -100 } }, { { { 4 } }, { { 5 } } }))
    assert.equal(2, count)
    local expected = gpt.no_grad(function()
      return gpt.cross_entropy(model(gpt.tensor { 1, 4 }), gpt.tensor { 2, 5 }):item()
    end)
    assert.near(expected, loss, 1e-6)
    assert.equal("gpt.evaluate: no target counts: all are masked (-1 or -100), or there is no batch",
      raised(gpt.evaluate, model, data({ { 1 }, { -100 } })))
  end)

  it("says what is wrong", function()
    for value, shown in pairs { [7] = "7", x = '"x"', [print] = "a function", [false] = "false" } do
      assert.equal("gpt.evaluate: a table of options expected, got " .. shown,
        raised(gpt.evaluate, model_of(0), { 1, 2 }, value))
    end
    assert.equal("gpt.evaluate: a dataset (gpt.dataset makes one) expected, got a table",
      raised(gpt.evaluate, model_of(0), { 1, 2 }))
  end)
end)
