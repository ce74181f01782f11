local json = require "gpt.support.json"
local loopback = require "spec.support.loopback"
local process = require "spec.support.process"
local raised = require "spec.support.raised"

if not loopback.there then
  pending "gpt.server (luasocket is not installed: Debian's lua-socket)"
  return
end

local gpt = require "gpt"
local model = loopback.model()
local running -- the server of a spec

local function ask(...) return loopback.ask(running, ...) end

local function complete(body, headers)
  return ask("POST", "/v1/completions", body, headers)
end

local function chat(body)
  body.messages = body.messages or { { role = "user", content = "hi" } }
  return ask("POST", "/v1/chat/completions", body)
end

-- What generate says, as a server's text.
local function expected(prompt, n, options)
  local all = { max_new_tokens = n }
  for name, value in pairs(options or {}) do all[name] = value end
  return require("gpt.server.text").clean(model:generate(prompt, all):sub(#prompt + 1))
end

local function start(options, with)
  if running then running:close() end
  running = loopback.start(with or model, options)
end

describe("gpt.server", function()
  before_each(function() start() end)
  after_each(function()
    running:close()
    running = nil
  end)

  it("lists its model, and says how it is", function()
    start { name = "tiny" }
    local list = ask("GET", "/v1/models")
    assert.equal(200, list.status)
    assert.equal("application/json", list.headers["content-type"])
    assert.equal("tiny", list.json.data[1].id)
    assert.equal("model", list.json.data[1].object)
    assert.equal("tiny", ask("GET", "/v1/models/tiny").json.id)
    assert.equal("model_not_found", ask("GET", "/v1/models/large").json.error.code)
    assert.same({ status = "ok", model = "tiny", active = 0, waiting = 0 }, ask("GET", "/health").json)
    assert.equal("", ask("HEAD", "/health").body)
  end)

  it("prints as what it is, and has its page of help", function()
    start { name = "tiny" }
    assert.equal(("Server(tiny, http://127.0.0.1:%d/, 0 connections)"):format(running.port), tostring(running))
    assert.equal(gpt.help "Server", gpt.help(running))
    running:close()
    assert.matches("^Server%(tiny, .*, closed%)$", tostring(running))
    if require("socket").tcp6():bind("::1", 0) then
      start { name = "tiny", host = "::1" }
      assert.equal(("http://[::1]:%d/"):format(running.port), running.url)
      assert.equal(("Server(tiny, %s, 0 connections)"):format(running.url), tostring(running))
    end
  end)

  it("continues text as generate does", function()
    local response = complete { prompt = "ab", max_tokens = 7, temperature = 0 }
    assert.equal(200, response.status)
    assert.equal("text_completion", response.json.object)
    assert.same({ { index = 0, text = expected("ab", 7), finish_reason = "length", logprobs = json.null } },
      response.json.choices)
    assert.same({ prompt_tokens = 2, completion_tokens = 7, total_tokens = 9, prompt_tokens_details = { cached_tokens = 0 } },
      response.json.usage)
    local drawn = { prompt = "ab", max_tokens = 7, temperature = 0.9, top_p = 0.8, seed = 4 }
    assert.equal(expected("ab", 7, { temperature = 0.9, top_p = 0.8, seed = 4 }), complete(drawn).json.choices[1].text)
  end)

  it("takes token ids, and several prompts", function()
    local ids = complete { prompt = { 97, 98 }, max_tokens = 5, temperature = 0 }
    assert.equal(expected("ab", 5), ids.json.choices[1].text)
    local many = complete { prompt = { "ab", "xyz" }, max_tokens = 5, temperature = 0 }.json
    assert.equal(expected("ab", 5), many.choices[1].text)
    assert.equal(expected("xyz", 5), many.choices[2].text)
    assert.equal(1, many.choices[2].index)
    assert.equal(10, many.usage.completion_tokens)
    assert.equal(2, #complete({ prompt = { { 97 }, { 98, 99 } }, max_tokens = 1 }).json.choices)
  end)

  it("writes 16 tokens of a completion where it is not told, as OpenAI's does", function()
    assert.equal(16, complete({ prompt = "ab", temperature = 0 }).json.usage.completion_tokens)
  end)

  it("stops at strings, of which nothing comes back", function()
    local whole = expected("ab", 12)
    local word = whole:match("[ -~][ -~]", 2) or whole:match("[ -~]", 2)
    local choice = complete({ prompt = "ab", max_tokens = 12, temperature = 0, stop = { word, "never" } }).json.choices[1]
    assert.equal("stop", choice.finish_reason)
    assert.equal(whole:sub(1, whole:find(word, 1, true) - 1), choice.text)
  end)

  it("chats by the template", function()
    local response = chat { max_tokens = 6, temperature = 0, messages = {
      { role = "developer", content = "s" }, { role = "user", content = { { type = "text", text = "h" }, { type = "text", text = "i" } } },
    } }
    assert.equal("chat.completion", response.json.object)
    local message = response.json.choices[1].message
    assert.equal("assistant", message.role)
    assert.equal(expected("system:s\nuser:hi\na:", 6), message.content)
    assert.equal(19, response.json.usage.prompt_tokens)
    assert.equal(3, chat({ max_completion_tokens = 3, max_tokens = 9, temperature = 0 }).json.usage.completion_tokens)
  end)

  it("ends a chat's answer at the mark with which the template ends a message, as model:chat does", function()
    local support = require "spec.support.chat"
    local tokenizer = support.tokenizer() -- 401 is "<|im_end|>", and the files' end of text another token
    gpt.seed(5)
    local Says = gpt.nn.layer("Says", { positionwise = true, init = function(self)
      local row = gpt.full({ tokenizer.vocab_size }, 0.0)
      row[402] = 9 -- position 402 is the id 401
      self.row = gpt.nn.parameter(row)
    end, forward = function(self, x) return x:narrow(-1, 1, 1) * 0 + self.row end })
    local says = gpt.Model(gpt.config("gpt2-small", {
      vocab_size = tokenizer.vocab_size, context_length = 64, emb_dim = 16, n_heads = 2, n_layers = 1, drop_rate = 0,
    }), { head = Says() })
    says.tokenizer = tokenizer
    start({ template = "default" }, says)
    local response = chat({ max_tokens = 5, temperature = 0 }).json
    assert.equal("stop", response.choices[1].finish_reason)
    assert.equal("", response.choices[1].message.content)
    assert.equal(says:chat { template = "default" }:say "hi", response.choices[1].message.content)
    assert.equal("length", complete({ prompt = "hi", max_tokens = 5, temperature = 0 }).json.choices[1].finish_reason)
    start({ template = function() return "hi" end }, says) -- which has no such mark
    assert.equal("length", chat({ max_tokens = 5, temperature = 0 }).json.choices[1].finish_reason)
  end)

  it("streams the same text, piece by piece", function()
    local body = { prompt = "ab", max_tokens = 9, temperature = 0, stream = true }
    local response = complete(body)
    assert.equal("text/event-stream", response.headers["content-type"])
    local events, parts = loopback.events(response.body), {}
    assert.equal("[DONE]", table.remove(events))
    local last = table.remove(events)
    assert.equal("length", last.choices[1].finish_reason)
    for i, event in ipairs(events) do
      parts[i] = event.choices[1].text
      assert.equal(json.null, event.choices[1].finish_reason)
      assert.equal(last.id, event.id)
    end
    assert.is_true(#parts > 1)
    assert.equal(expected("ab", 9), table.concat(parts))
  end)

  it("streams a chat, with a role first and usage last where it is wanted", function()
    local events = loopback.events(chat({ max_tokens = 4, temperature = 0, stream = true,
      stream_options = { include_usage = true } }).body)
    assert.equal("[DONE]", table.remove(events))
    local usage = table.remove(events)
    assert.equal(0, #usage.choices)
    assert.equal(4, usage.usage.completion_tokens)
    assert.same({ role = "assistant", content = "" }, events[1].choices[1].delta)
    assert.equal("chat.completion.chunk", events[1].object)
    assert.same({}, events[#events].choices[1].delta)
    assert.equal("length", events[#events].choices[1].finish_reason)
    assert.equal(json.null, events[2].usage)
  end)

  it("tells log probabilities of tokens and of the likeliest others", function()
    local _, logprobs = model:generate("ab", { max_new_tokens = 4, logprobs = true })
    local completion = complete({ prompt = "ab", max_tokens = 4, temperature = 0, logprobs = 2 }).json.choices[1].logprobs
    local answer = chat({ messages = { { role = "x", content = "" } }, max_tokens = 4, temperature = 0, logprobs = true, top_logprobs = 3 })
    local content = answer.json.choices[1].logprobs.content
    assert.equal(4, #content)
    for i = 1, 4 do
      assert.near(logprobs[i], completion.token_logprobs[i], 1e-5)
      assert.equal(3, #content[i].top_logprobs)
      assert.near(content[i].logprob, content[i].top_logprobs[1].logprob, 1e-5)
      assert.is_true(content[i].top_logprobs[1].logprob >= content[i].top_logprobs[2].logprob)
      assert.equal(1, #content[i].bytes)
    end
    assert.equal(0, completion.text_offset[1])
    local events = loopback.events(complete({ prompt = "ab", max_tokens = 4, temperature = 0, logprobs = 0, stream = true }).body)
    local count = 0
    for _, event in ipairs(events) do
      local measured = event ~= "[DONE]" and event.choices[1].logprobs
      if measured and measured ~= json.null then count = count + #measured.tokens end
    end
    assert.equal(4, count)
  end)

  it("writes log probabilities as it writes all JSON, at once and in a stream", function()
    local function check(body, path)
      local text = ask("POST", path, body).body
      local events = body.stream and text:gsub("data: %[DONE%]\n\n$", "") or "data: " .. text .. "\n\n"
      local count = 0
      for event in events:gmatch "data: ([^\n]*)\n\n" do
        count = count + select(2, event:gsub("_logprobs", ""))
        assert.equal(event:gsub("\\u0000", "?"), json.encode(loopback.decode(event)), path)
      end
      assert.is_true(count > 0)
    end
    for _, stream in ipairs { false, true } do
      for _, top in ipairs { 0, 4 } do
        check({ prompt = { "ab", "\u{e9}" }, max_tokens = 12, seed = 3, logprobs = top, stream = stream }, "/v1/completions")
        check({ messages = { { role = "u", content = "x" } }, max_tokens = 12, seed = 3, logprobs = true, top_logprobs = top,
          stream = stream }, "/v1/chat/completions")
      end
    end
  end)

  it("keeps log probabilities as little text until an answer is whole, and bounds how many a request asks for", function()
    start { queue = 400 }
    local client = loopback.connect(running)
    collectgarbage()
    local before = collectgarbage "count"
    client:send(loopback.request("POST", "/v1/completions", { prompt = { "a", "b", "c", "d", "e", "f", "g", "h" }, max_tokens = 60,
      seed = 1, logprobs = 20 }))
    local tokens
    loopback.drive(running, function()
      tokens = 0
      for _, row in ipairs(running.scheduler.run.rows) do tokens = tokens + row.output.drawn end
      return tokens >= 8 * 40
    end)
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 1.5 * tokens) -- KiB
    local prompts = {}
    for i = 1, 150 do prompts[i] = "a" end
    local refused = complete { prompt = prompts, max_tokens = 60, logprobs = 20 }
    assert.equal(400, refused.status)
    assert.equal("logprobs", refused.json.error.param)
    assert.equal("logprobs: 189000 log probabilities are asked for (prompts: 150; tokens of each: 60; others beside each token: "
      .. "20), and a request may have 131072; a smaller max_tokens takes fewer", refused.json.error.message)
    start({ max_tokens = 8192 }, loopback.model { context_length = 8192 })
    assert.equal("top_logprobs: 147000 log probabilities are asked for (prompts: 1; tokens of each: 7000; others beside each "
      .. "token: 20), and a request may have 131072; a smaller max_tokens takes fewer",
      chat({ max_tokens = 7000, logprobs = true, top_logprobs = 20 }).json.error.message)
  end)

  it("refuses nonsense with 400, in OpenAI's form", function()
    local function refused(body, path)
      local response = ask("POST", path or "/v1/completions", body)
      assert.equal(400, response.status)
      assert.equal("invalid_request_error", response.json.error.type)
      return response.json.error.message, response.json.error.param
    end
    assert.equal("the body: not valid JSON near line 1, column 3: it seems cut short", refused "{]")
    assert.equal("the body has to be a JSON object", refused "[1]")
    assert.equal("the body has to be a JSON object", refused "3")
    assert.same({ "prompt is missing", "prompt" }, { refused {} })
    assert.equal("prompt is empty: at least one token is needed to go on from", refused { prompt = "" })
    assert.equal("prompt: a string, a list of token ids, or a list of either expected", refused { prompt = 5 })
    assert.equal("prompt: token ids from 0 to 259 expected, got 260 at position 1", refused { prompt = { 260 } })
    assert.equal("prompt: token ids from 0 to 259 expected, got a boolean at position 2", refused { prompt = { 1, true } })
    assert.equal("prompt has 65 tokens, and this server takes 64 (the model's context is 64)", refused { prompt = ("x"):rep(65) })
    local stops = {}
    for i = 1, 17 do stops[i] = "x" end
    local cases = {
      { "temperature", 3, "temperature: a number from 0 to 2 expected, got 3" },
      { "temperature", "hot", 'temperature: a number from 0 to 2 expected, got "hot"' },
      { "top_p", -1, "top_p: a number from 0 to 1 expected, got -1" },
      { "max_tokens", 0, "max_tokens: a whole number of at least 1 expected, got 0" },
      { "max_tokens", 1.5, "max_tokens: a whole number of at least 1 expected, got 1.5" },
      { "max_tokens", -1e30, "max_tokens: a whole number of at least 1 expected, got -1e+30" },
      { "logprobs", 21, "logprobs: a whole number from 0 to 20 expected, got 21" },
      { "seed", {}, "seed: a whole number expected, got an object" },
      { "stop", json.array { 1 }, "stop: a string, or a list of at most 16, none empty, expected, got an array of 1" },
      { "stop", json.array(stops), "stop: a string, or a list of at most 16, none empty, expected, got an array of 17" },
      { "stop", "", 'stop: a string, or a list of at most 16, none empty, expected, got ""' },
      { "stream", 1, "stream: true or false expected, got 1" },
      { "model", 1, "model: a string expected, got 1" },
      { "repetition_penalty", 0, "repetition_penalty: a number above 0 and at most 100 expected, got 0" },
      { "repetition_penalty", -1, "repetition_penalty: a number above 0 and at most 100 expected, got -1" },
      { "repetition_penalty", 101, "repetition_penalty: a number above 0 and at most 100 expected, got 101" },
      { "n", 2, "n: one choice for each prompt is all there is; send the request several times" },
      { "best_of", 2, "best_of: one choice for each prompt is all there is" },
      { "logit_bias", { ["1"] = 5 }, "logit_bias: logits cannot be changed one by one" },
      { "tools", json.array { { type = "function" } }, "tools: this server calls no tools" },
      { "functions", json.array { {} }, "functions: this server calls no functions" },
      { "echo", true, "echo: the prompt is not repeated" },
      { "suffix", "x", "suffix: text cannot be inserted, only continued" },
      { "presence_penalty", 1, "presence_penalty: repetition_penalty is the one there is" },
    }
    for _, case in ipairs(cases) do
      assert.same({ case[3], case[1] }, { refused { prompt = "a", [case[1]] = case[2] } })
    end
  end)

  it("refuses messages that are none", function()
    local function refused(messages, more)
      local body = { messages = messages }
      for name, value in pairs(more or {}) do body[name] = value end
      local response = ask("POST", "/v1/chat/completions", body)
      assert.equal(400, response.status)
      return response.json.error.message
    end
    assert.equal("messages: a list of at least one message expected", refused(nil))
    assert.equal("messages: a list of at least one message expected", refused(json.array {}))
    assert.equal("message 1: an object expected", refused { "hi" })
    assert.equal("message 1: role: a string expected", refused { { content = "hi" } })
    assert.equal("message 1: content is missing", refused { { role = "user" } })
    assert.equal("message 1: role tool: this server calls no tools", refused { { role = "tool", content = "4" } })
    assert.equal("message 1: tool_calls: this server calls no tools", refused { { role = "assistant", tool_calls = { { id = "x" } } } })
    assert.equal("message 1: function_call: this server calls no tools",
      refused { { role = "assistant", content = "", tool_calls = json.array {}, function_call = { name = "f" } } })
    assert.equal("message 1: content: a string or a list of parts expected", refused { { role = "user", content = 5 } })
    assert.equal("message 1: part 1 of content: text is all that this model reads",
      refused { { role = "user", content = { { type = "image_url" } } } })
    assert.equal("top_logprobs: logprobs has to be true", refused({ { role = "user", content = "x" } }, { top_logprobs = 1 }))
    running:close()
    running = require("gpt.server").new(model, { port = 0 })
    assert.equal("this model has no chat template; it continues text: /v1/completions",
      refused { { role = "user", content = "x" } })
  end)

  it("holds to a schema, whose properties come in its order", function()
    local schema = { type = "object", properties = { zeta = { type = "boolean" }, alpha = { enum = json.array { 1, 2 } } },
      required = json.array { "zeta", "alpha" }, additionalProperties = false }
    local format = { type = "json_schema", json_schema = { name = "x", strict = true, schema = schema } }
    for seed = 1, 3 do
      local choice = complete({ prompt = "ab", temperature = 0, max_tokens = 60, seed = seed, response_format = format }).json.choices[1]
      assert.equal("stop", choice.finish_reason)
      local value = loopback.decode(choice.text)
      assert.equal("boolean", type(value.zeta))
      assert.is_true(value.alpha == 1 or value.alpha == 2)
    end
    local body = '{"prompt": "ab", "max_tokens": 60, "response_format": {"type": "json_schema", "json_schema": {"schema": '
      .. '{"type": "object", "required": ["b", "a"], "properties": {"b": {"const": 1}, "a": {"const": 2}}, "additionalProperties": false}}}}'
    assert.equal('{"b": 1, "a": 2}', complete(body).json.choices[1].text)
    local any = complete { prompt = "ab", max_tokens = 30, temperature = 0, response_format = { type = "json_object" } }
    assert.equal("{", any.json.choices[1].text:sub(1, 1))
    local function refused(given)
      local response = complete { prompt = "ab", response_format = given }
      assert.same({ 400, "response_format" }, { response.status, response.json.error.param })
      return response.json.error.message
    end
    assert.equal("response_format: an object expected, got 5", refused(5))
    assert.equal("response_format: type: text, json_object or json_schema (with json_schema.schema, an object) expected",
      refused { type = "xml" })
    assert.truthy(refused({ type = "json_schema", json_schema = { schema = { type = "wrong" } } }):find "^response_format: json_schema:")
    local values = {}
    for i = 1, 9500 do values[i] = i end
    local either = { { ["$ref"] = "#/$defs/v" }, { ["$ref"] = "#/$defs/v", minimum = 2 } }
    assert.equal("response_format: json_schema: #/properties/b: it takes more than 18750 parts: fewer would do", refused {
      type = "json_schema",
      json_schema = { schema = { ["$defs"] = { v = { enum = values } }, properties = { b = { anyOf = either } } } },
    })
    assert.equal("response_format: a schema may have 65536 bytes",
      refused { type = "json_schema", json_schema = { schema = { description = ("x"):rep(65536) } } })
  end)

  it("takes numbers of any size where there is no most", function()
    local body = { prompt = "ab", max_tokens = 1e30, seed = -1e30, top_k = 2 ^ 64 }
    assert.equal("length", complete(body).json.choices[1].finish_reason)
  end)

  it("ignores fields that it does not know, and ones that ask for nothing", function()
    local body = { prompt = "ab", max_tokens = 3, temperature = 0, frobnicate = { 1 }, n = 1, tools = json.array {},
      logit_bias = {}, stop = json.null, presence_penalty = 0, response_format = { type = "text" }, user = "me", model = "gpt-4" }
    assert.equal(expected("ab", 3), complete(body).json.choices[1].text)
  end)

  it("says 404, 405, 411, 413 and 204", function()
    assert.equal(404, ask("GET", "/v2").status)
    local wrong = ask("DELETE", "/v1/models")
    assert.equal(405, wrong.status)
    assert.equal("GET, HEAD, OPTIONS", wrong.headers.allow)
    assert.equal(405, ask("GET", "/v1/completions").status)
    assert.equal(411, ask("POST", "/v1/completions").status)
    start { body_bytes = 100 }
    assert.equal(413, complete(("x"):rep(101)).status)
    assert.equal(204, ask("OPTIONS", "/v1/models").status)
  end)

  it("logs requests so that a terminal shows them as they are, and no more than 200 bytes of them", function()
    local lines = {}
    start { log = function(line) lines[#lines + 1] = line:gsub("[%d.]+ s$", "") end }
    local function asked(path) return loopback.request("GET", path) end
    for _, request in ipairs {
      asked "/health?a=b", asked "/\xC2\x9B2J\u{e9}\x9B\xFF", asked("/" .. ("a"):rep(9000)), asked("/" .. ("\xFF"):rep(9000)),
      asked("/" .. ("a"):rep(195)), ("M"):rep(9000) .. " / HTTP/1.1\r\nHost: localhost\r\n\r\n", "no HTTP\r\n\r\n",
    } do
      local client = loopback.connect(running):send(request)
      client:response()
      client:close()
    end
    assert.same({
      "GET /health 200 ", "GET /\\xC2\\x9B2J\u{e9}\\x9B\\xFF 404 ", "GET /" .. ("a"):rep(192) .. "... 404 ",
      "GET /" .. ("\\xFF"):rep(48) .. "... 404 ", "GET /" .. ("a"):rep(195) .. " 404 ", ("M"):rep(197) .. "... 405 ", "- - 400 ",
    }, lines)
    running:report "/a/file.lua:3: it \27[2J failed\xFF"
    assert.equal("error: /a/file.lua:3: it \\x1B[2J failed\\xFF", lines[#lines])
  end)

  it("serves requests that come at once one after the other", function()
    local client = loopback.connect(running)
    local body = { prompt = "ab", max_tokens = 3, temperature = 0 }
    client:send(loopback.request("GET", "/health") .. loopback.request("POST", "/v1/completions", body)
      .. loopback.request("GET", "/v1/models") .. loopback.request("GET", "/", nil, { Connection = "close" }))
    assert.equal("ok", loopback.decode(client:response().body).status)
    assert.equal(expected("ab", 3), loopback.decode(client:response().body).choices[1].text)
    assert.equal("list", loopback.decode(client:response().body).object)
    assert.equal("close", client:response().headers.connection)
    client:wait_closed()
  end)

  it("serves those that come while one is being answered behind it, in their order", function()
    local client = loopback.connect(running)
    client:send(loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 9, temperature = 0, stream = true }))
    loopback.drive(running, function() return running.scheduler:counts() == 1 end)
    client:send(loopback.request("GET", "/health") .. "HEAD /v1/mod")
    for _ = 1, 3 do running:step(0) end
    client:send "els HTTP/1.1\r\nHost: localhost\r\n\r\n"
    local first = client:response()
    assert.equal("[DONE]", loopback.events(first.body)[#loopback.events(first.body)])
    assert.equal("ok", loopback.decode(client:response().body).status)
    assert.equal(200, client:response(true).status)
  end)

  it("tells a client to go on that waits for it, unless the body is too long", function()
    local client = loopback.connect(running)
    local request = loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 1 }, { Expect = "100-continue" })
    local head, body = request:match "^(.-\r\n\r\n)(.*)$"
    client:send(head)
    assert.equal(100, client:response().status)
    client:send(body)
    assert.equal(200, client:response().status)
    client:send "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
    assert.equal(413, client:response().status)
    client:wait_closed()
  end)

  it("takes chunked bodies, and HTTP/1.0", function()
    local client = loopback.connect(running)
    client:send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. '10\r\n{"prompt": "ab",\r\nd\r\n"max_tokens":\r\n3\r\n 2}\r\n0\r\n\r\n')
    assert.equal(200, client:response().status)
    local old = loopback.connect(running)
    local body = '{"prompt": "ab", "max_tokens": 3, "stream": true}'
    old:send(("POST /v1/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    local response = old:response()
    assert.is_nil(response.headers["transfer-encoding"])
    assert.equal("close", response.headers.connection)
    assert.equal("[DONE]", table.remove(loopback.events(response.body)))
  end)

  it("wants the key, but for the page and the health", function()
    start { api_key = { "k1", "k2" } }
    assert.equal(200, ask("GET", "/health").status)
    assert.equal(200, ask("GET", "/").status)
    local refused = ask("GET", "/v1/models")
    assert.equal(401, refused.status)
    assert.equal("invalid_api_key", refused.json.error.code)
    assert.equal("Bearer", refused.headers["www-authenticate"])
    assert.equal(401, complete({ prompt = "a" }).status)
    assert.equal(200, ask("GET", "/v1/models", nil, { Authorization = "Bearer k2" }).status)
  end)

  it("keeps other sites' pages out", function()
    assert.equal(403, ask("GET", "/v1/models", nil, { Origin = "https://evil.example" }).status)
    assert.equal(200, ask("GET", "/v1/models", nil, { Origin = "http://localhost" }).status)
    start { origins = "https://good.example", api_key = "k" }
    local preflight = ask("OPTIONS", "/v1/chat/completions", nil, { Origin = "https://good.example" })
    assert.equal(204, preflight.status)
    assert.equal("https://good.example", preflight.headers["access-control-allow-origin"])
    assert.equal("authorization, content-type", preflight.headers["access-control-allow-headers"])
  end)
end)

describe("many conversations", function()
  after_each(function()
    if running then running:close() end
    running = nil
  end)

  -- Clients that have sent their requests.
  local function send_all(bodies)
    local clients = {}
    for i, body in ipairs(bodies) do
      clients[i] = loopback.connect(running):send(loopback.request("POST", "/v1/completions", body))
    end
    return clients
  end

  it("advance together, and each gets what it gets alone", function()
    start { sessions = 4, slice = 5 }
    local bodies, prompts = {}, {}
    for i = 1, 10 do
      prompts[i] = ("prompt %d of "):format(i) .. ("x"):rep(i * 3)
      bodies[i] = { prompt = prompts[i], max_tokens = 2 + i, temperature = i % 2, seed = i, stream = i % 3 == 0 }
    end
    local clients = send_all(bodies)
    for i, client in ipairs(clients) do
      local body = client:response().body
      local options = { temperature = i % 2, seed = i }
      if i % 3 ~= 0 then
        assert.equal(expected(prompts[i], 2 + i, options), loopback.decode(body).choices[1].text)
      end
    end
    local active, waiting = running.scheduler:counts()
    assert.same({ 0, 0 }, { active, waiting })
  end)

  it("make no pass of more than a slice of prompts, and one token for each that is past its own", function()
    local passes, feed = {}, gpt.feed
    local core = require "gpt.core"
    core.feed = function(sessions, lists)
      local counts = {}
      for i, list in ipairs(lists) do counts[i] = #list end
      table.sort(counts)
      passes[#passes + 1] = table.concat(counts, " ")
      return feed(sessions, lists)
    end
    finally(function() core.feed = feed end)
    start { slice = 8 }
    local first = loopback.connect(running):send(loopback.request("POST", "/v1/completions", { prompt = "a", max_tokens = 9, temperature = 0 }))
    loopback.drive(running, function() return passes[1] end)
    local second = loopback.connect(running):send(loopback.request("POST", "/v1/completions", { prompt = ("b"):rep(20), max_tokens = 2, temperature = 0 }))
    first:response()
    second:response()
    assert.equal("1 1 8 1 8 1 4 1 1 1 1 1 1", table.concat(passes, " "))
  end)

  it("go on from what was computed before", function()
    start()
    local prompt = "a conversation that goes on, "
    local first = complete { prompt = prompt, max_tokens = 8, temperature = 0 }
    local ids = model.tokenizer:encode(prompt)
    local new = model:generate(ids, { max_new_tokens = 8 })
    local longer = table.move({ 65, 66 }, 1, 2, #new + 1, table.move(new, 1, #new, 1, {}))
    local second = complete { prompt = longer, max_tokens = 4, temperature = 0 }
    assert.equal(0, first.json.usage.prompt_tokens_details.cached_tokens)
    assert.equal(#new - 1, second.json.usage.prompt_tokens_details.cached_tokens)
    assert.equal(require("gpt.server.text").clean(model.tokenizer:decode(
      table.move(model:generate(longer, { max_new_tokens = 4 }), #longer + 1, #longer + 4, 1, {}))), second.json.choices[1].text)
    local branch = complete { prompt = prompt .. "otherwise", max_tokens = 4, temperature = 0 }
    assert.equal(#prompt, branch.json.usage.prompt_tokens_details.cached_tokens)
    assert.equal(expected(prompt .. "otherwise", 4), branch.json.choices[1].text)
    running:forget()
    assert.equal(0, complete({ prompt = prompt, max_tokens = 1 }).json.usage.prompt_tokens_details.cached_tokens)
  end)

  it("keep few tokens of the past, the latest", function()
    start { kept_tokens = 40 }
    for _, prompt in ipairs { ("a"):rep(15), ("b"):rep(15), ("c"):rep(15) } do complete { prompt = prompt, max_tokens = 2 } end
    local function cached(prompt) return complete({ prompt = prompt, max_tokens = 1 }).json.usage.prompt_tokens_details.cached_tokens end
    assert.equal(0, cached(("a"):rep(15)))
    assert.equal(14, cached(("c"):rep(15)))
    start { kept_tokens = 0 }
    complete { prompt = ("a"):rep(15), max_tokens = 2 }
    assert.equal(0, cached(("a"):rep(15)))
  end)

  it("are too many at 429, and the next ones are served", function()
    start { sessions = 1, queue = 1 }
    local bodies = {}
    for i = 1, 4 do bodies[i] = { prompt = "ab", max_tokens = 5 } end
    local statuses = {}
    for _, client in ipairs(send_all(bodies)) do statuses[#statuses + 1] = client:response().status end
    table.sort(statuses)
    assert.same({ 200, 200, 429, 429 }, statuses)
    assert.equal(200, complete({ prompt = "ab", max_tokens = 1 }).status)
    local refused = complete { prompt = { "a", "b", "c" }, max_tokens = 1 }
    assert.equal("prompt: at most 2 at once, got 3", refused.json.error.message)
  end)

  it("end where their time is over: with what there is, or 503 before there is any", function()
    start { sessions = 1 }
    local now = 0
    running.clock = function() return now end
    local clients = send_all { { prompt = "ab", temperature = 0, max_tokens = 60 }, { prompt = "cd", temperature = 0, max_tokens = 60 } }
    loopback.drive(running, function() return select(2, running.scheduler:counts()) == 1 end)
    for _ = 1, 5 do running:step(0) end
    now = 601
    local ended, late = clients[1]:response(), clients[2]:response()
    assert.equal("length", loopback.decode(ended.body).choices[1].finish_reason)
    assert.is_true(loopback.decode(ended.body).usage.completion_tokens >= 5)
    assert.equal(503, late.status)
    assert.equal("the server was too busy to answer within its time", json.decode(late.body).error.message)
  end)

  it("give their place up when the client leaves", function()
    start { sessions = 1 }
    local clients = send_all { { prompt = "ab", temperature = 0, max_tokens = 60, stream = true }, { prompt = "cd", max_tokens = 2 } }
    loopback.drive(running, function() return running.scheduler:counts() == 1 end)
    clients[1]:close()
    assert.equal(200, clients[2]:response().status)
    loopback.drive(running, function() return running.scheduler:counts() == 0 end)
  end)

  it("of clients that vanish amid their streams end, without a signal, and the next is served", function()
    start { sessions = 3 }
    local body = { prompt = "ab", temperature = 0, max_tokens = 60, stream = true }
    local clients = send_all { body, body, body }
    loopback.drive(running, function() return running.scheduler:counts() == 3 end)
    for _, client in ipairs(clients) do
      client:look()
      client.socket:setoption("linger", { on = true, timeout = 0 }) -- a reset: what is written then is EPIPE
      client:close()
    end
    loopback.drive(running, function() return #running.connections == 0 end)
    assert.same({ 0, 0 }, { running.scheduler:counts() })
    assert.equal(200, complete({ prompt = "ab", max_tokens = 2 }).status)
  end)

  it("are not held up by one whose layer fails", function()
    local calls = 0
    local failing = gpt.nn.layer("Failing", {
      forward = function(_, x)
        calls = calls + 1
        local rows = x:size(-2)
        if loopback.poison and (rows == loopback.poison or rows == loopback.poison + 1) then error "poisoned" end
        return x
      end,
      positionwise = true,
    })
    local broken = loopback.model()
    broken:replace("blocks.1", gpt.nn.Sequential { broken.blocks[1], failing() })
    local lines = {}
    start({ log = function(line) lines[#lines + 1] = line end }, broken)
    loopback.poison = 7
    finally(function() loopback.poison = nil end)
    local good = send_all { { prompt = "abcd", max_tokens = 9, temperature = 0 } }[1]
    loopback.drive(running, function() return running.scheduler:counts() == 1 end)
    local bad = complete { prompt = "seven!!", max_tokens = 3 }
    assert.equal(500, bad.status)
    assert.equal("the model failed; the server's log has more", bad.json.error.message)
    assert.equal("server_error", bad.json.error.type)
    assert.equal(200, good:response().status)
    assert.truthy(table.concat(lines, "\n"):find "error: .*poisoned")
    assert.equal(200, complete({ prompt = "abcd", max_tokens = 3 }).status)
  end)
end)

describe("an error that is not the model's", function()
  local problem -- what the model's layer raises next
  local function start_failing(options)
    problem = nil
    local Failing = gpt.nn.layer("Failing", {
      forward = function(_, x)
        local now = problem
        problem = nil
        if now then error(now, 0) end
        return x
      end,
      positionwise = true,
    })
    local failing = loopback.model()
    failing:replace("blocks.1", gpt.nn.Sequential { failing.blocks[1], Failing() })
    start(options, failing)
  end
  local function failure(...)
    return select(2, pcall(...))
  end
  after_each(function() running:close() end)

  it("is an interrupt, which ends run with it, and closes the server", function()
    start_failing()
    local client = loopback.connect(running):send(loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 3 }))
    problem = "here:1: interrupted!"
    assert.matches("interrupted!\nstack traceback", failure(running.run, running))
    assert.is_true(running.closed)
    client:look()
    assert.matches("^HTTP/1.1 503", client.got)
  end)

  it("is an interrupt while a request is read, or while a kept conversation is looked for", function()
    local asked = false -- once when the server is made: how does a message end?
    start { template = function() return asked and error("here:1: interrupted!", 0) or "" end }
    asked = true
    assert.equal("here:1: interrupted!", failure(chat, {}))
    start()
    complete { prompt = ("a"):rep(20), max_tokens = 2 }
    local prefixes = running.scheduler.prefixes
    prefixes.model = { session = function() error("here:1: interrupted!", 0) end }
    assert.equal("here:1: interrupted!", failure(complete, { prompt = "bcd", max_tokens = 2 }))
    assert.equal(1, #prefixes.idle)
  end)

  it("is too little memory: 503 for that request, and the server goes on", function()
    local lines = {}
    start_failing { log = function(line) lines[#lines + 1] = line end }
    problem = "not enough memory"
    local client = loopback.connect(running):send(loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 3 }))
    assert.equal(200, client:response().status) -- a pass that failed for all is tried for each alone
    local Exchange = require "gpt.server.exchange"
    local json_of = Exchange.json
    finally(function() Exchange.json = json_of end)
    Exchange.json = function()
      Exchange.json = json_of
      error("not enough memory", 0)
    end
    local response = complete { prompt = "ab", max_tokens = 3 }
    assert.equal(503, response.status)
    assert.equal("there is not enough memory for this now", response.json.error.message)
    assert.truthy(table.concat(lines, "\n"):find("error: not enough memory", 1, true))
    assert.equal(200, complete({ prompt = "ab", max_tokens = 3 }).status)
  end)

  it("ends a connection that cannot be told, and no other", function()
    start()
    local Exchange = require "gpt.server.exchange"
    local send = Exchange.send
    finally(function() Exchange.send = send end)
    local other = loopback.connect(running)
    Exchange.send = function() error("not enough memory", 0) end
    local client = loopback.connect(running):send(loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 3 }))
    assert.is_true(client:wait_closed())
    Exchange.send = send
    assert.equal(200, other:send(loopback.request("GET", "/health")):response().status)
    assert.same({ 0, 0 }, { running.scheduler:counts() })
  end)

  it("is the row's that it came of, and not the next one's", function()
    start()
    local clients = {}
    for i, prompt in ipairs { "ab", "cd" } do
      local text = loopback.request("POST", "/v1/completions", { prompt = prompt, max_tokens = 9, temperature = 0 })
      clients[i] = loopback.connect(running):send(text)
    end
    loopback.drive(running, function() return running.scheduler:counts() == 2 end)
    running.scheduler.run.rows[1].add = function() error "broken" end
    assert.same({ 500, 200 }, { clients[1]:response().status, clients[2]:response().status })
  end)

  it("is too little memory for a step: run goes on with the next", function()
    start()
    local check_time, calls = running.scheduler.check_time, 0
    running.scheduler.check_time = function(...)
      calls = calls + 1
      if calls == 1 then error("not enough memory", 0) end
      return check_time(...)
    end
    running:run(function() return calls > 1 end)
    assert.is_true(running.closed)
  end)
end)

describe("a process without descriptors", function()
  it("lets nobody in, says so once, looks seldom, serves who is there, and goes on with who waited", function()
    local output = process.lua([[
      local loopback = require "spec.support.loopback"
      local now, lines, looks = 0, {}, 0
      local server = loopback.start(loopback.model(), {
        log = function(line) table.insert(lines, line:match "^error: (.*)") end,
      })
      server.clock = function() return now end
      local accept = server.listener.accept
      function server.listener.accept(...)
        looks = looks + 1
        return accept(...)
      end
      local ask = loopback.request("GET", "/health")
      local there = loopback.connect(server)
      loopback.drive(server, function() return #server.connections == 1 end)
      local waiting = assert(require "socket".tcp4())
      waiting:bind("127.0.0.1", 0) -- or it has a descriptor only once it connects
      local full = {}
      for file in function() return (io.open("/dev/null")) end do full[#full + 1] = file end
      waiting:connect("127.0.0.1", server.port)
      waiting:settimeout(0)
      looks = 0
      for _ = 1, 30 do
        now = now + 0.1
        server:step(0.001)
      end
      print(looks, there:send(ask):response().status, #server.connections)
      for _, file in ipairs(full) do file:close() end
      now = now + 1
      waiting:send(ask)
      loopback.drive(server, function() return (waiting:receive(17)) end)
      print(table.concat(lines, "\n"))
    ]], "ulimit -n 30;")
    local looks, status, connections, errors = output:match "^(%d+)\t(%d+)\t(%d+)\n(.*)$"
    assert.is_true((tonumber(looks) or 99) <= 4, output)
    assert.same({ "200", "1" }, { status, connections })
    assert.equal("no connection can be accepted: Too many open files; those that are there go on, and it is tried again\n",
      errors)
  end)
end)

describe("clients that cost time", function()
  local now
  before_each(function()
    now = 0
    start { request_seconds = 10, idle_seconds = 20, write_seconds = 5, connections = 3 }
    running.clock = function() return now end
  end)
  after_each(function() running:close() end)

  local function pass(seconds)
    for _ = 1, 3 do running:step(0) end
    now = now + seconds
    for _ = 1, 3 do running:step(0) end
  end

  it("are told where their request does not come, and others are served meanwhile", function()
    local slow = loopback.connect(running):send "POST /v1/completions HTTP/1.1\r\nHost: local"
    pass(9)
    assert.equal(200, ask("GET", "/health").status)
    pass(2)
    local response = slow:response()
    assert.equal(408, response.status)
    assert.equal("the request did not come within the time for it", json.decode(response.body).error.message)
    slow:wait_closed()
  end)

  it("are told so, too, where it comes byte by byte", function()
    local slow = loopback.connect(running)
    for byte in ("POST /"):gmatch "." do
      slow:send(byte)
      pass(1.7)
    end
    assert.equal(408, slow:response().status)
  end)

  it("are let go where they send on behind the end of a connection", function()
    local client = loopback.connect(running):send "GET /\r\n\r\n"
    assert.equal(400, client:response().status)
    client:send "more"
    pass(1.5)
    assert.equal(1, #running.connections)
    client:send "and more"
    pass(1.5)
    assert.equal(0, #running.connections)
  end)

  it("are let go where they send nothing", function()
    local silent = loopback.connect(running)
    pass(11)
    silent:wait_closed()
    assert.equal("", silent.got)
    local idle = loopback.connect(running):send(loopback.request("GET", "/health"))
    idle:response()
    pass(15)
    idle:send(loopback.request("GET", "/health"))
    idle:response()
    pass(21)
    idle:wait_closed()
  end)

  it("are let go where they do not read", function()
    local client = loopback.connect(running)
    client.socket:setoption("recv-buffer-size", 4096)
    client:send(loopback.request("GET", "/health"))
    loopback.drive(running, function() return #running.connections == 1 end)
    local connection = running.connections[1]
    connection:write(("x"):rep(8 << 20), now)
    pass(4)
    assert.equal(1, #running.connections)
    assert.is_true(connection:choked())
    pass(6)
    assert.equal(0, #running.connections)
  end)

  it("are waited for while they read, however slowly", function()
    local taken = 10 -- bytes in one go
    local socket = { settimeout = function() end, close = function() end }
    function socket.send(_, _, from) return nil, "timeout", from - 1 + taken end
    local limits = { request_seconds = 100, write_seconds = 5, body_bytes = 100 }
    local connection = require("gpt.server.connection").new(socket, limits, {}, 0)
    connection:write(("x"):rep(100), 0)
    local function is_open(at)
      connection:flush(at)
      connection:check_time(at)
      return connection.state ~= "closed"
    end
    for at = 4, 20, 4 do assert.is_true(is_open(at)) end
    taken = 0
    assert.is_true(is_open(24))
    assert.is_false(is_open(26))
  end)

  it("are too many at 503", function()
    local clients = {}
    for i = 1, 4 do clients[i] = loopback.connect(running) end
    local response = clients[4]:response()
    assert.equal(503, response.status)
    assert.equal("too many connections", json.decode(response.body).error.message)
    clients[1]:send(loopback.request("GET", "/health"))
    assert.equal(200, clients[1]:response().status)
  end)

  it("get 400 for what is no HTTP, and the connection ends", function()
    for _, bytes in ipairs { "\22\3\1\0\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n" } do
      local client = loopback.connect(running):send(bytes)
      assert.equal(400, client:response().status)
      client:wait_closed()
      client:close()
    end
  end)
end)

describe("a server in a host", function()
  it("ends after what is in flight", function()
    start()
    local client = loopback.connect(running):send(loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 20, temperature = 0 }))
    loopback.drive(running, function() return running.scheduler:counts() == 1 end)
    local asked = false
    running:run(function()
      asked = true
      return true
    end)
    assert.is_true(asked)
    client:look()
    assert.truthy(client.got:find "^HTTP/1.1 200 OK")
    assert.truthy(client.got:find '"completion_tokens":20')
    assert.equal("gpt.server: the server is closed", raised(function() running:step() end))
    running = nil
  end)

  it("says 503 to those who wait where it is closed", function()
    start()
    local client = loopback.connect(running):send(loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 20, temperature = 0 }))
    loopback.drive(running, function() return running.scheduler:counts() == 1 end)
    running:close()
    client:look()
    assert.truthy(client.got:find "^HTTP/1.1 503")
    running = nil
  end)

  it("leaves no memory behind", function()
    start()
    complete { prompt = "ab", max_tokens = 3 }
    running:close()
    collectgarbage()
    collectgarbage()
    local before = gpt.memory().live
    for _ = 1, 3 do
      start { sessions = 2 }
      for i = 1, 6 do complete { prompt = ("x"):rep(i * 5), max_tokens = 3, logprobs = 3, stream = i % 2 == 0 } end
      running:close()
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, gpt.memory().live)
    running = nil
  end)

  it("says what is wrong with its options", function()
    local server = require "gpt.server"
    local function refused(...) return raised(server.new, ...) end
    assert.equal("gpt.server: a model expected, got nil", refused(nil))
    local bare = gpt.Model(gpt.config("gpt2-small", { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1 }))
    assert.equal("gpt.server: a string needs a tokenizer, and this model has none; set model.tokenizer or the option "
      .. "tokenizer (gpt.tokenizer(dir) makes one)", refused(bare))
    assert.equal("gpt.server: session: unknown key; did you mean 'sessions'?", refused(model, { session = 4 }))
    assert.equal("gpt.server: port: a port from 0 (the system chooses) to 65535 expected, got 70000", refused(model, { port = 70000 }))
    assert.equal("gpt.server: options: a table expected, got 80", refused(model, 80))
    start()
    assert.equal(("gpt.server: 127.0.0.1 port %d: address already in use"):format(running.port), refused(model, { port = running.port }))
    running:close()
    running = nil
  end)

  it("shares a port with others where it is told to", function()
    start { reuse_port = true }
    local other <close> = loopback.start(model, { reuse_port = true, port = running.port })
    assert.equal(running.port, other.port)
    running:close()
    running = nil
  end)
end)
