-- A thousand requests of all kinds, a third of them hostile, from clients that come together.
local loopback = require "spec.support.loopback"

if not loopback.there then
  pending "gpt.server under many requests (luasocket is not installed: Debian's lua-socket)"
  return
end

local gpt = require "gpt"
local REQUESTS, TOGETHER = 1000, 20
local request = loopback.request

local function complete(body) return request("POST", "/v1/completions", body) end

-- What a client sends, and the status that it must get.
local KINDS = {
  { 200, function(i) return complete { prompt = ("x"):rep(i % 50 + 1), max_tokens = i % 9 + 1, stream = i % 2 == 0 } end },
  { 200, function(i) return complete { prompt = { { 1, 2 }, { 3 } }, max_tokens = 2, seed = i, logprobs = 1 } end },
  { 200, function(i)
    return request("POST", "/v1/chat/completions", { messages = { { role = "user", content = "hi " .. i } }, max_tokens = 5,
      stream = i % 3 == 0 })
  end },
  { 200, function() return request("GET", "/v1/models") end },
  { 200, function() return request("GET", "/health") end },
  { 400, function() return complete { prompt = ("y"):rep(500) } end },
  { 400, function() return complete { prompt = "a", n = 3 } end },
  { 400, function() return complete "{{{" end },
  { 400, function() return complete(("["):rep(90000)) end },
  { 400, function() return "\22\3\1\r\n\r\n" end }, -- a client that speaks TLS
  { 400, function()
    return "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
  end },
  { 404, function() return request("GET", "/nothing") end },
  { 413, function() return "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n" end },
  { 431, function() return "GET / HTTP/1.1\r\nHost: localhost\r\n" .. ("A: b\r\n"):rep(200) .. "\r\n" end },
}

-- The next clients, of which each has sent its request. Every seventh one goes on without a word.
local function arrive(server, first)
  local clients = {}
  for i = first, first + TOGETHER - 1 do
    local kind = KINDS[i % #KINDS + 1]
    local client = loopback.connect(server):send(kind[2](i))
    if i % 7 == 0 then client:close() else table.insert(clients, { client, kind[1] }) end
  end
  return clients
end

local function storm(server, requests)
  for first = 1, requests, TOGETHER do
    for i, each in ipairs(arrive(server, first)) do
      local client, status = table.unpack(each)
      assert.equal(status, client:response().status, ("request %d of those from %d on"):format(i, first))
      client:close()
    end
  end
end

-- Bytes that the core holds, and KiB of Lua's, behind collections: what is freed may let go of more.
local function held()
  local live
  repeat
    live = gpt.memory().live
    collectgarbage()
  until gpt.memory().live == live
  return live, collectgarbage "count"
end

-- What is held once nobody is there: without what is kept for conversations that go on, and what that is.
local function at_rest(server)
  loopback.ask(server, "POST", "/v1/completions", { prompt = "a", max_tokens = 1 }) -- the logits of the last pass stay
  loopback.drive(server, function() return #server.connections == 0 and server.scheduler:counts() == 0 end)
  local all = held()
  server:forget()
  local core, lua = held()
  return core, lua, all - core
end

local SESSIONS, KEPT_TOKENS = 4, 100
local PAGE, SMALL = 64, 8192 -- tokens of a page, bytes beside pages of a session

describe("gpt.server under many requests", function()
  it("responds to each as it must, and its memory returns to where it was", function()
    local model = loopback.model()
    local server <close> = loopback.start(model, { sessions = SESSIONS, queue = 2 * TOGETHER, kept_tokens = KEPT_TOKENS })
    storm(server, 10 * #KINDS)
    local core_before, lua_before = at_rest(server)
    storm(server, REQUESTS)
    local core, lua, kept = at_rest(server)
    assert.equal(core_before, core)
    assert.is_true(math.abs(lua - lua_before) < 16) -- KiB
    local token = 2 * model.config.n_layers * model.config.emb_dim * 4
    assert.is_true(kept > 0 and kept <= KEPT_TOKENS * token + 2 * SESSIONS * (PAGE * token + SMALL))
  end)
end)
