-- Families that a script adds. Each case runs in a process of its own, because a family stays.
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local process = require "spec.support.process"
local raised = require "spec.support.raised"

local place

-- Runs code after examples/phi.lua; returns what it prints.
local function with_phi(code)
  local output, ok = process.lua('arg = nil dofile "examples/phi.lua"\n' .. code)
  assert.is_true(ok, output)
  return output
end

describe("gpt.family", function()
  setup(function() place = files.directory() end)
  teardown(function() files.remove(place) end)

  it("adds Phi, by the example: logits, greedy tokens, files, training", function()
    local output = with_phi(([[
      local gpt, json = require "gpt", require "gpt.support.json"
      local expected, place = json.read "spec/fixtures/phi.json", %q
      local function check(model, where)
        local logits = model(expected.ids)[1][#expected.ids]
        assert((logits - gpt.tensor(expected.logits)):abs():max():item() < 1e-4, where)
        local ids = gpt.generate(model, expected.ids, { max_new_tokens = #expected.greedy })
        for i, id in ipairs(expected.greedy) do assert(ids[#expected.ids + i] == id, where) end
      end
      local model = gpt.load "spec/fixtures/phi"
      check(model, "loaded")
      assert(model.config.family == "phi" and model.config.rope_dims == 4)
      model:save(place .. "/phi")
      local again = gpt.load(place .. "/phi")
      check(again, "saved")
      assert(tostring(model) == tostring(again))
      again:train():loss({ 1, 2 }, { 2, 3 }):backward()
      assert(again.blocks[2].attention.key.weight.grad)
      print(select(2, pcall(model.save, model, place .. "/phi.gguf")))
      model:replace("blocks.1", gpt.nn.Identity())
      print(select(2, pcall(model.save, model, place .. "/phi")))
    ]]):format(place))
    assert.matches("save: GGUF files of Phi are not implemented; model:save_parameters(file) writes any layer's "
      .. "parameters\n", output, 1, true)
    assert.matches("save: this model is not Phi's tree: it has no blocks.1.attention.key.bias, ", output, 1, true)
  end)

  it("makes models, presets and sizes of it, and may be called again", function()
    local output = with_phi [[
      local gpt = require "gpt"
      local families = require "gpt.families"
      local recipe = families.named "phi"
      recipe.presets = { { "phi-tiny", { "tiny" }, { family = "phi", vocab_size = 50, context_length = 8, emb_dim = 8,
        n_heads = 2, n_layers = 1 } } }
      assert(gpt.family(recipe) == recipe and gpt.family(recipe) == recipe)
      local model = gpt.Model "phi-tiny"
      print(model.blocks[1].kind, model.head, gpt.config("tiny").family, #families.NAMES)
      print(gpt.Model("tiny", { head = gpt.nn.Linear(8, 3) }).head)
      print(select(2, pcall(gpt.size, "tiny")))
      assert(gpt.size(model).parameters == model:num_parameters())
      print(select(2, pcall(gpt.load, "spec/fixtures/jinja.lua")))
    ]]
    assert.matches('gpt.size: a model of the family "phi" has layers of its own, which no config describes; '
      .. "gpt.size(model) measures one\n", output, 1, true)
    assert.matches("PhiBlock\tLinear(8, 50)  -- 450\tphi\t9\n", output, 1, true)
    assert.matches("Linear(8, 3)  -- 27\n", output, 1, true)
  end)

  it("draws no weights to load it, and has every one from its files", function()
    local output = with_phi [[
      local gpt = require "gpt"
      gpt.seed(1)
      local expected = gpt.rand(1):item()
      gpt.seed(1)
      gpt.load "spec/fixtures/phi"
      assert(gpt.rand(1):item() == expected)
      assert(gpt.nn.Linear(2, 2).weight:abs():max():item() <= 1)
      local recipe = require("gpt.families").named "phi"
      local tensors = recipe.tensors
      recipe.tensors = {}
      for i = 1, #tensors do recipe.tensors[i] = tensors[i] end
      table.remove(recipe.tensors)
      print(select(2, pcall(gpt.load, "spec/fixtures/phi")))
    ]]
    assert.matches("spec/fixtures/phi: the recipe of Phi has no tensor for head.bias\n", output, 1, true)
  end)

  it("names it where files are of none", function()
    local dir = place .. "/other"
    files.copy("spec/fixtures/phi", dir)
    local config = json.read(dir .. "/config.json")
    config.model_type = "psi"
    files.write(dir .. "/config.json", json.encode(config))
    local output = with_phi(('print(select(2, pcall(require("gpt").load, %q)))'):format(dir))
    assert.matches('model_type "psi" is not implemented, only "gpt2", .*, "gemma3_text", "phi"\n', output)
    assert.matches('model_type "psi" is not implemented, only "gpt2", .*, "gemma3_text"$', raised(gpt.load, dir))
  end)

  it("refuses what is no recipe, and leaves nothing behind", function()
    local names = #require("gpt.families").NAMES
    local function recipe(changes)
      local made = { name = "mine", tensors = { { "head.weight", "head" } }, huggingface = { name = "mine",
        architecture = "Mine", keys = { { "emb_dim", "width", "size", 8 } } } }
      for key, value in pairs(changes) do made[key] = value end
      return made
    end
    local function keys(...)
      return { huggingface = { name = "mine", architecture = "Mine", keys = { ... } } }
    end
    for _, case in ipairs {
      { 3, "a recipe, a table, expected, got 3" },
      { {}, "2 problems:\n  name: missing; a string expected\n  tensors: missing; a list expected" },
      { recipe { tensor = {} }, "tensor: unknown key; did you mean 'tensors'?" },
      { recipe { parts = {} }, "parts: a function expected, got a table" },
      { recipe { tensors = { { 3, "x" } } },
        "tensors[1]: { path or paths, Hugging Face's name, GGUF's name } expected, got 3" },
      { recipe { tensors = { { "head.weight", 3 } } }, "tensors[1]: a name or false expected, got 3" },
      { recipe { tensors = { { "head.bias", "x", when = "biass" } } },
        'tensors[1]: when: a key of configs expected, got "biass"' },
      { recipe { gguf = { name = "mine" } }, "keys: missing; a list expected", "gpt.family: gguf: " },
      { recipe(keys(3)), "huggingface: keys[1]: a table expected, got 3" },
      { recipe(keys { "width", "width", "size" }), 'huggingface: keys[1]: a key of configs expected, got "width"' },
      { recipe(keys { "emb_dim", 3, "size" }), "huggingface: keys[1]: a name or names expected, got 3" },
      { recipe(keys { "emb_dim", "width", "whole" }), "huggingface: keys[1]: one of the kinds epsilon, flag, layers, "
        .. 'positive, rate, size, word expected, got "whole"' },
      { recipe(keys { "activation", "act", "word" }), "huggingface: keys[1]: words: a table expected" },
      { recipe { name = "llama" }, 'name: "llama" is a family of luagpt\'s own' },
      { recipe { huggingface = { name = "gemma3_text", architecture = "x", keys = {} } },
        'huggingface: name: "gemma3_text" is what files of Gemma 3 are called' },
    } do
      assert.equal((case[3] or "gpt.family: ") .. case[2], raised(gpt.family, case[1]))
    end
    assert.equal(names, #require("gpt.families").NAMES)
  end)
end)
