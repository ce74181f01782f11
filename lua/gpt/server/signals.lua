-- SIGTERM and Ctrl-C, for a server that has a process to itself. In a host with signals of its own this stays unused.
local core = require "gpt.core"
local raise = require "gpt.support.raise"

local Watch = {}
Watch.__index = Watch

function Watch.__close()
  core._unwatch_signals()
end

function Watch.__call()
  return core._signal_seen()
end

--- Notes SIGTERM and SIGINT from now on, in place of what they did; the second one of a kind ends the process. What was
-- there comes back when the returned value is closed.
-- @treturn function whether one came; for `server:run`
local function watch()
  if not core._watch_signals() then raise "gpt.server.signals: signals are watched already in this process" end
  return setmetatable({}, Watch)
end

return { watch = watch }
