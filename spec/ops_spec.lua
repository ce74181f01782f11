local gpt = require "gpt"
local fixture = dofile "spec/fixtures/ops.lua"

local formats = { f32 = "f", i64 = "i8" }

local function make(numbers)
  local format = "<" .. formats[numbers.dtype]:rep(#numbers)
  return gpt.from_bytes(string.pack(format, table.unpack(numbers)), numbers.shape, numbers.dtype)
end

local function flat(tensor)
  local values = { string.unpack("<" .. formats[tensor:dtype()]:rep(tensor:numel()), tensor:bytes()) }
  values[#values] = nil -- where the bytes end
  return values
end

-- Equal but for rounding; inf and nan the same.
local function near(expected, got)
  if expected ~= expected then return got ~= got end
  if expected == got then return true end
  return math.abs(expected - got) <= 4e-6 * math.abs(expected) + 1e-6
end

local function compare(what, expected, tensor)
  assert.equal(expected.dtype, tensor:dtype())
  assert.same(expected.shape, tensor:shape())
  local got = flat(tensor)
  assert.equal(#expected, #got)
  for i = 1, #expected do
    if not near(expected[i], got[i]) then
      error(("%s, element %d: PyTorch has %.9g, here it is %.9g"):format(what, i, expected[i], got[i]), 0)
    end
  end
end

-- 1, -2, 3, 1, -2, 3, ... in y's shape
local function weights_like(y)
  local weights = { dtype = "f32", shape = y:shape() }
  for i = 1, y:numel() do weights[i] = ({ 3, 1, -2 })[i % 3 + 1] end
  return make(weights)
end

local function check(case)
  local inputs = {}
  for i, numbers in ipairs(case.inputs) do
    inputs[i] = make(numbers)
    if numbers.dtype == "f32" then inputs[i]:requires_grad(true) end
  end
  local y = load("local gpt, a, b = ... return " .. case.code)(gpt, table.unpack(inputs))
  compare("the output", case.output, y)
  if not case.grads then return end
  (y * weights_like(y)):sum():backward()
  for i, grad in ipairs(case.grads) do compare("the gradient of " .. ("ab"):sub(i, i), grad, inputs[i].grad) end
end

describe("as PyTorch has it:", function()
  for i, case in ipairs(fixture) do
    it(("%s (case %d)"):format(case.code, i), function() check(case) end)
  end
end)
