local gpt = require "gpt"
local core = require "gpt.core"
local masks = require "spec.support.masks"
local raised = require "spec.support.raised"
local script = require "spec.support.script"

local function error_of(source)
  return raised(function() gpt.grammar(source) end)
end

-- Texts that match a grammar, and texts that do not.
local function matching(source, good, bad)
  local grammar = gpt.grammar(source)
  for _, text in ipairs(good) do
    local whole, fits = grammar:matches(text)
    assert.is_true(whole, text)
    assert.equal(#text, fits)
  end
  for _, text in ipairs(bad) do assert.is_false((grammar:matches(text)), text) end
end

describe("a grammar in GBNF", function()
  it("has strings, classes, ranges, any character and escapes", function()
    matching([[root ::= "ab" [c-e] [^x] . "\n\t\"\\" "\x41\u00e9\U0001F600" [\]\-é-ü] ]], {
      'abcyz\n\t"\\Aé\u{1F600}é', 'abeé\u{10FFFF}\n\t"\\Aé\u{1F600}]', 'abd\n\0\n\t"\\Aé\u{1F600}-',
    }, { 'abfyz\n\t"\\Aé\u{1F600}é', 'abcxz\n\t"\\Aé\u{1F600}é', "", "ab" })
  end)

  it("has no halves of surrogate pairs, which are no characters", function()
    matching([[root ::= [\uD700-\uE000] [^\u0000-\uD7FE] ]], { "\u{D7FF}\u{D7FF}", "\u{E000}\u{E000}" },
      { "\xED\xA0\x80\u{E000}", "\u{E000}\xED\xBF\xBF" })
    assert.equal("gpt.grammar: line 1, column 11: U+D800 is no character", error_of [[root ::= "\uD800"]])
    assert.equal("gpt.grammar: line 1, column 11: U+D800 is no character", error_of [[root ::= [\uD800-\uDFFF] ]])
    assert.equal("gpt.grammar: line 1, column 16: a class without characters cannot be met",
      error_of [[root ::= "a" | [^\u0000-\uD7FF\uE000-\U0010FFFF] ]])
  end)

  it("may be long: places are found without going through all of it again", function()
    local rules = {}
    for i = 1, 20000 do rules[i] = ('r%d ::= "a"'):format(i) end
    local text = "root ::= r1\n" .. table.concat(rules, "\n") .. "\n"
    assert.is_true((gpt.grammar(text):matches "a"))
    assert.equal("gpt.grammar: line 20002, column 7: there is no rule b", error_of(text .. "x ::= b\n"))
    assert.equal("gpt.grammar: line 1, column 1048576: the string that begins here has no end",
      error_of("root ::=" .. (" "):rep((1 << 20) - 9) .. '"'))
    assert.equal("gpt.grammar: a text of at most 1048576 bytes expected, got 1048577",
      error_of("root ::=" .. (" "):rep((1 << 20) - 9) .. '""'))
    assert.equal("gpt.grammar: regex: a text of at most 1048576 bytes expected, got 1100000",
      error_of { regex = ("a"):rep(1100000) })
  end)

  it("has groups, alternatives and repetitions", function()
    matching('root ::= ("a" | "b"){2} "c"? "d"* "e"+ [0-9]{1,3} "f"{2,}', {
      "abe1ff", "bbcdddee123fff",
    }, { "ae1ff", "abe1f", "abe1234ff", "abccd1ff", "ab1ff" })
    matching('root ::= "a"{0} | ("xy"){3}', { "", "xyxyxy" }, { "a", "xy", "xyxyxyxy" })
    matching('root ::= "a" | | "b"', { "a", "b", "" }, { "ab" })
  end)

  it("counts repetitions, many as well as few", function()
    for _, item in ipairs { '"x"', '"xyz"', "[xé]", '("x" | "xx")', '("x" "y"{2,3})', 'inner', '("x"{2} "y"?)' } do
      for _, bounds in ipairs { "15", "16", "17", "3,16", "3,17", "17,40", "0,20", "20,", "16,", "0,17" } do
        local least, most = bounds:match "^(%d+)$", bounds:match ",(%d*)$"
        least = tonumber(least or bounds:match "^%d+")
        most = most and (tonumber(most) or math.huge) or least
        local grammar = gpt.grammar('root ::= "<" ' .. item .. "{" .. bounds .. '} "x>" | ">"\ninner ::= "x" | "(" root ")"')
        local one = ({ ['"xyz"'] = "xyz", ['("x" "y"{2,3})'] = "xyyy", ['("x"{2} "y"?)'] = "xx" })[item] or "x"
        for n = 0, 45 do
          local fits = n >= least and n <= most
          if item:find '"xx"' then fits = n >= least and n <= 2 * most end
          assert.equal(fits, (grammar:matches("<" .. one:rep(n) .. "x>")), item .. bounds .. " " .. n)
        end
      end
    end
    matching('root ::= ("a"{20} "b"){20,21} "c"', { (("a"):rep(20) .. "b"):rep(21) .. "c" },
      { (("a"):rep(20) .. "b"):rep(19) .. "c", (("a"):rep(20) .. "b"):rep(19) .. ("a"):rep(19) .. "bc" })
    matching('root ::= "(" root{0,20} ")"', { "()", "((())())", "(" .. ("()"):rep(20) .. ")" },
      { "(" .. ("()"):rep(21) .. ")", "(()" })
    matching('root ::= ("a"?){30} "b"', { "b", ("a"):rep(30) .. "b" }, { ("a"):rep(31) .. "b" })
    assert.equal("Grammar(2 rules, 5 states)", tostring(gpt.grammar 'root ::= "ab"{100000}'))
    assert.equal("gpt.grammar: left recursion: rule a (line 2, column 1) -> rule a (line 2, column 1): a rule must not "
      .. 'begin with itself; write a repetition, as in a ("+" a)*', error_of 'root ::= a\na ::= a{0,20} "x"')
    assert.equal("gpt.grammar: rule root (line 1, column 1) never ends: every way through it needs it, or another such "
      .. "rule, again", error_of 'root ::= "x" root{20,30}')
  end)

  it("has rules, recursive ones too, comments, and lines as llama.cpp's files break them", function()
    matching([[
      # sums
      root ::= (
        term        # the first
        ("+" term)*
      )
      term ::= [0-9]+ |
        "(" root ")"
        | other-term
      other-term ::= "x"
    ]], { "1", "12+(3+x)+4", "((((x))))" }, { "1+", "(1", "1 + 2", "" })
    matching("root::=a\r\na ::= \"y\"\r\n", { "y" }, { "a" })
  end)

  it("matches character by character, with every border of UTF-8", function()
    for _, range in ipairs { { 0, 0x10FFFF }, { 0x7F, 0x80 }, { 0x41, 0x10000 }, { 0x7FF, 0x800 }, { 0xD7FF, 0xE000 },
      { 0xFFFF, 0x10000 }, { 0x1234, 0x2345 }, { 0x10ABC, 0x5BCDE }, { 0x81, 0x81 }, { 0xE000, 0xFFFD } } do
      local low, high = range[1], range[2]
      local grammar = gpt.grammar(("root ::= [\\U%08X-\\U%08X]"):format(low, high))
      for _, code in ipairs { 0, 0x41, 0x7F, 0x80, 0x81, 0x7FF, 0x800, 0x1233, 0x1234, 0x1FFF, 0x2345, 0x2346, 0xD7FF,
        0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10ABB, 0x10ABC, 0x2FFFF, 0x5BCDE, 0x5BCDF, 0x10FFFF } do
        assert.equal(code >= low and code <= high, (grammar:matches(utf8.char(code))), ("%X %X %X"):format(low, high, code))
      end
    end
    local any = gpt.grammar "root ::= ."
    for _, bad in ipairs { "\x80", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF" } do
      assert.is_false((any:matches(bad)))
    end
  end)

  it("agrees with an enumeration of what a small grammar says", function()
    local grammar = gpt.grammar 'root ::= a* b?\na ::= "x" | "xy" a? | ("" | "z")\nb ::= [yz]{0,2} "" | root2\nroot2 ::= "q" b?'
    -- All texts of up to five letters: x, xy and z in any order, then two of y and z at most, perhaps with q's before them.
    local function check(text)
      local rest = text:gsub("xy", "x"):gsub("q+[yz]?[yz]?$", "!")
      local whole = (rest:match "^[xz]*!$" or rest:match "^[xz]*[yz]?[yz]?$") ~= nil
      assert.equal(whole, (grammar:matches(text)), text)
      if #text < 5 then for letter in ("xyzq"):gmatch "." do check(text .. letter) end end
    end
    check ""
  end)

  it("prints, and says how far a text fits", function()
    local grammar = gpt.grammar 'root ::= "ab" | "ac"'
    assert.equal("Grammar(1 rules, 4 states)", tostring(grammar))
    assert.same({ false, 1 }, { grammar:matches "ax" })
    assert.equal(grammar, gpt.grammar(grammar))
  end)

  it("says where a text cannot be understood", function()
    local errors = {
      [7] = "a text in GBNF, { json_schema = ... }, { regex = ... } or a grammar of gpt.grammar expected, got 7",
      [""] = "line 1, column 1: there is no rule root, with which a grammar begins",
      ['x ::= "a"'] = "line 1, column 10: there is no rule root, with which a grammar begins",
      ['root ::= "é" x'] = "line 1, column 14: there is no rule x",
      ['root ::= a\na ::= "b'] = "line 2, column 7: the string that begins here has no end",
      ["root ::= [ab"] = "line 1, column 10: the class that begins here has no end",
      ["root ::= [z-a]"] = "line 1, column 11: a range that goes down: z-a",
      ["root ::= []"] = "line 1, column 10: a class without characters cannot be met",
      [ [[root ::= "\q"]] ] = [[line 1, column 11: unknown escape \q; known are \n \r \t \\ \" \[ \] \xHH \uHHHH ]]
        .. [[\UHHHHHHHH]],
      [ [[root ::= "\x4"]] ] = "line 1, column 11: an escape of 2 hex digits expected",
      [ [[root ::= "\ud800"]] ] = "line 1, column 11: U+D800 is no character",
      ['root ::= ("a"'] = "line 1, column 14: ) expected, for the ( at line 1, column 10",
      ['root ::= "a" )'] = 'line 1, column 14: unexpected ")" in rule root',
      ['root ::= "a"{3,1}'] = "line 1, column 13: {3,1}: the least is more than the most",
      ['root ::= "a"{x}'] = "line 1, column 13: a number expected after {",
      ['root ::= "a"{1'] = "line 1, column 15: } expected",
      ['root ::= "a"{1000000}'] = "line 1, column 13: a repetition of at most 100000 expected",
      ['root = "a"'] = "line 1, column 6: ::= expected after the rule's name root",
      ['root ::= "a"\n\n!'] = 'line 3, column 1: the name of a rule expected, got "!"',
      ['root ::= "a"\nroot ::= "b"'] = "line 2, column 1: the rule root is there already, at line 1, column 1",
      ["root ::= <think>"] = "line 1, column 10: tokens by name or id are not supported; write their text as a string",
      ['root ::= "\xff"'] = "byte 11 is not UTF-8",
      ["root ::= " .. ("("):rep(300)] = "line 1, column 210: nested more than 200 deep",
    }
    for source, expected in pairs(errors) do assert.equal("gpt.grammar: " .. expected, error_of(source)) end
    assert.equal("gpt.grammar: a table with gbnf, json_schema or regex expected", error_of {})
    assert.equal("gpt.grammar: one of gbnf, json_schema and regex expected, got gbnf and regex",
      error_of(setmetatable({ gbnf = "", regex = "" }, { __pairs = function(t) return next, t end })):gsub(
        "got regex and gbnf", "got gbnf and regex"))
    assert.equal("gpt.grammar: whitespace is for json_schema alone", error_of { gbnf = "", whitespace = "none" })
    assert.equal("gpt.grammar: gbnf: a string expected, got 1", error_of { gbnf = 1 })
  end)

  it("refuses what cannot be met, and left recursion", function()
    local again = " never ends: every way through it needs it, or another such rule, again"
    assert.equal("gpt.grammar: rule root (line 1, column 1)" .. again, error_of 'root ::= "a" root')
    assert.equal("gpt.grammar: rule a (line 2, column 1)" .. again, error_of 'root ::= "x" | a\na ::= ("b" | "c" a) a')
    local advice = [[: a rule must not begin with itself; write a repetition, as in a ("+" a)*]]
    assert.equal("gpt.grammar: left recursion: rule root (line 1, column 1) -> rule root (line 1, column 1)" .. advice,
      error_of 'root ::= root "a" | "b"')
    assert.equal("gpt.grammar: left recursion: rule a (line 2, column 1) -> rule c (line 4, column 1) -> "
      .. "rule a (line 2, column 1)" .. advice,
      error_of 'root ::= "x" a\na ::= b? c | "c"\nb ::= "z"*\nc ::= b a "x"')
    matching('root ::= "a"\nunused ::= unused "b"', { "a" }, { "b" })
  end)

  it("does not double with loops inside each other", function()
    matching({ regex = ("("):rep(60) .. ("a|"):rep(500) .. "b" .. (")+"):rep(60) }, { "a", "b", "abba" }, { "", "c", "abc" })
    matching({ regex = ("("):rep(60) .. "ab" .. ("){2,}"):rep(60) }, {}, { "", "ab", ("ab"):rep(100) })
    matching({ regex = "x(a|b){0,}|y(a|b){1,}|z(a|b){2,}|(ab){3,}|" }, {
      "x", "xa", "xab", "ya", "yab", "zab", "zaba", "ababab", "abababab", "",
    }, { "y", "z", "za", "ab", "abab", "ababa", "xy", "ax", "yaya", "zabzab" })
  end)

  it("has one edge for what takes the same way", function()
    matching('root ::= ([a-c] | [b-d] | [d-f] | [h] | "g" | "c" | "a" "x") [a-e] root?', { "ab", "ge", "he", "axe", "fbcd" },
      { "ag", "ax", "ia", "a" })
    local equal = gpt.grammar { regex = "(?:(?:" .. ("a|"):rep(8000) .. "aa)?){4000}" } -- 32,000,000 ways a byte, if told apart
    matching(equal, { "", ("a"):rep(200) }, { "b" })
  end)

  it("keeps little of what it learns on the way through a text", function()
    local grammar = gpt.grammar { regex = "([ab]*[ab]{19000}|(x(xy?)?)*)c?" } -- a way for each byte of the text so far
    local limit = gpt.memory { limit = gpt.memory().live + (48 << 20) }.limit
    local ok, _, fits = pcall(grammar.matches, grammar, ("ab"):rep(2500))
    local again, whole = pcall(grammar.matches, gpt.grammar 'root ::= "(" root ")" | "x"', ("("):rep(200000) .. "x"
      .. (")"):rep(200000))
    gpt.memory { limit = limit }
    assert.same({ true, 5000 }, { ok, fits })
    assert.same({ true, true }, { again, whole })
    matching(grammar, { ("x"):rep(99) .. "yxc" }, { ("x"):rep(99) .. "yyc" })
  end)

  it("ends where one byte would take too long, and says where", function()
    local words = {}
    for i = 1, 1000 do words[i] = ("b%03d"):format(i - 1) end
    local many = "(?:(?:" .. table.concat(words, "|") .. "|a)?){5000}"
    local message = "the grammar takes more than 4000000 steps for one byte: too much of it may mean the same"
    assert.equal(message, raised(function() gpt.grammar({ regex = many }):matches "a" end))
    local grammar = gpt.grammar { regex = "(xy|z)" .. many }
    assert.equal("byte 2 of the text: " .. message, raised(function() grammar:matches "xyaa" end))
  end)

  it("bounds what a hostile text may cost", function()
    matching('root ::= (("a"{1000}){1000}){1000}', {}, { "aa" })
    assert.equal("gpt.grammar: rule long (line 2, column 1): it takes more than 500000 states: repeat less, or fewer parts",
      error_of("root ::= long\nlong ::= " .. '"' .. ("a"):rep(500000) .. '"'))
    local grammar = gpt.grammar 'root ::= (("a"{0,1000}){0,1000}){0,1000}'
    assert.equal("the grammar leaves more than 20000 ways open at once: too much of it may mean the same",
      raised(function() grammar:matches(("a"):rep(300)) end))
    local chain = { 'root ::= a1' }
    for i = 1, 3000 do chain[#chain + 1] = ("a%d ::= a%d"):format(i, i + 1) end
    chain[#chain + 1] = 'a3001 ::= "x"'
    matching(table.concat(chain, "\n"), { "x" }, { "y" })
    local twice = { "root ::= a1" } -- 2^60 ways down
    for i = 1, 60 do twice[#twice + 1] = ('a%d ::= a%d "x" | a%d "y"'):format(i, i + 1, i + 1) end
    twice[#twice + 1] = 'a61 ::= "z"'
    assert.truthy(tostring(gpt.grammar(table.concat(twice, "\n"))):find "^Grammar")
  end)
end)

-- Whether a token may follow a text, by asking for its bytes.
local function follows(grammar, text, tokenizer, id)
  if id == tokenizer.eos then return (grammar:matches(text)) end
  local piece = tokenizer:decode { id }
  local _, fits = grammar:matches(text .. piece)
  return piece ~= "" and fits == #text + #piece
end

describe("masks", function()
  local bpe = gpt.tokenizer "spec/fixtures/tokenizer"
  local tree = core._token_tree(bpe)

  -- Follows a text token by token, and looks at every id on the way.
  local function check(source, text, bytes)
    local grammar = gpt.grammar(source)
    local cursor = core._grammar_cursor(core._grammar_matcher(grammar, tree, bytes), { bpe.eos })
    local sampler, logits = core._sampler({}, "spec", nil), gpt.full({ bpe.vocab_size }, -math.huge)
    local so_far = ""
    for _, token in ipairs(bpe:encode(text)) do
      for id = 0, bpe.vocab_size - 1 do
        local expected = follows(grammar, so_far, bpe, id)
        assert.equal(expected, masks.allows(sampler, cursor, logits, id), so_far .. "|" .. id)
      end
      assert.is_true(cursor:take(token))
      so_far = so_far .. bpe:decode { token }
    end
    assert.is_true(grammar:matches(so_far) and cursor:can_end())
  end

  it("allow the tokens that go on, and no others, across the borders of tokens and characters", function()
    local pairs_of = 'root ::= "{" (pair ("," pair)*)? "}"\npair ::= str ":" (str | root)\n'
      .. 'str ::= "\\"" [^"\\\\]{0,6} "\\""'
    check(pairs_of, '{"the":{"a":"b"}}')
    check('root ::= ("the " | "a")* [é-ü]? .{0,3} "\u{20AC}"', "the aéx\u{20AC}")
    check('root ::= "(" root ")" | [a-z ]+', "((and so))")
    check('root ::= ""*', "") -- no state takes a byte
  end)

  it("are the same where the matcher forgets between any two of them, and amid each", function()
    check('root ::= "(" root ")" | [a-z ]+', "((and so))", 0)
    check('root ::= ("the " | "a" | [a-z] "x")* [é-ü]? .{0,3} "\u{20AC}"', "the aéx\u{20AC}", 0)
  end)
end)

describe("a cursor", function()
  it("goes round and round at the end of a rule without learning more", function()
    local matcher = core._grammar_matcher(gpt.grammar 'root ::= "a" root | "b"', core._token_tree { "a", "b" })
    local cursor = core._grammar_cursor(matcher, {})
    local function live_behind(n)
      for _ = 1, n do assert.is_true(cursor:take(0)) end
      collectgarbage()
      collectgarbage()
      return gpt.memory().live
    end
    assert.equal(live_behind(10), live_behind(5000))
    assert.is_false(cursor:complete())
    assert.is_true(cursor:take(1) and cursor:complete())
    assert.is_false(cursor:take(1))
  end)

  it("goes on where the matcher forgets, beside others", function()
    local grammar = gpt.grammar 'root ::= ("(" root ")" | "[" root "]" | "a"? [ab]{0,3} "a")* "."?'
    local pieces = { [0] = "(", "[", ")", "]", "a", "b", "ab", "a)" }
    local tree = core._token_tree(table.move(pieces, 0, 7, 1, {}))
    local matcher, cursors = core._grammar_matcher(grammar, tree, 0), {}
    local function begin(i) cursors[i] = { cursor = core._grammar_cursor(matcher, {}), text = "" } end
    for i = 1, 5 do begin(i) end
    local taken = 0
    for step = 1, 1000 do
      if step % 19 == 0 then begin(step // 19 % 5 + 1) end
      local each, id = cursors[step % 5 + 1], (step * step * 7 // 11 + step // 3) % 8
      local longer = each.text .. pieces[id]
      local fits = select(2, grammar:matches(longer)) == #longer
      assert.equal(fits, each.cursor:take(id), longer)
      if fits then each.text, taken = longer, taken + 1 end
      assert.equal(grammar:matches(each.text) and true, each.cursor:can_end(), each.text)
    end
    assert.is_true(taken > 250)
  end)

  it("keeps no more than its matcher may, however long the text", function()
    local matcher = core._grammar_matcher(gpt.grammar { regex = "[ab]*[ab]{19000}" }, core._token_tree { "a", "b" }, 1 << 20)
    local cursor = core._grammar_cursor(matcher, {})
    local before = gpt.memory().live
    for i = 1, 3000 do assert.is_true(cursor:take(i % 2)) end
    assert.is_true(gpt.memory().live - before < 4 << 20)
    matcher = core._grammar_matcher(gpt.grammar { regex = "x(" .. ("(abc){1000}|"):rep(300) .. "y)" }, core._token_tree { "a",
      "xa", "b", "c" }, 1 << 20) -- 300 ways for each byte of what must follow
    cursor, before = core._grammar_cursor(matcher, {}), gpt.memory().live
    assert.is_true(cursor:take(1))
    assert.same({ ("bca"):rep(334):sub(1, 1000), false }, { cursor:forced() })
    assert.is_true(gpt.memory().live - before < 4 << 20)
    assert.is_true(cursor:take(2))
  end)

  it("lets all ids with the same bytes follow", function()
    local matcher = core._grammar_matcher(gpt.grammar 'root ::= "ab"', core._token_tree { "x", "ab", "", "ab", "a", "ab" })
    local cursor, sampler = core._grammar_cursor(matcher, { 2 }), core._sampler({}, "spec", nil)
    local allowed = {}
    for id = 0, 5 do
      local logits = gpt.full({ 6 }, -math.huge)
      logits[id + 1] = 1
      if pcall(sampler.draw, sampler, logits, 1, false, cursor) then allowed[#allowed + 1] = id end
    end
    assert.same({ 1, 3, 4, 5 }, allowed)
  end)
end)

describe("the option grammar", function()
  local bpe = gpt.tokenizer "spec/fixtures/tokenizer"

  local function flat_model(vocab_size)
    local calls = { count = 0 }
    return function(ids)
      calls.count = calls.count + 1
      return gpt.zeros(#ids, vocab_size)
    end, calls
  end

  local function options(grammar, more)
    local all = { grammar = grammar, tokenizer = bpe, context_length = 400, max_new_tokens = 100, temperature = 1 }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  it("holds generate to it, whatever the model says, until it is complete", function()
    local source = 'root ::= "[" [0-9]{1,4} ("," " "? [0-9]{1,4}){2} "]"'
    local grammar = gpt.grammar(source)
    for seed = 1, 20 do
      local reason
      local text = gpt.generate(flat_model(bpe.vocab_size), "x", options(seed % 2 == 0 and source or grammar, {
        seed = seed, on_finish = function(why) reason = why end }))
      assert.is_true((grammar:matches(text:sub(2))), text)
      assert.equal("complete", reason)
    end
  end)

  it("ends with an end token only where the grammar can, for ids too", function()
    local grammar = gpt.grammar 'root ::= ("ab" | "c")+'
    local reasons = {}
    for seed = 1, 20 do
      local ids = gpt.generate(flat_model(bpe.vocab_size), { 5 }, options(grammar, { seed = seed, max_new_tokens = 30,
        on_finish = function(why) reasons[why] = (reasons[why] or 0) + 1 end }))
      local text = bpe:decode(table.move(ids, 2, #ids, 1, {}))
      if #ids < 31 then assert.is_true((grammar:matches(text)), text) end
    end
    assert.is_true(reasons.complete > 0)
  end)

  it("tells where max_new_tokens came first, and where a stop string did", function()
    local reason
    local function told(why) reason = why end
    local text = gpt.generate(flat_model(bpe.vocab_size), "x", options('root ::= [a-z]{50}', {
      max_new_tokens = 3, on_finish = told }))
    assert.equal("length", reason)
    assert.same({ false, #text - 1 }, { gpt.grammar('root ::= [a-z]{50}'):matches(text:sub(2)) })
    gpt.generate(flat_model(bpe.vocab_size), "x", options('root ::= [a-z]', { max_new_tokens = 1, on_finish = told }))
    assert.equal("complete", reason)
    assert.equal("xab", gpt.generate(flat_model(bpe.vocab_size), "x", options('root ::= "abcde"', {
      stop = "cd", on_finish = told })))
    assert.equal("stop", reason)
  end)

  it("runs no pass for what must follow, and takes the tokenizer's tokens for it", function()
    local model, calls = flat_model(bpe.vocab_size)
    local text = "Hello, the world and the rest of it"
    local ids = gpt.generate(model, { 7 }, options(('root ::= "%s"'):format(text)))
    assert.same(bpe:encode(text), table.move(ids, 2, #ids, 1, {}))
    assert.equal(0, calls.count)
    local grammar = 'root ::= "the first word is " ("yes" | "no") " and the second word is " ("yes" | "no")'
    local prompts = gpt.generate(model, { "x", "yz" }, options(grammar, { seed = 5 }))
    for _, each in ipairs(prompts) do assert.is_true((gpt.grammar(grammar):matches(each:match "the.*"))) end
    assert.is_true(calls.count < #bpe:encode "the first word is yes and the second word is no")
  end)

  it("draws the same with log probabilities, which are the model's own", function()
    local mixes = script.mixes(bpe.vocab_size)
    local grammar = 'root ::= "the " [a-z]{3} " and " [a-z]{3} "."'
    local plain = gpt.generate(mixes, { 3 }, options(grammar, { seed = 2 }))
    local ids, logprobs = gpt.generate(mixes, { 3 }, options(grammar, { seed = 2, logprobs = true }))
    assert.same(plain, ids)
    assert.equal(#ids - 1, #logprobs)
    for i = 2, #ids do
      local seen = table.move(ids, 1, i - 1, 1, {})
      assert.near(mixes(seen)[1][-1]:log_softmax(1)[ids[i] + 1]:item(), logprobs[i - 1], 1e-4)
    end
  end)

  it("streams what it leaves no choice about, though no token was drawn", function()
    local pieces = {}
    for piece in gpt.stream(flat_model(bpe.vocab_size), "x", options('root ::= "abc"', {})) do pieces[#pieces + 1] = piece end
    assert.equal("abc", table.concat(pieces))
    for texts in gpt.stream(flat_model(bpe.vocab_size), { "x" }, options('root ::= "abc"', {})) do pieces = texts end
    assert.same({ "abc" }, pieces)
  end)

  it("goes together with process and stream", function()
    local letters = {}
    for piece in gpt.stream(flat_model(bpe.vocab_size), "x", options('root ::= [a-c]{3}', {
      process = function(logits) logits[bpe:encode("b")[1] + 1] = 50 end })) do letters[#letters + 1] = piece end
    assert.equal("bbb", table.concat(letters))
    assert.equal("grammar: 4 ids can go on, and none of them has a logit above -inf", raised(function()
      gpt.generate(flat_model(bpe.vocab_size), "x", options('root ::= [a-c]{3}', {
        process = function(logits) logits:fill(-math.huge) end }))
    end))
  end)

  it("keeps what it generated in a session, and only that", function()
    local model = gpt.Model {
      vocab_size = bpe.vocab_size, context_length = 40, emb_dim = 16, n_heads = 2, n_layers = 1, drop_rate = 0,
      qkv_bias = false,
    }
    model.tokenizer = bpe
    local grammar = 'root ::= "the first word is " ("yes" | "no") " and the end"'
    local expected = model:generate({ 3, 1, 2 }, { grammar = grammar })
    local session = model:session()
    session:feed { 3, 1, 2 }
    local ids = session:generate { grammar = grammar }
    assert.same(expected, session:ids())
    assert.same(table.move(expected, 4, #expected, 1, {}), ids)
    session:rewind(3)
    local first
    for id in session:stream { grammar = grammar } do
      first = id
      if first then break end
    end
    assert.equal(ids[1], first)
    assert.same({ 3, 1, 2, first }, session:ids())
    session:rewind(3)
    session:generate { grammar = 'root ::= "the first word is " ("yes" | "no") " and ' .. ("the rest "):rep(6) .. '"' }
    assert.is_true((gpt.grammar('root ::= .*'):matches(bpe:decode(session:ids()))))
  end)

  it("takes a tokenizer of the user's own", function()
    local tokenizer = script.tokenizer { "ab", "\xE2\x82", "\xAC!", "yes" }
    for seed = 1, 10 do
      local text = gpt.generate(flat_model(261), "x", options('root ::= "ab"{2} "\u{20AC}" "!"? "yes"', {
        tokenizer = tokenizer, seed = seed }))
      assert.truthy(text:match "^xabab\u{20AC}!?yes$", text)
    end
  end)

  it("leaves the end of what must follow to the model where it belongs to the next token", function()
    local tokenizer = script.tokenizer { "a0" }
    function tokenizer.encode(_, text)
      local ids = {}
      for piece in text:gsub("a0", "\1"):gmatch "." do ids[#ids + 1] = piece == "\1" and 257 or piece:byte() end
      return ids
    end
    local function likes(ids)
      local logits = gpt.zeros(#ids, 258)
      logits[#ids][258] = 1
      return logits
    end
    assert.same({ 5, ("x"):byte(), 257 }, gpt.generate(likes, { 5 }, options('root ::= "xa" [0-9]', {
      tokenizer = tokenizer, temperature = 0 })))
  end)

  it("takes what must follow token by token from a tokenizer that changes texts, still without a pass", function()
    local tokenizer = script.tokenizer {}
    function tokenizer.encode(_, text) return { text:upper():byte(1, -1) } end
    local model, calls = flat_model(257)
    local ids = gpt.generate(model, { 5 }, options('root ::= "yes"', { tokenizer = tokenizer }))
    assert.same({ 5, ("yes"):byte(1, -1) }, ids)
    assert.equal(0, calls.count)
  end)

  it("counts what must follow as said, for the repetition penalty", function()
    local function likes(ids)
      local logits = gpt.zeros(#ids, 257)
      logits[#ids][("x"):byte() + 1], logits[#ids][("y"):byte() + 1] = 1, 0.9
      return logits
    end
    local function generated(penalty)
      return gpt.generate(likes, "-", options('root ::= "x" [xy]', { tokenizer = script.tokenizer {}, temperature = 0,
        repetition_penalty = penalty }))
    end
    assert.equal("-xx", generated(1))
    assert.equal("-xy", generated(2))
  end)

  it("takes what must follow from a tokenizer that puts a blank before a text, without the blank", function()
    local tokenizer = script.tokenizer {}
    function tokenizer.encode(_, text) return { (" " .. text):byte(1, -1) } end
    local model, calls = flat_model(257)
    local ids = gpt.generate(model, { 5 }, options('root ::= "yes"', { tokenizer = tokenizer }))
    assert.same({ 5, ("yes"):byte(1, -1) }, ids)
    assert.equal(0, calls.count)
  end)

  it("needs a tokenizer that can write the grammar's text", function()
    local model = flat_model(20)
    assert.equal("gpt.generate: grammar: a grammar needs a tokenizer, and this model has none; set model.tokenizer or the "
      .. "option tokenizer (gpt.tokenizer(dir) makes one)", raised(function()
      gpt.generate(model, { 1 }, { context_length = 9, grammar = 'root ::= "a"' })
    end))
    local tokenizer = { encode = function() return {} end, decode = function(_, ids) return ("xyz"):sub(ids[1], ids[1]) end }
    local function try()
      gpt.generate(model, { 1 }, options('root ::= "ab"? "c"', { tokenizer = tokenizer }))
    end
    assert.equal("gpt.generate: grammar: the tokenizer needs vocab_size: the texts of all its ids are looked at",
      raised(try))
    tokenizer.vocab_size = 4
    assert.equal("grammar: no token goes on from here: the grammar needs text that this tokenizer cannot write",
      raised(try))
    assert.equal("gpt.generate: grammar: line 1, column 10: the string that begins here has no end", raised(function()
      gpt.generate(model, { 1 }, options('root ::= "'))
    end))
  end)
end)
