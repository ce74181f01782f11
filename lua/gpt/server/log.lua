-- The host's log: a function that gets a line for each request and each error. Where it fails that is the host's error,
-- and no client's: it is raised when the step is done, and everybody has what came of it.
local core = require "gpt.core"
local guard = require "gpt.server.guard"
local neutral = require "gpt.support.neutral"

local Log = {}
Log.__index = Log

local MOST_REPORTED = 2000 -- bytes of an error

-- write: the option `log`, or nil
function Log.new(write)
  return setmetatable({ write = write, problem = nil }, Log)
end

--- Writes a line.
function Log:line(text)
  if not self.write then return end
  local ok, problem = guard(self.write, text)
  if not ok and self.problem == nil then self.problem = { problem } end
end

--- Writes an error, with the place that it was raised at. Lines, of a traceback for instance, become one with " | "
-- between them. It may be a host's, and hold what a client sent.
function Log:error(problem)
  local text = neutral.tostring(problem):sub(1, 2 * MOST_REPORTED):gsub("\n%s*", " | ")
  self:line("error: " .. core._printable(text, MOST_REPORTED))
end

--- Raises what the host's function raised since the last time.
function Log:settle()
  local problem = self.problem
  self.problem = nil
  if problem then error(problem[1], 0) end
end

return Log
