local gpt = require "gpt"
local raised = require "spec.support.raised"

local CONFIG = {
  vocab_size = 40, context_length = 24, emb_dim = 24, n_heads = 3, n_layers = 3, drop_rate = 0, qkv_bias = true,
}
local IDS = { 3, 1, 4, 1, 5, 9 }

local function new_model()
  gpt.seed(5)
  return gpt.Model(CONFIG):eval()
end

local function largest(a, b) return (a - b):abs():max():item() end

describe("layer:run", function()
  it("shows hooks what trace shows, and changes nothing", function()
    local model, seen = new_model(), {}
    local trace, hooks = model:trace(IDS), {}
    for path in pairs(trace) do
      hooks[path] = function(output) seen[path] = output end
    end
    local logits = model:run(IDS, hooks)
    assert.is_true(largest(logits, model(IDS)) < 1e-5)
    for path, entry in pairs(trace) do
      assert.is_true(largest(seen[path], entry.output) < 1e-5, path)
    end
  end)

  it("goes on with what a hook returns, or writes into its output", function()
    local model = new_model()
    local plain = model:run(IDS, {})
    assert.equal(0, largest(plain, model(IDS)))
    local zero = gpt.nn.layer("Zero", { forward = function(_, x) return x * 0 end })
    for _, path in ipairs { "blocks.2.attention", "blocks.2.attention.query", "blocks.2.attention.value",
      "blocks.1.feed_forward.expand", "blocks.3", "token_embedding", "final_norm" } do
      local replaced = model:run(IDS, { [path] = function(output) return output * 0 end })
      local written = gpt.no_grad(model.run, model, IDS, { [path] = function(output) output:fill(0) end })
      local other = new_model()
      local Zeroed = gpt.nn.Sequential { other:find(path), zero() }
      other:replace(path, Zeroed)
      assert.is_true(largest(replaced, other(IDS)) < 1e-5, path)
      if path ~= "blocks.3" then assert.is_true(largest(replaced, plain) > 1e-6, path) end
      assert.equal(0, largest(replaced, written))
    end
  end)

  it("calls a hook of every kind of layer, with the pass", function()
    local Twice = gpt.nn.layer("Twice", {
      init = function(self) self.inner = gpt.nn.Linear(4, 4) end,
      forward = function(self, x) return self.inner(self.inner(x)) end,
    })
    local layer, calls = gpt.nn.Sequential { Twice(), gpt.nn.GELU() }, {}
    layer:run(gpt.randn(1, 3, 4), {
      ["1.inner"] = function(_, pass) calls[#calls + 1] = "inner " .. tostring(pass.training) end,
      ["2"] = function(_, pass) calls[#calls + 1] = "gelu " .. tostring(pass.training) end,
      [""] = function() calls[#calls + 1] = "all" end,
    })
    assert.same({ "inner true", "inner true", "gelu true", "all" }, calls)
  end)

  it("tells a hook the positions of the rows that it is shown", function()
    local model, seen = new_model(), {}
    local hooks = {}
    for _, path in ipairs { "token_embedding", "blocks.2.attention.value", "blocks.3", "final_norm", "head" } do
      hooks[path] = function(output, pass)
        local positions = pass.positions
        assert.equal(output:shape()[2], positions:numel())
        seen[path] = positions:reshape(-1):totable()
      end
    end
    local function assert_seen(all, last)
      assert.same({ token_embedding = all, ["blocks.2.attention.value"] = all, ["blocks.3"] = all, final_norm = last,
        head = last }, seen)
    end
    model:run(IDS, hooks)
    assert_seen({ 1, 2, 3, 4, 5, 6 }, { 1, 2, 3, 4, 5, 6 })
    model:run({ { 1, 2, 3 }, { 4, 5, 6 } }, hooks)
    assert_seen({ 1, 2, 3 }, { 1, 2, 3 })
    model:generate(IDS, { max_new_tokens = 1, hooks = hooks, use_cache = false })
    assert_seen({ 1, 2, 3, 4, 5, 6 }, { 6 })
    model:generate({ { 1, 2, 3 }, { 4, 5 } }, { max_new_tokens = 1, hooks = hooks })
    assert_seen({ 1, 2, 3, 1, 2 }, { 3, 2 })
    model:generate({ { 1, 2, 3 }, { 4, 5 } }, { max_new_tokens = 2, hooks = hooks })
    assert_seen({ 4, 3 }, { 4, 3 })
  end)

  it("lets a hook run layers, which are not hooked, and other passes", function()
    local model, calls, lens = new_model(), 0, nil
    model:run(IDS, {
      ["blocks.1"] = function(output)
        lens = model.head(model.final_norm(output))
        model(IDS)
      end,
      final_norm = function() calls = calls + 1 end,
    })
    assert.equal(1, calls)
    assert.same({ 1, #IDS, 40 }, lens:shape())
  end)

  it("lets gradients through what hooks return", function()
    local model = new_model()
    local vector = gpt.zeros(24):requires_grad(true)
    model:run(IDS, { ["blocks.2"] = function(output) return output + vector end }):sum():backward()
    assert.is_true(vector.grad:abs():max():item() > 0)
  end)

  it("says what is wrong, and where", function()
    local model = new_model()
    local freed = gpt.ones({ 2 }, { dtype = "i64" })
    freed:free()
    assert.equal("this gpt.Tensor was freed", raised(model.run, model, freed, {}))
    assert.equal("this gpt.Tensor was freed", raised(model.trace, model, freed))
    assert.equal("this gpt.Tensor was freed", raised(model.generate, model, freed))
    assert.equal("run: a layer expected, got 3: call it as layer:run(x, hooks)", raised(model.run, 3))
    assert.equal("run: hooks: a table of functions by path expected, got 3", raised(model.run, model, IDS, 3))
    assert.equal("run: hooks: the path of a layer expected, got 1", raised(model.run, model, IDS, { print }))
    assert.equal('run: hooks: a function expected for "blocks.1", got 3',
      raised(model.run, model, IDS, { ["blocks.1"] = 3 }))
    assert.equal("no layer 'attn' in path 'blocks.1.attn': TransformerBlock has norm1, attention, norm2, feed_forward",
      raised(model.run, model, IDS, { ["blocks.1.attn"] = print }))
    assert.equal("blocks.2.attention: a hook must return a tensor, or nothing, got number",
      raised(model.run, model, IDS, { ["blocks.2.attention"] = function() return 3 end }))
    local problem = {}
    local done, found = pcall(model.run, model, IDS, { ["blocks.2"] = function() error(problem) end })
    assert.is_false(done)
    assert.equal(problem, found)
    assert.is_true(largest(model(IDS), new_model()(IDS)) == 0)
  end)

  it("returns its memory", function()
    local model = new_model()
    local function once(fail)
      pcall(model.run, model, IDS, { ["blocks.2"] = function(output) if fail then error "x" end return output * 2 end })
    end
    once(true)
    collectgarbage()
    collectgarbage()
    local live = gpt.memory().live
    once(true)
    once(false)
    collectgarbage()
    collectgarbage()
    assert.equal(live, gpt.memory().live)
  end)
end)

describe("hooks while generating", function()
  local vector
  before_each(function()
    gpt.seed(9)
    vector = gpt.randn(24) * 3
  end)
  local function steer(output) return output + vector end

  it("are called in each pass, with and without a cache, with the same tokens", function()
    local model = new_model()
    local plain = model:generate(IDS, { max_new_tokens = 8 })
    local positions = {}
    local steered = model:generate(IDS, { max_new_tokens = 8, hooks = { ["blocks.2"] = function(output, pass)
      positions[#positions + 1] = pass.positions:max():item()
      return steer(output)
    end } })
    assert.same({ 6, 7, 8, 9, 10, 11, 12, 13 }, positions)
    assert.not_same(plain, steered)
    assert.same(steered, model:generate(IDS, { max_new_tokens = 8, hooks = { ["blocks.2"] = steer }, use_cache = false }))
    assert.same({ steered, steered }, model:generate({ IDS, IDS }, { max_new_tokens = 8, hooks = { ["blocks.2"] = steer } }))
    assert.same(plain, model:generate(IDS, { max_new_tokens = 8 }))
  end)

  it("belong to a session and its forks", function()
    local model = new_model()
    local session = model:session { hooks = { ["blocks.2"] = steer } }
    session:feed(IDS)
    local expected = model:generate(IDS, { max_new_tokens = 8, hooks = { ["blocks.2"] = steer } })
    local fork = session:fork()
    for _, each in ipairs { session, fork } do
      assert.same(table.move(expected, #IDS + 1, #expected, 1, {}), { table.unpack(each:generate { max_new_tokens = 8 }) })
    end
    assert.equal("feed: all sessions must have the same hooks; session 2 has others",
      raised(gpt.feed, { model:session(), session }, { { 1 }, { 2 } }))
    assert.equal("session:generate: hooks: give them to the session: model:session { hooks = ... }",
      raised(session.generate, session, { hooks = {} }))
    assert.equal("session: hooks: a table of functions by path expected, got 3", raised(model.session, model, { hooks = 3 }))
    assert.equal("gpt.generate: hooks: only a Model's layers have them",
      raised(gpt.generate, function() end, IDS, { context_length = 8, hooks = {} }))
  end)

  it("cannot begin another pass that they watch", function()
    local model = new_model()
    local session, other
    session = model:session { hooks = { ["blocks.1"] = function() if other then other:feed { 1 } end end } }
    session:feed { 2 }
    other = session:fork()
    local _, problem = pcall(session.feed, session, { 3 })
    assert.equal("blocks.1: hooks: a hook began another pass with the same hooks",
      (problem:gsub("\nstack traceback:.*", ""):gsub("spec/[^ ]+:%d+: ", "")))
  end)
end)

describe("model:features", function()
  it("returns what the head is fed, recorded", function()
    local model = new_model()
    local states = model:features(IDS)
    assert.same({ 1, #IDS, 24 }, states:shape())
    assert.equal(0, largest(model.head(states), model(IDS)))
    states:sum():backward()
    assert.is_true(model.token_embedding.weight.grad:abs():max():item() > 0)
    assert.is_nil(model.head.weight.grad)
  end)
end)
