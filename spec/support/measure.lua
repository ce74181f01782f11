-- What specs measure: bytes that something holds, and how far tensors are apart.
local gpt = require "gpt"

local measure = {}

--- The core's live bytes once all garbage is gone.
function measure.live()
  collectgarbage()
  collectgarbage()
  return gpt.memory().live
end

--- The largest difference between two tensors.
function measure.difference(a, b) return (a - b):abs():max():item() end

--- The bytes that Lua allocates while fn(...) runs, whatever of them becomes garbage, and the results of fn.
function measure.allocated(fn, ...)
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  local results = table.pack(pcall(fn, ...))
  local bytes = math.floor((collectgarbage "count" - before) * 1024)
  collectgarbage "restart"
  if not results[1] then error(results[2], 0) end
  return bytes, table.unpack(results, 2, results.n)
end

--- How many instructions of Lua fn(...) takes, to the nearest hundred.
function measure.instructions(fn, ...)
  local hundreds = 0
  debug.sethook(function() hundreds = hundreds + 1 end, "", 100)
  local ok, problem = pcall(fn, ...)
  debug.sethook()
  if not ok then error(problem, 0) end
  return hundreds * 100
end

--- Runs fn with memory running out a little later each time until it succeeds: each failure must say so, and leave
--- nothing behind. `step`: bytes more each time. Returns how often it failed.
function measure.short_of_memory(fn, step)
  local base, failures = measure.live(), 0
  collectgarbage "stop" -- a failed allocation then tries no collection, of which the many here would take their time
  while true do
    gpt.memory { limit = base + failures * step }
    local ok, message = pcall(fn)
    gpt.memory { limit = 0 }
    local left = measure.live() - base
    if left ~= 0 or not (ok or tostring(message):find("not enough memory", 1, true)) then
      collectgarbage "restart"
      error(("after failure %d: %d bytes are left, and it said: %s"):format(failures, left, tostring(message)), 2)
    end
    if ok then break end
    failures = failures + 1
  end
  collectgarbage "restart"
  return failures
end

return measure
