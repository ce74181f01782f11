local gpt = require "gpt"
local raised = require "spec.support.raised"

local function matching(regex, good, bad)
  local grammar = gpt.grammar { regex = regex }
  for _, text in ipairs(good) do assert.is_true((grammar:matches(text)), regex .. ": " .. text) end
  for _, text in ipairs(bad) do assert.is_false((grammar:matches(text)), regex .. ": " .. text) end
end

describe("a regular expression as a grammar", function()
  it("matches as a whole, with or without anchors", function()
    matching("ab", { "ab" }, { "", "a", "abc", "xab" })
    matching("^ab$|^c|d$", { "ab", "c", "d" }, { "abc", "cd" })
  end)

  it("has classes, escapes and any character but the ends of lines", function()
    matching([[^\d{3}-(?:foo|bar)?[^\d\s]+$]], { "123-fooäx", "000-!" }, { "123-x1", "12-x", "123-" })
    matching([[[\w.+-]+@\w+(\.\w+)+]], { "a.b+c@d.ef" }, { "a@b", "@b.c" })
    matching([[[^a-c\]\-][a-]\S\D\W\s]], { "x-é\u{3B1}- ", "zaxx!\t" }, { "a-xx! ", "xbxx! ", "xa xx ", "xax1! " })
    matching([[\u00e9\x41\t\cA\u{1F600}\/\0[\b]\n\f\v\r]], { "éA\t\1\u{1F600}/\0\8\n\f\v\r" }, { "" })
    matching([[\uD83D\uDE00[\ud83d\ude01-\u{1F603}]\u{00041}]], { "\u{1F600}\u{1F602}A" }, { "\u{1F600}\u{1F600}A" })
    matching([[[\u{D700}-\u{E000}]] .. "]", { "\u{D7FF}", "\u{E000}" }, { "\xED\xA0\x80", "\u{E001}" })
    matching([[[^\u{0}-\u{D7FE}]] .. "]", { "\u{D7FF}", "\u{E000}" }, { "\xED\xA0\x80", "a" })
    matching(".+", { "aé\u{1F600}\t" }, { "a\n", "\r", "\u{2028}", "" })
    matching([[\é\.\$]], { "é.$" }, {})
  end)

  it("has groups, alternatives and repetitions with bounds", function()
    matching([[a|b*c+?|(?<n>x){2,}\.|(?P<m>y)]], { "a", "bbcc", "c", "xxx.", "y" }, { "x.", "bb", "" })
    matching("(|a)+|", { "", "aaa" }, { "b" })
    matching("a{2}b{0,2}?c{1,}", { "aac", "aabbcc" }, { "ac", "aabbb", "aabbbc" })
    matching([[\{a\}\]{2}[{}[]{1}]], { "{a}]]{", "{a}]][" }, { "{a}]{" })
  end)

  it("says where it cannot be followed", function()
    for regex, expected in pairs {
      [ [[(a)\1]] ] = [[column 4: \1: back-references are not supported]],
      [ [[(?<a>b)\k<a>]] ] = [[column 8: \k: back-references are not supported]],
      ["a(?=b)"] = "column 2: lookahead is not supported",
      ["a(?!b)"] = "column 2: lookahead is not supported",
      ["(?<!a)b"] = "column 1: lookbehind is not supported",
      [ [[\bfoo]] ] = [[column 1: \b: borders of words are not supported]],
      [ [[é\p{L}]] ] = [[column 2: \p: classes of Unicode properties are not supported]],
      ["a**"] = "column 3: there is nothing to repeat",
      ["*a"] = "column 1: there is nothing to repeat",
      ["a++"] = "column 3: possessive repetitions are not supported",
      ["(?i)a"] = "column 1: flags are not supported",
      ["(a"] = "column 1: the group that begins here has no end",
      ["a)"] = "column 2: ) without (",
      ["[a"] = "column 1: the class that begins here has no end",
      ["[]"] = "column 1: a class without characters cannot be met",
      ["[z-a]"] = "column 2: a range that goes down, or ends with a class",
      ["a^b"] = "column 2: ^ is supported at the beginning of an alternative alone",
      ["(^a)"] = "column 2: ^ is supported at the beginning of an alternative alone",
      ["a$b"] = "column 2: $ is supported at the end of an alternative alone",
      ["(a$)"] = "column 3: $ is supported at the end of an alternative alone",
      ["a{3,1}"] = "column 2: {3,1}: the least is more than the most",
      [ [[\q]] ] = [[column 1: unknown escape \q]],
      [ [[\07]] ] = "column 1: octal escapes are not supported",
      [ [[\u{110000}]] ] = "column 1: U+110000 is no character",
      [ [[\u{00000FFFFFFFFFFFF}]] ] = "column 1: U+FFFFFFF is no character",
      [ [[\u{}]] ] = [[column 1: \u{...} of hex digits expected]],
      [ [[\u{D800}]] ] = "column 1: U+D800 is no character",
      [ [[\uD83D-]] ] = "column 1: U+D83D is no character",
      [ [[a|b[\uDFFF]] .. "]"] = "column 5: U+DFFF is no character",
      [ [[a[^\u{0}-\u{D7FF}\u{E000}-\u{10FFFF}]|b]] ] = "column 2: a class without characters cannot be met",
      ["a{,3}"] = [[column 2: { begins no repetition, as {2}, {2,} and {2,5} do; write \{ for the character]],
      ["a{2, 3}"] = [[column 2: { begins no repetition, as {2}, {2,} and {2,5} do; write \{ for the character]],
      ["x}"] = [[column 2: } closes nothing; write \} for the character]],
      ["[a]]"] = [[column 4: ] closes nothing; write \] for the character]],
      [("("):rep(300)] = "column 201: nested more than 200 deep",
    } do
      assert.equal("gpt.grammar: regex: line 1, " .. expected, raised(function() gpt.grammar { regex = regex } end))
    end
  end)
end)
