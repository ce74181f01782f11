local process = require "spec.support.process"

-- Loops that drop large tensors, in a Lua of their own: plain lua5.4 starts in generational mode.

-- loop(rounds, done) makes what it makes in locals, which still hold the last round's when the next one begins, and
-- calls done each round. It runs once with the collector stopped, which tells how much a round makes, and then in
-- earnest: memory may grow by that and 200 MiB.
local LOOPS = [[
  local gpt = require "gpt"
  local MODE, STRINGS = %q, %d
  collectgarbage(MODE)
  local strings = {}
  for i = 1, STRINGS do strings[i] = "string number " .. i end

  local function stays_bounded(name, rounds, loop)
    local most = 0
    local function done() most = math.max(most, gpt.memory().live) end
    collectgarbage()
    collectgarbage "stop"
    loop(1, done)
    local bound = most + (200 << 20)
    collectgarbage "restart"
    collectgarbage()
    most = 0
    loop(rounds, done)
    assert(most < bound, ("%%s: %%d MiB, and not %%d"):format(name, most >> 20, bound >> 20))
  end

  do
    local x = gpt.zeros(3 << 20)
    stays_bounded("operators on 12 MB", 14, function(rounds, done)
      for _ = 1, rounds do
        local y = x + 1
        local z = y:abs()
        local w = z:view(-1, 4):sum(-1)
        done(w)
      end
    end)
    local Gate = gpt.nn.layer("Gate", {
      init = function(self) self.weight = gpt.nn.parameter(gpt.ones(1)) end,
      forward = function(self, input)
        local gated = input * self.weight
        return gated + input
      end,
    })
    local gate = Gate()
    stays_bounded("a layer written in Lua", 12, function(rounds, done)
      for _ = 1, rounds do
        local y = gate(x)
        done(y)
      end
    end)
  end
  do
    local weight, target = gpt.ones({ 3 << 20 }, { requires_grad = true }), gpt.zeros(3 << 20)
    local optimizer = gpt.optim.AdamW { weight }
    stays_bounded("a loss of one's own", 7, function(rounds, done)
      for _ = 1, rounds do
        local difference = weight - target
        local loss = (difference * difference):mean()
        loss:backward()
        optimizer:zero_grad()
        done(loss)
      end
    end)
  end
  do
    local logits = gpt.zeros(256, 50257)
    stays_bounded("copies of 51 MB", 7, function(rounds, done)
      for _ = 1, rounds do
        local y = logits:clone()
        done(y)
      end
    end)
    if STRINGS > 0 then
      stays_bounded("log_softmax", 6, function(rounds, done)
        for _ = 1, rounds do
          local y = logits:log_softmax(-1)
          done(y)
        end
      end)
    end
  end
]]

describe("the collector keeps memory bounded", function()
  for _, mode in ipairs { "generational", "incremental" } do
    for _, strings in ipairs { 0, 200000 } do
      it(("in %s mode beside %d strings"):format(mode, strings), function()
        assert.same({ "", true }, { process.lua(LOOPS:format(mode, strings)) })
      end)
    end
  end

  it("but collects nothing where the host has stopped it", function()
    assert.same({ "", true }, { process.lua [[
      local gpt = require "gpt"
      local function make() return gpt.zeros(3 << 20) end
      for _, mode in ipairs { "generational", "incremental" } do
        collectgarbage(mode)
        collectgarbage "stop"
        local base = gpt.memory().live
        for _ = 1, 30 do make() end
        assert(gpt.memory().live - base > 30 * 4 * (3 << 20))
        collectgarbage "restart"
        collectgarbage()
        assert(gpt.memory().live == base)
      end
    ]] })
  end)
end)
