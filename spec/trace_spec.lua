local gpt = require "gpt"
local measure = require "spec.support.measure"
local nn = gpt.nn
local difference, live = measure.difference, measure.live

local CONFIG = { vocab_size = 11, context_length = 8, emb_dim = 8, n_heads = 2, n_layers = 2, drop_rate = 0.5, qkv_bias = true }

local function paths(trace)
  local list = {}
  for path, entry in pairs(trace) do
    assert.equal(entry, trace[path])
    table.insert(list, path)
  end
  assert.equal(#list, #trace)
  return list
end

describe("trace", function()
  it("keeps what every layer returns, by path, in order", function()
    local model = gpt.Model(CONFIG) -- in training: a trace drops nothing all the same
    local trace = model:trace { 3, 1, 4, 1 }
    local list = paths(trace)
    assert.same({ "", "token_embedding", "position_embedding", "blocks.1", "blocks.1.norm1", "blocks.1.attention",
      "blocks.1.attention.query", "blocks.1.attention.key", "blocks.1.attention.value", "blocks.1.attention.output",
      "blocks.1.norm2", "blocks.1.feed_forward", "blocks.1.feed_forward.expand", "blocks.1.feed_forward.activation",
      "blocks.1.feed_forward.project", "blocks.2" }, table.move(list, 1, 16, 1, {}))
    assert.same({ "final_norm", "head" }, { list[#list - 1], list[#list] })
    assert.equal(29, #list)
    model:eval()
    assert.equal(0, difference(trace[""].output, model { 3, 1, 4, 1 }))
    local x = trace["token_embedding"].output + trace["position_embedding"].output
    for i = 1, 2 do
      local function at(path) return trace[("blocks.%d%s"):format(i, path)].output end
      local block = model.blocks[i]
      assert.equal(0, difference(at "", block(x)))
      assert.equal(0, difference(at ".norm1", block.norm1(x)))
      assert.equal(0, difference(at ".attention", block.attention(at ".norm1")))
      for _, name in ipairs { "query", "key", "value" } do
        assert.is_true(difference(at(".attention." .. name), block.attention[name](at ".norm1")) < 1e-6)
      end
      assert.equal(0, difference(at ".feed_forward.activation", at(".feed_forward.expand"):gelu()))
      x = at ""
    end
    assert.equal(0, difference(trace["head"].output, model.head(model.final_norm(x))))
    assert.equal(model.blocks[2].norm2, trace["blocks.2.norm2"].layer)
    assert.equal("LayerNorm", trace["blocks.2.norm2"].kind)
    assert.is_nil(trace["blocks.2.norm2"].weights)
    assert.is_false(trace[""].output:requires_grad())
  end)

  it("keeps every head's attention weights", function()
    local attention = nn.MultiHeadAttention { emb_dim = 6, n_heads = 3, context_length = 70, drop_rate = 0.3 }
    local x = gpt.randn(2, 70, 6)
    local trace = attention:trace(x)
    local weights = trace[""].weights
    assert.same({ 2, 3, 70, 70 }, weights:shape())
    assert.is_true(difference(weights:sum(-1), gpt.ones(2, 3, 70)) < 1e-5)
    assert.equal(0, weights:triu(1):abs():max():item())
    assert.is_true(weights:min():item() >= 0)
    local values = trace["value"].output:view(2, 70, 3, 2):transpose(2, 3)
    local mixed = weights:matmul(values):transpose(2, 3):reshape(2, 70, 6)
    assert.is_true(difference(attention.output(mixed), attention:eval()(x)) < 1e-5)
    assert.same({ 3, 70, 70 }, attention:trace(x[1])[""].weights:shape())
    local model = gpt.Model(CONFIG)
    assert.same({ 2, 3, 3 }, model:trace({ 1, 2, 3 })["blocks.2.attention"].weights:shape())
    assert.same({ 2, 3, 3 }, model:trace(gpt.tensor { 1, 2, 3 })["blocks.2.attention"].weights:shape())
    assert.same({ 1, 2, 3, 3 }, model:trace({ { 1, 2, 3 } })["blocks.2.attention"].weights:shape())
    model.blocks[1].attention.key = nn.Sequential { model.blocks[1].attention.key } -- projections that run apart
    assert.same({ 2, 3, 3 }, model:trace({ 1, 2, 3 })["blocks.1.attention"].weights:shape())
    assert.truthy(model:trace({ 1, 2, 3 })["blocks.1.attention.key.1"])
  end)

  it("goes through layers written in Lua, containers, and layers that run twice", function()
    local hidden = nn.Linear(4, 4)
    local Mixed = nn.layer("Mixed", {
      init = function(self)
        self.experts = nn.List { nn.Linear(4, 4), nn.Linear(4, 4) }
        self.attention = nn.MultiHeadAttention { emb_dim = 4, n_heads = 1, context_length = 8 }
      end,
      forward = function(self, x)
        return self.experts[2](x) + self.attention(self.attention(x)) + hidden(x)
      end,
    })
    local shared = nn.ReLU()
    local trace = nn.Sequential { shared, nn.Shortcut(Mixed()), shared, function(x) return x * 2 end }:trace(gpt.randn(3, 4))
    assert.same({ "", "1", "2", "2.layer", "2.layer.experts.2", "2.layer.attention", "2.layer.attention.query",
      "2.layer.attention.key", "2.layer.attention.value", "2.layer.attention.output", "2.layer.attention#2",
      "2.layer.attention#2.query", "2.layer.attention#2.key", "2.layer.attention#2.value", "2.layer.attention#2.output",
      "3", "4" }, paths(trace))
    assert.equal("Mixed", trace["2.layer"].kind)
    assert.same({ 1, 3, 3 }, trace["2.layer.attention#2"].weights:shape())
    assert.is_true(difference(trace["2"].output, trace["1"].output + trace["2.layer"].output) == 0)
  end)

  it("prints", function()
    assert.equal([==[
Trace of 5 layers
  [""]        MultiHeadAttention: output [3, 4], weights [2, 3, 3]
  ["query"]   Linear: output [1, 3, 4]
  ["key"]     Linear: output [1, 3, 4]
  ["value"]   Linear: output [1, 3, 4]
  ["output"]  Linear: output [1, 3, 4]]==],
      tostring(nn.MultiHeadAttention { emb_dim = 4, n_heads = 2, context_length = 8 }:trace(gpt.ones(3, 4))))
  end)

  it("leaves nothing behind, after errors too", function()
    local model = gpt.Model(CONFIG)
    local before = live()
    model:trace { 1, 2 }
    assert.equal(before, live())
    local message = assert.error_matches
    message(function() model:trace { 1, 99 } end,
      "token_embedding: id 99 at position 2 is out of the vocabulary: ids are 0 .. 10", 1, true)
    message(function() model:trace() end, "trace: a tensor, or token ids, expected, got nothing", 1, true)
    message(function() model.trace(3, {}) end, "trace: a layer expected, got number: call it as layer:trace(x)", 1, true)
    message(function() return model:trace({ 1 })["blocks.2.atention"] end,
      "the trace has nothing at 'blocks.2.atention'; did you mean 'blocks.2.attention'?", 1, true)
    message(function() return model:trace({ 1 })["zzz"] end, "the trace has nothing at 'zzz': print it to see its paths", 1, true)
    message(function() return model:trace({ 1 })[1] end, "a path expected in trace[...], got a number", 1, true)
    message(function() return model:trace({ 1 })[""].weight end,
      "a trace's entry has no field 'weight'; did you mean 'weights'?", 1, true)
    local Boom = nn.layer("Boom", { forward = function() error "boom" end })
    message(function() nn.Sequential { nn.ReLU(), Boom() }:trace(gpt.ones(2)) end, "boom", 1, true)
    assert.equal(before, live())
    local failures = 0
    for extra = 0, 16000, 500 do -- memory may run out anywhere
      gpt.memory { limit = before + extra }
      failures = failures + (pcall(model.trace, model, { 1, 2, 3, 4, 5, 6, 7, 8 }) and 0 or 1)
      gpt.memory { limit = 0 }
      assert.equal(before, live())
    end
    assert.is_true(failures > 10)
  end)
end)
