-- One request, and what is sent back: JSON at once, or events one by one.
local attempt = require "gpt.support.attempt"
local Problem = require "gpt.server.problem"
local guard = require "gpt.server.guard"
local json = require "gpt.support.json"
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"
local text = require "gpt.server.text"

local Exchange = {}
Exchange.__index = Exchange

-- settings: `connection`, `request` (nil where it could not be read), `id`, `clock`, `log` (log.lua)
function Exchange.new(settings)
  local exchange = setmetatable(settings, Exchange)
  exchange.headers = {}  -- more of them, for every response
  exchange.began = exchange.connection.asked_at
  exchange.noted = false -- in the log
  return exchange
end

local function headers(self, content_type, more)
  local all = { ["Content-Type"] = content_type, ["X-Request-Id"] = self.id, ["Cache-Control"] = "no-store",
    ["X-Content-Type-Options"] = "nosniff" }
  for name, value in pairs(self.headers) do all[name] = value end
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

local MOST_LOGGED = 200 -- bytes of what a client wrote
local LEFT = 499        -- in place of a status

-- One line of the log: what was asked, what came of it, and how long that took since the request began to come. A
-- terminal shows it as it is, whatever the client wrote.
local function note(self, status)
  if self.noted then return end
  self.noted = true
  local request = self.request
  local asked = request and core._printable(request.method .. " " .. request.path, MOST_LOGGED) or "- -"
  self.log:line(neutral.format("%s %d %.3f s", asked, status, self.clock() - self.began))
end

--- A whole response.
function Exchange:send(status, content_type, body, more)
  note(self, status)
  self.connection:respond(status, headers(self, content_type, more), body, self.clock())
end

--- A value as JSON.
function Exchange:json(status, value, more)
  self:send(status, "application/json", json.encode(value), more)
end

--- An error, in OpenAI's form.
function Exchange:problem(problem)
  self:json(problem.status, problem:body(json.null), problem.headers)
end

-- The response cannot be whole: the connection ends.
local function break_off(self)
  note(self, 500)
  self.connection:close()
end

--- fn(...), which sends. Where it fails nobody can tell what was sent, and the connection ends.
function Exchange:try(fn, ...)
  if not guard(fn, ...) then break_off(self) end
end

--- The client left, or was let go, before it had its response.
function Exchange:left()
  note(self, LEFT)
end

local function respond(self, problem, message)
  self:problem(Problem.of(problem, message))
end

--- An error as the response: a Problem, or another one, of which `message` is told. Where a part of a response has been
-- sent there is none any more, and the connection ends.
function Exchange:fail(problem, message)
  if self.connection.begun then return break_off(self) end
  self:try(respond, self, problem, message)
end

--- The beginning of a stream of server-sent events.
function Exchange:begin_stream()
  self.connection:begin_stream(200, headers(self, "text/event-stream"), self.clock())
end

--- One event. A reader who is too far behind is let go.
function Exchange:event(value)
  self.connection:write_stream("data: " .. json.encode(value) .. "\n\n", self.clock())
  if self.connection:choked() then self.connection:close() end
end

--- The end of a stream.
function Exchange:end_stream()
  note(self, 200)
  self.connection:write_stream("data: [DONE]\n\n", self.clock())
  self.connection:end_stream(self.clock())
end

--- The request's body: a JSON object. Raises a Problem where it is none.
function Exchange:body()
  local request = self.request
  if not request.body then
    error(Problem.new(411, "the body's length is missing: Content-Length, or Transfer-Encoding: chunked"))
  end
  local ok, value = attempt(json.decode_ordered, request.body, "the body")
  if not ok then error(Problem.new(400, text.message(value))) end
  if not json.is_object(value) then error(Problem.new(400, "the body has to be a JSON object")) end
  return value
end

return Exchange
