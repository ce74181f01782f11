-- What a server does between requests: conversations that are kept, clients that leave or send too much, the end.
local loopback = require "spec.support.loopback"

if not loopback.there then
  pending "gpt.server's conversations (luasocket is not installed: Debian's lua-socket)"
  return
end

local chat_support = require "spec.support.chat"
local gpt = require "gpt"
local json = require "gpt.support.json"
local model = loopback.model()
local running -- the server of a spec

local function start(options, with)
  running = loopback.start(with or model, options)
end

local function complete(body)
  return loopback.ask(running, "POST", "/v1/completions", body).json
end

-- A client that has sent its request.
local function begin(body)
  return loopback.connect(running):send(loopback.request("POST", "/v1/completions", body))
end

local function active()
  return (running.scheduler:counts())
end

local function cached(answer) return answer.usage.prompt_tokens_details.cached_tokens end

-- A model that says nothing but one token.
local function says(id, tokenizer, vocab_size)
  local row = gpt.full({ vocab_size }, 0.0)
  row[id + 1] = 9
  local Says = gpt.nn.layer("Says", { positionwise = true, init = function(self) self.row = gpt.nn.parameter(row) end,
    forward = function(self, x) return x:narrow(-1, 1, 1) * 0 + self.row end })
  local config = gpt.config("gpt2-small", {
    vocab_size = vocab_size, context_length = 64, emb_dim = 16, n_heads = 2, n_layers = 1, drop_rate = 0,
  })
  local made = gpt.Model(config, { head = Says() })
  made.tokenizer = tokenizer
  return made:eval()
end

describe("a server's kept conversations", function()
  after_each(function() running:close() end)

  local PROMPT = "a prompt of some length. "

  it("serve another that begins alike while the first one goes on", function()
    start()
    local first = begin { prompt = PROMPT, max_tokens = 30, temperature = 0, stream = true }
    loopback.drive(running, function()
      first:look()
      return first.got:find "data:"
    end)
    assert.equal(#PROMPT - 1, cached(complete { prompt = PROMPT, max_tokens = 2 }))
    assert.equal(1, active())
    first:response()
  end)

  it("are taken, not copied, by what goes on from their end", function()
    start()
    local text = complete { prompt = PROMPT, max_tokens = 2, temperature = 0 }
    local ids = model:generate(model.tokenizer:encode(PROMPT), { max_new_tokens = 2 })
    assert.equal(2, text.usage.completion_tokens)
    local second = begin { prompt = ids, max_tokens = 20, temperature = 0 }
    loopback.drive(running, function() return active() == 1 end)
    assert.equal(0, #running.scheduler.prefixes.idle)
    second:response()
    assert.equal(1, #running.scheduler.prefixes.idle)
  end)

  it("are one, where a longer one holds all of another", function()
    start()
    for _, n in ipairs { 2, 8, 4 } do complete { prompt = PROMPT, max_tokens = n, temperature = 0 } end
    local prefixes = running.scheduler.prefixes
    local held = 0
    for _, kept in ipairs(prefixes.idle) do held = held + kept.session.length end
    assert.equal(held, prefixes.tokens)
    assert.is_true(#prefixes.idle <= 2)
    complete { prompt = PROMPT, max_tokens = 12, temperature = 0 }
    assert.equal(1, #prefixes.idle)
  end)

  it("have eight tokens at least, and so has what is taken from them", function()
    start()
    complete { prompt = "abcde", max_tokens = 2 }
    assert.equal(0, #running.scheduler.prefixes.idle)
    complete { prompt = "abcdefgh 1", max_tokens = 2 }
    assert.equal(1, #running.scheduler.prefixes.idle)
    assert.equal(0, cached(complete { prompt = "abcdefg otherwise", max_tokens = 1 }))
    assert.equal(9, cached(complete { prompt = "abcdefgh otherwise", max_tokens = 1 }))
  end)

  it("are none of a row that failed", function()
    local poisoned = false
    local Failing = gpt.nn.layer("Failing", { positionwise = true, forward = function(_, x)
      if poisoned and x:size(-2) == 6 then error "poisoned" end
      return x
    end })
    local failing = loopback.model()
    failing:replace("blocks.1", gpt.nn.Sequential { failing.blocks[1], Failing() })
    start({ slice = 8 }, failing)
    complete { prompt = "a word", max_tokens = 1 } -- the first use of a cache, which looks at the layer
    poisoned = true
    assert.truthy(complete({ prompt = "14 tokens, 8+6", max_tokens = 2 }).error)
    assert.equal(0, #running.scheduler.prefixes.idle)
  end)

  it("are kept in as little memory as their tokens take, however long they could have become", function()
    local wide = loopback.model { context_length = 4096 }
    local MOST, PAGE = 4096, 128 -- tokens in all; and of a page, of which the last one of each is not full
    start({ sessions = 4, max_tokens = 4000, kept_tokens = MOST }, wide)
    local token = 2 * wide.config.n_layers * wide.config.emb_dim * 4 -- bytes
    local format = { type = "json_schema", json_schema = { schema = { enum = json.array { "abc", "abd" } } } }
    complete { prompt = PROMPT, max_tokens = 4000, response_format = format } -- what is computed once
    running:forget()
    collectgarbage()
    local before = gpt.memory().live
    for i = 1, 12 do
      assert.equal("stop", complete({ prompt = i .. PROMPT, max_tokens = 4000, response_format = format }).choices[1].finish_reason)
    end
    collectgarbage()
    assert.equal(8, #running.scheduler.prefixes.idle)
    assert.is_true(gpt.memory().live - before <= 8 * (PAGE * token + 8192))
    for i = 1, 4 do complete { prompt = i .. ("x"):rep(2000), max_tokens = 1 } end
    collectgarbage()
    assert.is_true(gpt.memory().live - before <= MOST * token + 8 * (PAGE * token + 8192))
  end)

  it("go where one that is under way finds no memory for more", function()
    local wide = loopback.model { context_length = 4096 }
    start({ kept_tokens = 4096 }, wide)
    for i = 1, 4 do complete { prompt = i .. ("x"):rep(600), max_tokens = 1 } end
    assert.equal(4, #running.scheduler.prefixes.idle)
    collectgarbage()
    gpt.memory { limit = gpt.memory().live + 500 * 2 * wide.config.n_layers * wide.config.emb_dim * 4 }
    local response = complete { prompt = "y", max_tokens = 900, temperature = 0 }
    gpt.memory { limit = 0 }
    assert.equal("length", response.choices[1].finish_reason)
    assert.equal(900, response.usage.completion_tokens)
    assert.is_true(#running.scheduler.prefixes.idle < 5)
  end)

  it("are cut where they are longer than all that is kept may be", function()
    start { kept_tokens = 20 }
    complete { prompt = PROMPT, max_tokens = 2 }
    assert.equal(20, running.scheduler.prefixes.tokens)
    assert.equal(20, cached(complete { prompt = PROMPT, max_tokens = 2 }))
    assert.equal(20, running.scheduler.prefixes.tokens)
    running:close()
    start { kept_tokens = 7 } -- not worth it
    complete { prompt = PROMPT, max_tokens = 2 }
    assert.equal(0, running.scheduler.prefixes.tokens)
  end)

  it("have nothing of those that were under way when the weights changed", function()
    start()
    local first = begin { prompt = PROMPT, max_tokens = 30, temperature = 0 }
    loopback.drive(running, function() return active() == 1 end)
    running:forget()
    assert.equal(0, cached(complete { prompt = PROMPT, max_tokens = 1 }))
    running:forget()
    first:response()
    assert.equal(0, #running.scheduler.prefixes.idle)
    assert.equal(0, cached(complete { prompt = PROMPT, max_tokens = 1 }))
    assert.equal(#PROMPT - 1, cached(complete { prompt = PROMPT, max_tokens = 1 }))
  end)

  it("are the API key's that asked for them", function()
    start { api_key = { "k1", "k2" } }
    local function by(key, more)
      local headers = { Authorization = "Bearer " .. key }
      return cached(loopback.ask(running, "POST", "/v1/completions", { prompt = PROMPT .. (more or ""), max_tokens = 1 }, headers).json)
    end
    local first = loopback.connect(running):send(loopback.request("POST", "/v1/completions",
      { prompt = PROMPT, max_tokens = 30, temperature = 0 }, { Authorization = "Bearer k1" }))
    loopback.drive(running, function() return active() == 1 end)
    running:step(0)
    assert.same({ 0, #PROMPT - 1 }, { by "k2", by "k1" })
    first:response()
    running:forget()
    assert.equal(0, by "k1")
    assert.equal(0, by("k2", "x"))
    assert.same({ #PROMPT - 1, #PROMPT }, { by "k1", by("k2", "y") })
  end)

  it("keep keys and values in the dtype of the option", function()
    local live = {}
    for _, dtype in ipairs { "f32", "f16" } do
      start { cache_dtype = dtype }
      complete { prompt = PROMPT, max_tokens = 20 }
      local before = gpt.memory().live
      running:forget()
      live[dtype] = before - gpt.memory().live
      running:close()
    end
    assert.is_true(live.f16 < 0.6 * live.f32)
  end)
end)

describe("a server's answers", function()
  after_each(function() running:close() end)

  it("end at the context's end", function()
    start()
    local answer = complete { prompt = ("x"):rep(60), max_tokens = 100, temperature = 0 }
    assert.equal(5, answer.usage.completion_tokens) -- the last one is drawn and not run
    assert.equal("length", answer.choices[1].finish_reason)
  end)

  it("differ where no seed is given", function()
    start()
    local body = { prompt = "ab", max_tokens = 12 }
    assert.not_equal(complete(body).choices[1].text, complete(body).choices[1].text)
  end)

  it("end at once where their client has left", function()
    start { sessions = 1 }
    local client = begin { prompt = "ab", max_tokens = 60, temperature = 0 }
    loopback.drive(running, function() return active() == 1 end)
    client:close()
    for _ = 1, 5 do running:step(0) end
    assert.equal(0, active())
  end)

  it("are measured where their tokens have no text, too", function()
    local tokenizer = { eos = 256, vocab_size = 260, encode = function(_, text) return { text:byte(1, -1) } end,
      decode = function() return "" end }
    start({}, says(97, tokenizer, 260))
    local whole = complete { prompt = "ab", max_tokens = 3, logprobs = 0 }
    assert.equal(3, #whole.choices[1].logprobs.tokens)
    local body = loopback.ask(running, "POST", "/v1/completions", { prompt = "ab", max_tokens = 3, logprobs = 0, stream = true }).body
    local events = loopback.events(body)
    assert.equal(3, #events[#events - 1].choices[1].logprobs.tokens)
  end)

  it("say where tokens begin in characters, not in bytes", function()
    local tokenizer = { eos = 256, vocab_size = 260, encode = function(_, text) return { text:byte(1, -1) } end,
      decode = function(_, ids) return ("é"):rep(#ids) end }
    start({}, says(97, tokenizer, 260))
    assert.same({ 0, 1, 2 }, complete({ prompt = "ab", max_tokens = 3, logprobs = 0 }).choices[1].logprobs.text_offset)
  end)

  it("take marks in messages as text", function()
    local tokenizer = chat_support.tokenizer()
    start({ template = "default" }, says(97, tokenizer, tokenizer.vocab_size))
    local words = { { role = "user", content = "Hi<|im_end|>" } }
    local _, ids = tokenizer:apply_chat_template(words, { template = "default", add_generation_prompt = true })
    local _, counting = tokenizer:apply_chat_template(words, { template = "default", add_generation_prompt = true, special = true })
    local usage = loopback.ask(running, "POST", "/v1/chat/completions", { messages = words, max_tokens = 1 }).json.usage
    assert.equal(#ids, usage.prompt_tokens)
    assert.not_equal(#ids, #counting)
  end)
end)

describe("a server's sockets", function()
  after_each(function() running:close() end)

  it("are not read on where much waits behind a request that is being answered", function()
    start({}, says(97, model.tokenizer, 260))
    local client = begin { prompt = "ab", max_tokens = 60, temperature = 0 }
    loopback.drive(running, function() return active() == 1 end)
    for _ = 1, 40 do
      client.socket:send(("x"):rep(65536)) -- as much as goes
      running:step(0)
    end
    assert.equal(1, active())
    assert.is_true(running.connections[1].reader:waiting() < 65536 + 16384)
  end)

  it("are let in 64 in a step, or clients that come without end would keep it from the others", function()
    start()
    local came, client = 0, loopback.connect(running)
    function running.listener.accept()
      came = came + 1
      return { settimeout = function() end, close = function() end, getfd = function() return 9 end,
        receive = function() return nil, "closed", "" end }
    end
    running:step(1)
    assert.equal(64, came)
    client:close()
  end)

  it("that select cannot wait for get 503", function()
    start()
    assert.is_false(running.listener:fits { getfd = function() return 100000 end })
    running.listener.fits = function() return false end
    local client = begin { prompt = "ab", max_tokens = 2 }
    assert.equal(503, client:response().status)
    client:wait_closed()
  end)

  it("are not made where select could not wait for them: the server says so when it is made", function()
    local socket, raised = require "socket", require "spec.support.raised"
    local size = socket._SETSIZE
    finally(function() socket._SETSIZE = size end)
    start()
    socket._SETSIZE = 1
    local message = raised(require("gpt.server").new, model, { port = 0 }):gsub("number %d+", "number N")
    assert.equal("gpt.server: 127.0.0.1 port 0: this process has so many files open that the socket has the number N, and "
      .. "luasocket waits only for those below 1; open the server before the other files, or close some", message)
  end)

  it("are waited for until something has to be done", function()
    start { request_seconds = 10 }
    local now, seen = 0, nil
    running.clock = function() return now end
    local client = loopback.connect(running):send "GET /he"
    running:step(0)
    local select = running.listener.select
    running.listener.select = function(reads, writes, timeout)
      seen = timeout
      return select(reads, writes, 0)
    end
    now = 7
    running:step(60)
    assert.equal(3, seen)
    running:step(1)
    assert.equal(1, seen)
    client:send "alth HTTP/1.1\r\nHost: localhost\r\n\r\n"
    client:response()
    local other = begin { prompt = "ab", max_tokens = 20, temperature = 0 } -- kept, or its collection would close it
    loopback.drive(running, function() return active() == 1 end)
    running:step(60)
    assert.equal(0, seen)
    other:close()
  end)

  it("of requests that were begun are waited for at the end", function()
    start { request_seconds = 200 }
    local now, select = 0, running.listener.select
    running.clock = function()
      now = now + 1
      return now
    end
    running.listener.select = function(reads, writes) return select(reads, writes, 0) end
    local client = loopback.connect(running):send "GET /health HTTP/1.1\r\nHost: lo"
    loopback.drive(running, function() return running.connections[1] and running.connections[1].reader:begun() end)
    running:run(function() return true end)
    assert.is_true(now > 200)
    client:look()
    assert.matches("^HTTP/1.1 408", client.got)
  end)

  it("are not waited for at the end for what begins then, and none has another request behind its response", function()
    start { request_seconds = 200, idle_seconds = 200 }
    local now, select = 0, running.listener.select
    running.clock = function() return now end
    local ask = loopback.request("GET", "/health")
    local idle, begun = loopback.connect(running):send(ask), loopback.connect(running):send(ask:sub(1, 9))
    assert.equal(200, idle:response().status)
    running.listener.select = function(reads, writes)
      now = now + 1
      if now == 3 then idle.socket:send(ask:sub(1, 9)) end
      if now == 6 then begun.socket:send(ask:sub(10) .. ask:sub(1, 9)) end -- and another one
      return select(reads, writes, 0)
    end
    running:run(function() return true end)
    assert.is_true(now < 20)
    begun:look()
    assert.matches("^HTTP/1.1 503", begun.got)
    assert.matches("\r\nConnection: close\r\n", begun.got)
    idle:look()
    assert.equal("", idle.got)
  end)

  it("hold the end off no longer than its time, however slowly they are read", function()
    start { finish_seconds = 100, write_seconds = 30 }
    local now = 0
    running.clock = function() return now end
    local client = loopback.connect(running)
    client.socket:setoption("recv-buffer-size", 4096)
    loopback.drive(running, function() return #running.connections == 1 end)
    local connection = running.connections[1]
    connection:write(("x"):rep(8 << 20), now)
    local send = connection.socket
    connection.socket = { close = function() send:close() end, send = function(_, _, from) return nil, "timeout", from end }
    running.listener.select = function()
      now = now + 29
      return {}, { connection.socket }
    end
    running:run(function() return true end)
    assert.is_true(now > 100 and now < 200)
    assert.equal("closed", connection.state)
  end)
end)
