-- Requests that take the server's time or memory, of clients that send many: what the others wait for is little.
local loopback = require "spec.support.loopback"

if not loopback.there then
  pending "gpt.server's turns (luasocket is not installed: Debian's lua-socket)"
  return
end

local grammar = require "gpt.grammar"
local json = require "gpt.support.json"
local model = loopback.model()
local running -- the server of a spec
local now     -- its clock

local function start(options)
  now = 0
  running = loopback.start(model, options)
  running.clock = function() return now end
end

-- A request for text.
local function complete(body) return loopback.request("POST", "/v1/completions", body) end

local function send(text) return loopback.connect(running):send(text) end

-- A format whose schema is like no other.
local function schema(i)
  return { type = "json_schema", json_schema = { schema = { type = "string", maxLength = 20 + i } } }
end

local function status(client)
  client:look()
  return tonumber(client.got:match "^HTTP/1.1 (%d+)")
end

describe("requests that take long to read", function()
  local read -- how many were

  before_each(function()
    read = 0
    local tokenizer = setmetatable({}, { __index = model.tokenizer })
    function tokenizer.encode(_, text)
      read, now = read + 1, now + 1
      return { text:byte(1, -1) }
    end
    start { tokenizer = tokenizer, request_seconds = 2 }
  end)
  after_each(function() running:close() end)

  it("are read one or two in a step, of all that came, and small ones of others between them", function()
    local many = {}
    for i = 1, 8 do -- of which half are too long, as is seen when they are read
      many[i] = complete { prompt = ("ab"):rep(i % 2 == 0 and 100 or 1), max_tokens = 1, user = ("u"):rep(1000) }
    end
    local clients = {}
    for i = 1, 4 do clients[i] = send(table.concat(many)) end
    local most, step = 0, running.step
    function running.step(...)
      local before = read
      local busy = step(...)
      most = math.max(most, read - before)
      return busy
    end
    running:step(0)
    local other = send(loopback.request("GET", "/health"))
    running:step(0)
    running:step(0)
    assert.equal(200, status(other))
    for _, client in ipairs(clients) do
      for i = 1, 8 do assert.equal(i % 2 == 0 and 400 or 200, client:response().status) end
    end
    assert.equal(32, read)
    assert.is_true(most <= 2)
  end)

  it("come in the order in which they have waited, whatever they hold", function()
    local sizes, clients = { 3000, 10, 2000, 10, 10 }, {}
    for i, size in ipairs(sizes) do
      clients[i] = send(complete { prompt = "ab", max_tokens = 1, user = ("u"):rep(size) })
    end
    for step = 1, #sizes do
      running:step(0)
      if step == 1 then assert.is_true(read <= 2) end
      for _ = 1, step > 1 and 3 or 0 do send(complete { prompt = "ab", max_tokens = 1 }) end -- smaller ones of others
    end
    running:step(0)
    for _, client in ipairs(clients) do assert.equal(200, status(client)) end
  end)

  it("do not end by the time for what is sent, while it is the server who is slow", function()
    running:close()
    start { request_seconds = 30 }
    local rest = complete(json.encode { prompt = "a", max_tokens = 1, user = ("u"):rep((1 << 20) - 100) })
    local client = loopback.connect(running)
    for _ = 1, 20 do
      local last, _, partial = client.socket:send(rest)
      rest = rest:sub((last or partial) + 1)
      running:step(0)
      now = now + 20 -- a pass of a large model
    end
    assert.equal(200, status(client))
    local slow = loopback.connect(running)
    slow:send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
    for _ = 1, 3 do
      slow:send(("u"):rep(1000))
      running:step(0)
      now = now + 20
    end
    running:step(0)
    assert.equal(408, status(slow))
  end)
end)

describe("half a request", function()
  it("does not lose its time to the requests of others that are served first", function()
    local told, free, time = 0, false, 0
    local socket = { settimeout = function() end, close = function() end }
    function socket.receive() return nil, "timeout", time == 0 and "GET / HT" or "" end
    local server = { has_time = function() return free end, check = function() end }
    function server.handle() told = told + 1 end
    local connection = require("gpt.server.connection").new(socket, { request_seconds = 5, body_bytes = 9 }, server, 0)
    connection:receive(0)
    local function pass(at)
      time = at
      connection:receive(at)
      connection:serve(at)
      connection:check_time(at)
    end
    for at = 1, 20 do pass(at) end
    free = true
    for at = 21, 26 do pass(at) end
    assert.equal(0, told)
    pass(27)
    assert.equal(1, told) -- 408
  end)
end)

describe("grammars of requests", function()
  local made -- how many were

  before_each(function() made = 0 end)
  after_each(function() running:close() end)

  -- Each takes a second of the server's clock.
  local function watch()
    local read = grammar.read
    finally(function() grammar.read = read end)
    grammar.read = function(...)
      made, now = made + 1, now + 1
      return read(...)
    end
  end

  it("are made when all else of a request is right, and there is room for it", function()
    start { sessions = 1, queue = 0 }
    watch()
    for _, wrong in ipairs {
      { logprobs = 21 }, { stream = 1 }, { stream_options = 5 }, { prompt = "" }, { max_tokens = 0 }, { prompt = ("a"):rep(65) },
    } do
      local body = { prompt = "a", response_format = schema(1) }
      for name, value in pairs(wrong) do body[name] = value end
      assert.equal(400, loopback.ask(running, "POST", "/v1/completions", body).status)
    end
    local first = send(complete { prompt = "a", max_tokens = 60, temperature = 0 })
    running:step(0)
    assert.equal(429, loopback.ask(running, "POST", "/v1/completions", { prompt = "a", response_format = schema(1) }).status)
    assert.equal(0, made)
    assert.equal(200, first:response().status)
  end)

  it("are made one in a step, of all that came, and requests without one go by", function()
    start { sessions = 2 }
    watch()
    local clients = {}
    for i = 1, 6 do clients[i] = send(complete { prompt = "a", max_tokens = 2, response_format = schema(i) }) end
    running:step(0)
    assert.equal(1, made)
    local other = loopback.ask(running, "POST", "/v1/completions", { prompt = "a", max_tokens = 1 })
    assert.equal(200, other.status)
    assert.is_true(made < 6)
    local before = made
    loopback.drive(running, function()
      assert.is_true(made - before <= 1)
      before = made
      return made == 6
    end)
    for _, client in ipairs(clients) do assert.equal(200, client:response().status) end
  end)

  it("leave half the time to conversations under way", function()
    start { sessions = 2 }
    watch()
    local other = send(complete { prompt = "a", max_tokens = 60, temperature = 0 })
    loopback.drive(running, function() return running.scheduler:counts() == 1 end)
    local row, drawn = running.scheduler.run.rows[1], {}
    for i = 1, 3 do send(complete { prompt = "a", max_tokens = 60, response_format = schema(i) }) end
    while made < 3 do
      local before = made
      running:step(0)
      now = now + 0.1 -- a pass
      if made > before then drawn[made] = row.output.drawn end
    end
    assert.is_true(drawn[2] - drawn[1] >= 9 and drawn[3] - drawn[2] >= 9)
    assert.equal(200, other:response().status)
  end)

  it("wait while those that are there take much memory", function()
    start { sessions = 8 }
    local clients = {}
    for i = 1, 6 do clients[i] = send(complete { prompt = "a", max_tokens = 5, response_format = schema(i) }) end
    running.scheduler.most_grammars = 1 -- byte
    local most = 0
    loopback.drive(running, function()
      local held = 0
      for answer in pairs(running.scheduler.answers) do held = held + (answer.grammar and 1 or 0) end
      most = math.max(most, held)
      return #running.connections == 6 and running.scheduler:counts() == 0 and select(2, running.scheduler:counts()) == 0
    end)
    assert.equal(1, most)
    for _, client in ipairs(clients) do assert.equal(200, client:response().status) end
  end)

  it("that cannot be made are their request's fault, and memory is nobody's", function()
    local lines = {}
    start { log = function(line) lines[#lines + 1] = line end }
    local read = grammar.read
    finally(function() grammar.read = read end)
    local problem = "json_schema: no"
    grammar.read = function() error(problem, 0) end
    local body = { prompt = "a", response_format = schema(1) }
    local refused = loopback.ask(running, "POST", "/v1/completions", body)
    assert.same({ 400, "json_schema: no", "response_format" },
      { refused.status, refused.json.error.message, refused.json.error.param })
    assert.equal(1, #lines)
    problem = "not enough memory"
    assert.equal(503, loopback.ask(running, "POST", "/v1/completions", body).status)
    assert.same({ 0, 0 }, { running.scheduler:counts() })
  end)
end)

describe("a request of many prompts", function()
  after_each(function() running:close() end)

  it("leaves half the queue to others, and the next session to who has none", function()
    start { sessions = 2, queue = 6 }
    local function ask(body) return loopback.ask(running, "POST", "/v1/completions", body) end
    assert.equal("prompt: at most 5 at once, got 6", ask({ prompt = { "a", "b", "c", "d", "e", "f" } }).json.error.message)
    local list = send(complete { prompt = { "a", "b", "c", "d", "e" }, max_tokens = 20, temperature = 0 })
    loopback.drive(running, function() return running.scheduler:counts() == 2 end)
    assert.equal(429, ask({ prompt = { "a", "b" } }).status)
    assert.equal(200, ask({ prompt = "a", max_tokens = 1 }).status)
    assert.is_nil(status(list))
    assert.is_true(select(2, running.scheduler:counts()) >= 2) -- prompts of the list
    assert.equal(200, list:response().status)
  end)
end)

describe("clients who leave much unread", function()
  it("are let go, who has for longest first, where it is too much in all", function()
    start { write_seconds = 1000 }
    local text, clients = ("x"):rep(30 << 20), {}
    for i = 1, 4 do
      clients[i] = loopback.connect(running)
      loopback.drive(running, function() return #running.connections == i end)
      now = now + 1
      if i ~= 2 then running.connections[i]:write(text, now) end
    end
    local all = running.connections
    running:step(0)
    assert.equal("closed", all[1].state)
    for i = 2, 4 do assert.equal("reading", all[i].state) end
    for _, client in ipairs(clients) do client:close() end
    running:close()
  end)
end)
