local gpt = require "gpt"
local core = require "gpt.core"
local lfs = require "lfs"
local fixture = dofile "spec/fixtures/tokenizer.lua"

local SMALL, SMALL_JSON = "spec/fixtures/tokenizer", "spec/fixtures/tokenizer_json"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function remove(dir)
  for name in lfs.dir(dir) do
    if name ~= "." and name ~= ".." then os.remove(dir .. "/" .. name) end
  end
  lfs.rmdir(dir)
end

local function new_name()
  local name = os.tmpname()
  os.remove(name)
  return name
end

-- A new directory with these files.
local function directory(files)
  local dir = new_name()
  assert(lfs.mkdir(dir))
  for name, text in pairs(files) do write(dir .. "/" .. name, text) end
  return dir
end

local VOCAB, MERGES = read(SMALL .. "/vocab.json"), read(SMALL .. "/merges.txt")
local PATTERN = [['s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+]]
local JSON = read(SMALL_JSON .. "/tokenizer.json")

-- The tokenizer of a directory with these files; vocab.json and merges.txt are the small ones unless given.
local function load_files(files)
  if not files["tokenizer.json"] then
    files["vocab.json"] = files["vocab.json"] or VOCAB
    files["merges.txt"] = files["merges.txt"] or MERGES
  end
  local dir = directory(files)
  local ok, result = pcall(gpt.tokenizer, dir)
  remove(dir)
  return ok, result, dir
end

local function loaded(files)
  local ok, tokenizer = load_files(files)
  assert(ok, tokenizer)
  return tokenizer
end

-- The message of a directory that cannot be loaded, with DIR for its name.
local function refused(files)
  local ok, message, dir = load_files(files)
  assert.is_false(ok)
  return (message:gsub(dir:gsub("%p", "%%%0"), "DIR"):gsub("^spec/tokenizer_spec.lua:%d+: ", ""))
end

-- Replaces what must be there, once.
local function change(text, from, to)
  local first, last = text:find(from, 1, true)
  assert(first, from)
  return text:sub(1, first - 1) .. to .. text:sub(last + 1)
end

-- What a call as a user writes it raises.
local function message(code, ...)
  local call = load("local gpt, tokenizer, x = ... " .. code, "=user")
  local ok, text = pcall(call, gpt, ...)
  assert.is_false(ok)
  return text
end

describe("a tokenizer", function()
  local tokenizer = gpt.tokenizer(SMALL)

  it("gives the ids that tiktoken gives", function()
    assert(#fixture > 40)
    for _, case in ipairs(fixture) do assert.same(case.small, tokenizer:encode(case[1])) end
  end)

  it("is the same from tokenizer.json, with merges as pairs and as strings", function()
    local strings = JSON:gsub('%["([^"]+)", "([^"]+)"%]', '"%1 %2"')
    assert.not_equal(JSON, strings)
    for _, other in ipairs { gpt.tokenizer(SMALL_JSON), loaded { ["tokenizer.json"] = strings } } do
      assert.equal(tostring(tokenizer), tostring(other))
      for _, case in ipairs(fixture) do assert.same(case.small, other:encode(case[1])) end
    end
  end)

  it("is the same where its pattern is written out", function()
    local level = JSON:match('"pre_tokenizer": ({[^}]*})')
    for _, how in ipairs { '"Isolated", "invert": false', '"Removed", "invert": true' } do
      local other = loaded { ["tokenizer.json"] = change(JSON, '"pre_tokenizer": ' .. level,
        '"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "' .. PATTERN
        .. '"}, "behavior": ' .. how .. "}, " .. level:gsub("true}", "false}") .. "]}") }
      for _, case in ipairs(fixture) do assert.same(case.small, other:encode(case[1])) end
    end
  end)

  it("prefers tokenizer.json", function()
    local other = loaded { ["tokenizer.json"] = JSON, ["vocab.json"] = "", ["merges.txt"] = "" }
    assert.equal(400, other.vocab_size)
  end)

  it("knows its size and its end of text, and prints both", function()
    assert.equal(400, tokenizer.vocab_size)
    assert.equal(399, tokenizer.eos)
    assert.equal("Tokenizer(400 tokens, eos = 399)", tostring(tokenizer))
  end)

  it("keeps the chat templates of its files", function()
    local named = [[{"chat_template": [{"name": "default", "template": "{{ messages }}"},
      {"name": "tool_use", "template": "tools: é\n"}]}]]
    local dir = directory {}
    local function saved(other) other:save(dir) return gpt.tokenizer(dir) end
    assert.is_nil(tokenizer.chat_template)
    assert.same({}, tokenizer.chat_templates)
    assert.equal("{{ 1 }}", loaded { ["tokenizer_config.json"] = '{"chat_template": "{{ 1 }}"}' }.chat_template)
    local both = loaded { ["tokenizer_config.json"] = named, ["chat_template.jinja"] = "{{ 2 }}\n" }
    assert.same({ default = "{{ 2 }}\n", tool_use = "tools: é\n" }, saved(both).chat_templates)
    both.chat_template = nil
    assert.same({ tool_use = "tools: é\n" }, saved(both).chat_templates)
    both = loaded { ["tokenizer_config.json"] = named }
    assert.equal("{{ messages }}", both.chat_template)
    both.chat_template = "{{ 3 }}"
    assert.same({ default = "{{ 3 }}", tool_use = "tools: é\n" }, saved(both).chat_templates)
    write(dir .. "/chat_template.jinja", "an old one")
    assert.equal("{{ 3 }}", saved(both).chat_template)
    assert.equal("{{ 3 }}", read(dir .. "/chat_template.jinja"))
    assert.is_nil(saved(tokenizer).chat_template)
    remove(dir)
  end)

  it("refuses chat templates that are none", function()
    local function of(text) return refused { ["tokenizer_config.json"] = text } end
    assert.equal("DIR/tokenizer_config.json: chat_template: a string, or a list of named ones, expected",
      of '{"chat_template": 1}')
    assert.equal('DIR/tokenizer_config.json: chat_template: each of a list needs "name" and "template" (strings)',
      of '{"chat_template": ["x"]}')
    assert.equal("DIR/tokenizer_config.json: chat_template has 65 templates; at most 64 are allowed",
      of('{"chat_template": [' .. ("1,"):rep(64) .. "1]}"))
    assert.equal('DIR/chat_template.jinja: the chat template "default" is not UTF-8, or has a zero byte',
      refused { ["chat_template.jinja"] = "\xff" })
    local long = ("x"):rep((1 << 20) + 1)
    assert.equal('DIR/tokenizer_config.json: the chat template "default" has 1048577 bytes; at most 1048576 are allowed',
      of('{"chat_template": "' .. long .. '"}'))
    assert.equal("user:1: a gpt.Tokenizer has no field 'eos' to set; chat_template is one",
      message("tokenizer.eos = 1", tokenizer))
    assert.equal("user:1: chat_template: a string or nil expected, got 1", message("tokenizer.chat_template = 1", tokenizer))
  end)

  it("takes special tokens as text unless told", function()
    local text = "a<|endoftext|><|endoftext|>b <|endof"
    assert.same(tokenizer:encode(text), tokenizer:encode(text, { special = false }))
    local ids = tokenizer:encode(text, { special = true })
    local expected = { tokenizer:encode("a")[1], 399, 399, table.unpack(tokenizer:encode("b <|endof")) }
    assert.same(expected, ids)
    assert.equal(text, tokenizer:decode(ids))
    assert.equal(text, tokenizer:decode(tokenizer:encode(text)))
  end)

  it("cuts the text at special tokens before it looks for words", function()
    local ids = tokenizer:encode("a  <|endoftext|>", { special = true })
    local expected = tokenizer:encode("a  ")
    expected[#expected + 1] = 399
    assert.same(expected, ids)
  end)

  it("takes the longest added token, the leftmost first", function()
    local added = change(VOCAB, '"<|endoftext|>": 399', '"<|endoftext|>": 399, "<a>": 400, "<a>b": 401')
    local config = [[{"added_tokens_decoder": {"400": {"content": "<a>"}, "401": {"content": "<a>b", "special": true},
      "403": {"content": "mein Wort é", "special": true}}}]]
    local other = loaded { ["vocab.json"] = added, ["tokenizer_config.json"] = config }
    assert.equal(404, other.vocab_size)
    assert.same({ 401, 400, 403, 399, 400 },
      other:encode("<a>b<a>mein Wort é<|endoftext|><a>", { special = true }))
    assert.equal("mein Wort é", other:token(403))
    assert.equal("user:1: no token has the id 402 (ids lie from 0 to 403)",
      message("tokenizer:token(402)", other))
  end)

  it("takes a mark as text where literal_at says so, and nothing else", function()
    local text = "a<|endoftext|>b<|endoftext|>"
    local word = tokenizer:encode("a<|endoftext|>b")
    assert.same({ 399, table.unpack(tokenizer:encode("b")) },
      tokenizer:encode("<|endoftext|>b", { special = true, literal_at = {} }))
    word[#word + 1] = 399
    assert.same(word, tokenizer:encode(text, { special = true, literal_at = { 1, 2, 3 } }))
    assert.same(tokenizer:encode(text), tokenizer:encode(text, { special = true, literal_at = { 2, 16, 99 } }))
    assert.same(tokenizer:encode(text), tokenizer:encode(text, { literal_at = { 2 } }))
  end)

  it("takes at a literal place the token that is no mark, or a mark behind it", function()
    local config = [[{"added_tokens_decoder": {"400": {"content": "<b>", "special": false},
      "401": {"content": "<b>x", "special": true}, "402": {"content": "b>", "special": true}}}]]
    local other = loaded { ["tokenizer_config.json"] = config }
    local x, less = other:encode("x")[1], other:encode("<")[1]
    assert.same({ 400, x, 401 }, other:encode("<b>x<b>x", { special = true, literal_at = { 1 } }))
    other = loaded { ["tokenizer_config.json"] = (config:gsub('"400".-},', "", 1)) }
    assert.same({ less, 402, x }, other:encode("<b>x", { special = true, literal_at = { 1 } }))
  end)

  it("always takes added tokens that are no marks for themselves", function()
    local config = [[{"added_tokens_decoder": {"400": {"content": "\n\n", "special": false},
      "401": {"content": "<b>", "special": false}, "402": {"content": "<b>x", "special": true}}}]]
    local other = loaded { ["tokenizer_config.json"] = config }
    local a, x = other:encode("a")[1], other:encode("x")[1]
    assert.same({ a, 400, 401, x, 400 }, other:encode("a\n\n<b>x\n\n"))
    assert.same({ a, 400, 402, 400 }, other:encode("a\n\n<b>x\n\n", { special = true }))
    assert.same(#tokenizer:encode("<|endoftext|>"), #other:encode("<|endoftext|>"))
  end)

  it("decodes ids without a token, as padded vocabularies have them, to nothing", function()
    local ids = tokenizer:encode("The cat")
    assert.equal("The cat", tokenizer:decode { 400, ids[1], 50303, table.unpack(ids, 2) })
    assert.equal("", tokenizer:decode { 400, math.maxinteger })
    assert.equal("The", tokenizer:decode(gpt.tensor { 1000, table.unpack(tokenizer:encode "The") }))
  end)

  it("cuts a text where the ids of both parts are those of the whole, whatever follows", function()
    local config = [[{"added_tokens_decoder": {"400": {"content": "end of  text", "special": true},
      "401": {"content": "  ", "special": true}, "402": {"content": "of", "special": false},
      "403": {"content": "é!", "special": true}, "404": {"content": " of text and more", "special": true}}}]]
    local other = loaded { ["tokenizer_config.json"] = config }
    local pieces = { "a", "The cat's", " ", "  ", "\n", "\n\n ", "end", "end of  text", " of", " of text and", " text",
      " of text and more", "\u{e9}", "\u{e9}!", "!", "'", "'re", "'r", "1984", "\u{3000}", "\xe3\x80", "\x85", "\u{85}",
      "<|endoftext|>", "<|endof" }
    local x, cuts = 7, 0
    local function random(n)
      x = x * 16807 % 2147483647
      return x // 77 % n + 1
    end
    local spaces = gpt.train_tokenizer(("a\n\nb\u{3000}\u{3000}c   \n"):rep(50), { vocab_size = 280 })
    for _, each in ipairs { tokenizer, other, spaces } do
      for _, special in ipairs { true, false } do
        for _ = 1, 10 do
          local parts = {}
          for i = 1, 25 do parts[i] = pieces[random(#pieces)] end
          local text, options = table.concat(parts), { special = special }
          local whole = each:encode(text, options)
          for n = 0, #text do
            local cut = core._tokenizer_cut(each, text:sub(1, n), special)
            local ids = each:encode(text:sub(1, cut), options)
            table.move(each:encode(text:sub(cut + 1), options), 1, #whole, #ids + 1, ids)
            assert.same(whole, ids)
            if cut > n - 50 then cuts = cuts + 1 end
          end
        end
      end
    end
    assert.is_true(cuts > 3000) -- mostly close to the end
  end)

  it("decodes tensors", function()
    local ids = gpt.tensor(tokenizer:encode("The miller's cat"))
    assert.equal("The miller's cat", tokenizer:decode(ids))
    assert.equal("", tokenizer:decode(ids:narrow(1, 1, 0)))
    assert.equal(tokenizer:token(ids[2]:item()), tokenizer:decode(ids:narrow(1, 2, 1)))
    assert.equal(" cat", tokenizer:decode(gpt.tensor { { 5, ids[-1]:item() } }:select(1, 1):narrow(1, 2, 1)))
    assert.equal("user:1: decode: an i64 tensor of one dimension expected, got i64 [1, 2]",
      message("tokenizer:decode(gpt.tensor { { 1, 2 } })", tokenizer))
    assert.equal("user:1: decode: an i64 tensor of one dimension expected, got f32 [1]",
      message("tokenizer:decode(gpt.zeros(1))", tokenizer))
  end)

  it("gives every string of bytes back", function()
    local all = {}
    for i = 0, 255 do all[i + 1] = string.char(i) end
    local bytes = table.concat(all)
    local texts = { bytes, bytes:reverse(), "\xff", "a\x80 \xc3", "\xe6\x97 \xed\xa0\x80\xf4\x90\x80\x80 \xc0\x80",
      " \xa0\xe2\x80" }
    local x = 1
    for i = 1, 200 do
      local random = {}
      for j = 1, i do
        x = x * 16807 % 2147483647
        random[j] = string.char(x // 77 % 256)
      end
      texts[#texts + 1] = table.concat(random)
    end
    for _, text in ipairs(texts) do assert.equal(text, tokenizer:decode(tokenizer:encode(text))) end
  end)

  it("knows each token's bytes", function()
    for _, case in ipairs(fixture) do
      local pieces = {}
      for i, id in ipairs(tokenizer:encode(case[1])) do pieces[i] = tokenizer:token(id) end
      assert.equal(case[1], table.concat(pieces))
    end
    assert.equal("<|endoftext|>", tokenizer:token(399))
  end)

  it("remembers words without mixing them up", function()
    local words, ids = {}, {}
    for i = 1, 30000 do
      words[i] = " w" .. string.char(97 + i % 26):rep(i % 40) .. i
      ids[i] = #tokenizer:encode(words[i])
    end
    local sum = 0
    for _, n in ipairs(ids) do sum = sum + n end
    assert.equal(sum, #tokenizer:encode(table.concat(words)))
    assert.equal(table.concat(words), tokenizer:decode(tokenizer:encode(table.concat(words))))
  end)

  it("leaves out what it has no token for, of its first text, too", function()
    local text = change(JSON, JSON:match '"pre_tokenizer": %b{}', '"pre_tokenizer": {"type": "WhitespaceSplit"}')
    local decoder = '"decoder": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "never"}'
    local wordy = loaded { ["tokenizer.json"] = change(text, text:match '"decoder": %b{}', decoder) }
    assert.same({}, wordy:encode "\u{3b1}\u{3b2}")
    assert.same({}, wordy:encode "\u{3b1}\u{3b2}")
  end)

  it("encodes long runs", function()
    for _, c in ipairs { "a", " ", "1", "!", "\n", "\u{e9}", "\xff", "\u{3000}", "'s", "<" } do
      local text = c:rep(100000)
      local ids = tokenizer:encode(text, { special = true })
      assert.equal(text, tokenizer:decode(ids))
    end
  end)

  it("frees what it held", function()
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    do
      local other <close> = gpt.tokenizer(SMALL)
      assert.equal(1, #other:encode("a"))
      pcall(other.decode, other, { 1, 2, 1000 })
      pcall(other.decode, other, { 1, 2, "x" })
    end
    pcall(gpt.tokenizer, "spec")
    refused { ["merges.txt"] = "x y" }
    refused { ["vocab.json"] = VOCAB:sub(1, 3000) }
    collectgarbage()
    collectgarbage()
    assert.equal(before, gpt.memory().live)
  end)
end)

describe("the scanner", function()
  -- "a", "1" and "!" merge with the first byte of any character, so that a merge shows what a character goes with.
  local function watcher()
    local alphabet, next = {}, 256
    for b = 0, 255 do
      local itself = b > 32 and b ~= 127 and (b < 128 or b > 160) and b ~= 173
      alphabet[b] = utf8.char(itself and b or next)
      if not itself then next = next + 1 end
    end
    local vocab, merges = {}, { "#version: 0.2\n" }
    for b = 0, 255 do vocab[b + 1] = ('"%s": %d'):format(alphabet[b]:gsub('["\\]', "\\%0"), b) end
    for _, c in ipairs { "a", "1", "!" } do
      for b = 0xc2, 0xf4 do
        merges[#merges + 1] = c .. " " .. alphabet[b] .. "\n"
        vocab[#vocab + 1] = ('"%s%s": %d'):format(c, alphabet[b], #vocab)
      end
    end
    return loaded { ["vocab.json"] = "{" .. table.concat(vocab, ",") .. "}", ["merges.txt"] = table.concat(merges) }
  end

  it("knows the class of every code point as tiktoken does", function()
    local tokenizer, codes = watcher(), {}
    for code = 0x80, 0x323ff do
      if code < 0xd800 or code > 0xdfff then codes[#codes + 1] = code end
    end
    for code = 0x32400, 0x10ffff, 61 do codes[#codes + 1] = code end
    local kinds, counts, sum = { [0] = 1, 2, 0 }, { 0, 0, 0 }, 0
    for _, code in ipairs(codes) do
      local c = utf8.char(code)
      local ids = tokenizer:encode("a" .. c .. "\n1" .. c .. "\n!" .. c)
      local merged, class = 0, 3
      for _, id in ipairs(ids) do
        if id >= 256 then merged, class = merged + 1, kinds[(id - 256) // 51] end
      end
      if merged > 1 then error(("U+%X went with two kinds"):format(code)) end
      if class > 0 then counts[class] = counts[class] + 1 end
      sum = sum + code * class
    end
    local ascii = { 52, 10, 6 }
    local known = fixture.classes
    assert.same({ known.letters, known.numbers, known.spaces, known.sum },
      { counts[1] + ascii[1], counts[2] + ascii[2], counts[3] + ascii[3], sum })
  end)
end)

describe("Tokenizer:save", function()
  it("writes what it read, and nothing else", function()
    for _, dir in ipairs { SMALL, SMALL_JSON } do
      local target = new_name()
      local tokenizer = gpt.tokenizer(dir)
      tokenizer:save(target)
      local names = {}
      for name in lfs.dir(target) do names[#names + 1] = name end
      table.sort(names)
      assert.same({ ".", "..", "merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json" }, names)
      local again = gpt.tokenizer(target)
      os.remove(target .. "/tokenizer.json")
      local files = gpt.tokenizer(target)
      if dir == SMALL then assert.equal(MERGES, read(target .. "/merges.txt")) end
      remove(target)
      for _, other in ipairs { again, files } do
        assert.equal(tostring(tokenizer), tostring(other))
        for _, case in ipairs(fixture) do assert.same(case.small, other:encode(case[1])) end
        for id = 0, 399 do assert.equal(tokenizer:token(id), other:token(id)) end
        assert.same({ 399 }, other:encode("<|endoftext|>", { special = true }))
      end
    end
  end)

  it("keeps added tokens of all kinds, holes and roles", function()
    local config = [[{"eos_token": {"content": "<stop>"}, "pad_token": "mein \"Wort\"\n\u00e9", "added_tokens_decoder":
      {"500": {"content": "<stop>", "special": true}, "403": {"content": "mein \"Wort\"\n\u00e9"}}}]]
    local tokenizer, target = loaded { ["tokenizer_config.json"] = config }, new_name()
    assert.equal("Tokenizer(501 tokens, eos = 500)", tostring(tokenizer))
    tokenizer:save(target)
    local other, saved = gpt.tokenizer(target), read(target .. "/tokenizer_config.json")
    remove(target)
    assert.equal("Tokenizer(501 tokens, eos = 500)", tostring(other))
    assert.same({ 403, 500 }, other:encode('mein "Wort"\n\u{e9}<stop>', { special = true }))
    assert.truthy(saved:find('"pad_token": "mein \\"Wort\\"\\u000a\u{e9}"', 1, true))
  end)

  it("keeps the blank that goes before every text", function()
    local tokenizer = loaded { ["tokenizer_config.json"] = '{"add_prefix_space": true, "add_bos_token": true}' }
    local ids, target = tokenizer:encode("The end", { bos = true }), new_name()
    assert.same({ 399, table.unpack(gpt.tokenizer(SMALL):encode " The end") }, ids)
    tokenizer:save(target)
    assert.same(ids, gpt.tokenizer(target):encode("The end", { bos = true }))
    os.remove(target .. "/tokenizer.json")
    assert.same(ids, gpt.tokenizer(target):encode("The end", { bos = true }))
    remove(target)
    local model = gpt.Model {
      vocab_size = 400, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0, qkv_bias = true,
    }
    model.tokenizer = tokenizer
    model:save(target .. ".gguf")
    assert.same(ids, gpt.load(target .. ".gguf").tokenizer:encode("The end", { bos = true }))
    os.remove(target .. ".gguf")
  end)

  it("makes the directories on the way, and replaces the files there", function()
    local target = new_name()
    local tokenizer = gpt.tokenizer(SMALL)
    tokenizer:save(target .. "/a/b/")
    write(target .. "/a/b/tokenizer.json", "old")
    write(target .. "/a/b/mine.txt", "mine")
    tokenizer:save(target .. "/a/b")
    assert.equal(400, gpt.tokenizer(target .. "/a/b").vocab_size)
    assert.equal("mine", read(target .. "/a/b/mine.txt"))
    remove(target .. "/a/b")
    lfs.rmdir(target .. "/a")
    lfs.rmdir(target)
  end)

  it("says why it cannot", function()
    local tokenizer = gpt.tokenizer(SMALL)
    assert.equal("user:1: README.md/x: cannot be made a directory: Not a directory",
      message("tokenizer:save('README.md/x')", tokenizer))
    assert.equal("user:1: README.md: cannot be made a directory: File exists",
      message("tokenizer:save('README.md')", tokenizer))
    assert.equal("user:1: bad argument #1 to 'save' (string expected, got no value)",
      message("tokenizer:save()", tokenizer))
  end)

  it("changes nothing where one of the files cannot be written", function()
    local tokenizer, target = gpt.tokenizer(SMALL), directory { ["vocab.json"] = "old" }
    assert(lfs.mkdir(target .. "/tokenizer.json"))
    local text = message("tokenizer:save(x)", tokenizer, target)
    assert.equal(("user:1: %s/tokenizer.json: cannot be written: it is a directory"):format(target), text)
    assert.equal("old", read(target .. "/vocab.json"))
    lfs.rmdir(target .. "/tokenizer.json")
    local names = 0
    for _ in lfs.dir(target) do names = names + 1 end
    assert.equal(3, names)
    remove(target)
  end)
end)

describe("a tokenizer's files", function()
  local known = dofile "spec/fixtures/tokenizer_files.lua"

  -- tokenizer.json with other steps.
  local function tokenizer_json(steps)
    local text = JSON
    if steps.pre_tokenizer then
      text = change(text, text:match '"pre_tokenizer": %b{}', '"pre_tokenizer": ' .. steps.pre_tokenizer)
    end
    if steps.post_processor then
      text = change(text, '"post_processor": null', '"post_processor": ' .. steps.post_processor)
    end
    return text
  end

  local function files_of(case, encoder)
    local named = {}
    for name, content in pairs(case.files) do
      if type(content) == "table" then content = tokenizer_json(content) end
      content = content == "vocab" and VOCAB or content == "merges" and MERGES or content
      named[encoder and ({ ["vocab.json"] = "encoder.json", ["merges.txt"] = "vocab.bpe" })[name] or name] = content
    end
    return named
  end

  local function check(case, tokenizer)
    assert.same(case.ids, tokenizer:encode(known.text, { special = true, bos = true }))
    assert.equal(case.eos, tokenizer.eos)
    assert.equal(case.size, tokenizer.vocab_size)
    if case.pad then assert.same({ case.pad }, tokenizer:encode("<p>", { special = true })) end
  end

  it("give the ids that transformers gives, also once they were saved", function()
    assert.equal(13, #known)
    for _, case in ipairs(known) do
      local target, tokenizer = new_name(), loaded(files_of(case))
      check(case, tokenizer)
      tokenizer:save(target)
      check(case, gpt.tokenizer(target))
      os.remove(target .. "/tokenizer.json")
      check(case, gpt.tokenizer(target))
      remove(target)
    end
  end)

  it("may have the names of GPT-2's first release", function()
    local dir = directory(files_of(known[1], true))
    check(known[1], gpt.tokenizer(dir))
    os.remove(dir .. "/vocab.bpe")
    assert.equal(("user:1: %s has encoder.json, but not the vocab.bpe that goes with it"):format(dir),
      message("gpt.tokenizer(x)", nil, dir))
    remove(dir)
  end)

  it("say with what a prompt begins, and nothing else begins with it", function()
    local tokenizer = loaded { ["tokenizer_config.json"] = '{"add_bos_token": true}' }
    local ids = tokenizer:encode "The"
    assert.same({ 399, table.unpack(ids) }, tokenizer:encode("The", { bos = true }))
    assert.same({ 399, table.unpack(ids) }, tokenizer:encode("<|endoftext|>The", { bos = true, special = true }))
    assert.same({ 399 }, tokenizer:encode("", { bos = true }))
    assert.same(gpt.tokenizer(SMALL):encode "The", gpt.tokenizer(SMALL):encode("The", { bos = true }))
    local seen
    gpt.generate(function(given)
      seen = given
      return gpt.zeros(#given, 400)
    end, "The", { tokenizer = tokenizer, context_length = 9, max_new_tokens = 1 })
    assert.same({ 399, table.unpack(ids) }, seen)
  end)

  it("name all ids that end a text, the role's first", function()
    local tokenizer = loaded { ["generation_config.json"] = '{"eos_token_id": [5, 399, 7]}',
      ["config.json"] = '{"eos_token_id": 8}' }
    assert.same({ 399, 5, 7, 8 }, tokenizer.end_tokens)
    assert.equal(399, tokenizer.eos)
    local other = loaded { ["tokenizer_config.json"] = '{"eos_token": null}',
      ["generation_config.json"] = '{"eos_token_id": 5}' }
    assert.same({ 5 }, other.end_tokens)
    assert.equal("Tokenizer(400 tokens, eos = 5)", tostring(other))
    assert.same({ 399 }, gpt.tokenizer(SMALL).end_tokens)
    assert.same({ 399 }, loaded({ ["config.json"] = '{"eos_token_id": null}' }).end_tokens)
    local trained = gpt.train_tokenizer({ text = "a" }, { vocab_size = 257 })
    assert.same({ 256 }, trained.end_tokens)
  end)
end)

describe("gpt.tokenizer refuses", function()
  it("what is no directory of a tokenizer", function()
    assert.equal("user:1: nowhere: no such directory", message("gpt.tokenizer('nowhere')"))
    assert.equal("user:1: README.md: not a directory", message("gpt.tokenizer('README.md')"))
    assert.equal("user:1: spec has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt are there",
      message("gpt.tokenizer('spec')"))
    assert.equal("user:1: bad argument #1 to 'tokenizer' (string expected, got no value)", message("gpt.tokenizer()"))
    local dir = directory { ["vocab.json"] = VOCAB }
    assert.equal(("user:1: %s has vocab.json, but not the merges.txt that goes with it"):format(dir),
      message("gpt.tokenizer(x)", nil, dir))
    remove(dir)
    dir = directory { ["merges.txt"] = MERGES }
    assert.equal(("user:1: %s has merges.txt, but not the vocab.json that goes with it"):format(dir),
      message("gpt.tokenizer(x)", nil, dir))
    remove(dir)
  end)

  it("files that are not JSON", function()
    for text, expected in pairs {
      [""] = "not valid JSON near line 1, column 1: it is empty",
      [VOCAB:sub(1, 3000)] = "not valid JSON near line 1, column 2995: it seems cut short",
      ['{"a": 1} x}'] = "not valid JSON near line 1, column 10",
      ["{'a': 1}"] = "not valid JSON near line 1, column 3",
      ['{"\xff": 1}'] = "not valid JSON near line 1, column 3: not UTF-8",
      ['{"a\\u0000": 1}'] =
        "not valid JSON near line 1, column 4: a character from \\u0001 to \\uffff expected",
      ['{"a\0": 1}'] = "not valid JSON near line 1, column 4: a NUL character",
      ["[1]"] = "an object of tokens and their ids expected",
    } do
      assert.equal("DIR/vocab.json: " .. expected, refused { ["vocab.json"] = text })
    end
  end)

  it("vocabularies that contradict themselves", function()
    for change_to, expected in pairs {
      ['"x1": 5, "'] = 'two tokens have the id 5: "x1" and "&"',
      ['"!": 500, "'] = 'the token "!" has two ids: 500 and 0',
      ['"x1": -1, "'] = 'the id of the token "x1" is not a whole number from 0 to 8388607',
      ['"x1": 1.5, "'] = 'the id of the token "x1" is not a whole number from 0 to 8388607',
      ['"x1": 8388608, "'] = 'the id of the token "x1" is not a whole number from 0 to 8388607',
      ['"x1": "7", "'] = 'the id of the token "x1" is not a whole number from 0 to 8388607',
      ['"x1": 8388607, "'] = 'the token "x1" has the id 8388607: ids of 401 tokens lie from 0 to 268559',
    } do
      assert.equal("DIR/vocab.json: " .. expected, refused { ["vocab.json"] = change(VOCAB, '"', change_to) })
    end
    assert.equal(268560, loaded { ["vocab.json"] = change(VOCAB, '"', '"x1": 268559, "') }.vocab_size)
    assert.equal('DIR: 1 of the 256 single bytes are no token (0x21), so not every text could be encoded',
      refused { ["vocab.json"] = change(VOCAB, '"!": 0, ', "") })
  end)

  it("merges that the vocabulary does not know", function()
    local first = MERGES:match("\n([^\n]+)\n")
    for line, expected in pairs {
      ["qzx h"] = 'line 2: merge of "qzx" and "h": the token "qzx" is not in the vocabulary',
      ["h qzx"] = 'line 2: merge of "h" and "qzx": the token "qzx" is not in the vocabulary',
      ["! q"] = 'line 2: merge of "!" and "q": the token that the two become is not in the vocabulary',
      ["qz"] = 'line 2: two tokens with a space between expected, got "qz"',
      ["a b c"] = 'line 2: two tokens with a space between expected, got "a b c"',
      [" a"] = 'line 2: two tokens with a space between expected, got " a"',
      [""] = 'line 2: two tokens with a space between expected, got ""',
      ["日 本"] = 'line 2: merge of "日" and "本": the token "日" is not in the vocabulary',
    } do
      local merges = change(MERGES, "\n", "\n" .. line .. "\n")
      assert.equal("DIR/merges.txt: " .. expected, refused { ["merges.txt"] = merges })
    end
    local a, b = first:match("(%S+) (%S+)")
    assert.equal(('DIR/merges.txt: line 3: merge of "%s" and "%s": this pair is merge 1 already'):format(a, b),
      refused { ["merges.txt"] = change(MERGES, "\n", "\n" .. first .. "\n") })
  end)

  it("merges that are cut short", function()
    local lines = {}
    for line in MERGES:gmatch("[^\n]*\n") do lines[#lines + 1] = line end
    assert.equal("DIR/merges.txt: the file seems cut short: no merge makes 73 of the vocabulary's tokens",
      refused { ["merges.txt"] = table.concat(lines, "", 1, #lines - 72) })
    assert.equal("DIR/merges.txt: the file seems cut short: no merge makes 3 of the vocabulary's tokens",
      refused { ["merges.txt"] = table.concat(lines, "", 1, #lines - 2):sub(1, -2) })
    assert.equal(400, loaded({ ["merges.txt"] = MERGES:sub(1, -2) }).vocab_size)
    assert.equal(400, loaded({ ["merges.txt"] = MERGES:gsub("\n", "\r\n") }).vocab_size)
    assert.equal(400, loaded({ ["merges.txt"] = MERGES:gsub("^[^\n]*\n", "") }).vocab_size)
  end)

  it("what tokenizer.json asks for and is not implemented, by name", function()
    local level = JSON:match('"pre_tokenizer": ({[^}]*})')
    local function nested(steps)
      local inner = '{"type": "Sequence", "' .. steps .. '": ['
      return inner:rep(9) .. "]}" .. ("]}"):rep(8)
    end
    local function split(pattern, behavior)
      return ('{"type": "Split", "pattern": {"Regex": "%s"}, "behavior": "%s"}'):format(pattern, behavior or "Isolated")
    end
    for expected, edit in pairs {
      ['"model" (an object) is missing'] = { JSON, "{}" },
      ['model "WordPiece" is not supported: BPE expected'] = { '"type": "BPE"', '"type": "WordPiece"' },
      ["model: dropout is not supported"] = { '"dropout": null', '"dropout": 0.1' },
      ["model: end_of_word_suffix is not supported"] = { '"end_of_word_suffix": null', '"end_of_word_suffix": "</w>"' },
      ["model: continuing_subword_prefix is not supported"] =
        { '"continuing_subword_prefix": null', '"continuing_subword_prefix": "##"' },
      ['model: "vocab" (an object) is missing'] = { '"vocab"', '"words"' },
      ['model: "merges" (an array) is missing'] = { '"merges"', '"pairs"' },
      ['normalizer "Nmt" is not supported: NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace or Sequence expected'] =
        { '"normalizer": null', '"normalizer": {"type": "Nmt"}' },
      ['normalizer Replace: "content" (a string) is missing'] = { '"normalizer": null', '"normalizer": {"type": "Replace"}' },
      ['normalizer Replace: "pattern" needs "Regex" or "String" (a string)'] =
        { '"normalizer": null', '"normalizer": {"type": "Replace", "content": "x", "pattern": {"Glob": "*"}}' },
      ['normalizer Prepend: "prepend" (a string) is missing'] = { '"normalizer": null', '"normalizer": {"type": "Prepend"}' },
      ["normalizer: sequences lie more than 8 deep"] = { '"normalizer": null', '"normalizer": ' .. nested "normalizers" },
      ["more than 32 normalizers"] = { '"normalizer": null', '"normalizer": {"type": "Sequence", "normalizers": ['
        .. ('{"type": "Lowercase"}, '):rep(32) .. '{"type": "Lowercase"}]}' },
      ['pre_tokenizer "Bert" is not supported: ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, '
        .. "Metaspace or Sequence expected"] = { level, '{"type": "Bert"}' },
      ["pre_tokenizer: sequences lie more than 8 deep"] = { level, nested "pretokenizers" },
      ["more than 16 pre-tokenizers"] = { level, '{"type": "Sequence", "pretokenizers": ['
        .. ('{"type": "Digits"}, '):rep(16) .. '{"type": "Digits"}]}' },
      ['after ByteLevel, pre_tokenizer "Digits" is not supported: nothing expected'] =
        { level, '{"type": "Sequence", "pretokenizers": [' .. level .. ', {"type": "Digits"}]}' },
      ["pre_tokenizer Metaspace: prepend_scheme always, first or never expected"] =
        { level, '{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}' },
      ["pre_tokenizer Metaspace: replacement: a string of 1 to 15 bytes expected"] =
        { level, '{"type": "Metaspace", "replacement": ""}' },
      ['decoder "ByteLevel" is not supported: Replace, ByteFallback, Fuse, Strip or Metaspace expected'] =
        { level, "null" },
      ['decoder "WordPiece" is not supported: ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or Sequence expected'] =
        { '"decoder": {"type": "ByteLevel"', '"decoder": {"type": "WordPiece"' },
      ['decoder "Fuse" is not supported: ByteLevel expected'] =
        { '"decoder": {"type": "ByteLevel"', '"decoder": {"type": "Fuse"' },
      ["decoder Strip: only blanks at the start, after Fuse, are supported"] =
        { '"decoder": {"type": "ByteLevel"', '"decoder": {"type": "Strip", "content": " ", "start": 1, "stop": 0' },
      ["decoder Replace: pattern: a string of at most 15 bytes expected"] =
        { '"decoder": {"type": "ByteLevel"', '"decoder": {"type": "Replace", "content": " "' },
      ["decoder: sequences lie more than 8 deep"] = { JSON:match('"decoder": ({[^}]*})'), nested "decoders" },
      ['model: unk_token: the token "<nothing>" is not in the vocabulary'] =
        { '"unk_token": null', '"unk_token": "<nothing>"' },
      ['post_processor "BertProcessing" is not supported: ByteLevel, TemplateProcessing or none expected'] =
        { '"post_processor": null', '"post_processor": {"type": "BertProcessing"}' },
      ['post_processor TemplateProcessing: "single": one Sequence among SpecialTokens expected'] =
        { '"post_processor": null', '"post_processor": {"type": "TemplateProcessing", "single": '
          .. '[{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}]}' },
      ["post_processor: a special token without an id"] =
        { '"post_processor": null', '"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {}}]}' },
      ["post_processor: sequences lie more than 8 deep"] =
        { '"post_processor": null', '"post_processor": ' .. nested "processors" },
      ['post_processor: the special token "<x>" is not in the vocabulary'] =
        { '"post_processor": null', '"post_processor": {"type": "TemplateProcessing", "single": '
          .. '[{"SpecialToken": {"id": "<x>"}}, {"Sequence": {"id": "A"}}]}' },
      ['pre_tokenizer Split: the pattern "(": missing closing parenthesis (at 1)'] = { level, split "(" },
      ['pre_tokenizer Split: the pattern "\\h+": \\h is not supported'] = { level, split "\\\\h+" },
      ['pre_tokenizer Split: the pattern "[a[b]]": a class within a class is not supported'] = { level, split "[a[b]]" },
      ['pre_tokenizer Split: the pattern "[a&&b]": && in a class is not supported'] = { level, split "[a&&b]" },
      ['pre_tokenizer Split: the pattern "a{2}+": a repetition like {2}+ is not supported'] = { level, split "a{2}+" },
      ["pre_tokenizer Split: a pattern of 0 bytes; 1 to 65536 expected"] = { level, split "" },
      ["pre_tokenizer Split: behavior Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous expected"] =
        { level, split("a", "Kept") },
      ['an added token needs "content" (a string) and an id'] = { '"id": 399', '"id": -1' },
      ['two tokens have the id 3: "$" and "<|endoftext|>"'] = { '"id": 399', '"id": 3' },
      ['merges[1]: two tokens expected'] = { '"merges": [[', '"merges": [[1], [' },
      ['merges[1]: two tokens with a space between expected'] = { '"merges": [[', '"merges": ["ab", [' },
      ['merges[1]: merge of "qzx" and "!": the token "qzx" is not in the vocabulary'] =
        { '"merges": [[', '"merges": ["qzx !", [' },
    } do
      assert.equal("DIR/tokenizer.json: " .. expected,
        refused { ["tokenizer.json"] = change(JSON, table.unpack(edit)) })
    end
  end)

  it("special tokens with wrong ids", function()
    for text, expected in pairs {
      ['{"added_tokens_decoder": {"7": {"content": "<|endoftext|>"}}}'] =
        'the token "<|endoftext|>" has two ids: 399 and 7',
      ['{"added_tokens_decoder": {"x": {"content": "<x>"}}}'] = 'an added token needs "content" (a string) and an id',
      ['{"added_tokens_decoder": {"400": {"content": ""}}}'] = "an added token is empty",
      ['{"added_tokens_decoder": {"300000": {"content": "<x>"}}}'] =
        'the token "<x>" has the id 300000: ids of 401 tokens lie from 0 to 268559',
      ["[]"] = "an object expected",
    } do
      assert.equal("DIR/tokenizer_config.json: " .. expected, refused { ["tokenizer_config.json"] = text })
    end
    assert.equal("DIR: pad_token: an added token is empty",
      refused { ["tokenizer_config.json"] = '{"pad_token": ""}' })
    assert.equal("DIR: additional_special_tokens: an added token is empty",
      refused { ["tokenizer_config.json"] = '{"additional_special_tokens": [""]}' })
    for text in ('"x" -1 1.5 [1,"x"] {}'):gmatch "%S+" do
      assert.equal("DIR/generation_config.json: eos_token_id: a token id, or a list of token ids, expected",
        refused { ["generation_config.json"] = '{"eos_token_id": ' .. text .. "}" })
    end
    assert.equal("DIR/added_tokens.json: an added token needs an id", refused { ["added_tokens.json"] = '{"x": "y"}' })
    assert.equal("DIR/added_tokens.json: an object of tokens and their ids expected",
      refused { ["added_tokens.json"] = "[]" })
  end)

  it("nothing that only says the same again", function()
    local same = change(JSON, '"post_processor": null', '"post_processor": {"type": "TemplateProcessing", "single": '
      .. '[{"Sequence": {"id": "A", "type_id": 0}}]}')
    same = change(same, '"normalizer": null', '"normalizer": {"type": "Sequence", "normalizers": []}')
    local level = JSON:match('"pre_tokenizer": ({[^}]*})')
    same = change(same, '"pre_tokenizer": ' .. level,
      '"pre_tokenizer": {"type": "Sequence", "pretokenizers": [' .. level .. "]}")
    local map = '{"eos_token": "<|endoftext|>"}'
    local tokenizer = loaded { ["tokenizer.json"] = same, ["special_tokens_map.json"] = map }
    assert.equal("Tokenizer(400 tokens, eos = 399)", tostring(tokenizer))
  end)
end)

describe("the end of text", function()
  it("is what special_tokens_map.json says, then tokenizer_config.json, then GPT-2's", function()
    local config, map = '{"eos_token": "!"}', '{"eos_token": {"content": "#"}}'
    assert.equal(2, loaded({ ["tokenizer_config.json"] = config, ["special_tokens_map.json"] = map }).eos)
    assert.equal(0, loaded({ ["tokenizer_config.json"] = config, ["special_tokens_map.json"] = "{}" }).eos)
    config = '{"eos_token": "!", "added_tokens_decoder": {}}' -- newer tools say all of it there
    assert.equal(0, loaded({ ["tokenizer_config.json"] = config, ["special_tokens_map.json"] = map }).eos)
    assert.equal(2, loaded({ ["special_tokens_map.json"] = map }).eos)
    assert.equal(399, loaded({ ["tokenizer_config.json"] = '{"bos_token": "!"}' }).eos)
  end)

  it("is nil where there is none", function()
    local none = loaded { ["vocab.json"] = change(VOCAB, ', "<|endoftext|>": 399', "") }
    assert.is_nil(none.eos)
    assert.equal("Tokenizer(399 tokens, no eos)", tostring(none))
    assert.is_nil(loaded({ ["tokenizer_config.json"] = '{"eos_token": null}' }).eos)
    local target = new_name()
    none:save(target)
    local again = gpt.tokenizer(target)
    remove(target)
    assert.equal("Tokenizer(399 tokens, no eos)", tostring(again))
  end)
end)

describe("the tokenizer's methods refuse", function()
  local tokenizer = gpt.tokenizer(SMALL)

  it("ids that are no token's", function()
    assert.equal("user:1: decode: ids[2]: -1 is no token id: ids start at 0",
      message("tokenizer:decode { 1, -1 }", tokenizer))
    assert.equal("user:1: no token has the id 400 (ids lie from 0 to 399)", message("tokenizer:token(400)", tokenizer))
    assert.equal("user:1: decode: ids[2]: a whole number expected, got 1.5",
      message("tokenizer:decode { 1, 1.5 }", tokenizer))
    assert.equal('user:1: decode: ids[1]: a whole number expected, got the string "15496"; tonumber makes a number of it',
      message("tokenizer:decode { '15496' }", tokenizer))
    assert.equal("user:1: decode: ids[1]: a whole number expected, got table",
      message("tokenizer:decode { {} }", tokenizer))
    assert.equal("user:1: bad argument #1 to 'decode' (array of token ids expected, got string)",
      message("tokenizer:decode('x')", tokenizer))
  end)

  it("wrong arguments", function()
    assert.equal("user:1: bad argument #1 to 'encode' (string expected, got number)",
      message("tokenizer:encode(1)", tokenizer))
    assert.equal("user:1: bad argument #2 to 'encode' (table expected, got boolean)",
      message("tokenizer:encode('a', true)", tokenizer))
    assert.equal("user:1: encode: unknown option 'specials'; did you mean 'special'?",
      message("tokenizer:encode('a', { specials = true })", tokenizer))
    for given, got in pairs { ["{ 2, 2 }"] = "2 at 2", ["{ 0 }"] = "0 at 1", ["{ 1, 'x' }"] = "string at 2" } do
      assert.equal("user:1: encode: literal_at: rising positions, from 1 on, expected, got " .. got,
        message("tokenizer:encode('a', { literal_at = " .. given .. " })", tokenizer))
    end
    assert.equal("user:1: encode: literal_at: an array of positions expected, got 3",
      message("tokenizer:encode('a', { literal_at = 3 })", tokenizer))
    assert.equal("user:1: encode: special: true or false expected, got 1",
      message("tokenizer:encode('a', { special = 1 })", tokenizer))
    assert.equal("user:1: a gpt.Tokenizer has no field or method 'vocabsize'; did you mean 'vocab_size'?",
      message("return tokenizer.vocabsize", tokenizer))
  end)
end)

describe("with GPT-2's vocabulary", function()
  local dir = os.getenv("GPT2_VOCAB") or "../shared/gpt2-vocab"
  local file = io.open(dir .. "/vocab.json")
  local found = file and file:close()
  local test = found and it or function(name) pending(name .. " (GPT-2's vocabulary is missing: set GPT2_VOCAB)") end

  test("the ids are tiktoken's", function()
    local tokenizer = gpt.tokenizer(dir)
    assert.equal("Tokenizer(50257 tokens, eos = 50256)", tostring(tokenizer))
    for _, case in ipairs(fixture) do
      assert.same(case.gpt2, tokenizer:encode(case[1]))
      assert.equal(case[1], tokenizer:decode(case.gpt2))
    end
  end)

  test("saving and loading keeps it", function()
    local tokenizer, target = gpt.tokenizer(dir), new_name()
    tokenizer:save(target)
    local other = gpt.tokenizer(target)
    assert.equal(read(dir .. "/merges.txt"), read(target .. "/merges.txt"))
    remove(target)
    assert.equal(tostring(tokenizer), tostring(other))
    local all = {}
    for id = 0, 50256 do all[id + 1] = id end
    assert.is_true(tokenizer:decode(all) == other:decode(all))
  end)
end)
