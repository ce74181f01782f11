-- The example's server as a process of its own, and clients that are no part of this project: a sanitizer that is
-- preloaded here is none of theirs.
local files = require "spec.support.files"
local loopback = require "spec.support.loopback"
local process = require "spec.support.process"

if not loopback.there then
  pending "examples/server.lua (luasocket is not installed: Debian's lua-socket)"
  return
end

local gpt = require "gpt"
local json = require "gpt.support.json"
local socket = require "socket"

local function ran(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read "a"
  return pipe:close() == true, output
end

-- A Python that has the openai package: the environment's PYTHON, or python3.
local function find_python()
  for _, name in ipairs { os.getenv "PYTHON" or "python3" } do
    if ran(("env -u OPENBLAS_CORETYPE -u LD_PRELOAD '%s' -c 'import openai'"):format(name)) then return name end
  end
end

-- A small model, saved with a tokenizer and a chat template.
local function save_model(directory)
  local tokenizer = gpt.train_tokenizer({ text = ("the quick brown fox jumps over the lazy dog\n"):rep(20) }, { vocab_size = 270 })
  gpt.seed(1)
  local model = gpt.Model(gpt.config("gpt2-small", {
    vocab_size = tokenizer.vocab_size, context_length = 256, emb_dim = 16, n_heads = 2, n_layers = 1, drop_rate = 0,
  }))
  model.tokenizer = tokenizer
  model:save(directory .. "/tiny")
  files.write(directory .. "/chat.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}a:")
end

-- Starts the example. Its output says where it listens.
local function start(directory, more)
  local log = directory .. "/log"
  files.write(log, "")
  local pipe <close> = assert(io.popen(("LUA_PATH='%s' LUA_CPATH='%s' %s examples/server.lua '%s/tiny' --port 0 "
    .. "--template '%s/chat.jinja' %s >'%s' 2>&1 & echo $!"):format(package.path, package.cpath,
    process.interpreter, directory, directory, more or "", log)))
  local number = pipe:read "l"
  for _ = 1, 400 do
    local port = files.read(log):match "http://127.0.0.1:(%d+)/"
    if port then return number, tonumber(port), log end
    socket.sleep(0.025)
  end
  error(files.read(log))
end

local OPENAI = [[
import openai, sys
client = openai.OpenAI(base_url=sys.argv[1], api_key="k", max_retries=0)
assert [m.id for m in client.models.list()] == ["tiny"]
say = [{"role": "user", "content": "hello"}]
whole = client.chat.completions.create(model="tiny", messages=say, max_tokens=8, temperature=0, logprobs=True, top_logprobs=2)
text = whole.choices[0].message.content
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
assert len(whole.choices[0].logprobs.content[0].top_logprobs) == 2
stream = client.chat.completions.create(model="tiny", messages=say, max_tokens=8, temperature=0, stream=True,
                                        stream_options={"include_usage": True})
events = list(stream)
assert "".join(e.choices[0].delta.content or "" for e in events if e.choices) == text
assert events[-1].usage.completion_tokens == whole.usage.completion_tokens
done = client.completions.create(model="tiny", prompt=["the", "quick"], max_tokens=4, seed=1, stop=["never"])
assert [c.index for c in done.choices] == [0, 1] and done.choices[0].finish_reason in ("length", "stop")
try:
    client.chat.completions.create(model="tiny", messages=say, n=2)
    assert False
except openai.BadRequestError as e:
    assert e.body["param"] == "n", e
try:
    openai.OpenAI(base_url=sys.argv[1], api_key="wrong", max_retries=0).models.list()
    assert False
except openai.AuthenticationError as e:
    assert e.code == "invalid_api_key", e
print("fine")
]]

describe("examples/server.lua", function()
  local directory, number, port, log

  setup(function()
    directory = files.directory()
    save_model(directory)
    number, port, log = start(directory, "--api-key k --sessions 2 --threads 1")
  end)
  teardown(function()
    os.execute("kill " .. number .. " 2>/dev/null")
    files.remove(directory)
  end)

  local curl = ran "command -v curl"
  local maybe = curl and it or function(name) pending(name .. " (curl is not installed)") end
  maybe("serves curl", function()
    local base = ("env -u LD_PRELOAD timeout 60 curl -sS -H 'Authorization: Bearer k' http://127.0.0.1:%d"):format(port)
    local ok, output = ran(base .. "/v1/models")
    assert.is_true(ok)
    assert.equal("tiny", json.decode(output).data[1].id)
    ok, output = ran(base .. [[/v1/completions -d '{"prompt": "the quick", "max_tokens": 4, "temperature": 0}']])
    assert.is_true(ok)
    assert.equal("length", loopback.decode(output).choices[1].finish_reason)
    -- a body that curl announces with Expect: 100-continue
    files.write(directory .. "/long", json.encode { prompt = "x", max_tokens = 1, user = ("u"):rep(1 << 20 - 8192) })
    ok, output = ran(base .. "/v1/completions -d @" .. directory .. "/long")
    assert.is_true(ok)
    assert.equal("text_completion", loopback.decode(output).object)
    ok, output = ran(base .. [[/v1/chat/completions -N -d '{"messages": [{"role": "user", "content": "x"}], "stream": true, "max_tokens": 3}']])
    assert.is_true(ok)
    assert.equal("[DONE]", table.remove(loopback.events(output)))
  end)

  local python = find_python()
  local perhaps = python and it or function(name) pending(name .. " (no PYTHON with openai)") end
  perhaps("serves the openai package", function()
    files.write(directory .. "/client.py", OPENAI)
    local _, output = ran(("env -u OPENBLAS_CORETYPE -u LD_PRELOAD timeout 60 '%s' '%s/client.py' http://127.0.0.1:%d/v1"):format(python, directory, port))
    assert.equal("fine\n", output)
  end)

  it("ends after the answers in flight where it gets SIGTERM", function()
    local client = assert(socket.connect("127.0.0.1", port))
    client:settimeout(20)
    client:send(loopback.request("POST", "/v1/completions", { prompt = "the", max_tokens = 200, temperature = 0, stream = true },
      { Authorization = "Bearer k", Connection = "close" }))
    assert(client:receive "*l")
    os.execute("kill -TERM " .. number)
    local rest = client:receive "*a"
    assert.truthy(rest:find("data: [DONE]", 1, true))
    for _ = 1, 200 do
      if not os.execute("kill -0 " .. number .. " 2>/dev/null") then break end
      socket.sleep(0.025)
    end
    assert.is_nil(os.execute("kill -0 " .. number .. " 2>/dev/null"))
    assert.is_nil(socket.connect("127.0.0.1", port))
    assert.truthy(files.read(log):find "POST /v1/completions 200")
  end)

  it("ends at once where it gets SIGTERM twice", function()
    local other, at = start(directory, "--threads 1")
    local client = assert(socket.connect("127.0.0.1", at))
    client:send "GET /health HTTP/1.1\r\n" -- a request in flight, for which it waits half a minute
    client:settimeout(20)
    local asking = assert(socket.connect("127.0.0.1", at))
    asking:send(loopback.request("GET", "/health", nil, { Connection = "close" }))
    asking:receive "*a" -- then it has read the other one, too
    os.execute("kill -TERM " .. other)
    for _ = 1, 400 do -- until it is ending
      if not socket.connect("127.0.0.1", at) then break end
      socket.sleep(0.025)
    end
    assert.is_true(os.execute("kill -0 " .. other .. " 2>/dev/null"))
    os.execute("kill -TERM " .. other)
    local _, problem = client:receive "*a"
    assert.equal("closed", problem or "closed")
    for _ = 1, 200 do
      if not os.execute("kill -0 " .. other .. " 2>/dev/null") then break end
      socket.sleep(0.025)
    end
    assert.is_nil(os.execute("kill -0 " .. other .. " 2>/dev/null"))
  end)

  it("says how it is used", function()
    local function output(words)
      local _, text = ran(("LUA_PATH='%s' LUA_CPATH='%s' %s examples/server.lua %s"):format(package.path, package.cpath,
        process.interpreter, words))
      return text
    end
    assert.truthy(output(""):find "^a model expected\nusage: lua5.4 examples/server.lua MODEL")
    assert.truthy(output("a b"):find "^one model expected, got a and b\n")
    assert.truthy(output("a --port"):find "^%-%-port: a value expected\nusage:")
    files.write(directory .. "/broken.jinja", "{% if %}")
    assert.equal(directory .. "/broken.jinja: gpt.server: the chat template: line 1: a value expected, got the end of the block\n",
      output(("'%s/tiny' --port 0 --template '%s/broken.jinja'"):format(directory, directory)))
    local words = { "'" .. directory .. "/tiny'" } -- every option there is, and one more
    for name in files.read "lua/gpt/server/options.lua":gmatch '\n  { "([%l_]+)"' do
      if name ~= "tokenizer" and name ~= "log" then
        words[#words + 1] = "--" .. name:gsub("_", "-") .. (name == "reuse_port" and "" or "=1")
      end
    end
    assert.is_true(#words > 20)
    assert.truthy(output(table.concat(words, " ") .. " --log x"):find "^there is no option %-%-log; %-%-help lists them\n")
  end)

  it("reads its words as they are meant", function()
    local read = dofile "examples/support/options.lua"
    local kinds = { port = "number", max_tokens = "number", host = "text", api_key = "list", quiet = "flag", help = "flag" }
    assert.same({ { "a", "b" }, { port = 80, max_tokens = -5, host = "80", api_key = { "1", "--2" }, quiet = true } }, {
      read({ "a", "--port", "80", "--max-tokens", "-5", "--host=80", "--api-key", "1", "--quiet", "b", "--api-key=--2" }, kinds) })
    assert.same({ {}, { help = true } }, { read({ "-h" }, kinds) })
    for problem, words in pairs {
      ["--quiet takes no value, got false; without the option it is off"] = { "--quiet=false" },
      ["--quiet takes no value, got ; without the option it is off"] = { "--quiet=" },
      ["--api-key: its value is empty"] = { "--api-key=", "--quiet" },
      ["--host: its value is empty"] = { "--host", "" },
      ["--api-key: a value expected, got the option --quiet (a value that begins so is written --api-key=--quiet)"] =
        { "--api-key", "--quiet" },
      ["--port: a value expected"] = { "--port" },
      ["--port: a number expected, got x"] = { "--port", "x" },
      ["--port came twice"] = { "--port", "1", "--port=2" },
      ["there is no option --prot; did you mean --port?"] = { "--prot", "1" },
      ["there is no option --max_tokens; did you mean --max-tokens?"] = { "--max_tokens=1" },
      ["there is no option -port; did you mean --port?"] = { "-port" },
      ["there is no option -p; --help lists them"] = { "-p" },
      ["there is no option --; --help lists them"] = { "--" },
      ["there is no option --log; --help lists them"] = { "--log", "x" },
    } do
      assert.same({ n = 2, [2] = problem }, table.pack(read(words, kinds)))
    end
  end)
end)

describe("signals", function()
  it("that the process ignores stay ignored", function()
    local output, ok = process.lua([[
      local signals = require "gpt.server.signals"
      local stop = signals.watch()
      local pid = io.open "/proc/self/stat":read "n"
      os.execute("kill -INT " .. pid)
      assert(not stop())
      os.execute("kill -TERM " .. pid)
      assert(stop())
      getmetatable(stop).__close(stop)
      os.execute("kill -INT " .. pid)
    ]], "trap '' INT;")
    assert.is_true(ok, output)
  end)

  it("are watched once, and come back", function()
    local output, ok = process.lua [[
      local signals = require "gpt.server.signals"
      local stop = signals.watch()
      assert(not stop())
      print(select(2, pcall(signals.watch)))
      local pid = io.open "/proc/self/stat":read "n"
      os.execute("kill -TERM " .. pid)
      assert(stop())
      getmetatable(stop).__close(stop)
      local again <close> = signals.watch()
      assert(not again())
    ]]
    assert.is_true(ok, output)
    assert.truthy(output:find "gpt.server.signals: signals are watched already in this process")
  end)
end)
