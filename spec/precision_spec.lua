-- gpt.set_precision: products in bf16.
local gpt = require "gpt"
local raised = require "spec.support.raised"

local function processor_has_bf16()
  local kernels = require("gpt.core")._kernels()
  return kernels == "avx512bf16" or kernels == "amx" or kernels == "tiles" or kernels == "i8mm"
end

-- A layer's output and gradients
local function run(layer, x, dy)
  x.grad = nil
  layer.weight.grad, layer.bias.grad = nil, nil
  local y = layer(x);
  (y * dy):sum():backward()
  return { output = y:detach(), input = x.grad, weight = layer.weight.grad, bias = layer.bias.grad }
end

describe("gpt.set_precision", function()
  after_each(function() gpt.set_precision "f32" end)

  it("is f32 unless asked", function()
    assert.equal("f32", gpt.precision())
    gpt.set_precision "bf16"
    assert.equal("bf16", gpt.precision())
  end)

  it("says what there is", function()
    assert.equal('gpt.set_precision: "f32" or "bf16" expected, got f16', raised(gpt.set_precision, "f16"))
    assert.equal('gpt.set_precision: "f32" or "bf16" expected, got nil', raised(gpt.set_precision, nil))
    assert.equal("f32", gpt.precision())
  end)

  it("rounds the products of many rows to bf16, and their gradients; sums are f32", function()
    gpt.seed(1)
    local layer, x, dy = gpt.nn.Linear(700, 90), gpt.randn(50, 700):requires_grad(true), gpt.randn(50, 90)
    local exact = run(layer, x, dy)
    gpt.set_precision "bf16"
    local rounded, again = run(layer, x, dy), run(layer, x, dy)
    for name, t in pairs(exact) do
      local off = (t - rounded[name]):abs():max():item() / t:abs():max():item()
      assert.is_true(off < 1e-2, ("%s is off by %g"):format(name, off))
      assert.equal(processor_has_bf16() and name ~= "bias", off > 1e-5, name)
      assert.is_true(rounded[name]:bytes() == again[name]:bytes())
    end
  end)

  it("gives the same numbers for any number of threads", function()
    gpt.seed(2)
    gpt.set_precision "bf16"
    local x, w = gpt.randn(100, 300), gpt.randn(300, 70)
    local expected = x:matmul(w):bytes()
    for _, threads in ipairs { 1, 3 } do
      gpt.set_threads(threads)
      assert.is_true(expected == x:matmul(w):bytes())
    end
    gpt.set_threads(0)
  end)

  it("leaves few rows, and so decoding, in f32", function()
    gpt.seed(3)
    local x, w = gpt.randn(2, 300), gpt.randn(300, 70)
    local expected = x:matmul(w):bytes()
    gpt.set_precision "bf16"
    assert.is_true(expected == x:matmul(w):bytes())
  end)

  it("trains: the loss falls as it does in f32", function()
    local losses = {}
    for _, precision in ipairs { "f32", "bf16" } do
      gpt.seed(4)
      gpt.set_precision(precision)
      local model = gpt.Model { vocab_size = 40, context_length = 16, emb_dim = 32, n_heads = 2, n_layers = 2, drop_rate = 0,
        qkv_bias = true }
      local optimizer = gpt.optim.AdamW(model, { lr = 1e-2 })
      local ids = gpt.randint(0, 40, { 4, 17 })
      for _ = 1, 30 do
        local loss = model:loss(ids:narrow(2, 1, 16), ids:narrow(2, 2, 16))
        loss:backward()
        optimizer:step()
        optimizer:zero_grad()
        losses[precision] = loss:item()
      end
    end
    assert.is_true(losses.f32 < 1.5, tostring(losses.f32))
    assert.is_true(math.abs(losses.bf16 - losses.f32) < 0.1 * losses.f32, losses.bf16 .. " beside " .. losses.f32)
  end)
end)
