-- Calls what is the host's: a function that it gave, a method of its tokenizer. Where that fails it is no fault of who
-- asks: the client gets 500, and the log says what failed, and where.
local attempt = require "gpt.support.attempt"
local Problem = require "gpt.server.problem"
local neutral = require "gpt.support.neutral"
local validate = require "gpt.support.validate"

local function fail(...)
  error(Problem.new(500, "the server failed; its log has more", { cause = neutral.format(...) }))
end

-- what: the function's name in the log. kind: what type() says of the values that it has to return.
-- Returns fn(...), one value.
return function(what, kind, fn, ...)
  local ok, value = attempt(fn, ...)
  if ok and type(value) == kind then return value end
  if Problem.is(value) then error(value, 0) end
  if not ok then fail("%s: %s", what, neutral.tostring(value)) end
  fail("%s has to return a %s, got %s", what, kind, validate.show(value))
end
