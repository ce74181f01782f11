-- What is wrong with a template, or goes wrong in one: a value that is raised inside gpt.jinja and becomes a message at
-- its edge. It knows its line.
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"

local Fault = {}
Fault.__index = Fault

local fault = {}

--- Raises a fault; `line` may be nil where a caller higher up knows it.
function fault.raise(line, format, ...)
  error(setmetatable({ line = line, message = neutral.format(format, ...) }, Fault), 0)
end

function fault.is(value) return getmetatable(value) == Fault end

-- Lua's own errors, which come of arguments that make no sense, without the place in our sources.
local function told(problem)
  if fault.is(problem) or core._is_passing(problem) then return problem end
  local message = tostring(problem):gsub("^[^\n]-:%d+: ", ""):gsub("\n.*", "")
  if message:find "stack overflow" then message = "nested too deep" end
  return setmetatable({ message = message }, Fault)
end

--- Runs fn(...); a fault without a line gets this one.
function fault.at(line, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local problem = told(results[2])
  if fault.is(problem) and not problem.line then problem.line = line end
  error(problem, 0)
end

--- fn(...), or nil and what is wrong, with its line.
function fault.guard(fn, ...)
  local ok, result = pcall(fault.at, nil, fn, ...)
  if ok then return result end
  if not fault.is(result) then error(result, 0) end
  return nil, result.line and ("line %d: %s"):format(result.line, result.message) or result.message
end

return fault
