local gpt = require "gpt"
local files = require "spec.support.files"
local measure = require "spec.support.measure"
local raised = require "spec.support.raised"

-- Bytes are the ids; 256 is the end of text, 257 and 258 are the marks of turns.
local tokenizer = { eos = 256 }
function tokenizer.encode(_, text) return { text:byte(1, -1) } end
function tokenizer.apply_chat_template(_, messages, options)
  local ids = {}
  for _, message in ipairs(messages) do
    ids[#ids + 1] = message.role == "assistant" and 258 or 257
    table.move({ message.content:byte(1, -1) }, 1, #message.content, #ids + 1, ids)
    ids[#ids + 1] = 256
  end
  if options.add_generation_prompt then ids[#ids + 1] = 258 end
  return "", ids
end

local function options(more)
  local all = { tokenizer = tokenizer, shuffle = false }
  for key, value in pairs(more or {}) do all[key] = value end
  return all
end

local PAIRS = {
  { prompt = "ab", response = "cd" }, { prompt = "x", response = "yz!" }, { prompt = "abcd", response = "e" },
}

describe("gpt.examples", function()
  it("masks prompts and padding, and ends responses", function()
    local data = gpt.examples(PAIRS, options { batch_size = 2 })
    local ids, targets, lengths = data:batch(1, 1)
    assert.same({ { 97, 98, 99, 100 }, { 120, 121, 122, 33 } }, ids:totable())
    assert.same({ { -1, 99, 100, 256 }, { 121, 122, 33, 256 } }, targets:totable())
    assert.same({ 4, 4 }, lengths)
    ids, targets = data:batch(1, 2)
    assert.same({ { 97, 98, 99, 100, 101 } }, ids:totable())
    assert.same({ { -1, -1, -1, 101, 256 } }, targets:totable())
    data = gpt.examples(PAIRS, options())
    ids, targets, lengths = data:batch(1, 1)
    assert.same({ 97, 98, 99, 100, 0 }, ids[1]:totable())
    assert.same({ -1, 99, 100, 256, -1 }, targets[1]:totable())
    assert.same({ 4, 4, 5 }, lengths)
    assert.same({ 3, 1, 13 }, { data.count, #data, data.tokens })
    assert.equal("Examples { 3 examples, 13 tokens, 1 batch of 8 }", tostring(data))
  end)

  it("learns what the assistant says in a conversation", function()
    local data = gpt.examples({ { messages = {
      { role = "user", content = "a" }, { role = "assistant", content = "b" }, { role = "user", content = "c" },
      { role = "assistant", content = "d" },
    } } }, options())
    local ids, targets = data:batch(1, 1)
    assert.same({ { 257, 97, 256, 258, 98, 256, 257, 99, 256, 258, 100 } }, ids:totable())
    assert.same({ { -1, -1, -1, 98, 256, -1, -1, -1, -1, 100, 256 } }, targets:totable())
  end)

  it("refuses a conversation of too many messages or tokens, since each answer is rendered with all before it", function()
    local dir = files.directory()
    local path = dir .. "/a.jsonl"
    local pair = '{"role":"user","content":"%s"},{"role":"assistant","content":"%s"}'
    pair = pair:format("a", "b")
    local function refusal(n, other)
      files.write(path, ('\n{"messages":[%s]}\n'):format(pair .. ("," .. pair):rep(n - 1)))
      return raised(gpt.examples, path, options { tokenizer = other or tokenizer })
    end
    assert.equal(("gpt.examples: %s: line 2: messages: 100000, of which 50000 are of the assistant, are too many for one "
      .. "example: each of these is rendered with all before it, 5000050000 in all, over 250000; split the conversation")
      :format(path), refusal(50000))
    local ten_million = setmetatable({}, { __len = function() return 10000000 end })
    local other = { encode = tokenizer.encode, apply_chat_template = function() return "", ten_million end }
    assert.equal(("gpt.examples: %s: line 2: messages: over 33554432 tokens up to message 4, since each message of the "
      .. "assistant is rendered with all before it; split the conversation"):format(path), refusal(2, other))
    files.remove(dir)
  end)

  it("refuses a conversation that the template writes otherwise as it goes on", function()
    local real = gpt.train_tokenizer("a", { vocab_size = 257 })
    real.chat_template = "{% for m in messages %}{{ m.role[0] }}{{ '<think>' if loop.last and m.role == 'assistant' }}"
      .. "{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a{% endif %}"
    local turns = { { role = "user", content = "x" }, { role = "assistant", content = "y" } }
    assert.equal(1, gpt.examples({ { messages = turns } }, options { tokenizer = real }).count)
    turns[3], turns[4] = turns[1], turns[2]
    assert.equal("gpt.examples: example 1: the chat template writes earlier messages otherwise where message 4 follows, so "
      .. "that the assistant's cannot be learned together; make an example for each of its messages, with those before it",
      raised(gpt.examples, { { messages = turns } }, options { tokenizer = real }))
  end)

  it("of labels are nothing that gpt.train learns by itself", function()
    local data = gpt.examples({ { text = "ab", label = "x" }, { text = "cd", label = "y" } }, options())
    local model = gpt.Model {
      vocab_size = 300, context_length = 8, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0, qkv_bias = false,
    }
    assert.equal("gpt.train: data: data with a target for each token (examples with labels take a loop of your own) expected, "
      .. "got a table", raised(gpt.train, { model = model, data = data, steps = 1 }))
    assert.equal("gpt.evaluate: data with a target for each token expected: examples with labels take a loop of your own",
      raised(gpt.evaluate, model, data))
  end)

  it("numbers labels from 0, in their order", function()
    local data = gpt.examples({ { text = "a", label = "spam" }, { text = "bcd", label = "ham" }, { text = "e", label = "spam" } },
      options())
    local ids, labels, lengths = data:batch(1, 1)
    assert.same({ "ham", "spam" }, data.classes)
    assert.same({ { 97, 0, 0 }, { 98, 99, 100 }, { 101, 0, 0 } }, ids:totable())
    assert.same({ 1, 0, 1 }, labels:totable())
    assert.same({ 1, 3, 1 }, lengths)
    assert.same({ 2, 10 }, gpt.examples({ { text = "a", label = 10 }, { text = "b", label = 2 } }, options()).classes)
    local mixed = {}
    for i, label in ipairs { "true", 10, "5", 9, true, "10", false } do mixed[i] = { text = "a", label = label } end
    assert.same({ 9, 10, "10", "5", false, true, "true" }, gpt.examples(mixed, options()).classes)
  end)

  it("shuffles by seed and epoch, and splits", function()
    local list = {}
    for i = 1, 40 do list[i] = { prompt = "p", response = string.char(64 + i) } end
    local data = gpt.examples(list, options { shuffle = true, batch_size = 4, seed = 3 })
    local function order(from, epoch)
      local seen = {}
      for ids in from:batches { epoch = epoch } do
        for i = 1, ids:size(1) do seen[#seen + 1] = ids[i][2]:item() end
      end
      return seen
    end
    local first = order(data, 1)
    assert.same(first, order(gpt.examples(list, options { shuffle = true, batch_size = 4, seed = 3 }), 1))
    assert.not_same(first, order(data, 2))
    table.sort(first)
    local second = order(data, 2)
    table.sort(second)
    assert.same(first, second)
    local training, validation = data:split(0.75)
    assert.same({ 30, 10 }, { training.count, validation.count })
    local both = order(training, 1)
    table.move(order(validation, 1), 1, 10, 31, both)
    table.sort(both)
    assert.same(first, both)
  end)

  it("cuts what is too long, and packs", function()
    local data = gpt.examples(PAIRS, options { context_length = 4 })
    assert.same({ { 97, 98, 99, 100 }, { 120, 121, 122, 33 }, { 97, 98, 99, 100 } }, (data:batch(1, 1)):totable())
    data = gpt.examples(PAIRS, options { context_length = 9, pack = true })
    local ids, targets = data:batch(1, 1)
    assert.same({ { 97, 98, 99, 100, 120, 121, 122, 33 }, { 97, 98, 99, 100, 101, 0, 0, 0 } }, ids:totable())
    assert.same({ -1, 99, 100, 256, 121, 122, 33, 256 }, targets[1]:totable())
  end)

  it("reads JSON lines and comma-separated values", function()
    local dir = files.directory()
    files.write(dir .. "/a.jsonl", '{"prompt":"ab","response":"cd"}\n\n{"prompt":"x","response":"yz!"}\r\n')
    files.write(dir .. "/a.csv", 'prompt,response\r\nab,"c""\n,d"\r\nx,yz!')
    assert.same({ 2, { { -1, 99, 100, 256 }, { 121, 122, 33, 256 } } },
      { gpt.examples(dir .. "/a.jsonl", options()).count, (select(2, gpt.examples(dir .. "/a.jsonl", options()):batch(1, 1))):totable() })
    local ids = gpt.examples(dir .. "/a.csv", options()):batch(1, 1)
    assert.same({ 97, 98, 99, 34, 10, 44, 100 }, ids[1]:totable())
    local data = gpt.examples(dir .. "/a.csv", options { format = function(example)
      return { prompt = "Q " .. example.prompt, response = example.response }
    end })
    assert.same({ 81, 32, 120, 121, 122, 33 }, { table.unpack((data:batch(1, 1))[2]:totable(), 1, 6) })
    for text, message in pairs {
      ['{"prompt":"a","response":"b"}\n{"prompt":3,"response":"b"}\n'] = "line 2: prompt: a string expected, got 3",
      ["[1]\n"] = "line 1: an object expected",
      ['{"text":"a","label":"x"}\n{"prompt":"a","response":"b"}\n'] =
        "line 2: this one has response, and those before have label: one form for all",
      ['{"question":"a"}\n'] = "line 1: { prompt, response }, { messages } or { text, label } expected",
      ['{"messages":[{"role":"user","content":"a"}]}\n'] =
        "line 1: messages: none is of the assistant: there is nothing to learn",
      ['{"messages":[{"role":"user","content":"a"},1]}\n'] = "line 1: messages: message 2: a table expected, got 1",
    } do
      files.write(dir .. "/b.jsonl", text)
      assert.equal(("gpt.examples: %s/b.jsonl: %s"):format(dir, message), raised(gpt.examples, dir .. "/b.jsonl", options()))
    end
    local real = gpt.train_tokenizer("a", { vocab_size = 257 })
    real.chat_template = "{{ raise_exception('no') }}"
    for message, said in pairs { ['{"role":"user"}'] = "message 1 (user) has no content; it has role",
      ['{"role":"user","content":"a"}'] = "the chat template: line 1: no" } do
      files.write(dir .. "/b.jsonl", ('\n{"messages":[%s,{"role":"assistant","content":"a"}]}\n'):format(message))
      assert.equal(("gpt.examples: %s/b.jsonl: line 2: apply_chat_template: %s"):format(dir, said),
        raised(gpt.examples, dir .. "/b.jsonl", options { tokenizer = real }))
    end
    files.write(dir .. "/b.jsonl", '{"prompt":"a"\n')
    assert.matches("b.jsonl: line 1: ", raised(gpt.examples, dir .. "/b.jsonl", options()), 1, true)
    for text, message in pairs {
      ['prompt,response\na,b\na,b,c\n'] = "line 3: 3 fields, and the first line names 2",
      ["prompt,response\n"] = "there is no example",
      ['prompt,response\na,"b\n'] = "line 2: a quoted field that does not end",
      ['prompt,response\n"a"b,c\n'] = "line 2: something behind a closing quote",
    } do
      files.write(dir .. "/b.csv", text)
      assert.equal(("gpt.examples: %s/b.csv: %s"):format(dir, message), raised(gpt.examples, dir .. "/b.csv", options()))
    end
    files.remove(dir)
  end)

  it("reads a file of many short lines in memory in proportion to it", function()
    local dir = files.directory()
    local path = dir .. "/a.jsonl"
    files.write(path, ("\n"):rep(16000) .. '{"prompt":"a","response":"b"}')
    local bytes, data = measure.allocated(gpt.examples, path, options())
    assert.is_true(bytes < 4000000, bytes) -- 128 million where each line copies what follows it
    assert.equal(1, data.count)
    files.write(path, ("\n"):rep(1048574) .. '{"prompt":"a",\n') -- over two slices
    assert.matches("a.jsonl: line 1048575: ", raised(gpt.examples, path, options()), 1, true)
    files.write(path, "\n" .. (" "):rep(10000000) .. "{}\n")
    assert.equal(("gpt.examples: %s: line 2: 10000002 bytes are too long for one example"):format(path),
      raised(gpt.examples, path, options()))
    files.remove(dir)
  end)

  it("says what is wrong", function()
    local function says(message, source, given) assert.equal("gpt.examples: " .. message, raised(gpt.examples, source, given)) end
    says("a table of options expected, got nil", PAIRS)
    says("tokenizer: missing; a tokenizer (gpt.tokenizer(dir) makes one) expected", PAIRS, {})
    says("pack: needs the option context_length, which rows are filled up to", PAIRS, options { pack = true })
    says("a list of examples, or the name of a .jsonl or .csv file, expected, got 3", 3, options())
    says('"a.txt": a file whose name ends in .jsonl or .csv expected', "a.txt", options())
    says("there is no example", {}, options())
    says("example 2: a table expected, got 3", { PAIRS[1], 3 }, options())
    says("example 3: 5 tokens are more than context_length, 3, and of what is to be learned nothing is left", PAIRS,
      options { context_length = 3 })
    says("example 1: format: the function must return an example, got nil", PAIRS, options { format = function() end })
    says("example 1: label: a string or a whole number expected, got 1.5", { { text = "a", label = 1.5 } }, options())
    says("pack: examples with labels are not packed", { { text = "a", label = 1 } }, options { pack = true, context_length = 9 })
    local data = gpt.examples(PAIRS, options())
    assert.equal("batch: a number from 1 to 1 expected, got 2", raised(data.batch, data, 1, 2))
    assert.equal("split: training: no example of 3 is left for it", raised(data.split, data, 0.1))
  end)

  it("suggests what a key was to be, and counts one as one", function()
    local function refused(example) return raised(gpt.examples, { example }, { tokenizer = tokenizer }) end
    assert.equal("gpt.examples: example 1: prompt: a string expected, got nil; did you mean 'prompt' by 'promt'?",
      refused { promt = "a", response = "b" })
    assert.equal("gpt.examples: example 1: { prompt, response }, { messages } or { text, label } expected; did you mean "
      .. "'response' by 'respnse'?", refused { prompt = "a", respnse = "b" })
    assert.equal("gpt.examples: example 1: { prompt, response }, { messages } or { text, label } expected",
      refused { prompt = "a", ["response" .. ("e"):rep(2000)] = "b" })
    local data = gpt.examples({ { text = "a", label = "x" } }, { tokenizer = tokenizer })
    assert.matches("^Examples { 1 example, 1 token, 1 class, 1 batch of 8 }$", tostring(data))
  end)

  it("trains a model, resumably, and evaluates it", function()
    local function model()
      gpt.seed(2)
      return gpt.Model { vocab_size = 257, context_length = 16, emb_dim = 16, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = false }
    end
    local data = gpt.examples(PAIRS, options { shuffle = true, batch_size = 2 })
    local one, two, dir = model(), model(), files.directory()
    local whole = gpt.train { model = one, data = data, steps = 12, lr = 1e-2, progress = false }
    gpt.train { model = two, data = data, steps = 6, lr = 1e-2, progress = false, checkpoints = dir, resume = true }
    two = model()
    local rest = gpt.train { model = two, data = data, steps = 12, lr = 1e-2, progress = false, checkpoints = dir, resume = true }
    files.remove(dir)
    assert.same(whole.losses, rest.losses)
    assert.is_true(whole.losses[12] < whole.losses[1])
    local loss, count = gpt.evaluate(one, data)
    assert.equal(3 + 4 + 2, count)
    assert.is_true(loss < whole.losses[1])
  end)
end)

describe("model:loss", function()
  it("takes lists of different lengths, padded without targets", function()
    gpt.seed(1)
    local model = gpt.Model { vocab_size = 50, context_length = 16, emb_dim = 8, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = false }
    local together = model:loss({ { 1, 2, 3 }, { 4, 5 } }, { { 2, 3, 4 }, { 5, 6 } }):item()
    local apart = (model:loss({ 1, 2, 3 }, { 2, 3, 4 }):item() * 3 + model:loss({ 4, 5 }, { 5, 6 }):item() * 2) / 5
    assert.is_true(math.abs(together - apart) < 1e-5)
    assert.equal("loss: row 2 has 2 ids and 1 targets", raised(model.loss, model, { { 1, 2 }, { 4, 5 } }, { { 2, 3 }, { 5 } }))
  end)
end)
