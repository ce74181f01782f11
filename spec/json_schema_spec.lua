local gpt = require "gpt"
local json = require "gpt.support.json"
local raised = require "spec.support.raised"

local function matching(schema, good, bad, whitespace)
  local grammar = gpt.grammar { json_schema = schema, whitespace = whitespace }
  local shown = type(schema) == "table" and json.encode(schema) or tostring(schema)
  for _, text in ipairs(good) do
    json.decode(text)
    assert.is_true((grammar:matches(text)), shown .. ": " .. text)
  end
  for _, text in ipairs(bad) do assert.is_false((grammar:matches(text)), shown .. ": " .. text) end
end

local function error_of(schema, whitespace)
  local message = raised(function() gpt.grammar { json_schema = schema, whitespace = whitespace } end)
  return (message:gsub("^gpt.grammar: json_schema: ", ""))
end

describe("a JSON schema as a grammar", function()
  it("has strings of any characters, by length in characters", function()
    matching('{"type":"string","minLength":2,"maxLength":3}', {
      '"ab"', '"é\u{1F600}b"', [["\n\u00e9"]], [["\"\\\/"]], [["\ud7ffa"]],
    }, { '"a"', '"abcd"', '"a\nb"', [["a\q"]], [["\ud800a"]], [["\u0000a"]], "ab", '"ab' })
    matching('{"type":"string"}', { '""', '"x"' }, { "1" })
  end)

  it("has strings by pattern, which is searched, and by format", function()
    matching([[{"type":"string","pattern":"^a\"[0-9]+$"}]], { [["a\"12"]] }, { [["a\"1x"]], '"a12"' })
    matching([[{"type":"string","pattern":"b|^c"}]], { '"abc"', '"b"', '"cd"', [["\\b\t"]] }, { '"ac"', '""' })
    matching('{"format":"date"}', { '"2024-02-29"', '"2000-02-29"', '"2023-12-31"' },
      { '"2023-02-29"', '"1900-02-29"', '"2023-04-31"', '"2023-13-01"', '"2023-1-1"' })
    matching('{"format":"date-time"}', { '"2024-01-31T23:59:59Z"', '"2024-01-31T00:00:00.5+01:30"' },
      { '"2024-01-31T24:00:00Z"', '"2024-01-31"' })
    matching('{"format":"uuid"}', { '"123e4567-e89b-12d3-a456-426614174000"' }, { '"123e4567e89b12d3a456426614174000"' })
    matching('{"format":"email"}', { '"a.b@example.org"' }, { '"a@b"', '"a b@c.de"' })
    matching('{"format":"ipv4"}', { '"192.168.0.255"' }, { '"192.168.0.256"', '"1.2.3"' })
    matching('{"format":"time"}', { '"11:47:01Z"' }, { '"11:47"' })
  end)

  it("has strings by pattern and length together, and leads into no blind alley", function()
    matching([[{"pattern":"^(ab)*c?$","minLength":3,"maxLength":4}]], { '"abc"', '"abab"' }, { '"ab"', '"ababc"', '"c"' })
    matching([[{"pattern":"é","maxLength":3}]], { '"é"', '"aéb"', [["\"é\n"]] }, { '"abc"', '"aébc"', '""' })
    matching([[{"pattern":"^a+","minLength":5}]], { '"aaaaa"', '"abcdefg"' }, { '"aaaa"' })
    matching([[{"format":"email","maxLength":8}]], { '"a@b.de"' }, { '"abcdef@b.de"' })
    local grammar = gpt.grammar { json_schema = [[{"pattern":"^(ab|cde)+$","maxLength":7,"minLength":7}]] }
    assert.same({ false, 1 + 4 }, { grammar:matches '"ababab' }) -- behind a third "ab" nothing would make seven
    assert.same({ false, 1 + 4 }, { grammar:matches '"ababx' })
    assert.is_true((grammar:matches '"ababcde"'))
    assert.is_false((grammar:matches '"cdecde"'))
  end)

  it("has whole numbers between bounds, for every pair of small ones", function()
    for _, bounds in ipairs { { -12, 105 }, { 0, 9 }, { 7, 7 }, { -20, -3 }, { 95, 1203 }, { -1, 0 }, { 99, 100 } } do
      local low, high = bounds[1], bounds[2]
      local grammar = gpt.grammar { json_schema = { type = "integer", minimum = low, maximum = high } }
      for n = -150, 1300 do assert.equal(n >= low and n <= high, (grammar:matches(("%d"):format(n))), n) end
      assert.is_false((grammar:matches "007"))
      assert.is_false((grammar:matches "-0"))
    end
    matching('{"type":"integer","exclusiveMinimum":4.5,"exclusiveMaximum":7}', { "5", "6" }, { "4", "7", "5.0" })
    matching('{"type":"integer","minimum":95}', { "95", "100", "123456789012345" }, { "94", "-95", "1234567890123456" })
    matching('{"type":"integer"}', { "0", "-1", "12" }, { "1.5", "1e3", "01" })
  end)

  it("has numbers between bounds", function()
    gpt.seed(1)
    for _, bounds in ipairs { { -1.5, 2.25 }, { 0.125, 0.5 }, { 3, 3.0625 }, { -100, -99.5 }, { 0, 1 }, { 8.5, 120 } } do
      local low, high = bounds[1], bounds[2]
      for _, open in ipairs { false, true } do
        local schema = open and { type = "number", exclusiveMinimum = low, exclusiveMaximum = high }
          or { type = "number", minimum = low, maximum = high }
        local grammar = gpt.grammar { json_schema = schema }
        for _, text in ipairs { tostring(low), tostring(high), "%.1f", "%.2f", "%.4f", "%.6f" } do
          for _ = 1, 20 do
            local share = gpt.rand(1):item() * 1.4 - 0.2
            local shown = text:find "%%" and text:format(low + share * (high - low)) or text
            local n = tonumber(shown)
            local inside = open and n > low and n < high or not open and n >= low and n <= high
            if grammar:matches(shown) then assert.is_true(inside, shown) end
          end
        end
        assert.is_true((grammar:matches((("%.10f"):format((low + high) / 2):gsub("0+$", "")))) or high - low < 0.1)
      end
    end
    matching('{"type":"number"}', { "0", "-0.5", "1e10", "12.5E-3" }, { "1.", ".5", "01", "1e999", "+1", "nan" })
    matching('{"type":"number","exclusiveMinimum":1411}', { "1411.00001", "1412" }, { "1411", "1411.000000000000001" })
    matching('{"type":"number","minimum":2}', { "2", "2.5", "10" }, { "1.999", "-2" })
  end)

  it("keeps bounds of numbers as doubles read them, by however many digits a text is near", function()
    local kept = { minimum = function(n, b) return n >= b end, exclusiveMinimum = function(n, b) return n > b end,
      maximum = function(n, b) return n <= b end, exclusiveMaximum = function(n, b) return n < b end }
    local taken = 0
    for _, case in ipairs {
      { "0.1234567891", "0.1234567890" }, { "12345678.123456", "12345678.123455" }, { "5.55555", "5.55554" },
      { "0.1", "0.0" }, { "0.0000001", "0.0000000" }, { "99999.99999", "99999.99998" }, { "1000000.0", "999999." },
      { "0.12345678901234568", "0.12345678901234567" }, { "123456789012345.0", "123456789012344." },
      { "0.00000000000000000001", "0.00000000000000000000" }, { "7.0", "6." },
    } do
      for _, sign in ipairs { "", "-" } do
        local bound = tonumber(sign .. case[1])
        for keyword, keeps in pairs(kept) do
          local grammar = gpt.grammar { json_schema = { type = "number", [keyword] = bound } }
          for n = 0, 22 do
            for _, text in ipairs { case[1] .. ("0"):rep(n), case[1] .. ("0"):rep(n) .. "1", case[2] .. ("9"):rep(n) } do
              if grammar:matches(sign .. text) then
                assert.is_true(keeps(tonumber(sign .. text), bound), keyword .. " " .. sign .. case[1] .. ": " .. text)
                taken = taken + 1
              end
            end
          end
        end
      end
    end
    assert.is_true(taken > 1000)
  end)

  it("leaves numbers between bounds as short, or as long, as they like", function()
    matching('{"type":"number","minimum":0.1,"maximum":0.9}', { "0.1", "0.10", "0.5", "0.123456789", "0.9", "0.900" },
      { "0", "0.0", "0.09", "0.91", "1", "0.901" })
    matching('{"type":"number","minimum":3,"maximum":3}', { "3", "3.0", "3.00" }, { "3.01", "2.9", "4" })
    matching('{"type":"number","exclusiveMinimum":-0.25,"exclusiveMaximum":0.25}',
      { "0", "0.0", "0.24", "-0.2", "-0.2499" }, { "-0", "-0.0", "-0.25", "0.25", "0.250" })
    matching('{"type":"number","exclusiveMinimum":0,"maximum":1e-15}', { "0.000000000000000123", "0.000000000000001" },
      { "0", "0.0", "0.0000000000000011", "-0.1" })
    matching('{"type":"number","minimum":0.12345678901234568,"maximum":0.12345678901234568}', { "0.12345678901234568" },
      { "0.12345678901234567", "0.12345678901234569", "0.1234567890123457" })
    matching('{"type":"integer","minimum":1e14,"exclusiveMaximum":1.00000000000003e14}', { "100000000000002" },
      { "100000000000003", "99999999999999" })
  end)

  it("has OpenAPI's formats of numbers", function()
    matching('{"format":"int32"}', { "0", "-2147483648", "2147483647" }, { "2147483648", "-2147483649", "1.5", '"a"' })
    matching('{"type":["integer","null"],"format":"int64","minimum":5}', { "5", "123456789012345", "null" }, { "4" })
    matching('{"type":"number","format":"double"}', { "0.5", "1e10" }, { '"1"' })
    matching('{"enum":[1,2.5,4000000000],"format":"int32"}', { "1" }, { "2.5", "4000000000" })
  end)

  it("has objects, whose properties come in the order of the text", function()
    local text = '{"type":"object","properties":{"b":{"type":"null"},"a":{"type":"boolean"},"c":{"const":1}},"required":["a"]}'
    matching(text, { '{"a": true}', '{"b": null, "a": false}', '{"b": null, "a": false, "c": 1}', '{"a": true, "c": 1}' },
      { "{}", '{"b": null}', '{"a": true, "b": null}', '{"a": true, "d": 1}', '{"a":true}', '{"a": true,}' })
    matching(json.decode(text), { '{"a": true, "b": null, "c": 1}' }, { '{"b": null, "a": true}' })
    matching('{"type":"object","properties":{"x":{"type":"null"},"y":{"type":"null"}}}',
      { "{}", '{"x": null}', '{"y": null}', '{"x": null, "y": null}' }, { '{"y": null, "x": null}', '{, "x": null}' })
  end)

  it("makes other members only where the schema speaks of them, and never one of the names", function()
    matching('{"type":"object","additionalProperties":{"type":"null"},"properties":{"a":{"type":"boolean"},"ab":{}}}',
      { '{"a": true, "b": null, "": null}', '{"abc": null}', '{"aé": null}', '{"ab": [1]}', [[{"\n": null}]] },
      { '{"a": null}', '{"ab": 1, "ab": null}', '{"b": 1}' })
    matching('{"type":"object","minProperties":1,"maxProperties":2}',
      { '{"x": 1}', '{"x": {}, "y": []}' }, { "{}", '{"x": 1, "y": 1, "z": 1}' })
    matching('{"type":"object","required":["b"],"additionalProperties":{"type":"null"},"x-note":1}',
      { '{"b": null}', '{"b": null, "c": null}' }, { "{}", '{"b": 1}' })
  end)

  it("has arrays by length, and by items one for one", function()
    matching('{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}', { "[1, 2]", "[1, 2, 3]" },
      { "[]", "[1]", "[1, 2, 3, 4]", "[1,2]", '["a", 2]' })
    matching('{"type":"array","items":{"type":"null"}}', { "[]", "[null]", "[null, null]" }, { "[1]" })
    matching('{"prefixItems":[{"type":"null"},{"type":"boolean"}],"items":{"const":7}}',
      { "[]", "[null]", "[null, true]", "[null, true, 7, 7]" }, { "[true]", "[null, true, 8]" })
    matching('{"prefixItems":[{"type":"null"},{}],"minItems":1}', { "[null]", "[null, [1]]" }, { "[]", "[null, 1, 1]" })
    matching('{"items":[{"type":"null"},{"type":"boolean"}],"additionalItems":false}', { "[null, true]" }, { "[null, true, 1]" })
    matching('{"type":"array","items":false}', { "[]" }, { "[1]" })
    matching('{"items":{"type":"null"},"additionalItems":false}', { "[null, null]" }, { "[1]" }) -- which says nothing there
    matching('{"prefixItems":[{"type":"null"}],"additionalItems":true}', { "[null]" }, { "[1]" })
  end)

  it("has enum, const, several types, and any value at all", function()
    matching('{"enum":["a",1,null,{"y":[1,"é"],"x":true}],"type":["string","object","null"]}',
      { '"a"', "null", '{"y": [1, "é"], "x": true}' }, { "1", '"b"' })
    matching('{"const":-0.5}', { "-0.5" }, { "0.5" })
    matching('{"type":["boolean","null"]}', { "true", "false", "null" }, { "1" })
    for _, schema in ipairs { "{}", "true", '{"description":"anything"}' } do
      matching(schema, { '{"x": [1, 2.5, {"y": null}], "z": "q"}', "[]", "{}", "-1e5", "true" }, { "", "[", "tru", "nul" })
    end
  end)

  it("merges allOf, and takes anyOf apart", function()
    matching([[{"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":3}},"required":["a"]},
      {"properties":{"a":{"maximum":5},"b":{"type":"null"}}}]}]], { '{"a": 3}', '{"a": 5, "b": null}' },
      { '{"a": 6}', '{"a": 2}', '{"b": null}' })
    matching([[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],
      "anyOf":[{"properties":{"a":{"enum":[1,2]}}},{"properties":{"a":{"minimum":10},"b":{"const":0}},"required":["b"]}]}]],
      { '{"a": 1}', '{"a": 10, "b": 0}' }, { '{"a": 3}', '{"a": 10}', '{"a": 1, "b": 0}' })
    matching('{"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}],"type":"object"}',
      { "{}", '{"a": 1}' }, { '{"b": 1}' })
    matching('{"anyOf":[{"type":"integer"},{"allOf":[{"type":"string"},{"type":"null"}]}]}', { "1" }, { '"a"', "null" })
  end)

  it("takes oneOf where no value can match two", function()
    matching([[{"oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]},
      {"type":"object","properties":{"k":{"const":"b"},"z":{"type":"null"}},"required":["k"]},{"type":"null"}]}]],
      { '{"k": "a"}', '{"k": "b", "z": null}', "null" }, { '{"k": "a", "z": null}', "{}" })
    matching('{"oneOf":[{"type":"integer","maximum":3},{"type":"integer","minimum":5}]}', { "3", "5" }, { "4" })
    matching([[{"oneOf":[{"type":"object","properties":{"a":{}},"required":["a"]},
      {"type":"object","properties":{"b":{}},"required":["b"]}]}]], { '{"a": 1}', '{"b": 1}' }, { '{"a": 1, "b": 1}' })
    local both = "#: oneOf: a value may match both 0 and 1, which cannot be ruled out; use anyOf, or give them different "
      .. "types or a property with different constants"
    assert.equal(both, error_of '{"oneOf":[{"type":"string"},{"maxLength":3}]}')
    assert.equal(both, error_of '{"oneOf":[{"type":"number"},{"type":"integer"}]}')
    assert.equal(both, error_of '{"oneOf":[{"const":{"a":1,"b":2}},{"enum":[{"b":2,"a":1.0},3]}]}')
    assert.equal(both, error_of([[{"properties":{"b":{}},"oneOf":[{"type":"object","properties":{"a":{}},"required":["a"]},
      {"type":"object","required":["b"]}]}]]))
  end)

  it("follows $ref, also round and round", function()
    matching([[{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},
      "next":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/n"}]}},"required":["v","next"]}}}]],
      { '{"v": 1, "next": {"v": 2, "next": null}}' }, { '{"v": 1}' })
    matching('{"type":"array","items":{"$ref":"#"}}', { "[[], [[]]]" }, { "[1]" })
    matching('{"properties":{"a/b":{"type":"null"},"c":{"$ref":"#/properties/a~1b"}},"required":["c"]}',
      { '{"c": null}' }, { '{"c": 1}' })
    matching('{"$id":"http://example.org/s","items":{"$id":"#place","$ref":"#/$defs/a"},"$defs":{"a":{"$id":"x","const":1}}}',
      { "[1]" }, { "[2]" })
    matching('{"$ref":"#/definitions/s","maxLength":1,"definitions":{"s":{"type":"string"}}}', { '"a"' }, { '"ab"' })
  end)

  it("sets members apart as whitespace says", function()
    local schema = '{"type":"object","properties":{"a":{"type":"array","items":{"type":"null"}},"b":{}},"required":["a"]}'
    matching(schema, { '{"a":[null,null],"b":{"c":1}}' }, { '{"a": []}' }, "none")
    matching(schema, { '{"a":[]}', '{\n  "a" : [ null\n,null ],\n  "b": 1\n}', '{ "a": [] }' },
      { '{"a":  []}', '{"a":\n\n[]}', ' {"a":[]}', '{"a":[]}\n', "{" .. (" "):rep(50) }, "free")
    assert.equal('gpt.grammar: json_schema: whitespace: "fixed", "none" or "free" expected, got 1',
      raised(function() gpt.grammar { json_schema = {}, whitespace = 1 } end))
  end)

  it("says where in the schema something cannot be enforced or understood", function()
    for schema, expected in pairs {
      ['{"type":"strin"}'] = '#: type: one of string, number, integer, object, array, boolean, null expected, got "strin"',
      ['{"properties":{"a":{"type":"array","uniqueItems":true}}}'] = "#/properties/a: uniqueItems cannot be enforced",
      ['{"not":{}}'] = "#: not cannot be enforced",
      ['{"items":{"patternProperties":{}}}'] = "#/items: patternProperties cannot be enforced",
      ['{"nullable":true}'] = "#: nullable is no keyword that is known, so it cannot be enforced; leave it out, or call it "
        .. "x-nullable",
      ['{"multipleOf":3}'] = "#: multipleOf cannot be enforced, but for 1",
      ['{"format":"uri"}'] = '#: format: one of date, date-time, double, email, int32, int64, ipv4, time, uuid expected, got "uri"',
      ['{"type":"integer","format":"uint8"}'] = "#: format: one of date, date-time, double, email, int32, int64, ipv4, "
        .. 'time, uuid expected, got "uint8"',
      ['{"type":"string","format":"int64"}'] = "#: format int64 of strings cannot be enforced: it is for numbers",
      ['{"type":"string","contentEncoding":"base64"}'] = "#: contentEncoding cannot be enforced",
      ['{"contentMediaType":"application/json"}'] = "#: contentMediaType cannot be enforced",
      ['{"prefixItems":[{}],"items":[{"type":"integer"}]}'] =
        "#: prefixItems beside a list of items cannot be enforced: items is one schema there",
      ['{"prefixItems":[{}],"additionalItems":false}'] =
        "#: additionalItems without a list of items cannot be enforced: write items",
      ['{"additionalItems":{}}'] = "#: additionalItems without a list of items cannot be enforced: write items",
      ['{"properties":{"a":{"$id":"http://example.org/a","items":{"$ref":"#/properties/b"}},"b":{}}}'] =
        "#/properties/a: $ref below a $id that is not the root's cannot be followed",
      ['{"$ref":"#/$defs/a/items","$defs":{"a":{"$id":"b","items":{"$ref":"#"}}}}'] =
        "#: $ref below a $id that is not the root's cannot be followed",
      [ [[{"pattern":"^a{,3}$"}]] ] = "#: pattern: line 1, column 3: { begins no repetition, as {2}, {2,} and {2,5} do; "
        .. [[write \{ for the character]],
      [ [[{"pattern":"^[a]\\u{D800}$"}]] ] = "#: pattern: line 1, column 5: U+D800 is no character",
      ['{"pattern":"(a"}'] = "#: pattern: line 1, column 1: the group that begins here has no end",
      ['{"pattern":"[a-z]{20000}","maxLength":30000}'] =
        "#: minLength or maxLength beside a pattern or format of this size cannot be enforced",
      ['{"pattern":"a","format":"date"}'] = "#: pattern beside format cannot be enforced",
      ['{"allOf":[{"pattern":"a"},{"pattern":"b"}]}'] = "#/allOf/1: two patterns at once cannot be enforced",
      ['{"allOf":[{"format":"date"},{"format":"time"}]}'] = "#/allOf/1: two formats at once cannot be enforced",
      ['{"type":"object","properties":{"a":{}},"minProperties":1}'] =
        "#: minProperties of more than are required cannot be enforced",
      ['{"properties":{"a":{},"b":{}},"maxProperties":1}'] = "#: maxProperties cannot be enforced beside optional properties",
      ['{"enum":["a"],"pattern":"b"}'] =
        "#: enum or const beside other keywords for values of type string cannot be enforced",
      ['{"$ref":"#"}'] = "#: $ref leads back to itself",
      ['{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/a"}]}}}'] =
        "#/$defs/a/anyOf/1: $ref leads back to itself",
      ['{"$ref":"#/x"}'] = "#: $ref: there is no #/x",
      [('{"properties":{"%s":{"type":3}}}'):format(("p"):rep(5000))] = "#/properties/" .. ("p"):rep(37) .. "..."
        .. ("p"):rep(75) .. ": type: a list expected, got 3",
      [('{"%s":1}'):format(("k"):rep(5000))] = ("#: %s... is no keyword that is known, so it cannot be enforced; leave it "
        .. "out, or call it x-%s..."):format(("k"):rep(147), ("k"):rep(147)),
      ['{"$ref":"other.json"}'] = '#: $ref: a place in this schema expected, as in #/$defs/name, got "other.json"',
      ['{"minLength":-1}'] = "#: minLength: a whole number of at least 0 expected, got -1",
      ['{"minimum":"1"}'] = '#: minimum: a number expected, got "1"',
      ['{"exclusiveMinimum":true}'] =
        "#: exclusiveMinimum: a number expected (true and false are of JSON Schema's draft 4)",
      ['{"type":"number","minimum":1e-30}'] =
        "#: a bound of at most 15 digits before the point and 20 behind it expected",
      [{ maximum = math.huge }] = "#: maximum: a number expected, got inf",
      [{ const = print }] = "#: enum or const: JSON has no function",
      ['{"properties":[1]}'] = "#: properties: an object expected",
      ['{"properties":false}'] = "#: properties: an object expected",
      ['{"properties":{"a":{}},"required":true}'] = "#: required: a list expected, got true",
      ['{"properties":{"a":{}},"required":false}'] = "#: required: a list expected, got false",
      ['{"required":"a"}'] = '#: required: a list expected, got "a"',
      ['{"required":[1]}'] = "#: required: names expected, got 1",
      ['{"anyOf":[]}'] = "#: anyOf: at least one schema expected",
      ["[]"] = "#: a schema expected: an object, true or false, got a list",
      ['{"properties":{"a":7}}'] = "#/properties/a: a schema expected: an object, true or false, got 7",
      ['{"uniqueItems":1}'] = "#: uniqueItems: true or false expected, got 1",
      ["x"] = "not valid JSON near line 1, column 1",
      [7] = "a schema as a table or as JSON text expected, got 7",
    } do assert.equal(expected, error_of(schema)) end
    local nested = ('{"items":'):rep(300) .. "{}" .. ("}"):rep(300)
    assert.truthy(error_of(nested):find("nested more than 190 deep", 1, true))
    local many = ('{"anyOf":[{"minLength":1},{"minLength":2},{"minLength":3}]},'):rep(7):sub(1, -2)
    local same = {}
    for i = 1, 50001 do same[i] = true end
    assert.equal("#/allOf/49999: the schema takes more than 50000 steps to work out: fewer alternatives inside each other "
      .. "would do", error_of { allOf = same })
    assert.equal("#: more than 500 combinations of alternatives", error_of('{"allOf":[' .. many .. "]}"))
  end)

  it("refuses what nothing matches", function()
    for schema, expected in pairs {
      ["false"] = "#: nothing matches",
      ['{"required":["b"],"additionalProperties":false}'] = "#/additionalProperties: nothing matches",
      ['{"allOf":[{"type":"string"},{"type":"integer"}]}'] = "#: no type is left",
      ['{"type":"integer","minimum":5,"maximum":4}'] = "#: no whole number between the bounds",
      ['{"type":"integer","minimum":5,"maximum":-4}'] = "#: no whole number between the bounds",
      ['{"type":"number","exclusiveMinimum":5,"maximum":5}'] = "#: no number between the bounds",
      ['{"type":"string","minLength":3,"maxLength":2}'] = "#: maxLength is less than minLength",
      ['{"pattern":"^abc$","maxLength":2}'] = "#: no text of the pattern has that length",
      ['{"enum":["a"],"type":"integer"}'] = "#: no value of enum or const matches the rest",
      ['{"type":"array","items":false,"minItems":1}'] = "#: no array has enough items",
      ['{"properties":{"a":false},"required":["a"]}'] = "#/properties/a: nothing matches",
      ['{"type":"object","required":["a","b"],"maxProperties":1}'] = "#: maxProperties is less than what is required",
      ['{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}'] =
        "# never ends: every way through it needs it, or another such rule, again",
    } do assert.equal(expected, error_of(schema)) end
    matching('{"type":"object","properties":{"a":false,"b":{"type":"null"}}}', { "{}", '{"b": null}' }, { '{"a": 1}' })
  end)
end)
