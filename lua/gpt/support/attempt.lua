-- pcall for what may well fail because of what it is given. What fails for another reason, memory, an interrupt, a
-- system that cannot read, is raised again: it says nothing about what was given, and nobody would hear of it.
local core = require "gpt.core"

local function settle(ok, problem, ...)
  if not ok and core._is_passing(problem) then error(problem, 0) end
  return ok, problem, ...
end

return function(fn, ...)
  return settle(pcall(fn, ...))
end
