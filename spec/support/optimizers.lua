-- The weights and gradients of spec/fixtures/make_optimizers.py, and optimizers run over them.
local gpt = require "gpt"

local optimizers = {}

local COUNT = 96

local function numbers(formula)
  local list = {}
  for i = 1, COUNT do list[i] = formula(i) end
  return gpt.tensor(list, { dtype = "f32" })
end

--- The weights before the first step.
function optimizers.weights() return numbers(math.cos):requires_grad(true) end

--- The gradient of a step, of five magnitudes.
function optimizers.gradient(step)
  return numbers(function(i) return 10.0 ^ -(i % 5) * math.sin(0.7 * i * step + i) end)
end

--- Steps of an optimizer of the weights w, of any shape.
function optimizers.run(optimizer, w, first, last)
  for step = first, last do
    w.grad = optimizers.gradient(step):view(w:shape())
    optimizer:step()
  end
end

--- The weights after the steps of a case of the fixture, with more options than its own.
function optimizers.weights_after(case, more)
  local w, options = optimizers.weights():detach():view(case.shape):requires_grad(true), {}
  for key, value in pairs(case.options) do options[key] = value end
  for key, value in pairs(more or {}) do options[key] = value end
  optimizers.run(gpt.optim[case.name]({ w }, options), w, 1, case.steps)
  return w:view(COUNT):totable()
end

--- How far two lists are from each other: the root of the mean square.
function optimizers.distance(a, b)
  local sum = 0
  for i = 1, #a do sum = sum + (a[i] - b[i]) ^ 2 end
  return math.sqrt(sum / #a)
end

return optimizers
