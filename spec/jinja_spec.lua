local cases = require "spec.fixtures.jinja"
local jinja = require "gpt.jinja"
local measure = require "spec.support.measure"

local VARIABLES = {
  bos_token = "<s>",
  messages = {
    { content = " Be brief. ", role = "system" },
    { content = "Grüße, 'you' & \"me\"\n", role = "user" },
    { content = "hi\n\nthere", role = "assistant" },
    { content = "<b>more</b>?", role = "user" },
  },
  numbers = { 3, 1, 2, 10, 2 },
  tools = { { name = "add", parameters = { a = "int", b = 1.5 } } },
}

-- The text, or nil and what is wrong.
local function rendered(source, variables, options)
  local template, problem = jinja.compile(source)
  if not template then return nil, problem end
  return jinja.render(template, variables or VARIABLES, options)
end

describe("a chat template", function()
  local values = require "gpt.jinja.values"
  -- A list with a none in it is no Lua array.
  VARIABLES.tools[1].parameters.c = values.list { true, values.none }

  for _, case in ipairs(cases) do
    it("comes out as jinja2's: " .. case[1]:gsub("%s+", " "):sub(1, 60), function()
      assert.same({ case[2] }, { rendered(case[1]) })
    end)
  end

  it("sees the date it is given", function()
    local now = os.time { year = 2025, month = 3, day = 4, hour = 5 }
    assert.equal("04 Mar 2025", rendered("{{ strftime_now('%d %b %Y') }}", {}, { now = now }))
  end)

  it("takes an empty table as a list, and names in order", function()
    assert.equal("[] {'a': 1, 'b': 2}", rendered("{{ x }} {{ y }}", { x = {}, y = { b = 2, a = 1 } }))
  end)
end)

describe("what is wrong with a chat template is said, with its line", function()
  for source, message in pairs {
    ["a\n{{ x "] = "line 2: a '}}' is missing",
    ["{{ 'abc }}"] = "line 1: a string that begins here has no end",
    ["{{ x) }}"] = "line 1: ')' closes nothing here",
    ["{{ $ }}"] = "line 1: '$' has no meaning here",
    ["{# never"] = "line 1: a '#}' is missing",
    ["{% raw %}x"] = "line 1: {% raw %} has no {% endraw %}",
    ["\n{% if x %}\ny"] = "line 2: 'if' has no end",
    ["{% endfor %}"] = "line 1: the statement 'endfor' is not supported",
    ["\n\n{% include 'x' %}"] = "line 3: the statement 'include' is not supported",
    ["{{ a b }}"] = "line 1: the end of the block expected, got 'b'",
    ["{{ }}"] = "line 1: a value expected, got the end of the block",
    ["{{ x[] }}"] = "line 1: []: an index is missing",
    ["{{ f(a=1, 2) }}"] = "line 1: an argument by position comes after one by name",
    ["{{ " .. ("("):rep(80) .. "1" .. (")"):rep(80) .. " }}"] = "line 1: nested more than 60 deep",
    ["{{ x.y.z }}"] = "line 1: 'x' is undefined; it has no 'y'",
    ["{{ x[0] }}"] = "line 1: 'x' is undefined; it has no '0'",
    ["{{ x() }}"] = "line 1: 'x' is nothing to call",
    ["{{ 1 | nope }}"] = "line 1: the filter 'nope' is not supported",
    ["{{ 1 is nope }}"] = "line 1: the test 'nope' is not supported",
    ["{{ 1 / 0 }}"] = "line 1: division by zero",
    ["{{ 'a' + 1 }}"] = "line 1: '+' joins two strings, the other one is a number; '~' joins anything",
    ["{{ 1 - 'a' }}"] = "line 1: '-' needs numbers, got a string",
    ["{{ [1, 'a'] | sort }}"] = "line 1: a string and a number cannot be compared",
    ["{{ 1 in 'abc' }}"] = "line 1: 'in' a text needs a text, got a number",
    ["{% for x in 5 %}{% endfor %}"] = "line 1: a number is nothing to loop over",
    ["{% for x in [1] recursive %}{% endfor %}"] = "line 1: a recursive loop is not supported",
    ["{% set a, b = [1] %}"] = "line 1: 1 values for 2 names",
    ["{% set a.b = 1 %}"] = "line 1: set a.b: only a namespace() has fields to set",
    ["{{ numbers.append(1) }}"] = "line 1: append: a template cannot change a list",
    ["{{ 'a'.split('') }}"] = "line 1: split: an empty separator",
    ["{{ raise_exception('no\nsystem') }}"] = "line 1: no\nsystem",
    ["{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}"] = "line 1: f takes 1 arguments, got 2",
    ["{{ strftime_now('%Ez') }}"] = "line 1: strftime_now: '%Ez' is no format of a date",
    ["{{ namespace(1) }}"] = "line 1: namespace: a dict expected, got a number",
    ["{{ range(1.5) }}"] = "line 1: range: whole numbers expected, and a step that is not 0",
    ["{{ 1() }}"] = "line 1: this is nothing to call",
    ["\n{{ true() }}"] = "line 2: this is nothing to call",
    ["{{ [](1) }}"] = "line 1: this is nothing to call",
    ["{{ {[]: 1} }}"] = "line 1: a list cannot be a key",
    ["{{ x | tojson }}"] = "line 1: tojson: a value that is undefined is no JSON",
  } do
    it(message:gsub("\n", " "), function()
      assert.same({ nil, message }, { rendered(source) })
    end)
  end
end)

describe("a chat template", function()
  it("takes characters and parts of texts by their numbers", function()
    for source, text in pairs {
      ["{{ 'aé日b'[1] }}|{{ 'aé日b'[-2] }}|{{ 'aé'[2] is defined }}|{{ 'aé' | first }}|{{ 'aé' | last }}"] = "é|日|False|a|é",
      ["{{ 'aé日b'[1:3] }}|{{ 'aé日b'[-1:] }}|{{ 'aé日b'[:-1] }}|{{ 'aé日b'[9:] }}|{{ 'aé'[:] }}|{{ ''[1:] }}"] = "é日|b|aé日||aé|",
      ["{{ 'aé日b'[::2] }}|{{ 'aé日b'[::-1] }}|{{ 'aé日b'[2:0:-1] }}|{{ 'aé日b'[0:9:3] }}"] = "a日|b日éa|日é|ab",
      ["{{ x[1] }}|{{ x[1:3] }}|{{ x | last }}"] = "\xFF|\xFFb|b",
      ["{{ [1, 2, 3, 4][1:] }}|{{ [1, 2, 3, 4][::-2] }}|{{ (1, 2, 3)[:2] }}|{{ [1][5:] }}|{{ [1, 2][-9:9] }}"] =
        "[2, 3, 4]|[4, 2]|(1, 2)|[]|[1, 2]",
      ["{{ [false] | first }}|{{ [] | first }}|{{ (1, 2) | last }}|{{ {'a': 1} | first }}"] = "False||2|a",
    } do
      assert.equal(text, rendered(source, { x = "a\xFFb" }))
    end
  end)

  it("strips white space, or the bytes of a set", function()
    assert.equal("x y|]x|x^|x|  |abc|", rendered("{{ ' x y\n'.strip() }}|{{ '^]x'.strip('^') }}|"
      .. "{{ '-]x^'.strip(']-') }}|{{ 'axa'.strip('%a') }}|{{ '  '.strip('') }}|{{ 'xabcx' | trim('x') }}|{{ 'aaa'.strip('a') }}"))
    assert.equal("xa|ax", rendered "{{ 'axa'.lstrip('a') }}|{{ 'axa'.rstrip('a') }}")
  end)

  it("takes what is missing along a path as undefined", function()
    assert.equal("[Undefined]|[0]|[2]", rendered("{{ [{'a': 1}] | map(attribute='b.c.d') | list }}|"
      .. "{{ [{'a': 1}] | map(attribute='b.c', default=0) | list }}|{{ [{'a': {'b': 2}}] | map(attribute='a.b') | list }}"))
  end)
end)

describe("a chat template from a stranger", function()
  for what, case in pairs {
    ["does not end"] = { "{% for i in range(9999) %}{% for j in range(9999) %}{{ i * j }}{% endfor %}{% endfor %}",
                         "line 1: the template does not end: over 400000 steps" },
    ["calls itself"] = { "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "line 1: calls are nested more than 50 deep" },
    ["doubles a text"] = { "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
                           "line 1: a text of over 16777216 bytes" },
    ["doubles a list"] = { "{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
                           "line 1: a list of over 1048576 items" },
    ["writes for ever"] = { "{% set s = 'x' * 9999999 %}{{ s }}{{ s }}", "line 1: a text of over 16777216 bytes" },
    ["repeats for ever"] = { "{{ 'ab' * 99999999999 }}", "line 1: a text of over 16777216 bytes" },
    ["joins large texts"] = { "{{ (['x' * 9999999] * 1000000) | join }}", "line 1: a text of over 16777216 bytes" },
    ["joins large texts by a method"] = { "{{ ''.join(['x' * 9999999] * 1000000) }}",
                                          "line 1: a text of over 16777216 bytes" },
    ["writes a list of large texts"] = { "{{ ['x' * 9999999] * 1000000 }}", "line 1: a text of over 16777216 bytes" },
    ["writes one as JSON"] = { "{{ (['x' * 9999999] * 1000000) | tojson }}",
                               "line 1: a text of over 16777216 bytes" },
    ["copies a large text"] = { "{% set s = 'x' * 9999999 %}{% for i in range(90000) %}{% set t = s ~ i %}{% endfor %}",
                                "line 1: the template does not end: over 400000 steps" },
    ["reads a large text"] = { "{% set s = 'x' * 9999999 %}{% for i in range(90000) %}{% if 'y' in s %}{% endif %}{% endfor %}",
                               "line 1: the template does not end: over 400000 steps" },
    ["strips a large text"] = { "{% set s = 'x' * 9999999 %}{% for i in range(90000) %}{% set t = s.strip() %}{% endfor %}",
                                "line 1: the template does not end: over 400000 steps" },
    ["sorts a large list"] = { "{{ (['x' * 9999999, 'y'] * 100000) | sort }}",
                               "line 1: the template does not end: over 400000 steps" },
    ["compares each with each"] = { "{{ range(99999) | unique }}", "line 1: the template does not end: over 400000 steps" },
    ["maps a large list"] = { "{{ (['x' * 999999] * 1000000) | map('upper') }}",
                              "line 1: the template does not end: over 400000 steps" },
    ["nests a list in itself twice"] = {
      "{% set n = namespace(l=[]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l }}",
      "line 1: the template does not end: over 400000 steps" },
    ["compares such lists"] = {
      "{% set n = namespace(a=[], b=[]) %}{% for i in range(99) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}"
        .. "{% endfor %}{{ n.a == n.b }}", "line 1: the template does not end: over 400000 steps" },
    ["nests a list in itself for ever"] = {
      "{% set n = namespace(l=[]) %}{% for i in range(50000) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l | tojson }}",
      "line 1: the template does not end: over 400000 steps" },
    ["indents every line"] = { "{{ ('\\nx' * 4999999) | indent(999) }}", "line 1: a text of over 16777216 bytes" },
    ["indents JSON by a large text"] = { "{{ [[[1]]] | tojson(indent='x' * 9999999) }}",
                                         "line 1: a text of over 16777216 bytes" },
    ["formats large texts"] = { "{{ ('{0}' * 99999).format('x' * 9999999) }}", "line 1: a text of over 16777216 bytes" },
    ["formats them in the other way"] = { "{{ ('%s' * 3) % ('x' * 9999999, 'x' * 9999999, 1) }}",
                                          "line 1: a text of over 16777216 bytes" },
    ["fills a batch"] = { "{{ [1] | batch(99999999, 0) }}", "line 1: a list of over 1048576 items" },
    ["splits a large text"] = { "{{ ('a,' * 4999999).split(',') }}", "line 1: a list of over 1048576 items" },
    ["takes a large text apart"] = { "{% for c in 'x' * 9999999 %}{% endfor %}", "line 1: a list of over 1048576 items" },
    ["has a macro write for ever"] = {
      "{% macro f() %}{{ 'x' * 99999 }}{% endmacro %}{% for i in range(9999) %}{% set a = f() %}{% endfor %}",
      "line 1: a text of over 16777216 bytes" },
    ["counts for ever"] = { "{{ range(99999999) }}", "line 1: range: over 100000 items" },
    ["counts past what numbers hold"] = { "{{ range(-9223372036854775807, 9223372036854775807) }}",
                                          "line 1: range: over 100000 items" },
    ["compares large texts"] = {
      "{% set s = 'x' * 4999999 ~ 'y' %}{% set t = 'x' * 4999999 ~ 'y' %}{% for i in range(90000) %}{% if s == t %}"
        .. "{% endif %}{% endfor %}", "line 1: the template does not end: over 400000 steps" },
    ["looks for the least in a large list"] = {
      "{% set l = [1] * 1000000 %}{{ l | min }}", "line 1: the template does not end: over 400000 steps" },
    ["adds up large texts"] = { "{{ (['x' * 16000000] * 16) | sum(start='') | length }}",
                                "line 1: a text of over 16777216 bytes" },
    ["adds up lists"] = { "{{ ([[0]] * 10000) | sum(start=[]) | length }}",
                          "line 1: the template makes over 134217728 bytes of texts and lists" },
    ["keeps lists of lists"] = {
      "{% set n = namespace(p=0) %}{% set s = 'x' * 1000000 %}\n{% for i in range(4) %}{% set n.p = [s | batch(1), n.p] %}"
        .. "{% endfor %}", "line 2: the template makes over 134217728 bytes of texts and lists" },
    ["walks a long path for each item"] = {
      "{% set n = namespace() %}{% set n.a = n %}{{ ([n] * 10000) | map(attribute='a.' * 10000) | list | length }}",
      "line 1: the template does not end: over 400000 steps" },
    ["asks for one of many large beginnings"] = {
      "{% set l = ['x' * 1000000 ~ 'y'] * 1000 %}{{ ('x' * 1000000).startswith(l) }}",
      "line 1: the template does not end: over 400000 steps" },
    ["strips large texts of a large set"] = {
      "{% set s = 'x' * 10000000 %}{{ s.strip('abcdefghijklmnopqrstuvw' * 100000) | length }}{{ s.strip('xyz') }}"
        .. "{{ s | trim('zyx') }}", "line 1: the template does not end: over 400000 steps" },
    ["asks for a character of a large text"] = {
      "{% set s = 'x' * 1000000 %}{% for i in range(90000) %}{{ s[5] }}{% endfor %}",
      "line 1: the template does not end: over 400000 steps" },
    ["has a macro of many parameters"] = {
      "{% macro f(" .. ("a,"):rep(20000) .. "b) %}{% endmacro %}{% for i in range(90000) %}{{ f() }}{% endfor %}",
      "line 1: the template makes over 134217728 bytes of texts and lists" },
    ["writes each character otherwise"] = { "{{ ('&' * 9999999) | e | length }}", "line 1: a text of over 16777216 bytes" },
    ["has a long date"] = { "{{ strftime_now('%c' * 501) }}", "line 1: strftime_now: a format of over 1000 bytes" },
    ["ends with a long message"] = { "{{ raise_exception('é' * 9999) }}", "line 1: " .. ("é"):rep(499) .. "..." },
  } do
    it(what .. ", and is ended", function()
      assert.same({ nil, case[2] }, { rendered(case[1]) })
    end)
  end

  for _, search in ipairs { "p in s", "s.find(p)", "s.count(p)", "s.split(p)", "s.replace(p, '')", "s | replace(p, '')" } do
    it("searches for large texts by " .. search .. ", and is ended", function()
      local source = "{% set s = 'x' * 999999 %}{% set p = 'x' * 99999 ~ 'y' %}{{ " .. search .. " }}"
      assert.same({ nil, "line 1: the template does not end: over 400000 steps" }, { rendered(source) })
    end)
  end

  it("repeats nothing more often than it can be counted", function()
    assert.equal("[]||0", rendered "{{ [] * 99999999999999 }}|{{ '' * 99999999999999 }}|{{ ([] * 9) | length }}")
  end)

  it("gives a filter many arguments that it runs on many items", function()
    local many = ("1,"):rep(1000)
    for _, filter in ipairs { "map('default', ", "select('eq', ", "selectattr('a', 'eq', " } do
      local template = jinja.compile(("{{ ([{'b': 1}] * 1000) | %s%s 1) | reject('mapping') | list | length }}"):format(filter, many))
      local bytes, text = measure.allocated(jinja.render, template, {})
      assert.equal("0", text)
      assert.is_true(bytes < 1000000, bytes) -- 16 million, were they copied for each item
    end
  end)

  for what, source in pairs {
    ["of texts"] = "{{ (['x' * 16000000] * 16) | sum(start='') }}",
    ["of lists of lists"] = "{% set n = namespace(p=0) %}{% for i in range(9) %}{% set n.p = [('x' * 1000000) | batch(1), n.p] %}"
      .. "{% endfor %}",
    ["of characters written otherwise"] = "{{ ['\\b' * 16000000] }}",
    ["of pairs"] = "{% set n = namespace(p=0) %}{% for i in range(90000) %}{% set n.p = [{'a': 1}.items(), n.p] %}{% endfor %}",
    ["of scopes"] = "{% set n = namespace(p=0) %}{% for i in range(90000) %}{% macro f() %}{% endmacro %}"
      .. "{% set n.p = [f, loop, n.p] %}{% endfor %}",
  } do
    it("takes no more memory than is bounded, " .. what, function()
      local template, peak = jinja.compile(source), 0
      collectgarbage()
      local before = collectgarbage "count"
      debug.sethook(function() peak = math.max(peak, collectgarbage "count") end, "", 1000)
      local text = jinja.render(template, {})
      debug.sethook()
      assert.is_nil(text)
      assert.is_true(peak - before < 160 * 1024, peak - before)
    end)
  end

  it("is deeper than Lua's stack", function()
    local tree = { kind = "name", name = "a" }
    for i = 1, 200000 do tree = { kind = "or", left = tree, right = { kind = "name", name = "b" .. i % 2 } } end
    assert.same({ a = true, b0 = true, b1 = true }, jinja.names(tree))
  end)

  it("has a million blanks before a mark that removes them", function()
    local blanks = (" "):rep(1 << 20)
    for _, source in ipairs { blanks .. "{%- if true %}{% endif %}", blanks .. "{# #}", "{% raw %}" .. blanks .. "{%- endraw %}",
      "{{ (' ' * 1000000).strip() }}" } do
      assert.equal("", rendered(source))
    end
  end)

  it("gives filters and functions values that make no sense", function()
    for source, what in pairs {
      ["{{ numbers | tojson(separators=[1, {}]) }}"] = "the filter tojson does not take such values",
      ["{{ 'a' | indent(0.5) }}"] = "the filter indent does not take such values",
      ["{{ numbers | dictsort }}"] = "dictsort: a dict expected, got a list",
      ["{{ 'a'.zfill('b') }}"] = "zfill does not take such values",
      ["{{ '%9999d' % 1 }}"] = "% does not take such values",
    } do
      assert.same({ nil, "line 1: " .. what }, { rendered(source) })
    end
  end)

  it("reaches nothing of Lua", function()
    for _, word in ipairs { "_G", "os", "io", "require", "string", "self", "__index", "__class__" } do
      assert.equal("False", rendered(("{{ %s is defined }}"):format(word)))
      assert.equal("False", rendered(("{{ ''.%s is defined or numbers['%s'] is defined }}"):format(word, word)))
    end
  end)
end)

describe("a variable of a chat template", function()
  for what, case in pairs {
    ["a function"] = { print, "a function is no value for a template" },
    ["a table of both kinds of keys"] = { { [true] = 1 }, "a table has to be an array, or have names only as its keys" },
  } do
    it("that is " .. what .. " is an error", function()
      assert.same({ nil, case[2] }, { rendered("{{ x }}", { x = case[1] }) })
    end)
  end
end)
