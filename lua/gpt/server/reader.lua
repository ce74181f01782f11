-- Requests from the bytes of a connection, however they are cut. It reads no socket.
local Problem = require "gpt.server.problem"
local head = require "gpt.server.head"

local Reader = {}
Reader.__index = Reader

local MOST_HEAD = 16384
local MOST_CHUNK_LINE = 1024
local MOST_PARTS = 4096 -- then they are joined: a body of chunks of one byte takes no more memory than another

local function refuse(status, message)
  error(Problem.new(status, message, { close = true }))
end

--- @tparam integer most_body bytes of a body, at most
function Reader.new(most_body)
  return setmetatable({
    most_body = most_body,
    buffer = "", at = 1, -- bytes as they came, and where the first that is not read yet is
    seen = 1,            -- no mark begins before it
    request = nil,       -- whose head was read, and whose body is not whole
    parts = {},          -- of this body
    bytes = 0,           -- of this body
    part = "head",       -- what comes next: the name of a method below
    wanted = 0,          -- bytes of the body, or of the chunk, that are still to come
  }, Reader)
end

--- Takes bytes as they came.
function Reader:add(bytes)
  self.buffer = self.buffer:sub(self.at) .. bytes
  self.seen, self.at = math.max(self.seen - self.at + 1, 1), 1
end

-- How many bytes are there.
local function rest(self)
  return #self.buffer - self.at + 1
end

--- How many bytes wait behind the request that was read last.
Reader.waiting = rest

--- Whether a head was read whose body is not whole.
function Reader:in_body()
  return self.part ~= "head"
end

--- Whether a request has begun.
function Reader:begun()
  return self:in_body() or rest(self) > 0
end

--- How many bytes it holds.
function Reader:size()
  return rest(self) + (self:in_body() and self.bytes or 0)
end

-- Takes what comes before a mark, and the mark; nil where it is not there yet.
local function take_until(self, mark, most, status, what)
  local first, last = self.buffer:find(mark, math.max(self.at, self.seen - #mark + 1), true)
  if (first or #self.buffer + 1) - self.at > most then
    refuse(status, ("%s may have %d bytes"):format(what, most))
  end
  self.seen = (last or #self.buffer) + 1
  if not first then return nil end
  local text = self.buffer:sub(self.at, first - 1)
  self.at = last + 1
  return text
end

local function add_part(self, piece)
  local parts = self.parts
  parts[#parts + 1] = piece
  if #parts == MOST_PARTS then self.parts = { table.concat(parts) } end
end

-- Takes what is there of the next `wanted` bytes, into the body.
local function take_wanted(self)
  local piece = self.buffer:sub(self.at, self.at + self.wanted - 1)
  self.at = self.at + #piece
  self.wanted = self.wanted - #piece
  add_part(self, piece)
  return self.wanted == 0
end

local function grow(self, bytes)
  self.bytes = self.bytes + bytes
  if self.bytes > self.most_body then
    refuse(413, ("a body may have %d bytes"):format(self.most_body))
  end
end

-- Whether a line end comes before the first CR.
local function bare_line_end(self)
  local line_end = self.buffer:find("\n", self.at, true)
  return line_end and not self.buffer:sub(self.at, line_end):find("\r", 1, true)
end

-- Empty lines before a request are passed over: old clients send one behind a body.
function Reader:head()
  self.at = self.buffer:match("^[\r\n]*()", self.at)
  if bare_line_end(self) then refuse(400, "lines end with CR LF") end
  local text = take_until(self, "\r\n\r\n", MOST_HEAD, 431, "the head of a request")
  if not text then return false end
  self.request = head.read(text)
  self.parts, self.bytes = {}, 0
  local framing = self.request.framing
  if framing == "chunked" then
    self.part = "chunk_size"
  else
    grow(self, framing or 0)
    self.wanted, self.part = framing or 0, "body"
  end
  return true
end

function Reader:body()
  return take_wanted(self) and self:finish()
end

function Reader:chunk_size()
  local line = take_until(self, "\r\n", MOST_CHUNK_LINE, 400, "the line of a chunk's size")
  if not line then return false end
  local digits = line:match "^(%x+)[ \t]*$" or line:match "^(%x+)[ \t]*;"
  if not digits or #digits > 8 then refuse(400, "the size of a chunk is no hexadecimal number") end
  self.wanted = tonumber(digits, 16)
  grow(self, self.wanted)
  self.part = self.wanted == 0 and "trailer" or "chunk"
  return true
end

function Reader:chunk()
  if take_wanted(self) then self.part = "chunk_end" end
  return self.part == "chunk_end"
end

function Reader:chunk_end()
  if rest(self) < 2 then return false end
  if self.buffer:sub(self.at, self.at + 1) ~= "\r\n" then refuse(400, "a chunk is longer than its size") end
  self.at, self.part = self.at + 2, "chunk_size"
  return true
end

-- Headers behind a chunked body say nothing that is needed here.
function Reader:trailer()
  local line = take_until(self, "\r\n", MOST_HEAD, 431, "a header behind the body")
  if not line then return false end
  grow(self, #line) -- so that there is an end of them
  return line ~= "" or self:finish()
end

-- The request is whole.
function Reader:finish()
  self.request.body = self.request.framing and table.concat(self.parts) or nil
  self.parts, self.part = {}, "head"
  return "done"
end

--- Goes on. Returns "head" when one was read, with the request; "done" when its body was; nil where bytes are missing.
-- @raise a Problem after which nothing that comes can be read
function Reader:next()
  while true do
    local at = self.part
    local went = self[at](self)
    if went == "done" then return "done", self.request end
    if not went then return nil end
    if at == "head" then return "head", self.request end
  end
end

return Reader
