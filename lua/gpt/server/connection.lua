-- One client: what it sends becomes requests, one after the other, and what is written waits until it takes it.
local Outbox = require "gpt.server.outbox"
local Problem = require "gpt.server.problem"
local Reader = require "gpt.server.reader"
local response = require "gpt.server.response"

local Connection = {}
Connection.__index = Connection

local AT_ONCE = 16384         -- bytes read in a step
local OF_A_BODY = 262144      -- of a body: few passes of a slow model, then it is there
local PROGRESS = 16384        -- bytes: a body of which so many came with a pass is on its way, however long passes take
local MOST_BEHIND = 65536     -- bytes that are taken behind a request that is being answered
local MOST_SERVED = 8         -- requests served in a row
local MOST_UNREAD = 65536     -- bytes of responses that a client may leave unread and get another one
local MOST_WAITING = 1 << 20  -- bytes of a stream that it may leave unread before it is dropped
local LINGER_SECONDS = 2
local NOTHING = Outbox.new()  -- what a closed one writes: closing works without memory, too

-- socket: does not block. limits: the server's options. server: its `handle(connection, request)` answers with
-- connection:respond, or keeps the connection and does so later; its `check(request)` raises a Problem before the body
-- comes; its `has_time()` says whether another request may be served in this step.
function Connection.new(socket, limits, server, now)
  socket:settimeout(0)
  return setmetatable({
    socket = socket, limits = limits, handle = server.handle, check = server.check, has_time = server.has_time,
    reader = Reader.new(limits.body_bytes),
    state = "reading",     -- "answering": a request is being served; "finishing": the last response is being written;
                           -- "lingering": it was, and the client may still be sending; "closed"
    deadline = now + limits.request_seconds,
    asked_at = now,        -- when the request that is read or answered began to come
    outbox = Outbox.new(), -- what is to be written
    unread_since = now,    -- when the oldest of that was
    came = 0,              -- bytes, in this step
    behind = false,        -- what came may be a request: it waits where others are served first, or it does not read
    behind_since = now,
    served = 0,            -- requests, in this step
    awaited = false,       -- the server is ending, and waits for it
    request = nil,         -- being answered
    begun = false,         -- its response is
    last = false,          -- closes behind this response
    eof = false,           -- the client sends no more
    on_gone = nil,         -- called where the client leaves while it is being answered
  }, Connection)
end

--- Ends it at once.
function Connection:close()
  if self.state == "closed" then return end
  self.state = "closed"
  self.socket:close()
  self.outbox, self.behind = NOTHING, false
  local gone = self.on_gone
  self.on_gone = nil
  if gone then gone() end
end

--- Queues text.
function Connection:write(text, now)
  if self.state == "closed" then return end
  if self.outbox.bytes == 0 then self.unread_since, self.write_deadline = now, now + self.limits.write_seconds end
  self.outbox:add(text)
end

--- How many bytes it has still to be written.
function Connection:unread()
  return self.outbox.bytes
end

--- Whether the client leaves more unread than it may.
function Connection:choked()
  return self:unread() > MOST_WAITING
end

-- A client that is still sending would lose the response if the connection were closed at once.
local function linger(self, now)
  if self.eof then return self:close() end
  self.socket:shutdown "send"
  self.state, self.deadline = "lingering", now + LINGER_SECONDS
end

-- Writes a text. Returns whether the client took all of it.
local function write_next(self, now)
  local text, before = self.outbox:next()
  local last, problem, partial = self.socket:send(text, before + 1)
  local written = (last or partial or before) - before
  if problem and problem ~= "timeout" then
    self:close()
    return false
  end
  if written > 0 then self.write_deadline = now + self.limits.write_seconds end
  self.outbox:wrote(written)
  return not problem
end

-- When a client that is being read has to have sent what it sends next.
local function reading_deadline(self, now)
  return now + (self.reader:begun() and self.limits.request_seconds or self.limits.idle_seconds)
end

--- Writes what the client takes. The time for what it sends next begins when it has read what was sent to it.
function Connection:flush(now)
  if self:unread() == 0 then return end
  repeat local went = write_next(self, now) until not went or self:unread() == 0
  if self:unread() > 0 or self.state == "closed" then return end
  if self.state == "reading" then self.deadline = math.max(self.deadline, reading_deadline(self, now)) end
  if self.state == "finishing" then linger(self, now) end
end

local function set_behind(self, now)
  if not self.behind then self.behind_since = now end
  self.behind = true
end

--- The end of a response. The next request may be read.
function Connection:done(now)
  if self.state == "closed" then return end
  self.request, self.on_gone, self.begun = nil, nil, false
  if self.last then
    self.state = "finishing"
    if self:unread() == 0 then linger(self, now) end
  else
    self.state, self.deadline, self.asked_at = "reading", reading_deadline(self, now), now
    if self.reader:waiting() > 0 then set_behind(self, now) end
  end
end

--- A whole response. headers has more than those that every one has.
function Connection:respond(status, headers, body, now)
  headers["Content-Length"] = status ~= 204 and #body or nil
  self:begin(status, headers, now)
  if not (self.request and self.request.method == "HEAD") then self:write(body, now) end
  self:done(now)
end

--- The head of a response.
function Connection:begin(status, headers, now)
  local request = self.request
  if not request or not request.keep_alive then self.last = true end
  headers.Connection = self.last and "close" or not request.current and "keep-alive" or nil
  headers.Date = response.date()
  self:write(response.head(status, headers), now)
  self.begun = true
end

--- Whether a body of unknown length comes in chunks; HTTP/1.0 ends it by closing.
function Connection:begin_stream(status, headers, now)
  self.chunked = self.request.current
  if self.chunked then headers["Transfer-Encoding"] = "chunked" else self.last = true end
  self:begin(status, headers, now)
end

function Connection:write_stream(text, now)
  self:write(self.chunked and response.chunk(text) or text, now)
end

function Connection:end_stream(now)
  if self.chunked then self:write(response.chunk "", now) end
  self:done(now)
end

--- Responds with a problem to a request that cannot be read, or may not come further.
function Connection:refuse(problem, now)
  if problem.close or self.reader:in_body() then self.last = true end
  self.state = "answering"
  self.handle(self, self.request, problem, now)
end

local function read_head(self, request, now)
  self.request = request
  self.check(request)
  if request.expects and request.framing and self.reader:waiting() == 0 then self:write(response.CONTINUE, now) end
end

-- The next event of the reader; "refused" where a problem was told.
local function advance(self, now)
  local what, request
  local ok, problem = pcall(function()
    what, request = self.reader:next()
    if what == "head" then read_head(self, request, now) end
  end)
  if ok then return what, request end
  if not Problem.is(problem) then error(problem, 0) end
  self:refuse(problem, now)
  return "refused"
end

-- Whether the next request has to wait: others are served after so many in a row, or where there is no time for more in
-- this step; and a client that does not read what it asked for gets no more of it.
local function waits(self)
  return self.reader:waiting() > 0
    and (self.served == MOST_SERVED or self:unread() > MOST_UNREAD or not self.has_time())
end

--- Whether what came may be a request that waits for its turn alone.
function Connection:is_next()
  return self.behind and self.state == "reading" and self:unread() <= MOST_UNREAD
end

-- Serves the requests that are whole, until one has to wait.
local function serve_whole(self, now)
  repeat
    self.behind = waits(self)
    local what, request
    if not self.behind then what, request = advance(self, now) end
    if what == "done" then
      self.state = "answering"
      self.handle(self, request, nil, now)
    end
    if what == "done" or what == "refused" then self.served = self.served + 1 end
  until not what or self.state ~= "reading"
end

--- Serves the requests that are whole, until one has to wait. Where the client sends no more, they were the last. Where
-- there is none yet, the client's time for it does not count while it was not looked at.
function Connection:serve(now)
  self.served = 0
  if not self:is_next() then return end
  local waited = now - self.behind_since
  serve_whole(self, now)
  if self.served > 0 then self.behind_since = now end
  if self.served == 0 and not self.behind then self.deadline = self.deadline + waited end
  if self.eof then self:gone(now) end
end

-- How many bytes are read at once. What comes while a request is being answered waits, or responses would mix.
local function room(self)
  if self.state == "answering" then return MOST_BEHIND - self.reader:waiting() end
  return self.reader:in_body() and OF_A_BODY or AT_ONCE
end

--- Reads what came, which `serve` looks at.
function Connection:receive(now)
  local idle = self.state == "reading" and not self.reader:begun()
  local data, problem, partial = self.socket:receive(room(self))
  data = data or partial
  if self.state == "lingering" then data = "" end
  self.came = #data
  if data ~= "" then
    if idle then self.deadline, self.asked_at = now + self.limits.request_seconds, now end
    self.reader:add(data)
    if self.state == "reading" then set_behind(self, now) end
  end
  if problem and problem ~= "timeout" then self:gone(now) end
end

--- The client sends no more. What it asked for before is served; what is ready is still written, what is not is given
-- up.
function Connection:gone(now)
  self.eof = true
  if self.state == "finishing" or self.behind then return end
  if self.state ~= "reading" or self:unread() == 0 then return self:close() end
  self.last = true
  self:done(now)
end

--- Whether it wants to be read.
function Connection:wants_input()
  if self.eof or self.state == "closed" or self.state == "finishing" then return false end
  if self.state == "answering" then return self.reader:waiting() < MOST_BEHIND end
  return not self.behind and self:unread() <= MOST_UNREAD
end

--- The server is ending: what is being read or answered is the last.
function Connection:finish()
  self.last, self.awaited = true, true
end

--- Whether it is being read or answered, or does not have all of a response yet.
function Connection:in_flight()
  if self.state == "reading" then return self.reader:begun() or self:unread() > 0 end
  return self.state == "answering" or self.state == "finishing"
end

-- Whether its time to send is over, and it is the client who is slow: not the server, which looks at what came once in
-- a pass.
local function is_late(self, now, came)
  return now > self.deadline and not self.behind and came < PROGRESS
end

--- Ends what takes too long. A request that was begun is told.
function Connection:check_time(now)
  if self.state == "closed" then return end
  local came = self.came
  self.came = 0
  if self:unread() > 0 then
    if now > self.write_deadline then self:close() end
  elseif self.state == "lingering" then
    if now > self.deadline then self:close() end
  elseif self.state == "reading" and is_late(self, now, came) then
    if not self.reader:begun() then return self:close() end
    self:refuse(Problem.new(408, "the request did not come within the time for it", { close = true }), now)
  end
end

--- When it has to be looked at again.
function Connection:next_deadline()
  if self:is_next() then return -math.huge end
  if self:unread() > 0 then return self.write_deadline end
  if self.state == "reading" or self.state == "lingering" then return self.deadline end
  return math.huge
end

return Connection
