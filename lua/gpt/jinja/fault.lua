-- What is wrong with a template, or goes wrong in one: a value that is raised inside gpt.jinja and becomes a message at
-- its edge. It knows its line.
local core = require "gpt.core"
local neutral = require "gpt.support.neutral"

local Fault = {}
Fault.__index = Fault

local fault = {}

local LONGEST = 1000 -- bytes of a message, which may hold a template's own texts

local function cut(message)
  if #message <= LONGEST then return message end
  return message:sub(1, LONGEST):gsub("[\xC0-\xFF][\x80-\xBF]*$", "") .. "..."
end

--- Raises a fault; `line` may be nil where a caller higher up knows it.
function fault.raise(line, format, ...)
  error(setmetatable({ line = line, message = cut(neutral.format(format, ...)) }, Fault), 0)
end

function fault.is(value) return getmetatable(value) == Fault end

-- Lua's own errors come of values that make no sense there, or of too deep a template. `what`: what was given them.
local function told(problem, what)
  if fault.is(problem) or core._is_passing(problem) then return problem end
  local deep = tostring(problem):find "stack overflow"
  return setmetatable({ message = deep and "nested too deep" or what .. " does not take such values" }, Fault)
end

--- Runs fn(...), which is `what` in messages; a fault without a line gets this one.
function fault.at(line, what, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local problem = told(results[2], what)
  if fault.is(problem) and not problem.line then problem.line = line end
  error(problem, 0)
end

--- fn(...), or nil and what is wrong, with its line.
function fault.guard(fn, ...)
  local ok, result = pcall(fault.at, nil, "something in it", fn, ...)
  if ok then return result end
  if not fault.is(result) then error(result, 0) end
  return nil, result.line and ("line %d: %s"):format(result.line, result.message) or result.message
end

return fault
