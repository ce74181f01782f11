local gpt = require "gpt"

-- Each op forward and back, with memory running out a little later each time: every failure is the error it should be,
-- leaks nothing and leaves nothing behind.

local function live()
  collectgarbage()
  return gpt.memory().live
end

local x, row, ids

local ops = {
  ["a sum of unequal shapes"] = function() return x + row end,
  ["a difference from a number"] = function() return 2 - x end,
  ["a product with a view"] = function() return x:transpose(1, 3) * row:view(5, 1, 1) end,
  ["a quotient"] = function() return x / row end,
  ["a power"] = function() return x ^ row end,
  ["a comparison"] = function() return x:eq(ids:float():view(3, 4, 1)) end,
  ["a function of a view"] = function() return x:transpose(1, 2):exp() end,
  ["a function with numbers"] = function() return x:clamp(0, 1) end,
  ["a sum"] = function() return x:sum(2) end,
  ["a mean of a view"] = function() return x:transpose(1, 2):mean(1, true) end,
  ["a variance"] = function() return x:var(1) end,
  ["a maximum along a dimension"] = function() return (x:max(2)) end,
  ["a maximum of all"] = function() return x:max() end,
  ["positions"] = function() return x:argmax(1) end,
  ["softmax"] = function() return x:softmax(1) end,
  ["log_softmax"] = function() return x:log_softmax(3) end,
  ["cross-entropy"] = function() return gpt.cross_entropy(x:transpose(1, 2):contiguous():transpose(1, 2), ids) end,
}

local function forward_and_back(op)
  local y = op()
  if y:dtype() == "f32" then y:sum():backward() end
end

-- One try with that many bytes; returns whether it was enough.
local function try(op, base, bytes)
  gpt.memory { limit = base + bytes }
  local ok, text = pcall(forward_and_back, op)
  gpt.memory { limit = 0 }
  x.grad, row.grad = nil, nil
  assert.equal(base, live())
  if not ok then assert.truthy(text:match("not enough memory")) end
  return ok
end

describe("when memory runs out in", function()
  setup(function()
    collectgarbage("stop") -- a failed allocation then tries no collection, of which the many here would take their time
    gpt.seed(1)
    x, row = gpt.rand(3, 4, 5):requires_grad(true), gpt.rand(5):requires_grad(true)
    ids = gpt.randint(0, 5, { 3, 4 })
  end)

  teardown(function() collectgarbage("restart") end)

  for name, op in pairs(ops) do
    it(name .. ", nothing is lost", function()
      local base, failures = live(), 0
      while not try(op, base, failures * 192) do failures = failures + 1 end
      assert.is_true(failures > 3)
    end)
  end
end)
