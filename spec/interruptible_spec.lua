local gpt = require "gpt"
local process = require "spec.support.process"
local raised = require "spec.support.raised"

-- What a script prints; `interrupt()` in it sends its own process SIGINT a moment later, and `work()` runs long, but ends.
local function output_of(code)
  local output, ok = process.lua([[
    local gpt = require "gpt"
    local function interrupt() os.execute "(sleep 0.05; kill -INT $PPID) &" end
    local function work() for _ = 1, 1 << 34 do end return "not interrupted" end
  ]] .. code)
  assert.is_true(ok, output)
  return output
end

describe("gpt.interruptible", function()
  it("makes Ctrl-C an error, every time", function()
    assert.equal(("false\tinterrupted!\n"):rep(3), output_of [[
      for _ = 1, 3 do
        print(gpt.interruptible(function()
          interrupt()
          return work()
        end))
      end
    ]])
  end)

  it("closes what has to be closed", function()
    assert.equal("closed\nfalse\tinterrupted!\n", output_of [[
      print(gpt.interruptible(function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        interrupt()
        return work()
      end))
    ]])
  end)

  it("is pcall otherwise", function()
    local value = {}
    assert.same({ true, 1, nil, 3 }, { gpt.interruptible(function(...) return ... end, 1, nil, 3) })
    assert.same({ false, value }, { gpt.interruptible(error, value) })
    assert.same({ true }, { gpt.interruptible(function() end) })
    assert.same({ true, true, 5 }, { gpt.interruptible(gpt.interruptible, function() return 5 end) })
    assert.equal("bad argument #1 to 'interruptible' (function expected, got nil)", raised(function() gpt.interruptible(nil) end))
  end)

  it("ends all of a call inside another", function()
    assert.equal("true\tfalse\tinterrupted!\ntrue\t1\n", output_of [[
      print(gpt.interruptible(gpt.interruptible, function()
        interrupt()
        return work()
      end))
      print(gpt.interruptible(function() return 1 end))
    ]])
  end)

  it("waits for a coroutine, unless the host's handler gets a second Ctrl-C", function()
    local code = [[
      local gpt = require "gpt"
      os.execute "(sleep 0.05; kill -INT $PPID; sleep %s; for i in 1 2 3; do kill -INT $PPID; sleep 0.1; done) 2>/dev/null &"
      print(gpt.interruptible(coroutine.wrap(function() while os.clock() < %s do end end)))
    ]]
    local output, ok = process.lua(code:format("0.1", "0.8"))
    assert.same({ "false\tinterrupted!\n", true }, { output, ok })
    output, ok = process.lua(code:format("1.5", "20"))
    assert.same({ "", false }, { output, ok })
  end)

  it("leaves a hook that the function set", function()
    local function hook() end
    gpt.interruptible(function() debug.sethook(hook, "r") end)
    local now, mask = debug.gethook()
    debug.sethook()
    assert.equal(hook, now)
    assert.equal("r", mask)
  end)

  it("leaves the host's hook and handler as they were", function()
    local function hook() end
    debug.sethook(hook, "c")
    gpt.interruptible(function() end)
    local now, mask = debug.gethook()
    debug.sethook()
    assert.equal(hook, now)
    assert.equal("c", mask)
    local output, ok = process.lua [[
      local gpt = require "gpt"
      gpt.interruptible(function() end)
      os.execute "(sleep 0.05; kill -INT $PPID) &" -- lua5.4's own handler: an error, which ends the script
      for _ = 1, 1 << 34 do end
    ]]
    assert.is_false(ok)
    assert.is_truthy(output:find "interrupted!")
  end)
end)
