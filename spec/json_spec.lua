local gpt = require "gpt"
local json = require "gpt.support.json"

describe("json.decode", function()
  it("reads every kind of value", function()
    local value = json.decode [[ {"a": [1, -2.5, 3e2, 0], "b": {}, "c": [], "d": null, "e": [true, false], "": "x"} ]]
    assert.same({ 1, -2.5, 300.0, 0 }, value.a)
    assert.is_true(json.is_object(value.b) and not json.is_array(value.b))
    assert.is_true(json.is_array(value.c) and not json.is_object(value.c))
    assert.equal(json.null, value.d)
    assert.same({ true, false }, value.e)
    assert.equal("x", value[""])
  end)

  it("makes integers of whole numbers that a double holds for certain, and floats of all others", function()
    local numbers = json.decode "[9007199254740992, -9007199254740992, 9007199254740994, 1e2, 2.0, -0.5, 1e300]"
    assert.same({ 1 << 53, -(1 << 53), 2.0 ^ 53 + 2, 100, 2, -0.5, 1e300 }, numbers)
    for i, kind in ipairs { "integer", "integer", "float", "integer", "integer", "float", "float" } do
      assert.equal(kind, math.type(numbers[i]))
    end
  end)

  it("reads escapes, surrogate pairs and UTF-8", function()
    assert.equal('"\\/\b\f\n\r\t\\u0000', json.decode [["\"\\\/\b\f\n\r\t\\u0000"]])
    assert.equal("é😀z€\u{ffff}", json.decode [["\u00e9\uD83D\ude00z€\uFFFF"]])
  end)

  it("refuses what is not JSON, and says where", function()
    for text, place in pairs {
      [""] = "line 1, column 1: it is empty",
      ["{"] = "line 1, column 2: it seems cut short",
      ['{"a":[1,\n2'] = "line 2, column 2: it seems cut short",
      ['{"a":1,}'] = "line 1, column 9",
      ['{"a" 1}'] = "line 1, column 6",
      ['{"a":1 "b":2}'] = "line 1, column 8",
      ["[1,\n 2 3]"] = "line 2, column 4",
      ["-"] = "line 1, column 1",
      ['"\\x"'] = "line 1, column 2",
      ['"\\u12"'] = "line 1, column 2: a character from \\u0001 to \\uffff expected",
      ['"\\u0000"'] = "line 1, column 2: a character from \\u0001 to \\uffff expected",
      ['"\\ud800"'] = "line 1, column 2: half of a surrogate pair",
      ['"\\uDC00\\ud800"'] = "line 1, column 2: half of a surrogate pair",
      ['["\\ud83d\\u0041"]'] = "line 1, column 3: half of a surrogate pair",
      ['"abc'] = "line 1, column 2",
      ['"a\0"'] = "line 1, column 3: a NUL character",
      ['"\xff"'] = "line 1, column 2: not UTF-8",
      ['"\xed\xa0\x80"'] = "line 1, column 2: not UTF-8",
      ["nul"] = "line 1, column 1",
      ["NaN"] = "line 1, column 1",
      ["1 2"] = "line 1, column 3",
      [("["):rep(1001) .. ("]"):rep(1001)] = "line 1, column 1001: more than 1000 levels of arrays and objects",
      [('{"[":'):rep(1001)] = "line 1, column 5001: more than 1000 levels of arrays and objects",
      [("["):rep(1000) .. "x"] = "line 1, column 1001: it seems cut short",
      [("[],"):rep(2000)] = "line 1, column 3: it seems cut short",
      ['["\\"' .. ("["):rep(2000) .. '", x]'] = "line 1, column 2008",
    } do
      local reached, message = pcall(json.decode, text, "f.json")
      assert.same({ false, "f.json: not valid JSON near " .. place }, { reached, message:match "f%.json.*$" })
    end
    assert.error_matches(function() json.decode "x" end, "the text: not valid JSON near line 1, column 1", 1, true)
  end)

  it("refuses keys that come twice and numbers out of range", function()
    local function decode(text) return function() json.decode(text, "f.json") end end
    assert.error_matches(decode '{"a":1,"b":{"a":2},"a":3}', 'f.json: the key "a" comes twice', 1, true)
    assert.error_matches(decode "[1e999]", "f.json: a number is out of range", 1, true)
  end)

  it("frees the document of a text that it refuses", function()
    local text = '{"a":["' .. ("x"):rep(1000) .. '"],"a":0}'
    for _ = 1, 100 do assert.is_false(pcall(json.decode, text)) end
  end)

  it("reads a thousand levels", function()
    assert.equal("table", type(json.decode(("["):rep(1000) .. ("]"):rep(1000))))
  end)

  it("asks for memory before it takes it", function()
    local limit = gpt.memory().limit
    finally(function() gpt.memory { limit = limit } end)
    gpt.memory { limit = gpt.memory().live + 1000000 }
    assert.error_matches(function() json.decode("[" .. ("1,"):rep(20000) .. "1]") end,
      "not enough memory: 1.56 MiB requested", 1, true)
  end)
end)

describe("json.encode", function()
  it("sorts keys, prints integers as integers and floats in few digits", function()
    local value = { b = 1, a = { 0.1, 1e-5, 2.0, 1e300 }, c = json.null, d = json.array {}, e = {}, f = false }
    assert.equal('{"a":[0.1,1e-05,2.0,1e+300],"b":1,"c":null,"d":[],"e":{},"f":false}', json.encode(value))
    assert.same(value, json.decode(json.encode(value)))
  end)

  it("indents", function()
    assert.equal('{\n  "a": [\n    1,\n    2\n  ],\n  "b": {}\n}', json.encode({ a = { 1, 2 }, b = {} }, 2))
  end)

  it("takes arrays whose items are written already", function()
    local value = { a = json.written { "1", '{"x":2}' }, b = json.written {}, c = { json.written { "null" } } }
    assert.equal('{"a":[1,{"x":2}],"b":[],"c":[[null]]}', json.encode(value))
    assert.equal('[\n  [\n    1,\n    "y"\n  ],\n  []\n]', json.encode({ json.written { "1", '"y"' }, json.written {} }, 2))
  end)

  it("writes arrays up to the first hole", function()
    assert.equal("[1,2]", json.encode({ 1, 2, nil, 4 }))
  end)

  it("copies what lies deep once", function()
    local value = { ("x"):rep(1000000) }
    for _ = 1, 999 do value = { value } end
    collectgarbage()
    collectgarbage "stop"
    finally(function() collectgarbage "restart" end)
    local before = collectgarbage "count"
    local text = json.encode(value)
    assert.equal(1002002, #text)
    assert.is_true(collectgarbage "count" - before < 10000)
  end)

  it("escapes what must be escaped, and nothing else", function()
    local text = "\"\\/\n\r\t\x1f\x7fé😀"
    assert.equal([["\"\\/\n\r\t\u001f\u007fé😀"]], json.encode(text))
    assert.equal(text, json.decode(json.encode(text)))
  end)

  it("refuses what JSON cannot say", function()
    assert.error_matches(function() json.encode(0 / 0) end, "JSON has no number for", 1, true)
    assert.error_matches(function() json.encode { f = print } end, "JSON has no function", 1, true)
  end)
end)
