-- Tokenizers whose files were written to take all the time or memory that there is. Without the bounds most of these
-- would take minutes, or gigabytes.
local core = require "gpt.core"
local files = require "spec.support.files"
local gguf = require "spec.support.gguf"
local gpt = require "gpt"
local raised = require "spec.support.raised"

local VOCABULARY = {}
for byte = 32, 126 do
  VOCABULARY[#VOCABULARY + 1] = ('"%s":%d'):format(string.char(byte):gsub('[\\"]', "\\%0"), byte - 32)
end

local dir

-- The tokenizer of a tokenizer.json with these parts, and of other files beside it.
local function load(parts)
  local model = ('{"type": "BPE", "vocab": {%s}, "merges": []}'):format(table.concat(VOCABULARY, ",")
    .. (parts.more or ""))
  files.write(dir .. "/tokenizer.json", ('{"normalizer": %s, "pre_tokenizer": %s, "decoder": {"type": "Fuse"}, '
    .. '"model": %s, "added_tokens": [%s]}'):format(parts.normalizer or "null", parts.pre or "null", model,
    parts.added or ""))
  return gpt.tokenizer(dir)
end

local function encode(parts, text)
  local tokenizer = load(parts)
  return raised(tokenizer.encode, tokenizer, text)
end

local function sequence(key, list) return ('{"type": "Sequence", "%s": [%s]}'):format(key, table.concat(list, ", ")) end

local function split(pattern)
  return ('{"type": "Split", "pattern": {"Regex": "%s"}, "behavior": "Isolated"}'):format((pattern:gsub("\\", "\\\\")))
end

local function metaspace(mark, scheme)
  return ('{"type": "Metaspace", "replacement": "%s", "prepend_scheme": "%s", "split": false}'):format(mark, scheme)
end

local function prepend(text) return ('{"type": "Prepend", "prepend": "%s"}'):format(text) end

local function replace(pattern, content)
  return ('{"type": "Replace", "pattern": {"String": "%s"}, "content": "%s"}'):format(pattern, content)
end

describe("a hostile tokenizer", function()
  before_each(function() dir = files.directory() end)
  after_each(function() files.remove(dir) end)

  it("cannot make ever more of a text while it cuts it", function()
    local message = "the tokenizer's pre-tokenizers make more than 256 times as much of a text"
    local blanks = metaspace((" "):rep(15), "never")
    assert.equal(message, encode({ pre = sequence("pretokenizers", { blanks, blanks, blanks, blanks, blanks }) },
      (" "):rep(10)))
    local steps = {}
    for i = 1, 12, 2 do steps[i], steps[i + 1] = split ".", metaspace(("x"):rep(15), "always") end
    assert.equal(message, encode({ pre = sequence("pretokenizers", steps) }, "a"))
    assert.equal(160, #load({ pre = blanks }):encode((" "):rep(10) .. ("a"):rep(10)))
  end)

  it("cannot do so between added tokens either, a little each time", function()
    local parts = { normalizer = prepend(("z"):rep(4000)), added = '{"id": 200, "content": "<x>"}' }
    local message = "the tokenizer's normalizers make more than 256 times as much of a text"
    assert.equal(message, encode(parts, ("a<x>"):rep(40)))
    local tokenizer = load(parts)
    assert.equal(4002, #tokenizer:encode "a<x>")
    assert.equal(4002, #tokenizer:encode "a<x>") -- each text anew
  end)

  it("cannot do so with the added tokens themselves", function()
    local tokens = {}
    for i = 1, 40 do tokens[i] = ('{"id": %d, "content": "<%d>", "normalized": true}'):format(199 + i, i) end
    local twice = sequence("normalizers", { prepend(("z"):rep(500)), prepend(("y"):rep(500)) })
    local parts = { normalizer = twice, added = table.concat(tokens, ", ") }
    assert.equal(dir .. ": added tokens: token 242: the tokenizer's normalizers make more than 256 times as much of a text",
      raised(load, parts):gsub("token %d+", "token 242"))
    parts.added = tokens[1]
    assert.equal(1001, #load(parts):encode "a")
  end)

  it("is stopped amid a step, before all of it is there", function()
    local normalizer = sequence("normalizers", { replace("a", ("\u{FDFA}"):rep(75)), '{"type": "NFKC"}' })
    local tokenizer = load { normalizer = normalizer }
    local before = gpt.memory()
    assert.equal("the tokenizer's normalizers make more than 256 times as much of a text",
      raised(tokenizer.encode, tokenizer, ("a"):rep(10000)))
    assert.is_true(gpt.memory().peak - math.max(before.peak, before.live) < 16e6)
  end)

  it("cannot ask for the slow way of matching, or for other things before a pattern", function()
    for _, pattern in ipairs { "(*NO_JIT)a", "a|(*COMMIT)b" } do
      assert.equal(('%s/tokenizer.json: pre_tokenizer Split: the pattern "%s": (* is not supported'):format(dir, pattern),
        raised(load, { pre = split(pattern) }))
    end
    assert.equal(3, #load({ pre = split "[(*]|\\(*" }):encode "(*a")
  end)

  it("cannot take many steps at each of a text's bytes", function()
    local message = "the pattern (?:a|a){1,22}c|a takes too many steps (-47)"
    assert.equal(message, encode({ pre = split "(?:a|a){1,22}c|a" }, ("a"):rep(10000)))
    assert.equal(20000, #load({ pre = split "(?:a|a){1,8}c|a" }):encode(("a"):rep(20000)))
    assert.equal(4, #load({ pre = split "(?:a|a){1,12}c|a" }):encode "aaac")
  end)

  it("has places that take many steps found where they are, however far", function()
    local parts = { normalizer = '{"type": "Replace", "pattern": {"Regex": "(?:a|a){14}b"}, "content": "-"}' }
    local tokenizer, xs, as = load(parts), ("x"):rep(40000), ("a"):rep(14)
    local ids = tokenizer:encode(xs .. as .. xs .. as .. "b" .. xs)
    assert.is_true(tokenizer:decode(ids) == xs .. as .. xs .. "-" .. xs)
  end)

  it("leaves no pattern with the memory that one text took", function()
    local function resident()
      return tonumber(files.read "/proc/self/status":match "VmRSS:%s*(%d+)") * 1024
    end
    local steps = {}
    for i = 1, 30 do
      steps[i] = ('{"type": "Replace", "pattern": {"Regex": "\\\\A(?:(a)|b)*c|x%d"}, "content": "y"}'):format(i)
    end
    local tokenizer, text = load { normalizer = sequence("normalizers", steps) }, ("a"):rep(300000)
    local before = resident()
    assert.equal(#text, #tokenizer:encode(text))
    assert.is_true(resident() - before < 150e6)
  end)

  it("has no token longer than 65536 bytes", function()
    local long = ("b"):rep(65536)
    assert.equal(long, load({ more = (', "%s": 95'):format(long) }):decode { 95 })
    assert.equal(('%s/tokenizer.json: the token "%s..." has 65537 bytes; at most 65536 are allowed'):format(dir,
      ("b"):rep(40)), raised(load, { more = (', "%sb": 95'):format(long) }))
  end)

  it("is saved fast, whatever its tokens begin with", function()
    local tokens, types, scores = { "<unk>", "a" }, { 2, 1 }, { 0, 0 }
    for i = 10, 89 do tokens[#tokens + 1], types[#types + 1], scores[#scores + 1] = i .. ("a"):rep(65000), 1, -i end
    files.write(dir .. "/a.gguf", gguf.file { pairs = { gguf.pair("tokenizer.ggml.model", "string", "llama"),
      gguf.array("tokenizer.ggml.tokens", "string", tokens), gguf.array("tokenizer.ggml.token_type", "i32", types),
      gguf.array("tokenizer.ggml.scores", "f32", scores) } })
    local read <close> = core._gguf_open(dir .. "/a.gguf")
    read:tokenizer():save(dir .. "/saved")
    assert.equal(1, gpt.tokenizer(dir .. "/saved"):encode("a")[2])
  end)

  it("learns nothing of words that are longer than tokens may be", function()
    local trained = gpt.train_tokenizer(("a"):rep(300000), { vocab_size = 280 })
    local longest = 0
    for id = 0, trained.vocab_size - 1 do longest = math.max(longest, #trained:decode { id }) end
    assert.equal(65536, longest)
  end)

  it("has no added token that is searched for at every byte, and long", function()
    local function added(text, more) return ('{"id": 200, "content": "%s"%s}'):format(text, more or "") end
    local long = ("a"):rep(1024)
    local tokenizer = load { added = added(long) }
    assert.same({ 200, 200, 65 }, { table.unpack(tokenizer:encode(long .. long .. "a")) })
    assert.equal(('%s/tokenizer.json: the added token "%s..." has 1025 bytes; at most 1024 are allowed'):format(dir,
      ("a"):rep(40)), raised(load, { added = added(long .. "a") }))
    assert.equal(('%s: added tokens: token 200: the added token "%s..." has 1025 bytes; at most 1024 are allowed'):format(
      dir, "z" .. ("a"):rep(39)), raised(load, { normalizer = prepend "z", added = added(long, ', "normalized": true') }))
  end)

  it("reads white space once, though each blank of it is a token that takes the rest along", function()
    local tokenizer = load { added = '{"id": 200, "content": "\\t", "rstrip": true}' }
    local ids = tokenizer:encode("a" .. ("\t"):rep(400000) .. "b")
    assert.equal(400002, #ids)
    assert.same({ 65, 200, 200, 66 }, { ids[1], ids[2], ids[400001], ids[400002] })
  end)

  it("cannot name more than 256 ends", function()
    files.write(dir .. "/config.json", ('{"eos_token_id": [%s]}'):format(("0,1,"):rep(300) .. "2"))
    assert.same({ 0, 1, 2 }, load({}).end_tokens)
    local ids = {}
    for i = 1, 257 do ids[i] = i end
    files.write(dir .. "/config.json", ('{"eos_token_id": [%s]}'):format(table.concat(ids, ",")))
    assert.equal(dir .. "/config.json: eos_token_id: more than 256 tokens end a text", raised(load, {}))
  end)

  it("has at most 64 chat templates in a GGUF file, too", function()
    local function read(count)
      local pairs = { gguf.pair("tokenizer.ggml.model", "string", "llama"),
        gguf.array("tokenizer.ggml.tokens", "string", { "<unk>", "a" }),
        gguf.array("tokenizer.ggml.token_type", "i32", { 2, 1 }), gguf.array("tokenizer.ggml.scores", "f32", { 0, 0 }) }
      for i = 1, count do pairs[#pairs + 1] = gguf.pair("tokenizer.chat_template.t" .. i, "string", "x") end
      files.write(dir .. "/a.gguf", gguf.file { pairs = pairs })
      local file <close> = core._gguf_open(dir .. "/a.gguf")
      return file:tokenizer()
    end
    assert.truthy(read(64))
    assert.equal(dir .. "/a.gguf: more than 64 chat templates", raised(read, 65))
  end)
end)

describe("added tokens", function()
  before_each(function() dir = files.directory() end)
  after_each(function() files.remove(dir) end)

  -- The longest at the leftmost place, then what is behind it.
  local function find_all(tokens, text)
    local ids, at = {}, 1
    while at <= #text do
      local best, length = text:byte(at) - 32, 1
      for id, token in pairs(tokens) do
        if text:sub(at, at + #token - 1) == token and (#token > length or best < 200) then best, length = id, #token end
      end
      ids[#ids + 1], at = best, at + length
    end
    return ids
  end

  it("are found as a plain search finds them", function()
    local seed = 1
    local function draw(n)
      seed = seed * 1103515245 + 12345 & 0x7fffffff
      return (seed >> 16) % n
    end
    local function word(length, letters)
      local parts = {}
      for i = 1, length do parts[i] = string.char(97 + draw(letters)) end
      return table.concat(parts)
    end
    for letters = 1, 6 do
      local tokens, known, list = {}, {}, {}
      for id = 200, 239 do
        local token = word(1 + draw(8), letters)
        if #token == 1 then token = token .. "z" end
        if not known[token] then
          tokens[id], known[token] = token, true
          list[#list + 1] = ('{"id": %d, "content": "%s"}'):format(id, token)
        end
      end
      local tokenizer, text = load { added = table.concat(list, ",") }, word(2000, letters + 1)
      assert.same(find_all(tokens, text), { table.unpack(tokenizer:encode(text)) })
    end
  end)
end)
