-- What a layer written in Lua may do to the model that runs it.
local gpt = require "gpt"
local nn = gpt.nn

local config = {
  vocab_size = 17, context_length = 16, emb_dim = 12, n_heads = 3, n_layers = 2, drop_rate = 0, qkv_bias = true,
}

-- A layer that passes its input through, after act(x).
local function acting(act)
  return nn.layer("Acting", {
    forward = function(_, x)
      act(x)
      return x
    end,
    positionwise = true,
  })()
end

describe("a layer that runs", function()
  it("may exchange the block and the blocks it stands in", function()
    for _, path in ipairs { "blocks.1", "blocks" } do
      local model
      model = gpt.Model(config)
      model:replace("blocks.1.feed_forward", acting(function()
        model:replace(path, nn.Identity())
        collectgarbage()
        collectgarbage()
      end))
      assert.same({ 1, 3, 17 }, model({ 1, 2, 3 }):shape())
      assert.is_nil(tostring(model):find("Acting", 1, true))
    end
  end)

  it("may free the input that its caller holds", function()
    local x = gpt.ones(2, 3)
    local shortcut = nn.Shortcut(acting(function() x:free() end))
    assert.same({ { 2, 2, 2 }, { 2, 2, 2 } }, shortcut(x):totable())
  end)

  it("runs by itself where it stands for the blocks", function()
    local model = gpt.Model(config)
    local zero = nn.layer("Zero", { forward = function(_, x) return x * 0 end })()
    zero.part = nn.Identity()
    model:replace("blocks", zero)
    assert.equal(0, model({ 1, 2 }):abs():max():item())
  end)

  it("may run another model, which begins a pass of its own", function()
    local other = gpt.Model(config):eval()
    local alone, seen = other { 1, 2 }
    local model = gpt.Model(config, { final_norm = acting(function() seen = other { 1, 2 } end) })
    model:session():feed { 1, 2, 3, 4, 5 }
    assert.same(alone:totable(), seen:totable())
  end)

  it("cannot lead other rows through an attention in a pass with a cache", function()
    local attention = nn.MultiHeadAttention { emb_dim = 12, n_heads = 3, context_length = 16 }
    local model = gpt.Model(config, { final_norm = acting(function() attention(gpt.zeros(1, 2, 12)) end) })
    assert.error_matches(function() model:session():feed { 1, 2, 3 } end,
      "attention: in a pass with a KV cache an input of shape [1, 3, ...] expected, got [1, 2, 12]; "
      .. "a layer that makes other rows cannot be positionwise", 1, true)
  end)

  it("must keep rows and dims for the end of the model", function()
    local model = gpt.Model(config, {
      block = nn.layer("Rows", { forward = function(_, x) return x[1] end, positionwise = true }),
    })
    assert.error_matches(function() model:session():feed { 1, 2, 3 } end,
      "Model: f32 of shape [batch, tokens, dim] expected from its parts, got f32 of shape [12]", 1, true)
  end)

  it("cannot change the session that feeds it", function()
    local session, act
    local model = gpt.Model(config, { final_norm = acting(function() act() end) })
    local messages = {
      feed = function() session:feed { 1 } end,
      rewind = function() session:rewind(0) end,
      reserve = function() session:reserve(16) end,
    }
    for name, change in pairs(messages) do
      session, act = model:session(), change
      assert.error_matches(function() session:feed { 1, 2 } end, name
        .. ": the session is being fed; layers of its model cannot change it meanwhile", 1, true)
      assert.equal(0, session.length)
    end
  end)

  it("may free the session that feeds it", function()
    collectgarbage()
    collectgarbage()
    local model, session = gpt.Model(config)
    local live = gpt.memory().live
    model.final_norm = acting(function() session:free() end)
    session = model:session()
    assert.same({ 17 }, session:feed({ 1, 2 }):shape())
    assert.has_error(function() session:feed { 1 } end)
    model.final_norm = nn.LayerNorm(12)
    session = nil
    collectgarbage()
    collectgarbage()
    assert.equal(live, gpt.memory().live)
  end)
end)

describe("layers", function()
  it("nested too deep are refused, and the stack of the process is safe", function()
    local layer = nn.Identity()
    for _ = 1, 5000 do layer = nn.Sequential { layer } end
    local done, message = pcall(layer, gpt.zeros(1))
    assert.is_false(done)
    assert.is_true(message:find("layers are nested more than 200 deep", 1, true) ~= nil)
    assert.is_true(#message < 2000)
  end)

  it("have parts whose names fit into paths", function()
    local layer = acting(print)
    for _, name in ipairs { "a.b", "" } do
      assert.error_matches(function() layer[name] = nn.Identity() end,
        ("Acting: '%s' cannot name a part: paths join names by dots"):format(name), 1, true)
    end
    assert.error_matches(function() layer["a\0b"] = 1 end, "Acting: a field's name cannot hold a zero byte", 1, true)
    assert.error_matches(function() layer[1] = 5 end, "Acting[1]: a layer expected, got number", 1, true)
  end)

  it("train what is put in a trained parameter's place", function()
    local layer = nn.Linear(2, 3)
    layer.weight = gpt.ones(3, 2)
    assert.is_true(layer.weight:requires_grad())
  end)
end)

describe("a finalizer in the middle of an operation", function()
  after_each(function() gpt.memory { limit = 0 } end)

  it("cannot take parameters away from it", function()
    local layer, x, message = nn.Linear(100, 400), gpt.zeros(100, 100)
    setmetatable({}, {
      __gc = function()
        gpt.memory { limit = 0 }
        message = select(2, pcall(function() layer.weight = gpt.zeros(400, 100) end))
        x:free()
      end,
    })
    gpt.memory { limit = gpt.memory().live + 100000 }
    assert.same({ 100, 400 }, layer(x):shape())
    assert.is_true(message:find("a finalizer uses a gpt.Layer in the middle of an operation that has run out of memory", 1, true) ~= nil)
    assert.same({ 100, 100 }, x:shape())
  end)

  it("cannot take gradients away from it", function()
    local layer, messages = nn.Linear(50, 60), {}
    local optimizer = gpt.optim.AdamW(layer)
    local function loss() return layer(gpt.ones(40, 50)):sum() end
    loss():backward()
    local again = loss()
    setmetatable({}, {
      __gc = function()
        gpt.memory { limit = 0 }
        for i, drop in ipairs { function() layer.weight.grad = nil end, function() optimizer:zero_grad() end,
          function() layer:freeze() end } do
          messages[i] = select(2, pcall(drop)):match("a finalizer uses a gpt%.%a+ in the middle of an operation that has run out of memory")
        end
      end,
    })
    gpt.memory { limit = gpt.memory().live + 1000 }
    again:backward()
    assert.equal(3, #messages)
    assert.equal(80, layer.weight.grad:max():item())
  end)
end)
