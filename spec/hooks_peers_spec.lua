-- Traces and hooks on models of every family, beside forward hooks on transformers' models (spec/fixtures/make_hooks.py).
local gpt = require "gpt"
local json = require "gpt.support.json"

local FIXTURES = "spec/fixtures/"
local fixture = json.read(FIXTURES .. "hooks.json")

-- The largest difference from the expected numbers, over the largest of those.
local function distance(expected, tensor)
  expected = gpt.tensor(expected)
  return (tensor - expected):abs():max():item() / expected:abs():max():item()
end

local function assert_near(expected, tensor) assert.is_true(distance(expected, tensor) < 1e-4) end

-- The vector of the fixture, repeated to a model's width.
local function steering(width)
  local values = {}
  for i = 1, width do values[i] = fixture.vector[(i - 1) % #fixture.vector + 1] * fixture.strength end
  return gpt.tensor(values, { dtype = "f32" })
end

for _, case in ipairs(fixture.models) do
  describe("a model in " .. case.path, function()
    local model, trace
    setup(function()
      model = gpt.load(FIXTURES .. case.path, { tokenizer = false, dtype = "f32" })
      trace = model:trace(case.clean)
    end)
    teardown(function() model, trace = nil, nil end)

    it("shows in a trace what transformers' blocks and attentions return, and the weights", function()
      assert.equal(#case.blocks, model.config.n_layers)
      for i, expected in ipairs(case.blocks) do
        local path = "blocks." .. i
        assert_near(expected, trace[path].output[1][-1])
        assert_near(case.attention[i], trace[path .. ".attention"].output[1][-1])
        assert_near(case.weights[i], trace[path .. ".attention"].weights:select(2, -1))
      end
      assert_near(case.lens, model.head(model.final_norm(trace["blocks.1"].output))[1][-1])
    end)

    it("shows the same to hooks at every path, and returns the same logits", function()
      local seen, hooks = {}, {}
      for path in pairs(trace) do
        hooks[path] = function(output) seen[path] = output end
      end
      local logits = gpt.no_grad(model.run, model, case.clean, hooks)
      for path, entry in pairs(trace) do assert.is_true(distance(entry.output:totable(), seen[path]) < 1e-5, path) end
      assert.is_true((logits - gpt.no_grad(model, case.clean)):abs():max():item() < 1e-5)
    end)

    it("goes on with what a hook puts into a block or an attention, at one token", function()
      for _, expected in ipairs(case.patched) do
        local path = ("blocks.%d%s"):format(expected.block, expected.part)
        local source = trace[path].output:select(2, expected.at)
        local logits = gpt.no_grad(model.run, model, case.other, {
          [path] = function(output) output:select(2, expected.at):copy(source) end,
        })
        assert_near(expected.logits, logits[1][-1])
        assert.is_true((logits - gpt.no_grad(model, case.other)):abs():max():item() > 1e-3)
      end
    end)

    it("generates the same tokens under a vector, with and without a cache", function()
      local vector, steered = steering(model.config.emb_dim), case.steered
      local hooks = { ["blocks.1"] = function(output) return output + vector end }
      for _, use_cache in ipairs { true, false } do
        local last
        local ids = model:generate(case.clean, {
          hooks = hooks, use_cache = use_cache, max_new_tokens = #steered.ids - #case.clean,
          process = function(logits) last = logits:clone() end,
        })
        assert.same(steered.ids, ids)
        assert_near(steered.logits, last)
      end
    end)
  end)
end
