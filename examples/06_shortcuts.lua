-- 6. Shortcuts and vanishing gradients: why deep networks add each layer's output to its input.
local gpt = require "gpt"
local picture = dofile((arg[0]:match "^.*/" or "") .. "support/pictures.lua")
local nn = gpt.nn

-- Five layers, each a linear map and GELU. With shortcuts a layer that keeps the shape is x + layer(x).
local SIZES = { 3, 3, 3, 3, 3, 1 }

local function network(with_shortcuts)
  gpt.seed(123) -- the same weights both times
  local layers = {}
  for i = 1, #SIZES - 1 do
    local layer = nn.Sequential { nn.Linear(SIZES[i], SIZES[i + 1]), nn.GELU() }
    local keeps_shape = SIZES[i] == SIZES[i + 1]
    layers[i] = with_shortcuts and keeps_shape and nn.Shortcut(layer) or layer
  end
  return nn.Sequential(layers)
end

-- One example, one target: how large are the gradients that reach each layer's weights?
local function mean_gradients(net)
  local miss = net(gpt.tensor { { 1.0, 0.0, -1.0 } }) - gpt.tensor { { 0.0 } }
  local loss = (miss * miss):mean()
  loss:backward()
  local means = {}
  for path, tensor in net:parameters() do
    if path:find "weight$" then table.insert(means, tensor.grad:abs():mean():item()) end
  end
  return means
end

local without, with = mean_gradients(network(false)), mean_gradients(network(true))

print(network(true))
print "\nMean absolute gradient of each layer's weights:"
print "layer   without shortcuts   with shortcuts"
for i = 1, #without do print(("%5d %19.6f %16.4f"):format(i, without[i], with[i])) end

-- Without shortcuts the gradient of the first layer is about 25 times smaller than that of the last, so it hardly
-- learns. With shortcuts every layer gets a gradient. PyTorch gives the same numbers for this experiment.
local PUBLISHED = {
  without = { 0.000202, 0.000120, 0.000715, 0.001399, 0.005050 }, with = { 0.2217, 0.2069, 0.3290, 0.2666, 1.3259 },
}
for i = 1, 5 do
  assert(math.abs(without[i] - PUBLISHED.without[i]) < 1e-6, "without shortcuts, layer " .. i)
  assert(math.abs(with[i] - PUBLISHED.with[i]) < 1e-4, "with shortcuts, layer " .. i)
end
print "\nas published, to the last digit"

gpt.plot.line(picture "vanishing_gradients.svg", {
  title = "Gradients by layer", x_label = "layer", y_label = "mean absolute gradient", y_scale = "log",
  series = { { name = "with shortcuts", y = with, points = true }, { name = "without", y = without, points = true } },
})
