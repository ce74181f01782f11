--- Checks a backward against central differences.
local gpt = require "gpt"

local gradients = {}

-- The loss is the sum of y's elements with these weights, so that no two elements' gradients can be mistaken for each other.
local function weight(i)
  return ((i * 37) % 19 - 9) / 8 + 0.03 * i
end

local function weights(n)
  local list = {}
  for i = 1, n do list[i] = weight(i) end
  return gpt.tensor(list, { dtype = "f32" })
end

-- Worked out in Lua's doubles, from y's elements.
local function loss_of(fn, inputs)
  local y = gpt.no_grad(fn, table.unpack(inputs))
  local sum = 0
  for i, value in ipairs(y:reshape(-1):totable()) do sum = sum + weight(i) * value end
  return sum
end

local function difference(fn, inputs, flat, i, step)
  local value = flat[i]:item()
  local function loss_at(moved)
    gpt.no_grad(function() flat[i] = moved end)
    return loss_of(fn, inputs), flat[i]:item()
  end
  local above, right = loss_at(value + step)
  local below, left = loss_at(value - step)
  gpt.no_grad(function() flat[i] = value end)
  return (above - below) / (right - left)
end

--- Raises where a gradient differs from the difference quotient.
-- @tparam function fn from tensors to a tensor
-- @tparam {Tensor,...} inputs contiguous f32 tensors; all of them are checked
-- @tparam[opt] table options `step` (0.01), `tolerance` (0.002, relative to 1 + the gradient)
-- @treturn integer how many elements were compared, never 0
function gradients.check(fn, inputs, options)
  options = options or {}
  local step, tolerance, compared = options.step or 0.01, options.tolerance or 0.002, 0
  for _, x in ipairs(inputs) do
    x:requires_grad(true)
    x.grad = nil
  end
  local y = fn(table.unpack(inputs))
  y:reshape(-1):matmul(weights(y:numel())):backward()
  for k, x in ipairs(inputs) do
    local flat, grad = x:detach():view(-1), x.grad and x.grad:reshape(-1)
    if not grad then error(("input %d got no gradient"):format(k), 2) end
    for i = 1, x:numel() do
      local expected, got = difference(fn, inputs, flat, i, step), grad[i]:item()
      if not (math.abs(expected - got) <= tolerance * (1 + math.abs(expected))) then
        error(("input %d, element %d: the gradient is %.6f, by differences %.6f"):format(k, i, got, expected), 2)
      end
      compared = compared + 1
    end
  end
  if compared == 0 then error("nothing to compare", 2) end
  return compared
end

return gradients
