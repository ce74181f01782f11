-- What a client did wrong, or the server cannot do: raised anywhere while a request is read, and told to the client as
-- a JSON error in the form of OpenAI's interface.
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"

local Problem = {}
Problem.__index = Problem

-- By status, where they are not "invalid_request_error".
local TYPES = { [429] = "rate_limit_error", [500] = "server_error", [503] = "server_error" }

--- A problem.
-- @tparam integer status HTTP's
-- @tparam string message
-- @tparam[opt] table more `param` (the field of the request), `code`, `headers`, `close` (nothing that the client sends
-- after it can be understood), `cause` (what the log is told, where it is the host who did something wrong)
function Problem.new(status, message, more)
  local problem = setmetatable({ status = status, message = message }, Problem)
  for name, value in pairs(more or {}) do problem[name] = value end
  return problem
end

--- Raises a problem with a field of the request: 400, and a message from a format.
function Problem.field(param, ...)
  error(Problem.new(400, neutral.format(...), { param = param }))
end

--- Whether a raised value is one.
function Problem.is(value)
  return getmetatable(value) == Problem
end

--- What a client is told of an error that is none of his: 503 where memory ran out, 500 and `message` otherwise.
function Problem.of(problem, message)
  if Problem.is(problem) then return problem end
  if core._is_memory_error(problem) then return Problem.new(503, "there is not enough memory for this now") end
  return Problem.new(500, message)
end

-- OpenAI's form. JSON's null is where nothing is known: clients look for all four names.
function Problem:body(null)
  return { error = {
    message = self.message, type = TYPES[self.status] or "invalid_request_error", param = self.param or null,
    code = self.code or null,
  } }
end

return Problem
