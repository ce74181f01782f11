-- What a short text of a stranger's may cost as a grammar: bounds are told by messages, by bytes, and by inputs that would
-- take minutes without them.
local Cache = require "gpt.grammar.cache"
local build = require "gpt.grammar.build"
local core = require "gpt.core"
local gpt = require "gpt"
local matchers = require "gpt.grammar.matchers"
local masks = require "spec.support.masks"
local raised = require "spec.support.raised"
local read = require "gpt.grammar".read

local function error_of(source)
  return (raised(function() gpt.grammar(source) end):gsub("^gpt.grammar: json_schema: ", ""))
end

local function schema(text) return gpt.grammar { json_schema = text } end

local function schema_error(text) return error_of { json_schema = text } end

-- The texts of make(1) to make(n), or n times a text, with commas between.
local function list(n, make)
  local parts = {}
  for i = 1, n do parts[i] = type(make) == "string" and make or make(i) end
  return table.concat(parts, ",")
end

local function numbers(n) return list(n, function(i) return ("%d"):format(i) end) end

local MANY_STEPS = "#: the schema takes more than 50000 steps to work out: fewer alternatives inside each other would do"
local MANY_EDGES = "#: minLength or maxLength beside a pattern or format of this size cannot be enforced"
local MANY_PARTS = "#: it takes more than 300000 parts: fewer would do"

describe("the cost of a schema", function()
  it("does not grow by the length of a name for each part below it", function()
    local inner = list(2000, function(i) return ('"%d":{"const":%d}'):format(i, i) end)
    collectgarbage()
    local before = gpt.memory().live
    local grammar = schema('{"properties":{"' .. ("x"):rep(28000) .. '":{"properties":{' .. inner .. "}}}}")
    assert.is_true(gpt.memory().live - before < 8 << 20)
    assert.is_true((grammar:matches('{"' .. ("x"):rep(28000) .. '": {"7": 7, "9": 9}}')))
    local name = ("y"):rep(28000)
    assert.equal("#/properties/" .. ("y"):rep(37) .. "..." .. ("y"):rep(36) .. "/properties/" .. ("z"):rep(27) .. ": "
      .. "uniqueItems cannot be enforced", schema_error('{"properties":{"' .. name .. '":{"properties":{"'
      .. ("z"):rep(27) .. '":{"uniqueItems":true,"type":"array"}}}}}'))
  end)

  it("is bounded in the edges of patterns beside lengths, of all of them together", function()
    assert.equal(MANY_EDGES, schema_error('{"pattern":"^([ab]|){2000}$","maxLength":300}'))
    assert.equal(MANY_EDGES, schema_error('{"pattern":"(' .. ("[ab]|"):rep(8000) .. '){10000}","maxLength":1}'))
    local lengths = list(400, function(i) return ('{"maxLength":%d}'):format(i + 6) end)
    assert.equal(MANY_EDGES, schema_error('{"pattern":"([ab]|){5000}","anyOf":[' .. lengths .. "]}"))
  end)

  it("is that of the different states of a pattern, for each length", function()
    local patterns = list(20, function(i) return ('"k%d":{"pattern":"^(a%d|b)*$","maxLength":1300}'):format(i, i) end)
    collectgarbage()
    local before = collectgarbage "count"
    collectgarbage "stop"
    local grammar = schema('{"type":"object","properties":{' .. patterns .. "}}")
    local made = collectgarbage "count" - before
    collectgarbage "restart"
    assert.is_true(tonumber(tostring(grammar):match "(%d+) states") < 70000) -- three for each character, or two
    assert.is_true(made < 8000) -- kB
    local text = ("a17b"):rep(325)
    assert.is_true((grammar:matches('{"k17": "' .. text .. '"}')))
    assert.same({ false, 9 + 1299 }, { grammar:matches('{"k17": "' .. text:sub(1, -2) .. 'a17"}') }) -- no room for 17
    grammar = schema('{"pattern":"^(' .. ("[ab]|"):rep(2000) .. 'c)*$","maxLength":300}')
    assert.is_true(tonumber(tostring(grammar):match "(%d+) states") < 400)
    assert.is_true(grammar:matches('"' .. ("abc"):rep(100) .. '"') and not grammar:matches('"' .. ("abc"):rep(101) .. '"'))
  end)

  it("is the same however often something is repeated", function()
    for text, good in pairs {
      ['{"type":"string","minLength":2000,"maxLength":3000000000}'] = '"' .. ("é"):rep(2000) .. '"',
      ['{"type":"array","items":{"type":"null"},"minItems":1000,"maxItems":90000}'] = "[" .. ("null, "):rep(999) .. "null]",
      ['{"type":"object","maxProperties":50000}'] = "{" .. ('"a": 1, '):rep(2000) .. '"b": 2}',
    } do
      local grammar = schema(text)
      assert.is_true(tonumber(tostring(grammar):match "(%d+) states") < 1500, text)
      assert.is_true((grammar:matches(good)), text)
    end
    assert.is_false((schema '{"type":"string","minLength":2000}':matches('"' .. ("a"):rep(1999) .. '"')))
    assert.is_false((schema '{"type":"string","maxLength":2000}':matches('"' .. ("a"):rep(2001) .. '"')))
  end)

  it("may be a share of all that there may be, where a stranger sends it", function()
    local function refused(text, share)
      return (raised(function() read("response_format", { json_schema = text }, share) end)
        :gsub("^response_format: json_schema: ", ""))
    end
    assert.equal("#/properties/b: it takes more than 18750 parts: fewer would do",
      refused('{"properties":{"a":{"const":1},"b":{"enum":[' .. numbers(19000) .. "]}}}", 1 / 16))
    assert.equal("#/properties/b: it takes more than 31250 states: repeat less, or fewer parts",
      refused('{"properties":{"a":{"const":1},"b":{"const":"' .. ("x"):rep(32000) .. '"}}}', 1 / 16))
    assert.equal("#/properties/b: minLength or maxLength beside a pattern or format of this size cannot be enforced",
      refused('{"properties":{"a":{"const":1},"b":{"pattern":"^[ab]*$","maxLength":20000}}}', 1 / 16))
    assert.equal(MANY_STEPS:gsub("50000", "3125"), refused('{"properties":{' .. list(500,
      function(i) return ('"%d":{}'):format(i) end) .. '},"anyOf":[' .. list(400, "{}") .. "]}", 1 / 16))
    local kept = '{"properties":{"b":{"pattern":"^[ab]*$","maxLength":20000}}}'
    refused(kept, 1 / 16)
    local grammar = read("response_format", { json_schema = kept })
    assert.equal(grammar, read("response_format", { json_schema = kept }, 1 / 16)) -- it is there
  end)

  it("is bounded in what alternatives copy of what lies around them", function()
    local names = list(1500, function(i) return ('"%d":{}'):format(i) end)
    assert.equal(MANY_STEPS, schema_error('{"properties":{' .. names .. '},"anyOf":[' .. list(4000, "{}") .. "]}"))
    assert.equal(MANY_STEPS, schema_error('{"allOf":[' .. list(5000, '{"anyOf":[{}]}') .. "]}"))
    assert.equal("#: more than 500 combinations of alternatives", schema_error('{"anyOf":[' .. list(9000, "{}") .. "]}"))
    assert.equal(MANY_STEPS:gsub("#", "#/$defs/989"), schema_error('{"$ref":"#/$defs/1","$defs":{' .. list(2000,
      function(i) return ('"%d":{"$ref":"#/$defs/%d"}'):format(i, i + 1) end) .. "}}"))
  end)

  it("is bounded in the comparisons of oneOf", function()
    assert.equal(MANY_STEPS, schema_error('{"enum":[' .. numbers(5000) .. '],"type":"object","oneOf":['
      .. list(490, "{}") .. "]}"))
    assert.equal("#: no value of enum or const matches the rest",
      schema_error('{"type":"object","enum":[' .. list(9000, "1") .. '],"oneOf":[' .. list(300, "{}") .. "]}"))
    local branch = '{"type":"object","properties":{"k":{"const":%d}},"required":["k"]}'
    local grammar = schema('{"oneOf":[' .. list(300, function(i) return branch:format(i) end) .. "]}")
    assert.is_true(grammar:matches '{"k": 300}' and not grammar:matches '{"k": 301}')
  end)

  it("does not grow by the product of enum and const", function()
    local grammar = schema('{"enum":[' .. list(20000, "1") .. '],"allOf":[' .. list(20000, '{"const":1}') .. "]}")
    assert.is_true(grammar:matches "1" and not grammar:matches "11")
    grammar = schema [[{"allOf":[{"enum":[3,2,{"a":2,"b":1},1,{"b":1.0,"a":2},1.5]},{"enum":[1,{"b":1,"a":2},3]}]}]]
    for text, fits in pairs { ["1"] = true, ['{"a": 2, "b": 1}'] = true, ['{"b": 1, "a": 2}'] = true, ["2"] = false,
      ["3"] = true, ["1.5"] = false } do
      assert.equal(fits, (grammar:matches(text)), text)
    end
  end)

  it("is bounded in parts, where alternatives need them again and again", function()
    local several = list(490, function(i) return ('{"maxLength":%d}'):format(i) end)
    assert.equal(MANY_PARTS, schema_error('{"enum":[' .. list(9000, function(i) return ('"%d"'):format(i) end)
      .. '],"anyOf":[' .. several .. "]}"))
    local text = ("[ab]c"):rep(6000) -- read once
    assert.equal("#: it takes more than 500000 states: repeat less, or fewer parts",
      schema_error('{"pattern":"' .. text .. '","anyOf":[' .. list(490, "{}") .. "]}"))
    assert.equal("#: it takes more than 2000000 edges between states: repeat less, or fewer parts",
      schema_error('{"pattern":"^(' .. ("a|"):rep(20000) .. ')$","anyOf":[' .. list(490, "{}") .. "]}"))
  end)

  it("is that of a name's characters where other members are told from it", function()
    local name = ("x"):rep(12000)
    local grammar = schema('{"properties":{"' .. name .. '":{"const":1},"é\\n":{"const":1}},"additionalProperties":{"type":"null"}}')
    for key, fits in pairs { [name .. "x"] = true, [name:sub(2)] = true, ["é"] = true, ["è\\n"] = true, ["é\\t"] = true,
      ["é\\nx"] = true, [""] = true, ["xé"] = true, ["x\\n"] = true, [name] = false, ["é\\n"] = false } do
      assert.equal(fits, (grammar:matches('{"' .. key .. '": null}')), key)
    end
  end)
end)

describe("the cost of a grammar in GBNF", function()
  it("is that of one repetition where plain ones stand behind each other", function()
    for marks, expected in pairs {
      ["??"] = { true, true, false, false }, ["?*"] = { true, true, true, true }, ["*?"] = { true, true, true, true },
      ["++"] = { false, true, true, true }, ["+?"] = { true, true, true, true }, ["?+"] = { true, true, true, true },
      ["*+"] = { true, true, true, true }, ["+*"] = { true, true, true, true }, ["**"] = { true, true, true, true },
      ["{2}?"] = { true, false, true, false }, ["?{2}"] = { true, true, true, false },
      ["{2}*"] = { true, false, true, false },
    } do
      local grammar = gpt.grammar('root ::= "a"' .. marks)
      for n = 0, 3 do assert.equal(expected[n + 1], (grammar:matches(("a"):rep(n))), marks .. n) end
    end
    assert.equal("Grammar(1 rules, 2 states)", tostring(gpt.grammar('root ::= "a"' .. ("?"):rep(200000))))
  end)

  it("is bounded in depth", function()
    assert.equal("gpt.grammar: line 1, column 413: nested more than 200 deep",
      error_of('root ::= "a"' .. ("{2}*"):rep(1000)))
    local node = { kind = "text", text = "a" }
    for _ = 1, 2000 do node = { kind = "sequence", node } end
    assert.equal("spec: the root: parts nested more than 2000 deep",
      raised(function() build("spec", { { name = "root", label = "the root", node = node } }, 1) end))
  end)

  it("does not grow by the length of a rule's name for each of its repetitions", function()
    local name = ("n"):rep(30000)
    collectgarbage()
    local before = gpt.memory().live
    gpt.grammar("root ::= " .. name .. "\n" .. name .. " ::= " .. ('"ab"{2} '):rep(2000))
    assert.is_true(gpt.memory().live - before < 8 << 20)
  end)
end)

-- Many alternatives of eight letters each, of which a letter rules out one in 26, or `half`; and words, half of which an
-- open grammar of a few alternatives takes then.
local function open_grammar(count, half)
  local state = 1
  local function letter()
    state = (state * 1103515245 + 12345) % 2147483648
    return 97 + state // 65536 % 26
  end
  local alternatives = {}
  for i = 1, count do
    local classes = {}
    for j = 1, 8 do classes[j] = ("[^%s]"):format(half and string.char(97, 45, letter()) or string.char(letter())) end
    alternatives[i] = table.concat(classes)
  end
  local words = {}
  for i = 1, 4000 do
    words[i] = string.char(letter(), letter(), letter(), letter(), letter(), letter()):sub(i % 2 + 1)
  end
  return gpt.grammar { regex = "(" .. table.concat(alternatives, "|") .. ")*" }, words
end

describe("what is found out about a grammar", function()
  local sampler, logits = core._sampler({}, "spec", nil), gpt.full({ 4000 }, -math.huge)

  it("is forgotten amid a mask, past a bound", function()
    local grammar, words = open_grammar(60, true)
    local tree = core._token_tree(words)
    local matcher = core._grammar_matcher(grammar, tree, 1 << 14)
    local cursor, unbound = core._grammar_cursor(matcher, {}), core._grammar_matcher(grammar, tree)
    local whole = core._grammar_cursor(unbound, {})
    local counts = { [true] = 0, [false] = 0 }
    for _ = 1, 2 do
      local last
      for id = 0, 3999, 7 do
        local allowed = masks.allows(sampler, whole, logits, id)
        assert.equal(allowed, masks.allows(sampler, cursor, logits, id), id)
        counts[allowed], last = counts[allowed] + 1, allowed and id or last
      end
      assert.is_true(core._matcher_bytes(matcher) < core._matcher_bytes(unbound) / 2)
      assert.is_true(cursor:take(last) and whole:take(last))
    end
    assert.is_true(math.min(counts[true], counts[false]) > 100)
  end)

  it("is forgotten amid what must follow, and amid a text", function()
    local matcher = core._grammar_matcher(gpt.grammar 'root ::= ("ab" | "a" "b"){300}', core._token_tree { "a" }, 0)
    local cursor = core._grammar_cursor(matcher, {})
    assert.equal(("ab"):rep(300), (cursor:forced()))
    assert.is_true(core._matcher_bytes(matcher) < 10000)
    local text = table.concat(select(2, open_grammar(0)), "")
    local grammar = open_grammar(300)
    assert.same({ true, 21600 }, { grammar:matches(text:sub(1, 21600)) })
    assert.same({ false, 21601 }, { grammar:matches(text:sub(1, 21601)) })
  end)

  it("takes bounded work", function()
    local grammar, words = open_grammar(1500)
    local cursor = core._grammar_cursor(core._grammar_matcher(grammar, core._token_tree(words)), {})
    assert.equal("the grammar takes more than 100000000 steps for one token: too much of it may mean the same",
      raised(sampler.draw, sampler, logits, 1, false, cursor))
  end)
end)

describe("the cache of grammars", function()
  it("keeps those used last, within bounds of number and of bytes", function()
    local made = 0
    local function ask(cache, text)
      return cache:get(text, function()
        made = made + 1
        return gpt.grammar('root ::= "' .. text .. '"')
      end)
    end
    local cache = Cache.new()
    for i = 1, 51 do ask(cache, "text" .. i) end
    assert.equal(51, made)
    for _, text in ipairs { "text2", "text51", "text1" } do ask(cache, text) end -- text1 drops text3
    assert.equal(52, made)
    ask(cache, "text2")
    assert.equal(52, made)
    ask(cache, "text3")
    assert.equal(53, made)
    cache = Cache.new(60000)
    for _, text in ipairs { ("a"):rep(1000), ("b"):rep(1000), ("c"):rep(1000), ("a"):rep(1000) } do ask(cache, text) end
    assert.equal(57, made) -- some 22 bytes for each of a text
  end)

  it("counts what was found out under them", function()
    local cache, grammar, made = Cache.new(1 << 20), open_grammar(60), 0
    local _, words = open_grammar(0)
    local function ask(key, value)
      return cache:get(key, function()
        made = made + 1
        return value
      end)
    end
    ask("open", grammar)
    ask("open", grammar)
    assert.equal(1, made)
    local cursor = core._grammar_cursor(matchers.of(grammar, core._token_tree(words)), {})
    core._sampler({}, "spec", core._generator({ seed = 1 }, "spec", 0)):draw(gpt.zeros(4000), 1, false, cursor)
    assert.is_true(matchers.bytes(grammar) > 1 << 20)
    ask("other", gpt.grammar 'root ::= "x"')
    ask("open", grammar)
    assert.equal(3, made)
    ask("open", grammar) -- too large to be kept
    assert.equal(4, made)
  end)
end)

describe("an error amid a deep recursion of the package's own", function()
  it("is raised at once, without a place", function()
    local home = debug.getinfo(require "gpt.support.raise").source:match "^(@.*/gpt/)"
    local deep = load([[local raise = require "gpt.support.raise"
      local function deep(n)
        if n == 0 then raise "deep down" end
        return n + deep(n - 1)
      end
      return deep(150000)]], home .. "deep.lua")
    assert.same({ false, "deep down" }, { pcall(deep) })
  end)
end)
