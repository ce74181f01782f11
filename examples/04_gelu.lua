-- 4. GELU beside ReLU: the nonlinearity, without which a network would be one large linear map.
local gpt = require "gpt"
local picture = dofile((arg[0]:match "^.*/" or "") .. "support/pictures.lua")

-- ReLU is 0 below 0: it has no slope there, so a unit that is always below 0 stops learning. GELU is smooth and lets a
-- little through below 0.
local x = gpt.linspace(-3, 3, 121)
local gelu, relu = gpt.nn.GELU(), gpt.nn.ReLU()

print "     x    ReLU     GELU"
for _, value in ipairs { -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3 } do
  local point = gpt.tensor { value + 0.0 }
  print(("%6.1f  %6.3f  %7.4f"):format(value, relu(point):item(), gelu(point):item()))
end

-- GPT-2 uses an approximation with tanh. The exact form, with the normal distribution, hardly differs.
local exact = gpt.nn.GELU { exact = true }
print(("\nThe tanh form and the exact one differ by at most %.5f"):format((gelu(x) - exact(x)):abs():max():item()))

-- The slopes, by automatic differentiation.
local function slope(layer)
  local point = x:clone():requires_grad(true)
  layer(point):sum():backward()
  return point.grad
end
print(("at -1, GELU's slope is %.3f, ReLU's is %.3f"):format(slope(gelu)[41]:item(), slope(relu)[41]:item()))

gpt.plot.line(picture "gelu.svg", {
  title = "GELU and ReLU", x = x, x_label = "x",
  series = { { name = "GELU", y = gelu(x) }, { name = "ReLU", y = relu(x) } },
})
gpt.plot.line(picture "gelu_slope.svg", {
  title = "Their slopes", x = x, x_label = "x",
  series = { { name = "GELU", y = slope(gelu) }, { name = "ReLU", y = slope(relu) } },
})
