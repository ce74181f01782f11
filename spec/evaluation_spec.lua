local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local message_of = require "spec.support.raised"
local process = require "spec.support.process"

local FIXTURES = "spec/fixtures/"
local FOLDER = FIXTURES .. "evaluation/"
local TEXT, QUESTIONS = FOLDER .. "text.txt", FOLDER .. "questions.jsonl"

local expected = json.decode(files.read(FOLDER .. "evaluation.json"))

local function near(wanted, got, what)
  assert.is_true(math.abs(wanted - got) <= 1e-4 * math.max(1, math.abs(wanted)), ("%s: %.7f expected, got %.7f"):format(what, wanted, got))
end

local function raised(message, fn, ...) assert.equal(message, message_of(fn, ...)) end

local function small(seed, more)
  gpt.seed(seed or 1)
  local config = { vocab_size = 40, context_length = 12, emb_dim = 16, n_heads = 2, n_layers = 2, drop_rate = 0.5, qkv_bias = false }
  return gpt.Model(config, more)
end

local function some_ids(count)
  local ids = {}
  for i = 1, count do ids[i] = (7 * i + i * i) % 40 end
  return ids
end

-- Checks that a second call leaves no memory behind.
local function leaves_nothing(fn, ...)
  fn(...)
  collectgarbage()
  local live = gpt.memory().live
  fn(...)
  collectgarbage()
  assert.equal(live, gpt.memory().live)
end

-- Bytes are the ids.
local tokenizer = { eos = 0 }
function tokenizer.encode(_, text) return { text:byte(1, -1) } end
function tokenizer.decode(_, ids) return string.char(table.unpack(ids)) end

-- Logits of a model over bytes, by what a table says of pairs of bytes.
local function by_pairs(likely)
  return function(ids)
    local rows = {}
    for t, id in ipairs(ids[1]:totable()) do
      local row = {}
      for next_id = 0, 127 do row[next_id + 1] = likely[string.char(id, next_id)] or 0.0 end
      rows[t] = row
    end
    return gpt.tensor { rows }
  end
end

describe("gpt.perplexity", function()
  local model = gpt.load(FOLDER .. "model")

  it("is that of transformers, with windows of any length and stride, over models of several kinds", function()
    for _, case in ipairs(expected.perplexities) do
      local loaded = case.ids == json.null and model or gpt.load(FIXTURES .. case.dir)
      local result = gpt.perplexity(loaded, case.ids == json.null and TEXT or case.ids,
        { context_length = case.context_length, stride = case.stride })
      local what = ("%s, %d by %d"):format(case.dir, case.context_length, case.stride)
      assert.equal(case.tokens, result.tokens, what)
      near(-case.sum / case.tokens, result.loss, what)
      near(math.exp(-case.sum / case.tokens), result.perplexity, what)
      assert.equal(case.bytes, result.bytes, what)
      if case.bytes then near(-case.sum / math.log(2) / case.bytes, result.bits_per_byte, what) end
    end
  end)

  it("takes text, ids, tensors, token files and pieces alike, however many windows run together", function()
    local text = files.read(TEXT)
    local ids = model.tokenizer:encode(text)
    local file = os.tmpname() .. ".bin"
    gpt.write_tokens(file, ids)
    local at = 0
    local function piece()
      at = at + 100
      return ids[at - 99] and table.move(ids, at - 99, math.min(at, #ids), 1, {}) or nil
    end
    local wanted = gpt.perplexity(model, TEXT)
    for name, source in pairs { text = { text = text }, ids = ids, tensor = gpt.tensor(ids), file = file, pieces = piece } do
      local result = gpt.perplexity(model, source, { batch_size = name == "ids" and 7 or nil })
      near(wanted.loss, result.loss, name)
      assert.same({ wanted.tokens, wanted.bytes }, { result.tokens, result.bytes }, name)
    end
    os.remove(file)
    local plain = gpt.load(FOLDER .. "model", { tokenizer = false })
    local result = gpt.perplexity(plain, ids)
    near(wanted.loss, result.loss, "without a tokenizer")
    assert.is_nil(result.bytes)
    assert.is_nil(result.bits_per_byte)
    assert.matches("^Perplexity { [%d.]+: loss [%d.]+ a token; 1,?%d+ tokens, windows of 48, stride 24 }$", tostring(result))
  end)

  it("prints what it counted, and refuses other names", function()
    local result = gpt.perplexity(model, { text = "The cat sat on the mat." }, { stride = 4 })
    assert.matches("^Perplexity { [%d.]+: loss [%d.]+ a token, [%d.]+ bits a byte; %d+ tokens of 23 bytes, windows of 48, stride 4 }$", tostring(result))
    raised("a perplexity has no field 'perplexty'; did you mean 'perplexity'?", function() return result.perplexty end)
  end)

  it("begins with the tokenizer's BOS where there is one, unless bos = false", function()
    local with_bos = setmetatable({ encode = function(_, text, options)
      return options.bos and { 39, text:byte(1, -1) } or { text:byte(1, -1) }
    end }, { __index = tokenizer })
    local one = small()
    assert.equal(3, gpt.perplexity(one, { text = "\1\2\3" }, { tokenizer = with_bos }).tokens)
    assert.equal(2, gpt.perplexity(one, { text = "\1\2\3" }, { tokenizer = with_bos, bos = false }).tokens)
  end)

  it("is the same over functions, layers, models that cannot be cached, and in any mode", function()
    local one, ids = small(), some_ids(61)
    local wanted = gpt.perplexity(one, ids, { stride = 5 })
    local function logits(x) return one(x) end
    near(wanted.loss, gpt.perplexity(logits, ids, { stride = 5, context_length = 12 }).loss, "function")
    near(wanted.loss, gpt.perplexity(gpt.nn.Sequential { one }, ids, { stride = 5, context_length = 12 }).loss, "layer")
    local function with(block, head)
      return small(2, { token_embedding = one.token_embedding, position_embedding = one.position_embedding,
        final_norm = one.final_norm, head = head, block = block })
    end
    local Mixing = gpt.nn.layer("Mixing", { init = function(self, inner) self.inner = inner end,
      forward = function(self, x) return self.inner(x) + x:cumsum(2) * 0.1 end })
    local headed = with(function(_, i) return one.blocks[i] end, gpt.nn.Sequential { one.head })
    near(wanted.loss, gpt.perplexity(headed, ids, { stride = 5 }).loss, "a head of another kind")
    local mixed = with(function(_, i) return Mixing(one.blocks[i]) end, one.head)
    assert.matches("uncached", tostring(mixed:session()))
    local function mixed_logits(x) return mixed(x) end
    near(gpt.perplexity(mixed_logits, ids, { stride = 5, context_length = 12 }).loss,
      gpt.perplexity(mixed, ids, { stride = 5, batch_size = 3 }).loss, "layers that mix positions")
  end)

  it("tells how far it is", function()
    local seen = {}
    local result = gpt.perplexity(small(), some_ids(60), { batch_size = 1, stride = 12, on_step = function(r) seen[#seen + 1] = r.tokens end })
    assert.same({ 11, 22, 33, 44, 55 }, seen)
    assert.equal(55, result.tokens)
  end)

  it("is ended by Ctrl-C, however long the text is", function()
    local output = process.lua [[
      local gpt = require "gpt"
      local model = gpt.Model { vocab_size = 40, context_length = 12, emb_dim = 16, n_heads = 2, n_layers = 2, drop_rate = 0,
        qkv_bias = false }
      local ids = {}
      for i = 1, 1000 do ids[i] = i % 40 end
      os.execute "(sleep 0.05; kill -INT $PPID) &"
      print(gpt.interruptible(gpt.perplexity, model, function() return ids end))
    ]]
    assert.equal("false\tinterrupted!\n", output)
  end)

  it("runs in bounded memory, and leaves none behind", function()
    local one, ids = small(), some_ids(3000)
    leaves_nothing(gpt.perplexity, one, ids)
  end)

  it("refuses what it cannot count", function()
    local one = small()
    local function refuse(message, ...) raised(message, gpt.perplexity, ...) end
    refuse("gpt.perplexity: at least 2 tokens expected, got 1: a token is predicted from those before it", one, { 1 })
    refuse("gpt.perplexity: at least 2 tokens expected, got 0: a token is predicted from those before it", one, {})
    refuse("gpt.perplexity: a token id from 0 to 39 expected at position 3, got 40", one, { 1, 2, 40 })
    refuse("gpt.perplexity: a token id from 0 to 39 expected at position 2, got 2.5", one, { 1, 2.5 })
    refuse("gpt.perplexity: piece 1: a text or token ids expected, got 7", one, function() return 7 end)
    refuse("gpt.perplexity: ids: an i64 tensor of one dimension expected, got f32 of shape [2, 2]", one, gpt.ones(2, 2))
    refuse("id 41 at position 2 is out of the vocabulary: ids are 0 .. 39", one, gpt.tensor { 1, 41, 3 })
    refuse("gpt.perplexity: stride: at most the window's length, 12, expected, got 13: tokens between windows would not count",
      one, { 1, 2 }, { stride = 13 })
    refuse("gpt.perplexity: context_length: at most the model's, 12, expected, got 20", one, { 1, 2 }, { context_length = 20 })
    refuse("gpt.perplexity: context_length: a whole number of at least 2 expected, got 1", one, { 1, 2 }, { context_length = 1 })
    refuse("gpt.perplexity: strid: unknown key; did you mean 'stride'?", one, { 1, 2 }, { strid = 1 })
    refuse("gpt.perplexity: on_step: a function of the result so far expected, got 3", one, { 1, 2 }, { on_step = 3 })
    refuse("gpt.perplexity: a table of options expected, got 7", one, { 1, 2 }, 7)
    refuse("gpt.perplexity: a text needs a tokenizer, and this model has none; give token ids, or set model.tokenizer or "
      .. "the option tokenizer (gpt.tokenizer(dir) makes one)", one, { text = "abc" })
    refuse("gpt.perplexity: a function in place of a model needs the option context_length, the most tokens it takes",
      print, { 1, 2 })
    refuse("gpt.perplexity: the function has to return f32 logits of shape [1, 2, vocab_size] for 2 ids, got f32 of shape [2]",
      function() return gpt.ones(2) end, { 1, 2, 3 }, { context_length = 8 })
    refuse("gpt.perplexity: the function has to return f32 logits of shape [1, 2, vocab_size] for 2 ids, got nil",
      function() end, { 1, 2, 3 }, { context_length = 8 })
    refuse('gpt.perplexity: no file is called "none.txt"; a text that reads like a name is given as { text = "none.txt" }',
      one, "none.txt")
  end)
end)

describe("model:log_likelihood", function()
  local model = gpt.load(FOLDER .. "model")

  it("is that of transformers, with the tokens that lm-evaluation-harness takes", function()
    for i, case in ipairs(expected.plain) do
      local endings = {}
      for k, ending in ipairs(case.endings) do endings[k] = " " .. ending end
      local sums, greedy, each = model:log_likelihood(case.context, endings)
      assert.same(case.greedy, greedy)
      for k, sum in ipairs(case.sums) do
        near(sum, sums[k], ("question %d, ending %d"):format(i, k))
        assert.equal(case.tokens[k], #each[k])
      end
      local sum, is_greedy, list = model:log_likelihood(case.context, endings[2])
      near(case.sums[2], sum, "alone")
      assert.same({ case.greedy[2], case.tokens[2] }, { is_greedy, #list })
    end
  end)

  it("takes ids, and tells what greedy generation would do", function()
    local one = small()
    local prompt = { 3, 1, 2 }
    local new = table.move(one:generate(prompt, { max_new_tokens = 4 }), 4, 7, 1, {})
    local sum, greedy, each = one:log_likelihood(prompt, new)
    assert.is_true(greedy)
    local _, logprobs = one:generate(prompt, { max_new_tokens = 4, logprobs = true })
    for i = 1, 4 do near(logprobs[i], each[i], "token " .. i) end
    near(logprobs[1] + logprobs[2] + logprobs[3] + logprobs[4], sum, "sum")
    new[3] = (new[3] + 1) % 40
    assert.is_false(select(2, one:log_likelihood(gpt.tensor(prompt), gpt.tensor(new))))
    assert.same({ true, false }, select(2, one:log_likelihood(prompt, { { new[1] }, new })))
  end)

  it("begins with the token that begins or ends texts where there is no prompt", function()
    near(model:log_likelihood({ model.tokenizer.eos }, model.tokenizer:encode "The cat"), model:log_likelihood("", "The cat"), "")
    near(model:log_likelihood({ model.tokenizer.eos }, model.tokenizer:encode " The cat"), model:log_likelihood(" ", "The cat"), "")
  end)

  it("crops at the left what is too long", function()
    local one, ids = small(), some_ids(30)
    local last = table.move(ids, 19, 28, 1, {})
    near(one:log_likelihood(table.move(ids, 18, 27, 1, {}), { 1, 2, 3 }), one:log_likelihood(table.move(ids, 1, 27, 1, {}), { 1, 2, 3 }), "crop")
    near(one:log_likelihood({ ids[28] }, some_ids(12)), one:log_likelihood(last, some_ids(12)), "the longest")
  end)

  it("refuses what has no likelihood", function()
    local one = small()
    local function refuse(message, ...) raised(message, one.log_likelihood, one, ...) end
    refuse("log_likelihood: a string needs a tokenizer, and this model has none; give token ids, or set model.tokenizer or "
      .. "the option tokenizer (gpt.tokenizer(dir) makes one)", "a", "b")
    refuse("log_likelihood: the continuation has no token", { 1 }, "", { tokenizer = tokenizer })
    refuse("log_likelihood: continuation 2 has no token", "a", { "b", "" }, { tokenizer = tokenizer })
    refuse("log_likelihood: the continuation has 13 tokens, and at most context_length, 12, are seen at once", { 1 }, some_ids(13))
    refuse("log_likelihood: prompt: at least one token is needed, and this tokenizer has none that begins or ends a text",
      "", "b", { tokenizer = { encode = tokenizer.encode } })
    refuse("log_likelihood: prompt is empty: at least one token is needed to go on from", {}, { 1 })
    refuse("log_likelihood: continuation: id 77 at position 2 is not in the vocabulary of 40 (0 to 39)", { 1 }, { 2, 77 })
    refuse("log_likelihood: continuation: token ids, a string, or a list of either expected, got nil", { 1 })
    refuse("log_likelihood: prompt: token ids or a string expected, got a list of them", { { 1 }, { 2 } }, { 1 })
    refuse("log_likelihood: bso: unknown key; did you mean 'bos'?", { 1 }, { 2 }, { bso = true })
    raised("log_likelihood: a model, or a function from ids to logits, expected, got 3; a method is called with a colon: "
      .. "model:log_likelihood(...)", one.log_likelihood, 3, { 1 }, { 2 })
  end)
end)

describe("gpt.multiple_choice", function()
  local model = gpt.load(FOLDER .. "model")

  local function check(cases, result)
    local counts = { acc = 0, acc_norm = 0, acc_bytes = 0, acc_tokens = 0 }
    assert.equal(#cases, result.count)
    for i, case in ipairs(cases) do
      local answer = result.examples[i]
      local best = { acc = { -math.huge }, acc_norm = { -math.huge }, acc_bytes = { -math.huge }, acc_tokens = { -math.huge } }
      for k, sum in ipairs(case.sums) do
        near(sum, answer.log_likelihoods[k], ("question %d, ending %d"):format(i, k))
        assert.equal(case.tokens[k], answer.tokens[k])
        local lengths = { acc = 1, acc_norm = utf8.len(case.endings[k]), acc_bytes = #case.endings[k], acc_tokens = case.tokens[k] }
        for kind, length in pairs(lengths) do
          if sum / length > best[kind][1] then best[kind] = { sum / length, k - 1 } end
        end
      end
      for kind, pair in pairs(best) do
        assert.equal(pair[2], answer[kind], kind)
        if pair[2] == answer.label then counts[kind] = counts[kind] + 1 end
      end
    end
    for kind, count in pairs(counts) do
      local share = count / #cases
      assert.near(share, result[kind], 1e-12)
      assert.near(math.sqrt(share * (1 - share) / (#cases - 1)), result[kind .. "_stderr"], 1e-12)
    end
  end

  it("gives transformers' likelihoods for HellaSwag's files, prepared as lm-evaluation-harness prepares them", function()
    check(expected.questions, gpt.multiple_choice(model, QUESTIONS, { format = "hellaswag", details = true }))
  end)

  it("takes files and lists as they are, however many questions run together", function()
    local list = {}
    for line in io.lines(QUESTIONS) do list[#list + 1] = json.decode(line) end
    for i, source in ipairs { QUESTIONS, list } do
      local result = gpt.multiple_choice(model, source, { details = true, batch_size = 5 * i })
      check(expected.plain, result)
      assert.equal(i == 1 and QUESTIONS .. ": line 3" or "example 3", result.examples[3].place)
    end
    local labels = {}
    for i, question in ipairs(list) do labels[i] = { query = question.ctx, choices = question.endings, gold = question.label } end
    check(expected.plain, gpt.multiple_choice(model, labels, { details = true, batch_size = 1 }))
    local function format(example) return { context = example[1], endings = example[2], label = example[3] } end
    for i, question in ipairs(list) do labels[i] = { question.ctx, question.endings, question.label } end
    check(expected.plain, gpt.multiple_choice(model, labels, { details = true, format = format }))
  end)

  it("is the same over a function, and goes on from what contexts have in common", function()
    local first = model.tokenizer:encode(expected.plain[1].context)
    assert.is_true(#first > 16)
    local list = {}
    for i, case in ipairs(expected.plain) do
      local before = i > 9 and list[i - 1].context or expected.plain[1].context -- the last ones go on where one ended
      list[i] = { context = before .. (i == 9 and "" or " " .. case.endings[1]:sub(1, 5)), endings = case.endings, label = 0 }
    end
    local wanted = gpt.multiple_choice(model, list, { details = true, batch_size = 1 })
    local function logits(ids) return model(ids) end
    local got = gpt.multiple_choice(logits, list, { details = true, tokenizer = model.tokenizer, context_length = 48 })
    for i = 1, #list do
      for k = 1, 4 do near(wanted.examples[i].log_likelihoods[k], got.examples[i].log_likelihoods[k], "question " .. i) end
    end
  end)

  it("counts by sums, characters, bytes and tokens", function()
    local f = by_pairs { ["? "] = 0.0, [" a"] = 3.0, [" b"] = 2.0, ["bb"] = 9.0 }
    local result = gpt.multiple_choice(f, { { context = "Which?", endings = { "a", "bbb" }, label = 1 } },
      { tokenizer = tokenizer, context_length = 32, details = true })
    assert.same({ 0, 1, 1, 1 }, { result.examples[1].acc, result.examples[1].acc_norm, result.examples[1].acc_bytes, result.examples[1].acc_tokens })
    assert.equal("MultipleChoice { 1 example: acc 0.0000 ± 0.0000, acc_norm 1.0000 ± 0.0000, acc_bytes 1.0000 ± 0.0000, "
      .. "acc_tokens 1.0000 ± 0.0000 }", tostring(result))
    raised("a result has no field 'accuracy'; it has acc, acc_bytes, acc_bytes_stderr, acc_norm, acc_norm_stderr, acc_stderr, acc_tokens, "
      .. "acc_tokens_stderr, count, examples", function() return result.accuracy end)
    assert.is_nil(gpt.multiple_choice(f, { { context = "Which?", endings = { "a", "b" }, label = 1 } },
      { tokenizer = tokenizer, context_length = 32 }).examples)
  end)

  it("stops at the limit, and tells how far it is", function()
    local seen = {}
    local result = gpt.multiple_choice(model, QUESTIONS, { limit = 5, batch_size = 2, on_step = function(r) seen[#seen + 1] = r.count end })
    assert.same({ { 2, 4, 5 }, 5 }, { seen, result.count })
  end)

  it("leaves no memory behind", function()
    leaves_nothing(gpt.multiple_choice, model, QUESTIONS)
  end)

  it("refuses what is no question, by file and line", function()
    local file = os.tmpname() .. ".jsonl"
    local function refuse(message, source, options) raised("gpt.multiple_choice: " .. message, gpt.multiple_choice, model, source, options) end
    local function lines(message, text, options)
      files.write(file, text)
      raised(message:gsub("FILE", function() return file end), gpt.multiple_choice, model, file, options)
    end
    local good = '{"ctx": "a", "endings": ["b", "c"], "label": 1}\n'
    lines("gpt.multiple_choice: FILE: line 3: label: a whole number from 0 to 1 expected, got 2", good .. '\n{"ctx": "a", "endings": ["b", "c"], "label": 2}')
    lines('gpt.multiple_choice: FILE: line 1: label: a whole number from 0 to 1 expected, got ""', '{"ctx": "a", "endings": ["b", "c"], "label": ""}')
    lines("gpt.multiple_choice: FILE: line 1: gold: a whole number from 0 to 1 expected, got null", '{"ctx": "a", "endings": ["b", "c"], "gold": null}')
    lines("gpt.multiple_choice: FILE: line 1: context: a string expected, got nil", '{"text": "a"}')
    lines("gpt.multiple_choice: FILE: line 1: ctx: a string expected, got 3", '{"ctx": 3}')
    lines("gpt.multiple_choice: FILE: line 1: endings: a list of two strings or more expected, got nil", '{"ctx": "a"}')
    lines("gpt.multiple_choice: FILE: line 1: choices: a list of two strings or more expected, got 1", '{"query": "a", "choices": ["b"]}')
    lines("gpt.multiple_choice: FILE: line 1: endings[2]: a string expected, got 7", '{"ctx": "a", "endings": ["b", 7]}')
    lines("gpt.multiple_choice: FILE: line 1: ctx_a: a string expected, got nil", '{"activity_label": "a"}', { format = "hellaswag" })
    lines("gpt.multiple_choice: FILE: line 2: an object expected", good .. "[1]\n")
    lines("FILE: line 2: not valid JSON near column 3: it seems cut short", good .. "{]\n")
    lines("gpt.multiple_choice: there is no question", "\n\n")
    os.remove(file)
    refuse("example 1: endings[1]: a string expected, got nil", { { context = "a", endings = { nil, "b", "c" }, label = 1 } })
    refuse("example 1: a table expected, got 3", { 3 })
    refuse("example 1: format: a table { context, endings, label } from the function expected, got nil", { {} }, { format = function() end })
    refuse("example 1: ending 1 has 60 tokens, and at most context_length, 48, are seen at once",
      { { context = "a", endings = { ("q"):rep(59), "b" }, label = 0 } })
    refuse("example 1: ending 2 has no token", { { context = "a", endings = { "b", "" }, label = 0 } }, { delimiter = "" })
    refuse("example 1: the context has no token, and this tokenizer has none that begins or ends a text",
      { { context = "", endings = { "b", "c" }, label = 0 } }, { tokenizer = { encode = tokenizer.encode } })
    refuse('a list of examples, or the name of a .jsonl file, expected, got 3', 3)
    refuse('"questions.txt": a file whose name ends in .jsonl expected', "questions.txt")
    refuse('format: "hellaswag", or a function from an example to { context, endings, label }, expected, got "x"', {}, { format = "x" })
    refuse("delimiter: a string expected, got 1", {}, { delimiter = 1 })
    refuse("on_step: a function of the result so far expected, got 1", {}, { on_step = 1 })
    refuse("limt: unknown key; did you mean 'limit'?", {}, { limt = 1 })
    raised("gpt.multiple_choice: a text needs a tokenizer, and this model has none; set model.tokenizer or the option "
      .. "tokenizer (gpt.tokenizer(dir) makes one)", gpt.multiple_choice, small(), {})
  end)
end)
