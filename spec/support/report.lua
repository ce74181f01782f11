-- busted's own report, ended by one plain line of counts. A run without tests fails, and so does one that a spec
-- leaves through os.exit; one of which all wait for something that is not there does not.
-- luacheck: globals os.exit
local exit = os.exit

local function exit_early()
  print("a spec called os.exit before the run was over")
  exit(1)
end

return function(options)
  local busted = require "busted"
  local handler = require("busted.outputHandlers." .. options.defaultOutput)(options)

  busted.subscribe({ "suite", "start" }, function()
    os.exit = exit_early
    return nil, true
  end)

  busted.subscribe({ "suite", "end" }, function(suite)
    os.exit = exit
    local passed, skipped = handler.successesCount, handler.pendingsCount
    if passed + skipped + handler.failuresCount + handler.errorsCount == 0 then
      busted.publish({ "error" }, suite, nil, "there is no test")
      print("there is no test")
    end
    local failed = handler.failuresCount + handler.errorsCount
    print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
    io.stdout:flush()
    return nil, true
  end)

  return handler
end
