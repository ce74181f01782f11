-- HTTP requests: a server whose listener hands it the input as the bytes of one connection, as if the network had cut
-- them into pieces of a size that the first byte says. No request brings the server about to fail (500), and every
-- connection comes to its end.
local gpt = require "gpt"
local json = require "gpt.support.json"
local tiny = require "spec.fuzz.tiny"

local MOST_STEPS = 2000

-- A socket that has these bytes to read, and takes all that is written.
local Socket = {}
Socket.__index = Socket

function Socket.new(bytes, size) return setmetatable({ bytes = bytes, at = 1, size = size, got = {} }, Socket) end
function Socket.settimeout() end
function Socket.shutdown() end
function Socket:close() self.closed = true end

function Socket:receive(most)
  if self.at > #self.bytes then return nil, "closed", "" end
  local piece = self.bytes:sub(self.at, self.at + math.min(most, self.size) - 1)
  self.at = self.at + #piece
  return nil, "timeout", piece
end

function Socket:send(text, first)
  self.got[#self.got + 1] = text:sub(first)
  return #text
end

-- The listener's place in the server: one connection after the other, always readable.
local Listener = {}
Listener.__index = Listener
function Listener.address() return "127.0.0.1", 80 end
function Listener.fits() return true end
function Listener.close() end
function Listener:accept()
  local socket = self.next
  self.next = nil
  return socket
end
function Listener.select(reads, writes) return reads, writes end

local function replace_listener()
  local listener = setmetatable({ socket = {} }, Listener)
  package.loaded["gpt.server.listener"] = { open = function() return listener end }
  return listener
end

-- Grammars are made anew for each request: kept ones would look like a leak.
local function forget_grammars()
  local grammar = require "gpt.grammar"
  local made = grammar.grammar
  grammar.read = function(_, given) return made(given) end
end

local function template(messages)
  local lines = {}
  for i, message in ipairs(messages) do lines[i] = message.role .. ":" .. tostring(message.content) .. "\n" end
  return table.concat(lines)
end

local function check_responses(text)
  if text:find("HTTP/1.1 500", 1, true) then error { found = "the server failed: " .. text } end
  for body in text:gmatch '\r\n\r\n({"error".-)\r?\n?HTTP/1.1' do json.decode(body, "a response") end
end

local function make()
  local listener = replace_listener()
  forget_grammars()
  local now, problem = 0, nil
  local model = gpt.Model(gpt.config("gpt2-small", { vocab_size = 280, context_length = 32, emb_dim = 4, n_heads = 1,
    n_layers = 1, drop_rate = 0 })):eval()
  local server = require("gpt.server").new(model, { tokenizer = tiny.tokenizer(), template = template, max_tokens = 4,
    sessions = 2, queue = 2, body_bytes = 4096, log = function(line)
      if line:find "^error" then problem = line end
    end })
  function server.clock() return now end
  return function(bytes)
    local socket = Socket.new(bytes:sub(2), 1 + (bytes:byte() or 255) * 4)
    listener.next, problem = socket, nil
    for _ = 1, MOST_STEPS do
      server:step(0)
      now = now + 0.05
      if socket.closed then break end
    end
    server:forget()
    if problem then error { found = problem } end
    if not socket.closed then error { found = "a connection that does not end" } end
    check_responses(table.concat(socket.got))
  end
end

return { http = { make = make } }
