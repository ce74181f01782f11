-- The experiment of examples/06_shortcuts.lua, with the numbers that PyTorch gives for it.
local gpt = require "gpt"
local nn = gpt.nn

local SIZES = { 3, 3, 3, 3, 3, 1 }

-- The mean absolute gradient of each layer's weights, as text with so many digits.
local function mean_gradients(wrap, digits)
  gpt.seed(123)
  local layers, linears = {}, {}
  for i = 1, #SIZES - 1 do
    linears[i] = nn.Linear(SIZES[i], SIZES[i + 1])
    local layer = nn.Sequential { linears[i], nn.GELU() }
    layers[i] = SIZES[i] == SIZES[i + 1] and wrap(layer) or layer
  end
  local miss = nn.Sequential(layers)(gpt.tensor { { 1.0, 0.0, -1.0 } }) - gpt.tensor { { 0.0 } }
  local loss = (miss * miss):mean()
  loss:backward()
  local means = {}
  for i, linear in ipairs(linears) do
    means[i] = ("%." .. digits .. "f"):format(linear.weight.grad:abs():mean():item())
  end
  return means
end

describe("the gradients of five layers with GELU", function()
  it("vanish towards the first one", function()
    assert.same({ "0.000202", "0.000120", "0.000715", "0.001399", "0.005050" },
      mean_gradients(function(layer) return layer end, 6))
  end)

  it("reach all of them over shortcuts", function()
    assert.same({ "0.2217", "0.2069", "0.3290", "0.2666", "1.3259" }, mean_gradients(nn.Shortcut, 4))
  end)
end)
