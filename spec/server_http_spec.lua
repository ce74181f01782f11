local Problem = require "gpt.server.problem"
local Reader = require "gpt.server.reader"
local access = require "gpt.server.access"
local head = require "gpt.server.head"
local response = require "gpt.server.response"
local text = require "gpt.server.text"

-- The status and the message of the problem that fn(...) raises.
local function problem(fn, ...)
  local ok, raised = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(Problem.is(raised), tostring(raised))
  return raised.status .. " " .. raised.message
end

local GET = "GET / HTTP/1.1\r\nHost: x\r\n"

describe("the head of a request", function()
  it("is a method, a target, and headers by lower-case names", function()
    local request = head.read "POST /v1/models?a=b HTTP/1.1\r\nHost: x\r\nX-One:  two \r\nx-one: three\r\nContent-Length: 12"
    assert.equal("POST", request.method)
    assert.equal("/v1/models", request.path)
    assert.equal("a=b", request.query)
    assert.same({ host = "x", ["x-one"] = "two, three", ["content-length"] = "12" }, request.headers)
    assert.equal(12, request.framing)
    assert.is_true(request.keep_alive)
    assert.is_false(request.expects)
  end)

  it("has values without the blanks around them", function()
    local blanks = (" \t"):rep(4000)
    for written, value in pairs {
      [""] = "", [" "] = "", ["x"] = "x", [" \t x\t "] = "x", ["a b"] = "a b", ["\t\ta \tb c "] = "a \tb c", [blanks] = "",
      [blanks .. "y" .. blanks] = "y",
    } do
      assert.equal(value, head.read("GET / HTTP/1.1\r\nHost: x\r\nA:" .. written).headers.a)
    end
  end)

  it("is read in one go where its values are full of blanks", function()
    local line = "GET / HTTP/1.1\r\nHost: x\r\nA: x" .. (" "):rep(1000000) .. "x"
    assert.equal(1000002, #head.read(line).headers.a)
  end)

  it("may say that its body is as it is", function()
    assert.equal(5, head.read("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: Identity\r\nContent-Length: 5").framing)
  end)

  it("may name the host in its target", function()
    assert.equal("/a", head.read("GET http://x/a HTTP/1.1\r\nHost: x").path)
    assert.equal("/", head.read("GET http://x?q HTTP/1.1\r\nHost: x").path)
  end)

  it("keeps the connection as its version and headers say", function()
    local function keeps(version, header)
      return head.read(("GET / HTTP/%s\r\nHost: x%s"):format(version, header)).keep_alive
    end
    assert.is_true(keeps("1.1", ""))
    assert.is_false(keeps("1.1", "\r\nConnection: Close"))
    assert.is_false(keeps("1.1", "\r\nConnection: foo, close"))
    assert.is_false(keeps("1.0", ""))
    assert.is_true(keeps("1.0", "\r\nConnection: keep-alive"))
  end)

  it("is refused where two readers could take it for two things", function()
    local cases = {
      ["GET / HTTP/1.1\r\nHost: x\r\nbad header"] = "400 a header line is not `Name: value`",
      ["GET / HTTP/1.1\r\nHost: x\r\n folded: y"] = "400 a header line is not `Name: value`",
      ["GET / HTTP/1.1\r\nHost : x"] = "400 a header line is not `Name: value`",
      ["GET / HTTP/1.1\nHost: x"] = "400 lines end with CR LF",
      ["GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d"] = "400 lines end with CR LF",
      ["GET / HTTP/1.1\r\nHost: x\r\nA: b\0c"] = "400 a header has control characters",
      ["GET / HTTP/1.1\r\nHost: x\r\nHost: y"] = "400 the header host came twice",
      ["GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2"] = "400 the header content-length came twice",
      ["GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2"] = "400 content-length: one whole number of digits expected",
      ["GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1"] = "400 content-length: one whole number of digits expected",
      ["GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10"] = "400 content-length: one whole number of digits expected",
      ["GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"] =
        "400 transfer-encoding beside content-length, or in HTTP/1.0",
      ["GET / HTTP/1.0\r\nTransfer-Encoding: chunked"] = "400 transfer-encoding beside content-length, or in HTTP/1.0",
      ["GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked"] =
        "501 transfer-encoding: chunked is the only one there is",
      ["POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 9"] =
        "415 content-encoding: bodies have to come as they are",
      ["GET / HTTP/1.1\r\nHost: x\r\nExpect: wonders"] = "417 expect: 100-continue is the only one there is",
      ["GET / HTTP/1.1"] = "400 the header host is missing",
      ["GET / HTTP/2.0\r\nHost: x"] = "505 this server speaks HTTP/1.1, not HTTP/2.0",
      ["GET /"] = "400 the request line is not HTTP's: METHOD TARGET HTTP/1.1",
      ["GET  / HTTP/1.1\r\nHost: x"] = "400 the request line is not HTTP's: METHOD TARGET HTTP/1.1",
      ["GET /a b HTTP/1.1\r\nHost: x"] = "400 the request line is not HTTP's: METHOD TARGET HTTP/1.1",
      ["\22\3\1 hello"] = "400 the request line is not HTTP's: METHOD TARGET HTTP/1.1",
      [GET .. ("A: b\r\n"):rep(100) .. "A: b"] = "431 more than 100 headers",
    }
    for request, expected in pairs(cases) do assert.equal(expected, problem(head.read, request)) end
  end)
end)

describe("the reader", function()
  -- All requests in a text that comes in pieces of that many bytes.
  local function read(bytes, size, most)
    local reader, requests = Reader.new(most or 100), {}
    for at = 1, #bytes, size do
      reader:add(bytes:sub(at, at + size - 1))
      repeat
        local what, request = reader:next()
        if what == "done" then requests[#requests + 1] = request end
      until not what
    end
    return requests, reader
  end

  local BODY = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
  local CHUNKED = "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    .. "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: yes\r\n\r\n"

  it("finds requests however they are cut", function()
    for size = 1, 40 do
      local requests, reader = read(BODY .. GET .. "\r\n" .. CHUNKED .. "\r\n" .. BODY, size)
      assert.equal(4, #requests)
      assert.equal("hello", requests[1].body)
      assert.is_nil(requests[2].body)
      assert.equal("abc0123456789", requests[3].body)
      assert.equal("hello", requests[4].body)
      assert.is_false(reader:begun())
    end
  end)

  it("tells of a head before its body comes", function()
    local reader = Reader.new(100)
    reader:add(BODY:sub(1, -4))
    local what, request = reader:next()
    assert.equal("head", what)
    assert.equal("/a", request.path)
    assert.is_nil(reader:next())
    assert.is_true(reader:begun())
  end)

  it("takes a body of chunks of one byte in bounded memory", function()
    local requests = read("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" .. ("1\r\nx\r\n"):rep(9000)
      .. "0\r\n\r\n", 4096, 10000)
    assert.equal(("x"):rep(9000), requests[1].body)
  end)

  it("refuses what is too long, as soon as that is known", function()
    local function refused(bytes) return problem(read, bytes, 1000) end
    assert.equal("413 a body may have 100 bytes", refused "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n")
    assert.equal("413 a body may have 100 bytes",
      refused "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n")
    local chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert.equal("413 a body may have 100 bytes", refused(chunked .. "65\r\n"))
    assert.equal("413 a body may have 100 bytes", refused(chunked .. "FFFFFFFF\r\n"))
    assert.equal("431 the head of a request may have 16384 bytes", refused(GET .. ("A: " .. ("b"):rep(994) .. "\r\n"):rep(17)))
    assert.equal("400 the line of a chunk's size may have 1024 bytes", refused(chunked .. "1;" .. ("x"):rep(2000)))
    assert.equal("431 a header behind the body may have 16384 bytes", refused(chunked .. "0\r\nA: " .. ("x"):rep(17000)))
    assert.equal("413 a body may have 100 bytes", refused(chunked .. "0\r\n" .. ("A: b\r\n"):rep(40)))
  end)

  it("refuses what is no chunk", function()
    local chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _, line in ipairs { "x", "-1", "", "0x1", "1 2", "123456789" } do
      assert.equal("400 the size of a chunk is no hexadecimal number", problem(read, chunked .. line .. "\r\n", 99))
    end
    assert.equal("400 a chunk is longer than its size", problem(read, chunked .. "1\r\nabc\r\n", 99))
  end)

  it("refuses lines that end with LF alone at once", function()
    assert.equal("400 lines end with CR LF", problem(read, "GET / HTTP/1.1\nHost: x\n\n", 1))
  end)
end)

describe("a response", function()
  it("has a date in English, and sorted headers", function()
    assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", response.date(0))
    assert.equal("HTTP/1.1 404 Not Found\r\nA: 1\r\nB: two\r\n\r\n", response.head(404, { B = "two", A = 1 }))
    assert.equal("a\r\n0123456789\r\n", response.chunk "0123456789")
  end)
end)

describe("text for JSON", function()
  it("is UTF-8, whatever bytes there were", function()
    assert.equal("a\u{20AC}", text.clean "a\u{20AC}")
    assert.equal("a\u{FFFD}b\u{FFFD}", text.clean "a\xFFb\xE2\x82")
    -- what Python's decode("utf-8", "replace") makes of them
    for bytes, expected in pairs {
      ["\xF0\x9F\x98"] = "\u{FFFD}", ["\xF0\x9F"] = "\u{FFFD}", ["\xF0"] = "\u{FFFD}",
      ["\xF0\x80\x80\x80"] = "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}", ["\xF4\x90\x80"] = "\u{FFFD}\u{FFFD}\u{FFFD}",
      ["\xF4\x8F\xBF"] = "\u{FFFD}", ["\xE0\x80x"] = "\u{FFFD}\u{FFFD}x", ["\xE0\xA0x"] = "\u{FFFD}x",
      ["\xC0\x80"] = "\u{FFFD}\u{FFFD}", ["\xC3"] = "\u{FFFD}", ["\xED\x9F"] = "\u{FFFD}",
      ["\x80\u{e9}\xF1\x80\x80\xF1"] = "\u{FFFD}\u{e9}\u{FFFD}\u{FFFD}", ["\xF5\x80"] = "\u{FFFD}\u{FFFD}",
    } do
      assert.equal(expected, text.clean(bytes), ("%q"):format(bytes))
    end
    assert.equal("\u{FFFD}\u{FFFD}\u{FFFD}", text.clean "\xED\xA0\x80")
  end)
end)

describe("access", function()
  local function request(headers) return { headers = headers } end

  it("wants one of the keys", function()
    local options = { api_key = { "secret", "other" } }
    local function refused(value) return problem(access.check_key, options, request { authorization = value }) end
    assert.equal("401 an API key is needed: Authorization: Bearer KEY", refused(nil))
    assert.equal("401 an API key is needed: Authorization: Bearer KEY", refused "Basic secret")
    for _, key in ipairs { "secre", "secretsecret", "Secret", "secret1", "x" } do
      assert.equal("401 this API key is not one of the server's", refused("Bearer " .. key))
    end
    access.check_key(options, request { authorization = "Bearer secret" })
    access.check_key(options, request { authorization = "bearer other" })
    access.check_key({}, request {})
  end)

  it("lets pages of its own ask, and others where it was told", function()
    local options = { host = "127.0.0.1", origins = { "https://good.example" } }
    local function check(origin) return access.check_origin(options, request { host = "localhost:80", origin = origin }) end
    assert.same({}, check(nil))
    assert.same({}, check "http://localhost:80")
    assert.equal("https://good.example", check("https://good.example")["Access-Control-Allow-Origin"])
    for _, origin in ipairs { "https://bad.example", "null", "http://localhost:81", "http://localhost" } do
      assert.equal("403 pages of this origin may not ask here; the server's option origins lists those that may",
        problem(check, origin))
    end
  end)

  it("on loopback is asked by a name of loopback", function()
    local function check(host, names, bound)
      return access.check_origin({ host = bound or "127.0.0.1", host_names = names }, request { host = host })
    end
    for _, host in ipairs { "localhost", "localhost:80", "127.0.0.1:8", "127.1.2.3", "[::1]:8", "a.localhost" } do check(host) end
    check("gpt.example", { "gpt.example" })
    check("gpt.example:80", { "gpt.example" })
    check("gpt.example:", { "gpt.example" })
    check("[::1]:")
    check("gpt.example", { "*" })
    check("gpt.example", nil, "0.0.0.0")
    check(nil)
    assert.equal("403 this server is not called by that name; its option host_names lists more",
      problem(check, "evil.example:8080"))
    assert.equal("403 this server is not called by that name; its option host_names lists more",
      problem(check, "127.0.0.1.evil.example"))
    for _, host in ipairs { "127.0.0.1:8:8", ":", "::1:8x", ("1"):rep(1000000) .. ":x", ("1"):rep(1000000) } do
      assert.equal("403 this server is not called by that name; its option host_names lists more", problem(check, host))
    end
  end)
end)
