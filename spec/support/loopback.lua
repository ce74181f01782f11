-- A server in this process, and clients of it on loopback: what they do is interleaved with the server's steps.
local gpt = require "gpt"
local json = require "gpt.support.json"
local script = require "spec.support.script"
local ok, socket = pcall(require, "socket")

local loopback = { there = ok }

local STEPS = 20000 -- a response that takes more is missing

--- A small model with random weights, whose tokens are bytes. Past the end of text (256) there are three words.
function loopback.model(more)
  gpt.seed(5)
  local config = { vocab_size = 260, context_length = 64, emb_dim = 16, n_heads = 2, n_layers = 2, drop_rate = 0 }
  for name, value in pairs(more or {}) do config[name] = value end
  local model = gpt.Model(gpt.config("gpt2-small", config))
  model.tokenizer = script.tokenizer { "one", "two", "three" }
  return model:eval()
end

-- Numbers that are the same in each run: seeds of requests, which decide when an answer ends.
local function numbers()
  local state = 0
  return function()
    state = state + 0x9E3779B97F4A7C15
    return state
  end
end

--- A server of a model, on a port that the system chooses.
function loopback.start(model, options)
  local given = { port = 0, template = loopback.template }
  for name, value in pairs(options or {}) do given[name] = value end
  local server = require("gpt.server").new(model, given)
  server.number = numbers()
  return server
end

--- What chats are written as.
function loopback.template(messages)
  local lines = {}
  for i, message in ipairs(messages) do lines[i] = message.role .. ":" .. message.content .. "\n" end
  return table.concat(lines) .. "a:"
end

local Client = {}
Client.__index = Client

--- A client that is connected.
function loopback.connect(server)
  local self = assert(socket.tcp4())
  assert(self:connect("127.0.0.1", server.port))
  self:settimeout(0)
  return setmetatable({ server = server, socket = self, got = "", closed = false }, Client)
end

function Client:send(text)
  assert(self.socket:send(text))
  return self
end

--- A value of JSON; for the character 0, which our decoder refuses, there is a question mark.
function loopback.decode(text)
  return json.decode((text:gsub("\\u0000", "?")))
end

-- Takes what there is.
function Client:look()
  local data, problem, partial = self.socket:receive(65536)
  self.got = self.got .. (data or partial)
  if problem and problem ~= "timeout" then self.closed = true end
end

--- Steps the server until fn() returns something true, and returns that.
function loopback.drive(server, fn)
  for _ = 1, STEPS do
    local value = fn()
    if value then return value end
    server:step(0)
  end
  error("nothing came", 2)
end

local function dechunked(text)
  local parts, at = {}, 1
  while true do
    local digits, start = text:match("^(%x+)\r\n()", at)
    if not digits then return nil end
    local size = tonumber(digits, 16)
    if #text < start + size + 1 then return nil end
    if size == 0 then return table.concat(parts), start + 2 end
    parts[#parts + 1] = text:sub(start, start + size - 1)
    at = start + size + 2
  end
end

-- The first response in a text, and where it ends; nil where it is not whole. head_only: it answers HEAD.
local function read_response(text, closed, head_only)
  local head, start = text:match "^(.-\r\n)\r\n()"
  if not head then return nil end
  local response = { status = tonumber(head:match "^HTTP/1.1 (%d+)"), headers = {} }
  for name, value in head:gmatch "\n([^:\r\n]+): ([^\r\n]*)" do response.headers[name:lower()] = value end
  local length = tonumber(response.headers["content-length"])
  local last
  if response.status == 100 or response.status == 204 or head_only then
    response.body, last = "", start - 1
  elseif response.headers["transfer-encoding"] then
    local body, size = dechunked(text:sub(start))
    response.body, last = body, body and start + size - 1
  elseif length then
    last = start + length - 1
    response.body = #text >= last and text:sub(start, last) or nil
  else
    last, response.body = #text, closed and text:sub(start) or nil
  end
  return response.body and response, last
end

--- The next response, as a table `status`, `headers`, `body`.
function Client:response(head_only)
  return loopback.drive(self.server, function()
    self:look()
    local response, last = read_response(self.got, self.closed, head_only)
    if not response then
      if self.closed then error("closed without a response: " .. self.got, 0) end
      return nil
    end
    self.got = self.got:sub(last + 1)
    return response
  end)
end

--- Steps until the server closes the connection.
function Client:wait_closed()
  return loopback.drive(self.server, function()
    self:look()
    return self.closed
  end)
end

function Client:close()
  self.socket:close()
end

--- The text of a request.
function loopback.request(method, path, body, headers)
  local lines = { ("%s %s HTTP/1.1"):format(method, path), "Host: localhost" }
  if type(body) == "table" then body = json.encode(body) end
  if body then lines[#lines + 1] = "Content-Length: " .. #body end
  for name, value in pairs(headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

--- A request of its own connection, and the response, with `json` where it is JSON.
function loopback.ask(server, method, path, body, headers)
  local client = loopback.connect(server)
  client:send(loopback.request(method, path, body, headers))
  local response = client:response(method == "HEAD")
  client:close()
  if (response.headers["content-type"] or ""):find "json" and response.body ~= "" then
    response.json = loopback.decode(response.body)
  end
  return response
end

--- The events of a stream, decoded; the last one is the text "[DONE]".
function loopback.events(body)
  local list = {}
  for line in body:gmatch "data: ([^\n]*)\n\n" do list[#list + 1] = line == "[DONE]" and line or loopback.decode(line) end
  return list
end

return loopback
