local process = require "spec.support.process"

-- Lua's own memory runs out, a request later each time, wherever the binding asks for some: each failure is an error,
-- nothing of the core's is lost, and the next call works.

-- A script in which sweep(f) lets f fail so, from its first request to its last.
local SWEEP = [[
  local gpt = require "gpt"
  local function live()
    collectgarbage()
    collectgarbage()
    return gpt.memory().live
  end

  -- clear: lets go of what f leaves behind.
  local function sweep(name, f, clear)
    clear = clear or function() end
    for _ = 1, 3 do f() clear() end -- strings and stack that only the first calls ask for
    local base, n, done = live(), 0, false
    repeat
      n = n + 1
      local ok, message, refused = short_of_memory(n, f)
      assert(ok or tostring(message):find("not enough memory", 1, true), name .. ": " .. tostring(message))
      assert(ok or refused, name .. ": " .. tostring(message))
      clear()
      local now = live()
      assert(now == base, ("%s, request %d: %d bytes lost"):format(name, n, now - base))
      f()
      clear()
      done = not refused
    until done
    assert(n > 3, name)
    io.write(name, "; ")
  end
]]

local function runs(code)
  if not process.host() then pending "build/states is not built; make test builds it" end
  local output, ok = process.states(SWEEP .. code)
  assert.is_true(ok, output)
  return output
end

describe("when Lua's own memory runs out in", function()
  it("layers written in Lua, inside each other, nothing is lost and no pass goes on", function()
    assert.equal("layers; trained; part; ", runs [[
      local Twice = gpt.nn.layer("Twice", {
        init = function(self, inner) self.inner, self.scale = inner, gpt.nn.parameter(gpt.ones(4)) end,
        forward = function(self, x) return self.inner(x * self.scale) + x end,
      })
      local x, layer = gpt.ones(2, 4), Twice(Twice(gpt.nn.Sequential { gpt.nn.Linear(4, 4), function(y) return y * 2 end }))
      sweep("layers", function() layer(x):free() end)
      local function clear()
        for _, p in layer:parameters() do p.grad = nil end
      end
      sweep("trained", function() layer(x):sum():backward() end, clear)
      local config = gpt.config("gpt2-small", { vocab_size = 5, context_length = 4, emb_dim = 4, n_heads = 2, n_layers = 2 })
      local part = { block = function() return Twice(gpt.nn.Identity()) end, head = gpt.nn.Linear(4, 5) }
      sweep("part", function() gpt.Model(config, part) end)
      for _ = 1, 250 do -- more than layers may be nested deep
        assert(not short_of_memory(12, layer, x))
      end
      layer(x)
    ]])
  end)
end)
