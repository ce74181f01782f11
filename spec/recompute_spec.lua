local gpt = require "gpt"
local raised = require "spec.support.raised"

local CONFIG = {
  vocab_size = 60, context_length = 32, emb_dim = 32, n_heads = 4, n_layers = 3, drop_rate = 0.1, qkv_bias = true,
}

local function batch()
  local rows, targets = {}, {}
  for i = 1, 2 do
    rows[i], targets[i] = {}, {}
    for j = 1, 24 do rows[i][j], targets[i][j] = (i * j * 7) % 60, (i * (j + 1) * 7) % 60 end
  end
  return rows, targets
end

-- Losses and gradients of some steps, and the random numbers after them.
local function trained(make, recompute)
  gpt.seed(3)
  local model, ids, targets = make(), batch()
  model:train():recompute(recompute)
  local optimizer, found = gpt.optim.AdamW(model, { lr = 1e-3 }), {}
  for _ = 1, 3 do
    local loss = model:loss(ids, targets)
    loss:backward()
    found[#found + 1] = loss:item()
    for path, tensor in model:parameters() do
      found[#found + 1] = path .. " " .. (tensor.grad and tensor.grad:bytes() or "none")
    end
    optimizer:step()
    optimizer:zero_grad()
  end
  found[#found + 1] = gpt.rand(3):bytes()
  return found
end

local function same(make)
  local plain, again = trained(make, false), trained(make, true)
  assert.equal(#plain, #again)
  for i, value in ipairs(plain) do assert.is_true(value == again[i], tostring(value):match "^%g*") end
end

describe("model:recompute", function()
  it("changes no bit of losses, gradients and random numbers, dropout included", function()
    same(function() return gpt.Model(CONFIG) end)
  end)

  it("works where blocks are frozen, tied, adapted, or layers of another kind", function()
    same(function()
      local model = gpt.Model(gpt.config(CONFIG, { tie_weights = true }))
      model.token_embedding:freeze()
      model.position_embedding:freeze()
      model.blocks[1]:freeze()
      return model
    end)
    same(function() return gpt.lora(gpt.Model(CONFIG), { targets = "all", dropout = 0.2 }) end)
    same(function()
      local shared = gpt.nn.TransformerBlock(CONFIG)
      return gpt.Model(CONFIG, { block = function(_, i) return i == 2 and gpt.nn.Identity() or shared end })
    end)
  end)

  it("runs layers written in Lua again, with the random numbers that they drew", function()
    local runs = 0
    local Noisy = gpt.nn.layer("Noisy", {
      init = function(self, config)
        self.block = gpt.nn.TransformerBlock(config)
        self.scale = gpt.nn.parameter(gpt.ones(config.emb_dim))
      end,
      forward = function(self, x, pass)
        runs = runs + 1
        local noise = pass.training and gpt.randn(x:shape()) * 0.1 or 0
        return self.block(x) * self.scale + noise
      end,
    })
    local function make() return gpt.Model(CONFIG, { block = Noisy }) end
    same(make)
    assert.equal(3 * 3 + 2 * 3 * 3, runs)
  end)

  it("keeps one block's activations at a time", function()
    local function peak(recompute)
      gpt.seed(3)
      local model = gpt.Model(gpt.config(CONFIG, { n_layers = 8, context_length = 64, drop_rate = 0 }))
      model:recompute(recompute)
      local ids = gpt.randint(0, 60, { 8, 64 })
      model:loss(ids, ids):backward()
      collectgarbage()
      collectgarbage()
      local before = gpt.memory().live
      local loss <close> = model:loss(ids, ids)
      assert.is_true(loss:requires_grad())
      return gpt.memory().live - before
    end
    local plain, less = peak(false), peak(true)
    assert.is_true(less < 0.15 * plain, ("%d bytes of %d"):format(less, plain))
  end)

  it("records nothing where nothing is recorded", function()
    local model = gpt.Model(CONFIG):eval():recompute()
    local logits = gpt.no_grad(model, { 1, 2, 3 })
    assert.is_false(logits:requires_grad())
    assert.equal(0, (logits - gpt.no_grad(model:recompute(false), { 1, 2, 3 })):abs():max():item())
  end)

  it("refuses a graph from outside a block, and a failing layer leaves no gradients half done", function()
    local outside = gpt.ones(32):requires_grad(true) * 2
    local model = gpt.Model(CONFIG, { block = function() return gpt.nn.Sequential { function(x) return x * outside end } end })
    local ids, targets = batch()
    local loss = model:recompute():loss(ids, targets)
    assert.equal("recompute: a layer that is run again uses a result of mul from outside, beside its input; only "
      .. "parameters, and tensors without a graph (detach()), can be used so", raised(loss.backward, loss))
  end)

  it("passes on an error of a layer that runs again, as it is", function()
    local again = false
    local problem = {}
    local Failing = gpt.nn.layer("Failing", {
      init = function(self) self.weight = gpt.nn.parameter(gpt.ones(32)) end,
      forward = function(self, x)
        if again then error(problem) end
        return x * self.weight
      end,
    })
    local model = gpt.Model(CONFIG, { block = function() return Failing() end }):recompute()
    local ids, targets = batch()
    local loss = model:loss(ids, targets)
    again = true
    local done, found = pcall(loss.backward, loss)
    assert.is_false(done)
    assert.equal(problem, found)
    again = false
    model:loss(ids, targets):backward()
  end)

  it("is an option of gpt.train, for a Model", function()
    local model = gpt.Model(CONFIG)
    local data = gpt.dataset(gpt.randint(0, 60, 400):totable(), { context_length = 16, batch_size = 2 })
    gpt.train { model = model, data = data, steps = 2, recompute = true, progress = false,
      on_step = function() assert.is_true(require("gpt.core")._recomputes(model)) end }
    assert.is_false(require("gpt.core")._recomputes(model))
    assert.equal("gpt.train: recompute: a Model's blocks are run again; the model is none",
      raised(gpt.train, { model = gpt.nn.Linear(2, 2), data = data, steps = 1, recompute = true }))
  end)

  it("returns its memory, after errors too", function()
    local model = gpt.Model(CONFIG):recompute()
    local ids, targets = batch()
    model:loss(ids, targets):backward()
    collectgarbage()
    collectgarbage()
    local live = gpt.memory().live
    model:loss(ids, targets):free()
    model:loss(ids, targets):backward()
    collectgarbage()
    collectgarbage()
    assert.equal(live, gpt.memory().live)
  end)
end)
