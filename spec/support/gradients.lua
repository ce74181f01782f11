--- Numeric gradients: central differences beside what backward accumulates.
--
--   gradients.check(function(a, b) return a * b end, { a, b })
--
-- The loss is a fixed mix of everything that the function returns. Each difference is taken with two steps, so that the
-- error of the difference itself is known; a function with a kink or a jump close by is an error, not a pass.
local gpt = require "gpt"

local gradients = {}

local STEP = 1 / 64
local EPSILON = 2 ^ -23

-- Numbers that go up and down without a pattern and never come near 0.
local function weight(i)
  return math.sin(i * 12.9898) * 0.75 + (i % 2 == 0 and 1 or -1)
end

local function numbers(tensor)
  local values = { string.unpack("<" .. ("f"):rep(tensor:numel()), tensor:bytes()) }
  values[#values] = nil -- where the bytes end
  return values
end

local function tensor_of(values, shape)
  return gpt.from_bytes(string.pack("<" .. ("f"):rep(#values), table.unpack(values)), shape, "f32")
end

--- A tensor of that shape with distinct numbers between low and high, far apart from each other, in a random order.
function gradients.spread(shape, low, high)
  local count = 1
  for _, size in ipairs(shape) do count = count * size end
  local order = gpt.randperm(count):totable()
  for i, at in ipairs(order) do order[i] = low + (high - low) * (at - 0.5) / count end
  return tensor_of(order, shape)
end

-- The loss in double precision, and how much its roundings may come to.
local function loss_of(f, tensors)
  local y = f(table.unpack(tensors))
  local loss, size = 0, 0
  for i, value in ipairs(numbers(y:contiguous())) do
    loss = loss + value * weight(i)
    size = size + math.abs(value * weight(i))
  end
  return loss, size * EPSILON
end

-- The derivative by central differences, and a bound of its error.
local function difference(f, tensors, which, values, at)
  local kept, inputs = values[at], table.move(tensors, 1, #tensors, 1, {})
  local shape, noise = tensors[which]:shape(), 0
  local function slope(step)
    local loss, x = {}, {}
    for side = 1, 2 do
      x[side] = string.unpack("<f", string.pack("<f", kept + (side == 1 and -step or step)))
      values[at] = x[side]
      inputs[which] = tensor_of(values, shape)
      local rounding
      loss[side], rounding = loss_of(f, inputs)
      noise = math.max(noise, rounding / STEP)
    end
    return (loss[2] - loss[1]) / (x[2] - x[1])
  end
  local wide, narrow = slope(STEP), slope(STEP / 2)
  values[at] = kept
  return (4 * narrow - wide) / 3, math.abs(narrow - wide) + 4 * noise
end

local function check_element(numeric, bound, analytic, which, at)
  local tolerance = bound + 1e-4 * (1 + math.abs(numeric))
  local place = ("input %d, element %d: backward gives %.9g, differences %.9g +- %.3g"):format(
    which, at, analytic, numeric, bound)
  if tolerance > 0.05 * (1 + math.abs(numeric)) then error(place .. ": too rough here to compare", 0) end
  local off = math.abs(numeric - analytic)
  if off > tolerance or off ~= off then error(place, 0) end
end

local function check_input(f, tensors, which)
  local tensor = tensors[which]
  local grad = tensor.grad or error("input " .. which .. " got no gradient", 0)
  local analytic, values = numbers(grad), numbers(tensor:contiguous())
  for at = 1, #values do
    local numeric, bound = difference(f, tensors, which, values, at)
    check_element(numeric, bound, analytic[at], which, at)
  end
  return #values
end

--- Raises where the gradient of an input is not what differences say.
-- @tparam function f from tensors to a tensor
-- @tparam {Tensor,...} tensors f32; each is an input whose gradient is checked
-- @treturn integer how many elements were compared, never 0
function gradients.check(f, tensors)
  local inputs, compared = {}, 0
  for i, tensor in ipairs(tensors) do inputs[i] = tensor:detach():requires_grad(true) end
  local y = f(table.unpack(inputs))
  local mix = {}
  for i = 1, y:numel() do mix[i] = weight(i) end
  (y * tensor_of(mix, y:shape())):sum():backward()
  for i = 1, #inputs do
    compared = compared + gpt.no_grad(check_input, f, inputs, i)
  end
  if compared == 0 then error("nothing to compare", 2) end
  return compared
end

return gradients
