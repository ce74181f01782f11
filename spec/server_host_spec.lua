-- What is the host's: its template, tokenizer and log, and the options that say who may ask. Where they are wrong it is he
-- who hears of it.
local loopback = require "spec.support.loopback"
local process = require "spec.support.process"
local raised = require "spec.support.raised"

if not loopback.there then
  pending "a server's host (luasocket is not installed: Debian's lua-socket)"
  return
end

local chats = require "spec.support.chat"
local core = require "gpt.core"
local gpt = require "gpt"
local server = require "gpt.server"
local model = loopback.model()
local running -- the server of a spec
local lines   -- of its log

local function start(options, with)
  if running then running:close() end
  lines = {}
  options = options or {}
  options.log = options.log or function(line) table.insert(lines, line) end
  running = loopback.start(with or model, options)
end

local function chat()
  return loopback.ask(running, "POST", "/v1/chat/completions", { messages = { { role = "user", content = "hi" } }, max_tokens = 2 })
end

local function complete() return loopback.ask(running, "POST", "/v1/completions", { prompt = "ab", max_tokens = 2 }) end

-- Status and message of a response that is an error.
local function failure(response) return { response.status, response.json.error.message } end

-- Lines of the log without their times.
local function logged()
  for i, line in ipairs(lines) do lines[i] = line:gsub(" [%d.]+ s$", "") end
  return lines
end

-- A model with a tokenizer of ours, whose files have chat templates.
local function with_files()
  local tokenizer = chats.tokenizer()
  gpt.seed(5)
  local other = gpt.Model(gpt.config("gpt2-small", {
    vocab_size = tokenizer.vocab_size, context_length = 256, emb_dim = 16, n_heads = 2, n_layers = 1, drop_rate = 0,
  }))
  other.tokenizer = tokenizer
  return other
end

local FAILED = "the server failed; its log has more"

describe("a server's template", function()
  after_each(function()
    if running then running:close() end
    running = nil
  end)

  it("is read when the server is made", function()
    local ours = with_files()
    local function refused(with, template)
      return raised(server.new, with, { port = 0, template = template })
    end
    assert.equal("gpt.server: the chat template: line 1: a value expected, got the end of the block", refused(ours, "{% if %}"))
    assert.equal('gpt.server: template: the tokenizer has no chat template "mistral"; there is default, inst, thinking, tool_use',
      refused(ours, "mistral"))
    assert.equal("gpt.server: template: this tokenizer has no apply_chat_template, which a template's text needs; give a "
      .. "function from messages to text", refused(model, "{{ messages }}"))
    ours.chat_template = "{% if %}"
    assert.equal("gpt.server: the chat template: line 1: a value expected, got the end of the block", refused(ours, nil))
  end)

  it("that is a function and fails is 500, and the log says what and where", function()
    for _, with in ipairs { model, with_files() } do
      start({ template = function() error "TPL" end }, with)
      assert.same({ 500, FAILED }, failure(chat()))
      local here = debug.getinfo(1, "S").short_src
      assert.same({ "POST /v1/chat/completions 500", ("error: template: %s:%d: TPL"):format(here, debug.getinfo(1, "l").currentline - 3) },
        logged())
      start({ template = function(messages) return messages[2] and "there are two" or nil end }, with)
      assert.same({ 500, FAILED }, failure(chat()))
      assert.same({ "POST /v1/chat/completions 500", "error: template has to return a string, got nil" }, logged())
    end
  end)

  it("may refuse messages: 400, of which the log has no more", function()
    start({ template = "{% if messages|length == 1 %}{% else %}{{ raise_exception('alone') }}{% endif %}x" }, with_files())
    local two = { messages = { { role = "user", content = "a" }, { role = "user", content = "b" } } }
    assert.same({ 400, "messages: apply_chat_template: the chat template: line 1: alone" },
      failure(loopback.ask(running, "POST", "/v1/chat/completions", two)))
    assert.same({ "POST /v1/chat/completions 400" }, logged())
  end)

  it("that cannot write the simplest chat is told to the log at once", function()
    start({ template = "{{ messages | nofilter }}" }, with_files())
    assert.same({ "error: the chat template cannot write a message of a user: apply_chat_template: the chat template: line 1: "
      .. "the filter 'nofilter' is not supported" }, lines)
  end)
end)

describe("a server's tokenizer", function()
  after_each(function() running:close() running = nil end)

  it("of the host's that fails is 500, and the log says what and where", function()
    local tokenizer = setmetatable({}, { __index = model.tokenizer })
    start { tokenizer = tokenizer }
    function tokenizer.encode() error("x.lua:7: ENC", 0) end
    assert.same({ 500, FAILED }, failure(complete()))
    assert.same({ 500, FAILED }, failure(chat()))
    function tokenizer.encode() return "ids" end
    assert.same({ 500, FAILED }, failure(complete()))
    tokenizer.encode = nil
    function tokenizer.decode() error("x.lua:8: DEC", 0) end
    assert.same({ 500, "the model failed; the server's log has more" }, failure(complete()))
    assert.same({
      "POST /v1/completions 500", "error: the tokenizer's encode: x.lua:7: ENC",
      "POST /v1/chat/completions 500", "error: the tokenizer's encode: x.lua:7: ENC",
      "POST /v1/completions 500", 'error: the tokenizer\'s encode has to return a table, got "ids"',
      "POST /v1/completions 500", "error: x.lua:8: DEC",
    }, logged())
  end)

  it("of ours that refuses a text is 400", function()
    start(nil, with_files())
    local methods = core._methods "gpt.Tokenizer"
    local encode = methods.encode
    finally(function() methods.encode = encode end)
    function methods.encode() error "the tokenizer's normalizers make more than 256 times as much of a text" end
    local list = loopback.ask(running, "POST", "/v1/completions", { prompt = { "ab", "cd" } })
    assert.same({ 400, "prompt: the tokenizer's normalizers make more than 256 times as much of a text" }, failure(list))
    assert.equal("prompt", list.json.error.param)
    assert.same({ 400, "messages: the tokenizer's normalizers make more than 256 times as much of a text" }, failure(chat()))
    assert.same({ "POST /v1/completions 400", "POST /v1/chat/completions 400" }, logged())
  end)
end)

describe("a server's log", function()
  after_each(function()
    if running and not running.closed then running:close() end
    running = nil
  end)

  it("has where an error came from, and in which layer, in one line", function()
    local Failing = gpt.nn.layer("Failing", { positionwise = true, forward = function(_, x) return x.a.b.c end })
    local broken = loopback.model()
    broken:replace("blocks.1.feed_forward", Failing())
    start(nil, broken)
    assert.equal(500, complete().status)
    assert.equal(2, #lines)
    assert.matches("^error: blocks%.1%.feed_forward: [^ ]*server_host_spec.lua:%d+: .* | stack traceback: | .* | ", lines[2])
    assert.is_nil(lines[2]:find "\n")
  end)

  it("has requests whose clients left, once each", function()
    start()
    for _, stream in ipairs { true, false } do
      local client = loopback.connect(running)
      client:send(loopback.request("POST", "/v1/completions", { prompt = "ab", temperature = 0, max_tokens = 60, stream = stream }))
      loopback.drive(running, function() return running.scheduler:counts() == 1 end)
      client:close()
      loopback.drive(running, function() return #running.connections == 0 end)
    end
    assert.same({ "POST /v1/completions 499", "POST /v1/completions 499" }, logged())
  end)

  it("has a failure amid a stream as such", function()
    start()
    local Exchange = require "gpt.server.exchange"
    local event, count = Exchange.event, 0
    finally(function() Exchange.event = event end)
    function Exchange.event(...)
      count = count + 1
      if count > 2 then error("x.lua:1: EVENT", 0) end
      return event(...)
    end
    local client = loopback.connect(running)
    client:send(loopback.request("POST", "/v1/completions", { prompt = "ab", temperature = 0, max_tokens = 9, stream = true }))
    client:wait_closed()
    assert.same({ "POST /v1/completions 500", "error: x.lua:1: EVENT" }, logged())
  end)

  it("has the time since a request began to come", function()
    local now = 100
    start { request_seconds = 10 }
    running.clock = function() return now end
    local function pass(seconds)
      running:step(0)
      now = now + seconds
      running:step(0)
    end
    local client = loopback.connect(running)
    pass(5)
    client:send "GET /health HTTP/1.1\r\n"
    pass(3)
    client:send "Host: localhost\r\n\r\n"
    assert.equal(200, client:response().status)
    pass(2)
    client:send(loopback.request("GET", "/health")):response()
    client:send "GET /"
    pass(11)
    assert.equal(408, client:response().status)
    assert.same({ "GET /health 200 3.000 s", "GET /health 200 0.000 s", "- - 408 11.000 s" }, lines)
  end)

  it("that fails is an error of the step, when its clients have their responses", function()
    start { log = function(line) error("LOG " .. line:sub(1, 11), 0) end }
    local clients = {}
    for i = 1, 2 do clients[i] = loopback.connect(running):send(loopback.request("GET", "/health")) end
    local function step() return select(2, pcall(running.step, running, 0)) end
    local problem
    for _ = 1, 20 do
      problem = step()
      if type(problem) == "string" then break end
    end
    assert.equal("LOG GET /health", problem)
    for _, client in ipairs(clients) do
      client:look()
      assert.matches("^HTTP/1.1 200 ", client.got)
    end
    assert.is_false(step())
    clients[1]:send(loopback.request("GET", "/health"))
    assert.equal("LOG GET /health", select(2, pcall(running.run, running)))
    assert.is_true(running.closed)
  end)

  it("that fails where a server is closed is an error of close, which is done", function()
    start { log = function() error("LOG", 0) end }
    local client = loopback.connect(running):send(loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 60 }))
    loopback.drive(running, function() return running.scheduler:counts() == 1 end)
    assert.equal("LOG", select(2, pcall(running.close, running)))
    assert.is_true(running.closed)
    client:look()
    assert.matches("^HTTP/1.1 503 ", client.got)
  end)

  it("cannot begin another step or run, and neither can what stops a run begin another", function()
    local problems = {}
    start { log = function()
      for _, name in ipairs { "step", "run" } do table.insert(problems, raised(running[name], running)) end
    end }
    assert.equal(200, complete().status)
    assert.same({ "gpt.server: step: the server is in its step already, which called this",
      "gpt.server: run: the server is in its step already, which called this" }, problems)
    running:run(function()
      problems = { raised(running.run, running) }
      return true
    end)
    assert.same({ "gpt.server: run: the server is in its run already, which called this" }, problems)
  end)
end)

describe("options that say who may ask", function()
  local read = require("gpt.server.options").read

  it("are read as what requests have", function()
    local options = read("gpt.server", {
      api_key = "k\u{e9}y", host_names = { "GPT.example.org", "[::1]", "::2", "*", "my_host", "10.0.0.1" },
      origins = { "https://X.org/", "http://x.org:80", "https://x.org:443/", "https://x.org:80", "http://[::1]:8080", "*", "null",
        "chrome-extension://abcdef" },
    })
    assert.same({ "k\u{e9}y" }, options.api_key)
    assert.same({ "gpt.example.org", "::1", "::2", "*", "my_host", "10.0.0.1" }, options.host_names)
    assert.same({ "https://x.org", "http://x.org", "https://x.org", "https://x.org:80", "http://[::1]:8080", "*", "null",
      "chrome-extension://abcdef" }, options.origins)
  end)

  it("are refused where nothing could match them", function()
    local function refused(name, value) return raised(read, "gpt.server", { [name] = value }) end
    local HOST = ': a host\'s name without scheme and port, such as "gpt.example.org", or "*" expected, got '
    for _, value in ipairs { "foo.example:8080", "http://foo.example", "foo.example/", "a b", "[::1]:80", "caf\u{e9}.example" } do
      assert.equal("gpt.server: host_names" .. HOST .. ('"%s"'):format(value), refused("host_names", value))
    end
    assert.equal("gpt.server: host_names[2]" .. HOST .. '"b:1"', refused("host_names", { "a", "b:1" }))
    local ORIGIN = 'gpt.server: origins: an origin, scheme://host or scheme://host:port, such as "https://example.org", or "*" '
      .. "expected, got "
    for _, value in ipairs { "x.org", "https://x.org/app", "https://", "https://x.org:", "https://u@x.org", "https://x.org?a" } do
      assert.equal(ORIGIN .. ('"%s"'):format(value), refused("origins", value))
    end
    assert.equal('gpt.server: api_key: a key without blanks and control characters expected, got "a b"', refused("api_key", "a b"))
    assert.equal('gpt.server: api_key[2]: a key without blanks and control characters expected, got "b\\x0a"',
      refused("api_key", { "a", "b\n" }))
    local EMPTY = "gpt.server: api_key: a string or a list of strings, none of them empty, expected, got "
    assert.equal(EMPTY .. '""', refused("api_key", ""))
    assert.equal("gpt.server: api_key[1]: a string or a list of strings, none of them empty, expected, got 5", refused("api_key", { 5 }))
    for value, shown in pairs { [5] = "5", [{}] = "a table" } do
      assert.equal("gpt.server: api_key: a string or a list of strings expected, got " .. shown, refused("api_key", value))
    end
  end)
end)

describe("luasocket", function()
  local function problem(preparation)
    local output = process.lua(preparation .. [[ print(select(2, pcall(require, "gpt.server"))) ]])
    return output:match "(gpt%.server needs.*)\n"
  end

  it("that is not there is named, with how to install it", function()
    assert.equal("gpt.server needs luasocket, which is not installed (Debian: apt-get install lua-socket; LuaRocks: luarocks "
      .. "--lua-version 5.4 install luasocket): module 'socket' not found", problem [[
        table.insert(package.searchers, 2, function(name) if name == "socket" then error("module 'socket' not found:\n\tno file", 0) end end)
      ]])
  end)

  it("that cannot be loaded is told with the whole reason, in a line", function()
    local said = problem [[
      package.preload.socket = function()
        error("error loading module 'socket.core' from file '/x/core.so':\n\t/x/core.so: undefined symbol: lua_gettop", 0)
      end
    ]]
    assert.equal("gpt.server needs luasocket, which cannot be loaded: error loading module 'socket.core' from file '/x/core.so': "
      .. "/x/core.so: undefined symbol: lua_gettop; a program that is linked with Lua exports it by -Wl,-E", said)
  end)
end)

describe("a host without the library os", function()
  it("is told that a server needs it", function()
    local output, ok = process.lua [[
      local gpt, server = require "gpt", require "gpt.server"
      os = nil
      local config = { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0, qkv_bias = false }
      print(select(2, pcall(server.new, gpt.Model(config), { port = 0 })))
    ]]
    assert.is_true(ok, output)
    assert.truthy(output:find("gpt.server: needs Lua's library os, which this host leaves out", 1, true), output)
  end)
end)
