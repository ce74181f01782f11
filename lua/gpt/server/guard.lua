-- pcall for the work of one client, whose failure is his alone, too little memory being one. An interrupt is raised
-- again: it is for who runs the server.
local core = require "gpt.core"

local function settle(ok, problem, ...)
  if not ok and core._is_interrupt(problem) then error(problem, 0) end
  return ok, problem, ...
end

return function(fn, ...)
  return settle(pcall(fn, ...))
end
