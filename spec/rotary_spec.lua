-- Rotary embedding, RMS norm, gated feed-forward layers, and a Llama made of them.
local gpt = require "gpt"
local gradients = require "spec.support.gradients"
local fixture = dofile "spec/fixtures/llama.lua"
local nn = gpt.nn

local function difference(a, b) return (a - b):abs():max():item() end

local function positions(list) return gpt.tensor(list, { dtype = "i64" }) end

local function raises(expected, fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_truthy(message:find(expected, 1, true), message)
end

-- One head's pairs, turned in Lua's doubles.
local function turned(numbers, position, base, interleaved)
  local n, result = #numbers // 2, {}
  for i = 1, n do
    local first, second = interleaved and 2 * i - 1 or i, interleaved and 2 * i or i + n
    local angle = (position - 1) * base ^ (-2 * (i - 1) / (2 * n))
    local a, b, c, s = numbers[first], numbers[second], math.cos(angle), math.sin(angle)
    result[first], result[second] = a * c - b * s, b * c + a * s
  end
  return result
end

describe("gpt.rotary", function()
  it("turns pairs by angles that grow with position, from 0 at position 1", function()
    gpt.seed(1)
    local list = { 1, 2, 3, 40, 41, 7, 100000 }
    local x = gpt.randn(2, #list, 3, 38)
    for _, interleaved in ipairs { false, true } do
      local y = gpt.rotary(x, positions(list), { base = 500, interleaved = interleaved })
      assert.is_true(difference(y:narrow(2, 1, 1), x:narrow(2, 1, 1)) == 0)
      for i, position in ipairs(list) do
        local expected = gpt.tensor(turned(x[2][i][3]:totable(), position, 500, interleaved))
        assert.is_true(difference(y[2][i][3], expected) < 1e-5)
      end
    end
  end)

  it("turns the first dims alone, reads views, and takes a position for each row", function()
    gpt.seed(2)
    local x = gpt.randn(3, 4, 2, 10)
    local y = gpt.rotary(x, positions { 5, 6, 7, 8 }, { dims = 6 })
    assert.is_true(difference(y:narrow(4, 7, 4), x:narrow(4, 7, 4)) == 0)
    local apart = gpt.rotary(x:narrow(4, 1, 6), positions { 5, 6, 7, 8 })
    assert.is_true(difference(y:narrow(4, 1, 6), apart) == 0)
    local each = gpt.rotary(x, positions { { 1, 2, 3, 4 }, { 5, 6, 7, 8 }, { 9, 9, 9, 2 } }, { dims = 6 })
    assert.is_true(difference(each[2], y[2]) < 1e-6)
  end)

  it("has the gradient that differences have", function()
    gpt.seed(3)
    for _, options in ipairs { {}, { interleaved = true, dims = 4 } } do
      gradients.check(function(x) return gpt.rotary(x, positions { 3, 9 }, options) end,
        { gradients.spread({ 1, 2, 2, 6 }, -1, 1) })
    end
  end)

  it("divides frequencies by factors", function()
    local x = gpt.ones(1, 4, 1, 4)
    local y = gpt.rotary(x, positions { 1, 3, 5, 7 }, { scaling = { frequency_factors = { 2, 2 } } })
    local linear = gpt.rotary(x, positions { 1, 3, 5, 7 }, { scaling = { type = "linear", factor = 2 } })
    assert.is_true(difference(y, gpt.rotary(x, positions { 1, 2, 3, 4 })) < 1e-6)
    assert.is_true(difference(y, linear) == 0)
  end)

  it("says what is wrong", function()
    local x, at = gpt.ones(1, 2, 1, 4), positions { 1, 2 }
    local function scaled(scaling) return function() gpt.rotary(x, at, { scaling = scaling }) end end
    raises("rotary: an input of shape [..., tokens, n_heads, head_dim] expected, got [4]", gpt.rotary, gpt.ones(4), at)
    raises("rotary: positions of shape [tokens] or of the input's without its last two dimensions expected, "
      .. "got [3] for an input of [1, 2, 1, 4]", gpt.rotary, x, positions { 1, 2, 3 })
    raises("an i64 tensor of positions expected, got f32", gpt.rotary, x, gpt.ones(2))
    raises("gpt.rotary: dims must be even and at most 1024, got 3; it is head_dim where it is not given",
      gpt.rotary, x, at, { dims = 3 })
    raises("rotary: dims must be at most head_dim (4), got 6", gpt.rotary, x, at, { dims = 6 })
    raises("gpt.rotary: base: a finite number above 0 expected, got 0", gpt.rotary, x, at, { base = 0 })
    raises("gpt.rotary: scaling: a table expected, got string", scaled "linear")
    raises("gpt.rotary: scaling: rope_type: 'dynamic' is not implemented; "
      .. 'there are "linear", "llama3", "yarn" and "default"', scaled { rope_type = "dynamic", factor = 2 })
    raises('gpt.rotary: scaling: rope_type: "linear", "llama3", "yarn" or "default" expected, got nil', scaled { factor = 2 })
    raises("gpt.rotary: scaling: factor: missing; a finite number above 0 expected", scaled { type = "linear" })
    raises("gpt.rotary: scaling: high_freq_factor must be greater than low_freq_factor", scaled { rope_type = "llama3",
      factor = 2, low_freq_factor = 4, high_freq_factor = 4, original_max_position_embeddings = 8 })
    raises("gpt.rotary: scaling: frequency_factors: an array of 2 numbers expected, one for each pair",
      scaled { frequency_factors = { 1 } })
    raises("gpt.rotary: scaling: frequency_factors[2]: a finite number above 0 expected, got 0",
      scaled { frequency_factors = { 1, 0 } })
  end)
end)

describe("rms_norm", function()
  it("has the gradient that differences have", function()
    gpt.seed(4)
    local x, w = gradients.spread({ 3, 5 }, -2, 2), gradients.spread({ 5 }, 0.5, 1.5)
    gradients.check(function(a, b) return a:rms_norm(b, 0.1) end, { x, w })
    gradients.check(function(a) return a:transpose(1, 2):rms_norm(nil, 0.1) end, { x })
  end)

  it("is what the layer computes, whose factor is weight + offset", function()
    gpt.seed(5)
    local x, norm = gpt.randn(2, 37), nn.RMSNorm(37, { eps = 1e-5, offset = 1 })
    assert.equal("RMSNorm(37, { eps = 1e-05, offset = 1 })  -- 37", tostring(norm))
    assert.equal("RMSNorm(37)  -- 37", tostring(nn.RMSNorm(37)))
    assert.is_true(difference(norm(x), x:rms_norm(nil, 1e-5)) < 1e-6)
    gpt.no_grad(function() norm.weight:copy(gpt.rand(37)) end)
    assert.is_true(difference(norm(x), x:rms_norm(norm.weight + 1, 1e-5)) < 1e-6)
  end)

  it("says what is wrong", function()
    raises("rms_norm: a weight of shape [3] expected, got [2]", function() gpt.ones(2, 3):rms_norm(gpt.ones(2)) end)
    raises("rms_norm: an input of shape [..., n] with n of at least 1 expected, got []", function() gpt.ones(2):sum():rms_norm() end)
    raises("eps: a finite number of at least 0 expected, got -1", function() gpt.ones(2):rms_norm(nil, -1) end)
    raises("nn.RMSNorm: offset: a finite number expected, got string", nn.RMSNorm, 3, { offset = "1" })
  end)
end)

describe("a gated FeedForward", function()
  for _, activation in ipairs { "gelu", "gelu_exact", "relu", "silu" } do
    it("multiplies " .. activation .. " of the gate by what is expanded, forward and back", function()
      gpt.seed(6)
      local layer = nn.FeedForward { emb_dim = 5, hidden_dim = 11, gated = true, activation = activation }
      local function apart(x) return layer.project(layer.activation(layer.gate(x)) * layer.expand(x)) end
      local x = gpt.randn(2, 3, 5):requires_grad(true)
      local grads = {}
      for i, f in ipairs { layer, apart } do
        local leaves = { x, layer.gate.weight, layer.expand.bias }
        for _, leaf in ipairs(leaves) do leaf.grad = nil end
        f(x):sum():backward()
        grads[i] = {}
        for j, leaf in ipairs(leaves) do grads[i][j] = leaf.grad end
      end
      assert.is_true(difference(layer(x), apart(x)) < 1e-6)
      for i = 1, 3 do assert.is_true(difference(grads[1][i], grads[2][i]) < 1e-5) end
      layer:replace("activation", nn.Sequential { layer.activation })
      assert.is_true(difference(layer(x), apart(x)) < 1e-6)
    end)
  end

  it("prints, and has no bias where none is wanted", function()
    local layer = nn.FeedForward { emb_dim = 4, hidden_dim = 6, gated = true, activation = "silu", bias = false }
    assert.equal(72, layer:num_parameters())
    assert.is_truthy(tostring(layer):find("emb_dim = 4, hidden_dim = 6, gated = true,\n  gate = Linear(4, 6, { bias = false })", 1, true))
    raises("nn.FeedForward: gated: true or false expected, got 1", nn.FeedForward, { emb_dim = 4, gated = 1 })
  end)
end)

describe("MultiHeadAttention's new options", function()
  local function attention(options)
    options.emb_dim, options.n_heads, options.context_length = 12, 4, 8
    return nn.MultiHeadAttention(options)
  end

  it("print", function()
    local text = tostring(attention { head_dim = 4, rope_base = 500, rope_dims = 2, rope_interleaved = true, qk_norm = true,
      rope_scaling = { rope_type = "linear", factor = 2 } })
    assert.is_truthy(text:find('rope_base = 500, rope_dims = 2, rope_interleaved = true, '
      .. 'rope_scaling = { rope_type = "linear", factor = 2 }, qk_norm = true', 1, true), text)
  end)

  it("are refused where they are wrong", function()
    raises("MultiHeadAttention: rotary embedding turns pairs of numbers: head_dim must be even, got 3",
      attention, { rope_base = 10 })
    raises("MultiHeadAttention: rotary embedding turns pairs of numbers: rope_dims must be even, got 3",
      attention, { rope_base = 10, rope_dims = 3, head_dim = 4 })
    raises("MultiHeadAttention: rope_dims must be at most head_dim (4) and at most 1024, got 6",
      attention, { rope_base = 10, rope_dims = 6, head_dim = 4 })
    raises("nn.MultiHeadAttention: rope_scaling: there is no rope_base beside it", attention,
      { rope_scaling = { rope_type = "default" } })
    raises("nn.MultiHeadAttention: rope_scaling: rope_type: 'longrope' is not implemented; "
      .. 'there are "linear", "llama3", "yarn" and "default"', attention, { rope_base = 10, head_dim = 4, rope_scaling = { rope_type = "longrope" } })
    raises("nn.MultiHeadAttention: qk_norm: true, false or a table { eps, offset } expected, got 1", attention, { qk_norm = 1 })
  end)
end)

local kinds = { "default", "linear", "llama3", "yarn", "qwen3" }

-- The fixture's model, with its weights.
local function llama(row, name)
  local config = { vocab_size = 12, context_length = 64, emb_dim = 16, n_heads = 4, n_layers = 2, drop_rate = 0,
    qkv_bias = false }
  local qwen = name == "qwen3"
  local function norm(dim) return nn.RMSNorm(dim or 16, { eps = 1e-5 }) end
  local model = gpt.Model(config, { block = function()
    local attention = nn.MultiHeadAttention { emb_dim = 16, n_heads = 4, n_kv_heads = 2, context_length = 64, bias = false,
      head_dim = qwen and 8 or nil, rope_base = 10000, rope_scaling = row.scaling, qk_norm = qwen and { eps = 1e-5 } }
    local feed_forward = nn.FeedForward { emb_dim = 16, hidden_dim = 24, gated = true, activation = "silu", bias = false }
    return nn.Sequential { nn.Shortcut(nn.Sequential { norm(), attention }),
      nn.Shortcut(nn.Sequential { norm(), feed_forward }) }
  end })
  model:replace("final_norm", norm())
  model:replace("head", nn.Identity())
  return model:eval()
end

local function fill(tensor, n, added)
  local numbers = {}
  for i = 0, tensor:numel() - 1 do numbers[i + 1] = 0.4 * math.sin(0.7 * i + n) + added end
  tensor:copy(gpt.tensor(numbers):view(tensor:shape()))
end

local function weights(model, qwen)
  local list = { model.token_embedding.weight }
  for i = 1, 2 do
    local block = model.blocks[i]
    local attention, feed_forward = block[1].layer[2], block[2].layer[2]
    for _, name in ipairs { "query", "key", "value", "output" } do list[#list + 1] = attention[name].weight end
    if qwen then list[#list + 1], list[#list + 2] = attention.query_norm.weight, attention.key_norm.weight end
    for _, name in ipairs { "gate", "expand", "project" } do list[#list + 1] = feed_forward[name].weight end
    list[#list + 1], list[#list + 2] = block[1].layer[1].weight, block[2].layer[1].weight
  end
  list[#list + 1] = model.final_norm.weight
  return list
end

describe("a Llama of these layers", function()
  for _, name in ipairs(kinds) do
    it("is transformers', cached and not: " .. name, function()
      local row = fixture[name]
      local model = llama(row, name)
      gpt.no_grad(function()
        model.position_embedding.weight:fill(0)
        for n, tensor in ipairs(weights(model, name == "qwen3")) do fill(tensor, n, tensor:dim() == 1 and 1 or 0) end
      end)
      local expected = gpt.tensor(row.hidden):view(#fixture.ids, 16)
      assert.is_true(difference(gpt.no_grad(model, fixture.ids)[1], expected) < 2e-5)
      local session = model:session()
      for i, id in ipairs(fixture.ids) do
        assert.is_true(difference(session:feed { id }, expected[i]) < 2e-5)
      end
    end)
  end
end)
