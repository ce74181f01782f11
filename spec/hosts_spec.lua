-- The programs of examples/hosts, and the program of docs/c.md. Each needs something of its own, and is pending without.
local gpt = require "gpt"
local files = require "spec.support.files"
local process = require "spec.support.process"

local has_socket, socket = pcall(require, "socket")

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read "a"
  return output, pipe:close() == true
end

local function has_program(name) return select(2, output_of("command -v " .. name)) end

local function root() return (output_of "pwd"):gsub("\n$", "") end

-- Where core.so was built: BUILD of the Makefile.
local function build()
  local path = package.searchpath("gpt.core", package.cpath)
  return (path:match "^/" and path or root() .. "/" .. path):match "^(.*)/gpt/core%.so$"
end

local function static_flags()
  local file = io.open(build() .. "/libluagpt.a")
  if not file then pending "libluagpt.a is not built (make static)" end
  file:close()
  local command = "env -u MAKEFLAGS make -s --no-print-directory static-libs BUILD='%s'" -- not one of make's that runs us
  return (output_of(command:format(build())):gsub("\n", " "))
end

local directory, model

setup(function()
  directory = files.directory()
  model = directory .. "/model"
  gpt.seed(4)
  local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
  local made = gpt.Model {
    vocab_size = tokenizer.vocab_size, context_length = 96, emb_dim = 16, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = true,
  }
  made.tokenizer = tokenizer
  made:save(model)
end)

teardown(function() files.remove(directory) end)

describe("a program with luagpt in it", function()
  it("embeds Lua, loads a model and writes what it generates", function()
    local flags, program = static_flags(), directory .. "/writer"
    assert.same({ "", true }, { output_of(
      ("cc -O1 -Icsrc $(pkg-config --cflags lua5.4) -o '%s' examples/hosts/program/main.c %s"):format(program, flags)) })
    local output, ok = output_of(("'%s' '%s' Hello"):format(program, model))
    assert.is_true(ok)
    assert.matches("^Hello", output)
    assert.is_true(#output > 60)
    assert.same({ "gpt.load: nowhere: no such directory or file; gpt.load reads files of this machine and downloads nothing\n",
      false }, { output_of("'" .. program .. "' nowhere Hello") })
  end)

  it("lets modules in C that it loads find Lua in it, and shows them neither the core nor OpenBLAS", function()
    if not has_socket then pending "luasocket is not installed" end
    local flags, program = static_flags(), directory .. "/loads"
    files.write(program .. ".c", [[
      #include <lauxlib.h>
      #include <lualib.h>
      #include <stdio.h>
      #include "static/luagpt.h"
      int main(void) {
        lua_State *L = luaL_newstate();
        luaL_openlibs(L);
        gpt_preload(L);
        if (luaL_dostring(L, "return require('gpt.server').new ~= nil and 'loaded'")) fputs("failed: ", stdout);
        puts(lua_tostring(L, -1));
        lua_close(L);
        return 0;
      }
    ]])
    assert.same({ "", true }, { output_of(
      ("cc -O1 -Icsrc $(pkg-config --cflags lua5.4) -o '%s' '%s.c' %s"):format(program, program, flags)) })
    assert.equal("loaded\n", (output_of("'" .. program .. "'")))
    if has_program "nm" then
      assert.equal("", (output_of(("nm -D --defined-only '%s' | grep -E ' (gpt_|cblas_)'"):format(program))))
    end
  end)

  it("takes less than 5 MB without OpenBLAS", function()
    local flags, program = static_flags(), directory .. "/small"
    if not flags:find "libopenblas%.a" then pending "OpenBLAS's static library is not installed" end
    local shared = flags:gsub("%S*libopenblas%.a", "-lopenblas"):gsub("%S*%-%-exclude%-libs%S*", "")
    local built = output_of(("cc -s -Icsrc $(pkg-config --cflags lua5.4) -o '%s' examples/hosts/program/main.c %s"):format(
      program, shared))
    if built:find "undefined reference to .__[au]%w*san" then pending "built for a sanitizer" end
    assert.equal("", built)
    local file <close> = assert(io.open(program))
    assert.is_true(file:seek "end" < 5000000)
  end)

  it("may be of C alone: docs/c.md", function()
    local flags, program = static_flags(), directory .. "/generate"
    files.write(program .. ".c", files.read("docs/c.md"):match "```c\n(.-)```\n")
    assert.same({ "", true }, { output_of(("cc -O1 -Wall -Wextra -Icsrc -o '%s' '%s.c' %s"):format(program, program, flags)) })
    gpt.seed(1)
    local made = gpt.Model {
      vocab_size = 50, context_length = 32, emb_dim = 32, n_heads = 2, n_layers = 2, drop_rate = 0, qkv_bias = false,
    }
    for _, tensor in made:parameters() do gpt.no_grad(tensor.copy, tensor, gpt.randn(tensor:shape()) * 0.3) end
    made:save_parameters(program .. ".safetensors")
    local expected = table.concat(made:generate({ 1 }, { max_new_tokens = 20 }), " ", 2) .. " "
    assert.same({ expected, true }, { output_of(("'%s' '%s.safetensors'"):format(program, program)) })
    assert.same({ "nowhere: No such file or directory", false }, { output_of("'" .. program .. "' nowhere") })
  end)
end)

describe("a game's loop", function()
  it("gets a character's words a few milliseconds at a time", function()
    local output, ok = process.lua(([[
      local Speech = dofile "examples/hosts/game/speech.lua"
      local gpt = require "gpt"
      local model, now, calls = gpt.load %q, 0, 0
      local function clock() now = now + 0.002 return now end -- each look at the clock is 2 ms later
      local speech = Speech.new(model, ("Once upon a time "):rep(3), { max_new_tokens = 30, seed = 1, temperature = 1 }, clock)
      local text, more, new = "", true, nil
      while more do
        new, more = speech:advance(0.005)
        text, calls = text .. new, calls + 1
      end
      local whole = model:generate(("Once upon a time "):rep(3), { max_new_tokens = 30, seed = 1, temperature = 1 })
      print(whole:sub(52) == text, #text > 20, calls > 5)
    ]]):format(model))
    assert.same({ "true\ttrue\ttrue\n", true }, { output, ok })
    output, ok = process.lua(([[arg = { [0] = "examples/hosts/game/main.lua", %q } dofile(arg[0])]]):format(model))
    assert.is_true(ok)
    assert.matches("\n%d+ frames; the longest took [%d.]+ ms\n$", output)
  end)
end)

describe("a sandbox", function()
  it("gives a script a model, and neither files nor modules nor all the time", function()
    local output, ok = process.lua [==[
      local sandbox = dofile "examples/hosts/sandbox/sandbox.lua"
      local gpt = require "gpt"
      local model = gpt.Model {
        vocab_size = 50, context_length = 16, emb_dim = 8, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = false,
      }
      local function run(text) return sandbox.run(text, { model = model, seconds = 0.1, bytes = 10000000 }) end
      local function check(text, expected)
        local _, result = run(text)
        result = result:gsub("\nstack traceback.*", "")
        assert(result == expected, text .. ": " .. result)
      end
      check("print(#model:generate({ 1, 2 }, { max_new_tokens = 4 }), gpt.ones(2):sum():item())", "6\t2.0")
      check("print(string.upper 'a', math.abs(-1), utf8.char(65), tostring(1) .. type(1), string.dump)",
        "A\t1\tA\t1number\tnil")
      for text, path in pairs {
        ["gpt.load 'x'"] = "x", ["model:save 'x'"] = "x", ["model:save_parameters 'x'"] = "x",
        ["model:load_parameters 'x'"] = "x", ["gpt.read_gguf 'x'"] = "x", ["gpt.read_safetensors 'x'"] = "x",
        ["gpt.write_safetensors('x', { a = gpt.ones(1) })"] = "x", ["gpt.tokenizer 'x'"] = "x",
        ["gpt.plot.line('x.svg', { y = { 1, 2 } })"] = "x.svg",
        ["gpt.train { model = model, data = gpt.dataset({ 1, 2, 3, 4, 5 }, { context_length = 2 }), steps = 1, "
          .. "metrics = 'x.csv', progress = false }"] = "x.csv",
        ["gpt.train { model = model, data = gpt.dataset({ 1, 2, 3, 4, 5 }, { context_length = 2 }), steps = 1, "
          .. "checkpoints = 'x', progress = false }"] = "x",
      } do check(text, "script:1: " .. path .. ": files are forbidden in this Lua state (gpt.forbid_files)") end
      check("gpt.lora(model):save_adapter 'x'", "script:1: x: files are forbidden in this Lua state (gpt.forbid_files)")
      check("require 'gpt.core'", "script:1: attempt to call a nil value (global 'require')")
      check("io.open 'x'", "script:1: attempt to index a nil value (global 'io')")
      check("debug.sethook()", "script:1: attempt to index a nil value (global 'debug')")
      check("gpt.memory { limit = 0 }", "script:1: attempt to call a nil value (field 'memory')")
      check("gpt.nn.Linear = print", "script:1: a script cannot change luagpt")
      check("gpt.plot.line = nil", "script:1: a script cannot change luagpt")
      check("gpt.Model, string.upper, math.abs = nil", "")
      check("local n = 0 for name in pairs(gpt.optim) do n = n + 1 end print(n, gpt.nn.Linear(2, 3), #tostring(gpt.plot { 1, 2 }) > 9)",
        "3\tLinear(2, 3)  -- 9\ttrue")
      assert(gpt.Model and string.upper and math.abs)
      check("gpt.interruptible(print)", "script:1: attempt to call a nil value (field 'interruptible')")
      check("gpt.family {}", "script:1: attempt to call a nil value (field 'family')")
      check("gpt.train { model = model, data = gpt.dataset({ 1, 2, 3, 4, 5 }, { context_length = 2 }), steps = 1 }", "")
      check("while true do end", "the script takes too long")
      check("while true do pcall(function() while true do end end) end", "the script takes too long")
      check("error(gpt.nn.layer('L', { forward = print, describe = function() while true do end end })())",
        "the script takes too long")
      local done, problem = run "local t = {} for i = 1, 100 do t[i] = gpt.zeros(1000, 1000) end"
      assert(not done and problem:find("limit", 1, true), problem)
      done, problem = run "gpt.nn.layer('X', { forward = function() while true do end end })()(gpt.ones(1, 2))"
      assert(not done and problem:find("the script takes too long", 1, true), problem)
      io.write "held"
    ]==]
    assert.same({ "held", true }, { output, ok })
  end)
end)

local function free_port()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  server:close()
  return port
end

-- Starts a server, calls fn with a connection to it, and ends it.
local function with_server(command, port, fn)
  local log = directory .. "/log"
  local pipe = assert(io.popen(("%s > '%s' 2>&1 & echo $!"):format(command, log)))
  local pid = pipe:read "n"
  pipe:close()
  local connection
  for _ = 1, 100 do
    connection = socket.connect("127.0.0.1", port)
    if connection then break end
    socket.sleep(0.05)
  end
  local done, problem = pcall(function()
    assert(connection, "the server does not listen: " .. files.read(log)):settimeout(10)
    fn(connection)
  end)
  if connection then connection:close() end
  os.execute("kill " .. pid)
  if not done then error(tostring(problem) .. "\n" .. files.read(log), 0) end
end

-- All that comes until a pattern does.
local function read_until(connection, pattern)
  local text = ""
  while not text:find(pattern) do
    local byte, problem = connection:receive(1)
    assert(byte, ("%s, and not %s, after: %s"):format(problem or "", pattern, text))
    text = text .. byte
  end
  return text
end

describe("lighttpd", function()
  it("serves a model by mod_magnet", function()
    if not (has_socket and has_program "lighttpd" and io.open "/usr/lib/lighttpd/mod_magnet.so") then
      pending "lighttpd with mod_magnet, or lua-socket, is not installed"
    end
    local port = free_port()
    local command = ("LUAGPT_ROOT='%s' LUAGPT_BUILD='%s' LUAGPT_MODEL='%s' LUAGPT_PORT=%d exec lighttpd -D -f "
      .. "examples/hosts/lighttpd/lighttpd.conf"):format(root(), build(), model, port)
    with_server(command, port, function(connection)
      local function request(method, body)
        connection:send(("%s /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"):format(method, #body, body))
        local head = read_until(connection, "\r\n\r\n")
        return head:match "^HTTP/1.1 (%d+)", connection:receive(tonumber(head:match "Content%-Length: (%d+)"))
      end
      local status, text = request("POST", "Hello wor")
      assert.same({ "200", "Hello wor" }, { status, text:sub(1, 9) })
      assert.same({ "400", "a prompt of 1 to 4000 bytes expected\n" }, { request("POST", ("a"):rep(5000)) })
      assert.same({ "405", "POST a prompt\n" }, { request("GET", "") })
      assert.equal("200", (request("POST", "Again")))
    end)
  end)
end)

describe("Prosody", function()
  it("has a chat bot", function()
    if not (has_socket and has_program "prosody") then pending "prosody, or lua-socket, is not installed" end
    local port = free_port()
    local command = ("LUA_PATH='%s' LUA_CPATH='%s' LUAGPT_MODEL='%s' LUAGPT_PORT=%d LUAGPT_DATA='%s' exec prosody -F --config "
      .. "'%s/examples/hosts/prosody/prosody.cfg.lua'"):format(package.path:gsub("%./", root() .. "/"),
      package.cpath:gsub("%./", root() .. "/"), model, port, directory, root())
    with_server(command, port, function(connection)
      local function say(text, pattern)
        connection:send(text)
        return read_until(connection, pattern)
      end
      local head = '<stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" to="localhost" version="1.0">'
      say("<?xml version='1.0'?>" .. head, "</stream:features>")
      say('<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>', "<success")
      say(head, "</stream:features>")
      say('<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>', "</iq>")
      local answer = say('<message to="bot.localhost" type="chat"><body>Hello</body></message>', "</message>")
      assert.matches("from='bot.localhost'", answer, 1, true)
      assert.matches("<body>.+</body>", answer)
      local long = ('<message to="bot.localhost"><body>%s</body></message>'):format(("a"):rep(3000))
      assert.matches("<body>That is too long for me.</body>", say(long, "</message>"), 1, true)
    end)
  end)
end)
