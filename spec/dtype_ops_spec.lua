-- Every op, method and layer over tensors of other dtypes: the numbers that float32 gives, or an error that names the op.
local gpt = require "gpt"

local ids = { { 3, 0, 2 }, { 1, 1, 3 } }

-- Each makes a result from a tensor of shape [4, 32]; its name; `moves`: it moves numbers, in any dtype.
local cases = {
  { "neg", function(t) return -t end },
  { "add", function(t) return t + 1.5 end }, { "add", function(t) return 1 + t end },
  { "add", function(t) return gpt.ones(4, 32) + t end },
  { "sub", function(t) return t - gpt.ones(32) end }, { "mul", function(t) return t * t end },
  { "div", function(t) return t / 2 end }, { "pow", function(t) return t ^ 2 end },
  { "pow", function(t) return t:pow(2) end },
  { "eq", function(t) return t:eq(1) end }, { "ne", function(t) return t:ne(1) end },
  { "lt", function(t) return t:lt(1) end }, { "le", function(t) return t:le(1) end },
  { "gt", function(t) return t:gt(1) end }, { "ge", function(t) return t:ge(1) end },
  { "matmul", function(t) return t:matmul(gpt.ones(32, 3)) end },
  { "matmul", function(t) return gpt.ones(3, 4):matmul(t) end },
  { "sum", function(t) return t:sum() end }, { "sum", function(t) return t:sum(2) end },
  { "mean", function(t) return t:mean() end }, { "var", function(t) return t:var() end },
  { "std", function(t) return t:std(1) end }, { "norm", function(t) return t:norm(2, 1) end },
  { "cumsum", function(t) return t:cumsum(2) end }, { "outer", function(t) return t[1]:outer(gpt.ones(2)) end },
  { "outer", function(t) return gpt.ones(2):outer(t[1]) end },
  { "where", function(t) return gpt.where(gpt.tensor(1), t, 0) end },
  { "where", function(t) return gpt.where(gpt.tensor(1), 0, t) end },
  { "where: condition", function(t) return gpt.where(t, 1.0, 0.0) end },
  { "gather", function(t) return t:gather(1, gpt.tensor { { 1, 2 } }) end },
  { "scatter_add", function(t) return t:scatter_add(1, gpt.tensor { { 1, 2 } }, gpt.ones(1, 2)) end },
  { "scatter_add: source", function(t) return gpt.ones(1, 2):scatter_add(1, gpt.tensor { { 1, 1 } }, t) end },
  { "max", function(t) return t:max() end }, { "max", function(t) return t:max(1) end },
  { "min", function(t) return t:min(2) end }, { "argmax", function(t) return t:argmax(2) end },
  { "topk", function(t) return t:topk(2, 1) end }, { "sort", function(t) return t:sort(2) end },
  { "exp", function(t) return t:exp() end }, { "log", function(t) return (t * t + 1):log() end, "mul" },
  { "sqrt", function(t) return t:abs():sqrt() end, "abs" }, { "tanh", function(t) return t:tanh() end },
  { "abs", function(t) return t:abs() end }, { "clamp", function(t) return t:clamp(-1, 1) end },
  { "relu", function(t) return t:relu() end }, { "gelu", function(t) return t:gelu() end },
  { "silu", function(t) return t:silu() end }, { "sigmoid", function(t) return t:sigmoid() end },
  { "sin", function(t) return t:sin() end }, { "cos", function(t) return t:cos() end },
  { "rsqrt", function(t) return (t * t + 1):rsqrt() end, "mul" },
  { "rms_norm", function(t) return t:rms_norm() end },
  { "rms_norm: weight", function(t) return gpt.ones(4, 32):rms_norm(t[1]) end },
  { "rotary", function(t) return gpt.rotary(t:view(1, 4, 1, 32), gpt.arange(1, 4)) end },
  { "rms_norm", function(t) return gpt.nn.RMSNorm(32)(t) end }, { "silu", function(t) return gpt.nn.SiLU()(t) end },
  { "linear", function(t) return gpt.nn.FeedForward { emb_dim = 32, hidden_dim = 8, gated = true } (t) end },
  { "gelu_exact", function(t) return t:gelu_exact() end }, { "argmin", function(t) return t:argmin(1) end },
  { "softmax", function(t) return t:softmax(2) end }, { "log_softmax", function(t) return t:log_softmax(1) end },
  { "masked_fill", function(t) return t:masked_fill(gpt.ones({ 32 }, { dtype = "i64" }), 2) end },
  { "masked_fill: mask", function(t) return gpt.ones(4, 32):masked_fill(t, 2) end },
  { "tril", function(t) return t:tril() end }, { "triu", function(t) return t:triu(1) end },
  { "index", function(t) return t:index(1, { 2, 1, 2 }) end },
  { "cat", function(t) return gpt.cat({ t, gpt.ones(1, 32) }, 1) end }, { "cat", function(t) return gpt.cat({ t, t }, 2) end },
  { "cat", function(t) return gpt.stack({ t, t }, 1) end },
  { "cross_entropy", function(t) return gpt.cross_entropy(t, gpt.tensor { 3, 1, 2, 0 }) end },
  { "dropout", function(t) return gpt.nn.Dropout(0.5)(t) end },
  { "gelu", function(t) return gpt.nn.GELU()(t) end }, { "relu", function(t) return gpt.nn.ReLU()(t) end },
  { "layer_norm", function(t) return gpt.nn.LayerNorm(32)(t) end },
  { "linear", function(t) return gpt.nn.Linear(32, 3)(t) end },
  { "linear", function(t) return gpt.nn.FeedForward { emb_dim = 32, hidden_dim = 8 } (t) end },
  { "add", function(t) return gpt.nn.Shortcut(gpt.nn.Identity())(t) end },
  { "linear", function(t)
    return gpt.nn.MultiHeadAttention { emb_dim = 32, n_heads = 2, context_length = 8, qkv_bias = true, drop_rate = 0 } (t)
  end },
  { "attention", function(t) -- projections in Lua, of the dtype that came
    local same = gpt.nn.layer("Same", { forward = function(_, x) return x end, positionwise = true })
    local attention = gpt.nn.MultiHeadAttention { emb_dim = 32, n_heads = 2, context_length = 8, qkv_bias = true,
      drop_rate = 0 }
    for _, name in ipairs { "query", "key", "value" } do attention:replace(name, same()) end
    return attention(t)
  end },
  { "layer_norm", function(t)
    local config = { emb_dim = 32, n_heads = 2, context_length = 8, drop_rate = 0, qkv_bias = true,
      vocab_size = 8, n_layers = 1 }
    return gpt.nn.TransformerBlock(config)(t)
  end },
}

-- Those that give the numbers themselves, whatever the dtype.
local movers = {
  view = function(t) return t:view(2, 2, 32) end, reshape = function(t) return t:reshape(4, 1, 32) end,
  narrow = function(t) return t:narrow(1, 2, 2) end, select = function(t) return t:select(1, -1) end,
  ["t[i]"] = function(t) return t[2] end, clone = function(t) return t:clone() end,
  contiguous = function(t) return t:contiguous() end, detach = function(t) return t:detach() end,
  permute = function(t) return t:view(2, 2, 32):permute(2, 1, 3) end, float = function(t) return t:float() end,
  flip = function(t) return t:flip(1) end,
  expand = function(t) return t:view(4, 1, 32):expand(4, 3, 32) end,
  squeeze = function(t) return t:view(4, 1, 32):squeeze(2) end, unsqueeze = function(t) return t:unsqueeze(1) end, to = function(t) return t:to "bf16" end,
}

local function draw(fn, t)
  gpt.seed(5)
  local result = fn(t)
  return result
end

local function assert_near(expected, got, name)
  local a, b = expected:float(), got:float()
  assert.same(a:shape(), b:shape(), name)
  local difference = (a - b):abs():max():item()
  if difference ~= difference or difference > 1e-5 then error(("%s: %g apart"):format(name, difference), 2) end
end

describe("over other dtypes", function()
  local integers = gpt.randint(-9, 9, { 4, 32 })

  it("i64 computes as the same numbers in f32 do", function()
    for _, case in ipairs(cases) do
      assert_near(draw(case[2], integers:float()), draw(case[2], integers), case[1])
    end
    for name, fn in pairs(movers) do assert_near(fn(integers:float()), fn(integers), name) end
  end)

  for _, dtype in ipairs { "f16", "bf16", "q8_0", "q4_0" } do
    it(dtype .. " is refused by name, and moved as it is", function()
      local t = gpt.randn(4, 32):to(dtype)
      for _, case in ipairs(cases) do
        local ok, message = pcall(draw, case[2], t)
        assert.is_false(ok, case[1])
        local wanted = case[3] or case[1]
        local expected = ("%s: an f32 or i64 tensor expected, got %s; t:float() converts it"):format(wanted, dtype)
        if not message:find(expected, 1, true) then
          error(("%s: '%s' expected, got '%s'"):format(case[1], expected, message))
        end
      end
      for name, fn in pairs(movers) do
        local moved = fn(t)
        if name ~= "to" then assert.same(fn(t:float()):totable(), moved:totable(), name) end
      end
    end)
  end

  it("parameters and gradients are f32, and what is not says so", function()
    local half = gpt.ones({ 4, 32 }, { dtype = "f16" })
    for expected, fn in pairs {
      ["requires_grad: only f32 tensors have gradients, this one is f16"] = function() half:requires_grad(true) end,
      ["a parameter must be f32"] = function() gpt.nn.parameter(half) end,
      ["ids must be integers (i64), got a tensor of f16"] = function() gpt.nn.Embedding(4, 8)(half) end,
      ["f32 logits expected, got f16"] = function() gpt.sample(half) end,
    } do
      local ok, message = pcall(fn)
      assert.is_false(ok)
      assert.is_truthy(message:find(expected, 1, true), message)
    end
    assert.same({ 2, 3, 8 }, gpt.nn.Embedding(4, 8)(gpt.tensor(ids)):shape())
  end)

  it("gradients flow into what is converted beside them", function()
    local w = gpt.ones({ 32 }, { requires_grad = true })
    local y = integers * w
    y:sum():backward()
    assert_near(integers:float():sum(1), w.grad, "grad")
  end)
end)
