-- Tokenizers that do more to a text than GPT-2's does, beside tokenizers and llama.cpp.
local core = require "gpt.core"
local files = require "spec.support.files"
local gpt = require "gpt"
local gguf = require "spec.support.gguf"
local json = require "gpt.support.json"
local warnings = require "spec.support.warnings"

local PLACE = "spec/fixtures/tokenizers/"
local fixture = json.read(PLACE .. "pipelines.json")
local BASES = { bytes = "spec/fixtures/tokenizer_json/tokenizer.json", characters = PLACE .. "sentencepiece.json" }

-- A document with other values at some keys, and at some of its model's; false stands for null.
local function changed(document, changes)
  local model, result = {}, {}
  for key, value in pairs(document.model) do model[key] = value end
  for key, value in pairs(changes.model or {}) do model[key] = value or json.null end
  for key, value in pairs(document) do result[key] = value end
  for key, value in pairs(changes) do result[key] = value or json.null end
  result.model = model
  return result
end

-- A Lua table's empty list would be written as an object.
local function text_of(document) return (json.encode(document):gsub('"added_tokens":%s*{}', '"added_tokens": []')) end

local dir, saved, gguf_path

local function load_changed(case)
  files.write(dir .. "/tokenizer.json", text_of(changed(json.read(BASES[case.base]), case.changes)))
  return gpt.tokenizer(dir)
end

-- A GGUF file of the fixtures, with another way of cutting words.
local function load_gguf(name, pre)
  local bytes = files.read(PLACE .. name)
  if pre then
    local from, to = gguf.pair("tokenizer.ggml.pre", "string", "gpt-2"), gguf.pair("tokenizer.ggml.pre", "string", pre)
    local first, last = bytes:find(from, 1, true)
    bytes = bytes:sub(1, first - 1) .. to .. bytes:sub(last + 1)
  end
  files.write(gguf_path, bytes)
  local file <close> = core._gguf_open(gguf_path)
  return file:tokenizer()
end

local function check_ids(tokenizer, case, name)
  for i, text in ipairs(fixture.texts) do
    assert.same(case.ids[i], { table.unpack(tokenizer:encode(text, { special = case.special })) }, name .. ": " .. text)
  end
end

-- Writes a tokenizer's keys into a file of one tensor, and reads it.
local function through_gguf(tokenizer)
  local bytes, count, difference = core._gguf_tokenizer(tokenizer, tokenizer.vocab_size)
  require "gpt.gguf.write"(gguf_path, { { bytes = bytes, count = count } },
    { { name = "x", shape = { 1 }, dtype = "f32", make = function() return { gpt.zeros(1) } end } })
  local file <close> = core._gguf_open(gguf_path)
  return file:tokenizer(), difference, file:value "tokenizer.ggml.pre"
end

local function through_directory(tokenizer)
  tokenizer:save(saved)
  return gpt.tokenizer(saved)
end

local function describe_case(case) return case.base .. " " .. json.encode(case.changes):sub(1, 300) end

describe("a tokenizer's steps", function()
  setup(function()
    dir, saved = files.directory(), files.directory()
    gguf_path = dir .. "/x.gguf"
  end)
  teardown(function()
    files.remove(dir)
    files.remove(saved)
  end)

  it("give the ids of tokenizers, from tokenizer.json, saved again, and through GGUF", function()
    for i, case in ipairs(fixture.cases) do
      local name = describe_case(case)
      local tokenizer = load_changed(case)
      check_ids(tokenizer, case, name)
      if i % 5 == 0 then check_ids(through_directory(tokenizer), case, name) end
      if i % 5 == 1 and not case.changes.added_tokens then check_ids(through_gguf(tokenizer), case, name) end
    end
  end)

  it("decode as tokenizers does", function()
    for _, case in ipairs(fixture.cases) do
      local tokenizer = load_changed(case)
      for i in ipairs(case.decoded or {}) do assert.equal(case.decoded[i], tokenizer:decode(case.ids[i]), describe_case(case)) end
    end
  end)

  it("give llama.cpp's ids from GGUF, also saved again", function()
    for i, case in ipairs(fixture.gguf) do
      local name = case.file .. " " .. tostring(case.pre)
      local tokenizer = load_gguf(case.file, type(case.pre) == "string" and case.pre or nil)
      check_ids(tokenizer, case, name)
      if i % 3 == 1 then check_ids(through_directory(tokenizer), case, name) end
      if i % 3 == 2 then check_ids(through_gguf(tokenizer), case, name) end
    end
  end)

  it("have a name in GGUF, or none, and a reason is given", function()
    local function kept(number)
      local _, difference, pre = through_gguf(load_changed(fixture.cases[number]))
      return difference or pre
    end
    assert.same({ "dbrx", "qwen2", "gpt-4o", "smollm" }, { kept(1), kept(2), kept(3), kept(4) })
    assert.equal("the way in which it cuts words has no name there", kept(5))
    assert.equal("texts are not normalized there", kept(28))
    assert.equal("default", kept(#fixture.cases))
  end)

  it("keep a text's bytes: of SentencePiece's kind too, whatever they are", function()
    local tokenizer = load_gguf "sentencepiece.gguf"
    for _, text in ipairs { "the cat", " the  cat", "\xff\xfe\xc3", "a\0b", "\u{10ffff}\u{e000}", "猫\xe7\x8c", "" } do
      assert.equal(text, tokenizer:decode(tokenizer:encode(text)))
    end
    local ids = tokenizer:encode "the cat sat"
    local pieces = {}
    for i, id in ipairs(ids) do pieces[i] = tokenizer:decode({ id }, { continued = i > 1 }) end
    assert.equal("the cat sat", table.concat(pieces))
    assert.equal(" the cat sat", tokenizer:decode(ids, { continued = true }))
    assert.equal(" ", tokenizer:token(tokenizer:encode("")[1] or tokenizer:encode("é")[1]):sub(1, 1))
  end)

  it("put before and after a text what the files say", function()
    local base = json.read(BASES.characters)
    local a = { Sequence = { id = "A" } }
    base.post_processor = { type = "Sequence", processors = { { type = "ByteLevel" }, { type = "TemplateProcessing",
      single = { { SpecialToken = { id = "</s>" } }, { SpecialToken = { id = "<s>" } }, a, { SpecialToken = { id = "</s>" } } } } } }
    files.write(dir .. "/tokenizer.json", text_of(base))
    local tokenizer = gpt.tokenizer(dir)
    local plain = tokenizer:encode "a"
    local expected = table.move(plain, 1, #plain, 3, { 2, 1 })
    assert.same(expected, { table.unpack(tokenizer:encode("a", { bos = true })) })
    assert.same({ 2, 1 }, { table.unpack(tokenizer:encode("</s><s>", { bos = true, special = true })) })
    expected[#expected + 1] = 2
    assert.same(expected, { table.unpack(tokenizer:encode("a", { bos = true, eos = true })) })
    assert.same(expected, { table.unpack(through_gguf(tokenizer):encode("a", { bos = true, eos = true })) })
    assert.same(expected, { table.unpack(through_directory(tokenizer):encode("a", { bos = true, eos = true })) })
    assert.same({ 1 }, { table.unpack(load_gguf("sentencepiece.gguf"):encode("", { bos = true })) })
    assert.same({ 399 }, { table.unpack(load_gguf("bytes.gguf", "llama-bpe"):encode("", { bos = true })) })
    assert.same({}, { table.unpack(load_gguf("bytes.gguf"):encode("", { bos = true })) })
  end)

  it("go on with a text where it ends, in whole characters", function()
    local tokenizer = load_gguf "sentencepiece.gguf"
    local new = tokenizer:encode "cat 猫 sat"
    local function next_id(ids)
      local scores = gpt.zeros(#ids, tokenizer.vocab_size)
      local id = new[#ids - #tokenizer:encode("the", { bos = true }) + 1] or tokenizer.eos
      scores[#ids][id + 1] = 1
      return scores
    end
    local options = { tokenizer = tokenizer, context_length = 100, max_new_tokens = 60 }
    assert.equal("the cat 猫 sat", gpt.generate(next_id, "the", options))
    local pieces = {}
    for piece in gpt.stream(next_id, "the", options) do
      assert.truthy(utf8.len(piece))
      pieces[#pieces + 1] = piece
    end
    assert.equal(" cat 猫 sat", table.concat(pieces))
  end)

  it("make a dataset of the ids of the whole text", function()
    local tokenizer, text = load_gguf "sentencepiece.gguf", ("the cat sat on the mill's wall. "):rep(30000)
    local data = gpt.dataset({ text = text }, { tokenizer = tokenizer, context_length = 8, batch_size = 1 })
    local whole = tokenizer:encode(text)
    assert.equal(#whole, data.tokens)
  end)

  it("take a megabyte of one letter as fast as any text", function()
    for _, tokenizer in ipairs { load_gguf "sentencepiece.gguf", load_gguf("bytes.gguf", "qwen2"),
      load_gguf("bytes.gguf", "deepseek-v3") } do
      local text = ("a"):rep(1 << 20)
      assert.equal(text, tokenizer:decode(tokenizer:encode(text)))
    end
  end)

  it("end normalizers that make ever more of a text", function()
    local replace = { type = "Replace", pattern = { String = "a" }, content = ("a"):rep(100) }
    local message = "the tokenizer's normalizers make more than 256 times as much of a text"
    for _, normalizers in ipairs { { replace, replace, replace, replace, replace, replace },
      { { type = "Prepend", prepend = ("a"):rep(9000) } } } do
      local tokenizer = load_changed { base = "bytes", changes = { normalizer = { type = "Sequence",
        normalizers = normalizers } } }
      local ok, problem = pcall(tokenizer.encode, tokenizer, "aaaa")
      assert.is_false(ok)
      assert.matches(message, problem, 1, true)
    end
    local once = load_changed { base = "bytes", changes = { normalizer = { type = "Sequence", normalizers = { replace } } } }
    assert.equal(("a"):rep(400), once:decode(once:encode "aaaa"))
  end)

  it("end a pattern that goes astray", function()
    local case = { base = "bytes", changes = { pre_tokenizer = { type = "Sequence", pretokenizers = { { type = "Split",
      pattern = { Regex = "(a+)+(a+)+(a+)+[bc]" }, behavior = "Isolated" }, { type = "ByteLevel" } } } } }
    local tokenizer = load_changed(case)
    local ok, message = pcall(tokenizer.encode, tokenizer, ("a"):rep(400))
    assert.is_false(ok)
    assert.matches("the pattern (a+)+(a+)+(a+)+[bc] takes too many steps (-47)", message, 1, true)
  end)

  it("are warned of where llama.cpp knows no name for them", function()
    local model = gpt.Model(gpt.config("gpt2-small", { vocab_size = 500, emb_dim = 8, n_heads = 2, n_layers = 1,
      context_length = 8 }))
    model.tokenizer = load_changed(fixture.cases[5])
    local heard = warnings(function() model:save(gguf_path) end)
    assert.same({ "save: " .. gguf_path .. ": llama.cpp will read texts otherwise than this tokenizer: the way in which it "
      .. "cuts words has no name there; gpt.load reads them as it does" }, heard)
  end)
end)
