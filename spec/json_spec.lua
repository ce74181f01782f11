local json = require "gpt.json"

describe("json.decode", function()
  it("reads every kind of value", function()
    local value = json.decode [[ {"a": [1, -2.5, 3e2, 0], "b": {}, "c": [], "d": null, "e": [true, false], "": "x"} ]]
    assert.same({ 1, -2.5, 300.0, 0 }, value.a)
    assert.equal("integer float float integer", table.concat({ math.type(value.a[1]), math.type(value.a[2]),
      math.type(value.a[3]), math.type(value.a[4]) }, " "))
    assert.is_true(json.is_object(value.b) and not json.is_array(value.b))
    assert.is_true(json.is_array(value.c) and not json.is_object(value.c))
    assert.equal(json.null, value.d)
    assert.same({ true, false }, value.e)
    assert.equal("x", value[""])
  end)

  it("keeps large integers, and makes floats of those that are too large", function()
    assert.same({ math.maxinteger, math.mininteger }, json.decode "[9223372036854775807, -9223372036854775808]")
    assert.equal(2.0 ^ 63, json.decode "9223372036854775808")
  end)

  it("reads escapes, surrogate pairs, NUL and UTF-8", function()
    assert.equal('"\\/\b\f\n\r\t', json.decode [["\"\\\/\b\f\n\r\t"]])
    assert.equal("é😀\0z€", json.decode [["\u00e9\uD83D\ude00\u0000z€"]])
  end)

  it("refuses what is not JSON, and says where", function()
    for text, reason in pairs {
      [""] = "line 1, column 1: a value expected, got the end",
      ["{"] = "line 1, column 2: a key in quotes expected, got the end",
      ['{"a":1,}'] = "line 1, column 8: a key in quotes expected, got '}'",
      ['{"a" 1}'] = "line 1, column 6: ':' expected, got '1'",
      ['{"a":1 "b":2}'] = "line 1, column 8: ',' or '}' expected, got '\"'",
      ["[1,\n 2 3]"] = "line 2, column 4: ',' or ']' expected, got '3'",
      ["[01]"] = "line 1, column 2: a number does not begin with 0",
      ["[1.]"] = "line 1, column 4: a digit expected, got ']'",
      ["-"] = "line 1, column 2: a digit expected, got the end",
      ["1e999"] = "line 1, column 1: a number out of range",
      [("1"):rep(101)] = "line 1, column 1: a number too long",
      ['"\\x"'] = "line 1, column 3: one of \"\\/bfnrtu after a backslash expected, got 'x'",
      ['"\\u12"'] = "line 1, column 6: a hexadecimal digit expected, got '\"'",
      ['"\\ud800"'] = "line 1, column 2: half of a surrogate pair",
      ['"\\udc00\\ud800"'] = "line 1, column 2: half of a surrogate pair",
      ['"a\nb"'] = "line 1, column 3: the string's closing quote expected, got byte 0x0a",
      ['"abc'] = "line 1, column 5: the string's closing quote expected, got the end",
      ['"\xff"'] = "line 1, column 2: this byte is not UTF-8",
      ['"\xed\xa0\x80"'] = "line 1, column 2: this byte is not UTF-8",
      ['{"a":1,"b":2,"a":3}'] = 'line 1, column 14: the key "a" comes twice',
      ["nul"] = "line 1, column 1: a value expected, got 'n'",
      ["NaN"] = "line 1, column 1: a value expected, got 'N'",
      ["1 2"] = "line 1, column 3: nothing more expected, got '2'",
      ["\0"] = "line 1, column 1: a value expected, got byte 0x00",
      [("["):rep(101)] = "line 1, column 101: nested too deeply",
    } do
      assert.error_matches(function() json.decode(text, "f.json") end, "f.json: not valid JSON at " .. reason, 1, true)
    end
    assert.error_matches(function() json.decode "x" end, "the text: not valid JSON", 1, true)
  end)

  it("reads a hundred levels", function()
    assert.equal("table", type(json.decode(("["):rep(100) .. ("]"):rep(100))))
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

  it("escapes what must be escaped, and nothing else", function()
    local text = "\"\\/\n\r\t\0\x1f\x7fé😀"
    assert.equal([["\"\\/\n\r\t\u0000\u001f\u007fé😀"]], json.encode(text))
    assert.equal(text, json.decode(json.encode(text)))
  end)

  it("refuses what JSON cannot say", function()
    assert.error_matches(function() json.encode(0 / 0) end, "JSON has no number for", 1, true)
    assert.error_matches(function() json.encode { f = print } end, "JSON has no function", 1, true)
  end)
end)
