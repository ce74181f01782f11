-- Many requests of one client at once, and clients that read late or never.
local loopback = require "spec.support.loopback"

if not loopback.there then
  pending "gpt.server's pipelining (luasocket is not installed: Debian's lua-socket)"
  return
end

local json = require "gpt.support.json"
local Outbox = require "gpt.server.outbox"
local page = require "gpt.server.page"
local model = loopback.model()
local running -- the server of a spec
local served -- requests of the log

local function start(options)
  served = 0
  local given = { log = function() served = served + 1 end }
  for name, value in pairs(options or {}) do given[name] = value end
  running = loopback.start(model, given)
end

local PATHS = { "/", "/health", "/v1/models", "/nothing" }

-- n requests, of which each asks for the next path.
local function requests(n)
  local list = {}
  for i = 1, n do list[i] = loopback.request("GET", PATHS[i % #PATHS + 1]) end
  return list
end

-- What a response is the response to.
local function path_of(response)
  if response.status == 404 then return "/nothing" end
  if response.body == page then return "/" end
  return json.decode(response.body).status == "ok" and "/health" or "/v1/models"
end

-- Reads the responses to n requests, which have to come in order.
local function read(client, n)
  for i = 1, n do assert.equal(PATHS[i % #PATHS + 1], path_of(client:response()), i) end
end

-- Sends as much of a text as goes. Returns what did not.
local function send(client, text)
  local last, _, partial = client.socket:send(text)
  return text:sub((last or partial) + 1)
end

local function connection() return running.connections[1] end

describe("a client that sends many requests at once", function()
  before_each(function() start() end)
  after_each(function() running:close() end)

  it("and reads nothing makes the server hold little, and is served in order when it reads", function()
    local client, n = loopback.connect(running), 1000
    client.socket:setoption("recv-buffer-size", 131072)
    loopback.drive(running, connection)
    connection().socket:setoption("send-buffer-size", 131072)
    local rest = table.concat(requests(n))
    local idle, before = 0, served -- steps that served nothing: what the system takes for the client has an end
    while idle < 20 and served < n do
      rest = send(client, rest)
      running:step(0)
      assert.is_true(connection():unread() <= 65536 + #page + 1000)
      assert.is_true(connection().reader:waiting() <= 16384)
      idle, before = served == before and idle + 1 or 0, served
    end
    assert.is_true(connection().behind)
    assert.is_true(served < n)
    assert.equal(200, loopback.ask(running, "GET", "/health").status)
    for first = 1, n, 4 do -- the paths come round
      rest = send(client, rest)
      read(client, math.min(4, n - first + 1))
    end
    assert.equal(n + 1, served)
    client:close()
  end)

  it("lets others be served between them", function()
    local client = loopback.connect(running):send(table.concat(requests(100)))
    loopback.drive(running, function() return served > 0 end)
    local before
    repeat
      before = served
      running:step(0)
      assert.is_true(served - before <= 16)
    until served == before
    assert.equal(100, served)
    read(client, 100)
    client:close()
  end)

  it("waits for no more than its turn", function()
    local timeouts, select = {}, running.listener.select
    running.listener.select = function(reads, writes, timeout)
      timeouts[#timeouts + 1] = timeout
      return select(reads, writes, 1)
    end
    local client = loopback.connect(running):send(table.concat(requests(20)))
    repeat running:step(60) until served > 0
    while served < 20 do
      running:step(60)
      assert.equal(0, timeouts[#timeouts])
    end
    running.listener.select = select
    read(client, 20)
    client:close()
  end)

  it("and then closes its sending half is served to the end", function()
    local client = loopback.connect(running):send(table.concat(requests(100)))
    client.socket:shutdown "send"
    read(client, 100)
    client:wait_closed()
    assert.equal(100, served)
  end)
end)

describe("a client that reads late", function()
  local now, taken, late, handled

  -- A connection whose client takes `taken` bytes each time, and sends what `sent` has.
  before_each(function()
    now, taken, handled = 0, 0, 0
    local sent = table.concat(requests(20))
    local socket = { settimeout = function() end, close = function() end }
    function socket.send(_, text, from) return nil, "timeout", math.min(from - 1 + taken, #text) end
    function socket.receive()
      local data = sent
      sent = ""
      return nil, "timeout", data
    end
    local limits = { request_seconds = 5, idle_seconds = 5, write_seconds = 20, body_bytes = 100 }
    late = require("gpt.server.connection").new(socket, limits, {
      handle = function(self)
        handled = handled + 1
        self:respond(200, {}, ("x"):rep(20000), now)
      end,
      check = function() end,
      has_time = function() return true end,
    }, now)
  end)

  local function receive()
    late:receive(now)
    late:serve(now)
  end

  local function pass(seconds)
    now = now + seconds
    late:serve(now)
    late:check_time(now)
    late:flush(now)
    return late.state
  end

  it("has its time for the next request when it has read", function()
    receive()
    assert.equal(4, handled)
    assert.is_false(late:wants_input())
    taken = 10
    for _ = 1, 4 do assert.equal("reading", pass(19)) end
    assert.equal(4, handled)
    taken = 30000
    repeat assert.equal("reading", pass(1)) until late:unread() == 0
    assert.equal(20, handled)
    assert.is_true(late:wants_input())
    assert.equal("reading", pass(5))
    assert.equal("closed", pass(1))
  end)

  it("is let go where it reads nothing more", function()
    receive()
    assert.equal("reading", pass(19))
    assert.equal("closed", pass(2))
    assert.equal(4, handled)
  end)
end)

describe("what waits to be written", function()
  -- All of it, of which a client takes up to n bytes each time.
  local function drain(outbox, n)
    local parts, most = {}, 0
    for text, written in function() return outbox:next() end do
      parts[#parts + 1] = text:sub(written + 1, written + n)
      most = math.max(most, #text)
      outbox:wrote(#parts[#parts])
    end
    return table.concat(parts), most, #parts
  end

  it("leaves in order, small pieces together and large ones as they are", function()
    local all = {}
    for i = 1, 300 do all[i] = string.char(i % 256):rep(i % 7 == 0 and 70000 or i % 50) end
    for _, n in ipairs { 1000000, 65536, 3001 } do
      local outbox = Outbox.new()
      for i = 1, 200 do outbox:add(all[i]) end
      local text, written = outbox:next()
      assert.equal(0, written)
      outbox:wrote(5)
      for i = 201, 300 do outbox:add(all[i]) end
      local rest, most, parts = drain(outbox, n)
      assert.equal(table.concat(all), text:sub(1, 5) .. rest)
      assert.equal(70000, most)
      if n == 1000000 then assert.is_true(parts < 100) end
      assert.equal(0, outbox.bytes)
      assert.is_nil(outbox:next())
      assert.is_nil(next(outbox.pieces))
    end
  end)
end)
