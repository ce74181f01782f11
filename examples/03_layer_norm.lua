-- 3. Layer norm: every token's vector gets mean 0 and variance 1, so that the numbers do not drift from layer to layer.
local gpt = require "gpt"

gpt.seed(123)
local batch = gpt.randn(2, 5)
local layer = gpt.nn.Sequential { gpt.nn.Linear(5, 6), gpt.nn.ReLU() }
local out = gpt.no_grad(layer, batch)
print("What a layer made of two examples:", out)
print("mean of each:", out:mean(-1, true))
print("variance of each:", out:var(-1, true, { correction = 0 }))

-- By hand: subtract the mean, divide by the standard deviation.
local mean = out:mean(-1, true)
local variance = out:var(-1, true, { correction = 0 })
local normed = (out - mean) / (variance + 1e-5):sqrt()
print("\nNormed by hand:", normed)
print(("the largest mean %.4f, the variances %.4f and %.4f"):format(normed:mean(-1):abs():max():item(),
  normed[1]:var(1, false, { correction = 0 }):item(), normed[2]:var(1, false, { correction = 0 }):item()))

-- The layer does the same, then scales and shifts by its parameters, which begin at 1 and 0.
local norm = gpt.nn.LayerNorm(6)
local difference = gpt.no_grad(function() return (norm(out) - normed):abs():max():item() end)
print(("\nThe layer's difference from that: %.1e"):format(difference))
assert(difference < 1e-5)
print(norm)
print "mean 0, variance 1"
