local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local process = require "spec.support.process"
local spread, check = gradients.spread, gradients.check

local functions = {
  neg = { -2, 2 }, exp = { -2, 2 }, log = { 0.5, 3 }, sqrt = { 0.5, 3 }, tanh = { -2, 2 }, abs = { -2, 2 },
  relu = { -2, 2 }, gelu = { -3, 3 }, gelu_exact = { -3, 3 },
  sigmoid = { -3, 3 }, silu = { -3, 3 }, sin = { -3, 3 }, cos = { -3, 3 }, rsqrt = { 0.5, 3 },
}

describe("functions of one tensor", function()
  for name in pairs(functions) do
    it(name .. " reads views of any strides, with the same numbers", function()
      gpt.seed(3)
      local x = gpt.rand(5, 700) + 0.1
      local f = function(t) return t[name](t) end
      local expected = f(x:transpose(1, 2):contiguous()):bytes()
      assert.is_true(expected == f(x:transpose(1, 2)):bytes())
      assert.is_true(f(x:narrow(2, 3, 100):contiguous()):bytes() == f(x:narrow(2, 3, 100)):bytes())
    end)

    it(name .. " has the gradient that differences have", function()
      gpt.seed(3)
      local low, high = table.unpack(functions[name])
      check(function(x) return x[name](x) end, { spread({ 3, 4 }, low, high) })
      check(function(x) return x[name](x:transpose(1, 2)):transpose(1, 2) end, { spread({ 3, 4 }, low, high) })
    end)
  end

  it("clamp has the gradient that differences have", function()
    gpt.seed(3)
    check(function(x) return x:clamp(-1, 1) end, { spread({ 3, 4 }, -2, 2) })
    check(function(x) return x:clamp(nil, 1):clamp(-1) end, { spread({ 3, 4 }, -2, 2) })
  end)

  it("clamp needs a bound", function()
    local ok, text = pcall(load("return (...):clamp()", "=user"), gpt.ones(2))
    assert.is_false(ok)
    assert.equal("user:1: clamp: a lowest number, a highest one or both expected, got neither", text)
  end)

  it("take empty tensors, and tensors without dimensions", function()
    for name in pairs(functions) do
      assert.same({ 0, 2 }, gpt.zeros(0, 2)[name](gpt.zeros(0, 2)):shape())
      assert.same({}, gpt.ones(3):sum()[name](gpt.ones(3):sum()):shape())
    end
  end)
end)

-- x; x P(x) for the normal distribution P, and its derivative (mpmath, 30 digits)
local exact = [=[
local gpt = require "gpt"
local known = {
  { -12.5, -4.6657053736e-35, -5.83166855448e-34 }, { -9, -1.01572956536e-18, -9.13893737391e-18 },
  { -5.25, -3.99260427116e-7, -2.09139766387e-6 }, { -1, -0.158655253931, -0.0833154705877 },
  { -0.25, -0.100323418579, 0.304626645116 }, { 0.001, 0.000500398942214, 0.500797884295 },
  { 0.75, 0.580029485717, 0.999225721739 }, { 2.5, 2.48447583669, 1.03761108591 }, { 6, 5.99999999408, 1.00000003547 },
  { 14, 14, 1 }, { 0, 0, 0.5 }, { math.huge, math.huge, 1 },
}
local function near(got, wanted, what)
  local off = math.abs(got - wanted)
  if not (got == wanted or off <= 6e-7 * math.abs(wanted)) then error(("%s: %.9g, not %.9g"):format(what, got, wanted)) end
end

local points = {}
for i, row in ipairs(known) do points[i] = row[1] + 0.0 end
local x = gpt.tensor(points):requires_grad(true)
local y = x:gelu_exact()
y:sum():backward()
for i, row in ipairs(known) do
  near(y[i]:item(), row[2], "gelu_exact(" .. row[1] .. ")")
  near(x.grad[i]:item(), row[3], "its slope at " .. row[1])
end

local logs = {}
for i = -126, 127 do logs[#logs + 1] = 1.37 ^ (i % 7) * 2.0 ^ i end
for _, value in ipairs { 1.0, 0.999999940395355, 1.00000011920929, 1e-40, 3.4e38 } do logs[#logs + 1] = value end
local given, got = gpt.tensor(logs):totable(), gpt.tensor(logs):log():totable()
for i, value in ipairs(given) do near(got[i], math.log(value), "log(" .. value .. ")") end

local edges = gpt.tensor({ 0.0, -0.0, -1.0, math.huge, -math.huge, 0 / 0 }):log():totable()
assert(edges[1] == -math.huge and edges[2] == -math.huge and edges[4] == math.huge, "log at its edges")
assert(edges[3] ~= edges[3] and edges[5] ~= edges[5] and edges[6] ~= edges[6], "log outside its range")
assert(gpt.tensor({ 0 / 0 }):gelu_exact():item() ~= 0, "gelu_exact keeps a NaN")
print "done"
]=]

describe("log and gelu_exact", function()
  for _, set in ipairs { "", "avx2", "generic" } do
    it("are exact to some units in the last place, with " .. (set == "" and "this processor's kernels" or set), function()
      local output, ok = process.lua(exact, set ~= "" and "LUAGPT_KERNELS=" .. set or "")
      assert.equal("done\n", output)
      assert.is_true(ok)
    end)
  end
end)

describe("softmax", function()
  it("adds up to 1 along its dimension", function()
    gpt.seed(3)
    local x = gpt.randn(4, 5, 6) * 10
    for dim = 1, 3 do
      local off = (x:softmax(dim):sum(dim) - 1):abs():max():item()
      assert.is_true(off < 1e-6)
      assert.is_true((x:log_softmax(dim):exp() - x:softmax(dim)):abs():max():item() < 1e-6)
    end
  end)

  it("has the gradient that differences have", function()
    gpt.seed(3)
    for dim = 1, 3 do
      check(function(x) return x:softmax(dim) end, { spread({ 2, 3, 2 }, -2, 2) })
      check(function(x) return x:log_softmax(dim) end, { spread({ 2, 3, 2 }, -2, 2) })
      check(function(x) return x:transpose(1, 3):softmax(dim) end, { spread({ 2, 3, 2 }, -2, 2) })
      check(function(x) return x:log_softmax(dim):transpose(1, 3) end, { spread({ 2, 3, 2 }, -2, 2) })
    end
  end)

  it("names the dimension that is not there", function()
    local ok, text = pcall(load("return (...):softmax(3)", "=user"), gpt.ones(2, 2))
    assert.is_false(ok)
    assert.equal("user:1: bad argument #1 to 'softmax' (dim 3 out of range: the tensor has 2, counted 1..2, "
      .. "or -1 for the last)", text)
  end)
end)
