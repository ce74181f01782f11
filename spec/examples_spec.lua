local files = require "spec.support.files"
local process = require "spec.support.process"

-- What each chapter must print; the chapters check their own numbers.
local CHAPTERS = {
  { "01_tensors.lua", "their sum: 1.0000" },
  { "02_attention.lua", "by hand equals nn.MultiHeadAttention", { "attention.svg" } },
  { "03_layer_norm.lua", "mean 0, variance 1" },
  { "04_gelu.lua", "at -1, GELU's slope is -0.083, ReLU's is 0.000", { "gelu.svg", "gelu_slope.svg" } },
  { "05_feed_forward.lua", "4722432 parameters, by the layer and by hand" },
  { "06_shortcuts.lua", "    1            0.000202           0.2217", { "vanishing_gradients.svg" } },
  { "07_block.lua", "written in Lua: 7085568 parameters" },
  { "08_placeholder.lua", "the last token in another text: difference 0.0e+00" },
  { "09_gpt.lua", "gpt2-small        163009536    124.4 M      621.83 MiB                    2360064        4722432" },
  { "10_generating.lua", "greedy:    the owl flies to the tree .", { "attention_trained.svg", "loss.svg" } },
  { "11_grouped_query.lua", "the hare hops to the den ." },
  { "12_sliding_window.lua", "the fox runs to the hill .", { "sliding_window.svg" } },
  { "13_mixture_of_experts.lua", "saved, loaded, the same" },
  { "14_grammar.lua", "19 tokens in " },
  { "15_instructions.lua", "What is the capital of Norway?     It is Oslo!", { "instructions.svg" } },
  { "16_classification.lua", "good: The cheese was not sour.", { "classification.svg" } },
  { "17_logit_lens.lua", "The capital of Japan is Tokyo", { "logit_lens.svg", "logit_lens_capitals.svg" } },
  { "18_induction_heads.lua", "block 2, head 3 looks behind the earlier copy: 0.9",
    { "induction_heads.svg", "induction_scores.svg", "induction_training.svg" } },
  { "19_activation_patching.lua", "block  4:  0.00 at the country,  1.00 at the end", { "activation_patching.svg" } },
  { "20_steering.lua", "wonderful before terrible, in logits: ", { "steering.svg" } },
}

-- Runs a script of examples/ with a directory for its pictures as its only argument, and with a model to look into.
local function run(name, directory, model)
  local code = ('arg = { [0] = "examples/%s", %q } dofile "examples/%s"'):format(name, directory, name)
  return process.lua(code, ("EXAMPLE_MODEL='%s'"):format(model))
end

describe("the chapters in examples/", function()
  local models
  setup(function() models = files.directory() end)
  teardown(function() files.remove(models) end)

  for _, chapter in ipairs(CHAPTERS) do
    local name, line, pictures = table.unpack(chapter)
    it("run: " .. name, function()
      local directory = files.directory()
      local output, ok = run(name, directory, models .. "/small") -- trained by the first that needs it
      local left = files.list(directory)
      files.remove(directory)
      assert.is_true(ok, output)
      assert.truthy(output:find(line, 1, true), output)
      assert.same(pictures or {}, left)
    end)
  end

  for _, name in ipairs { "17_logit_lens.lua", "19_activation_patching.lua", "20_steering.lua" } do
    local path = os.getenv "LUAGPT_SMOLLM2"
    local test = path and it or function(title) pending(title .. " (set LUAGPT_SMOLLM2 to its path)") end
    test("run on a real model: " .. name, function()
      local directory = files.directory()
      local output, ok = run(name, directory, path)
      files.remove(directory)
      assert.is_true(ok, output)
    end)
  end

  it("come with programs that say how they are called", function()
    local function says(name, words)
      local output, ok = process.lua(('arg = { [0] = "examples/%s", %s } dofile "examples/%s"'):format(name, words, name))
      return output:match "[^\n]*", ok
    end
    local SERVER = "usage: lua5.4 examples/server.lua MODEL [--OPTION VALUE ...]"
    assert.same({ SERVER, true }, { says("server.lua", "'--help'") })
    assert.same({ "a model expected", false }, { says("server.lua", "") })
    assert.same({ "lua5.4 examples/chat.lua MODEL [options]", true }, { says("chat.lua", "'--help'") })
    assert.same({ "usage: lua5.4 examples/phi.lua DIRECTORY [TEXT]; that of a Phi model (microsoft/phi-2)", false },
      { says("phi.lua", "") })
  end)

  it("are all here, and all in their list", function()
    local listed = files.read "examples/README.md"
    local named, found = {}, {}
    for i, chapter in ipairs(CHAPTERS) do
      named[i] = chapter[1]
      assert.truthy(listed:find(("(%s)"):format(chapter[1]), 1, true), chapter[1])
    end
    for _, name in ipairs(files.list "examples") do
      if name:find "^%d%d_.*%.lua$" then table.insert(found, name) end
    end
    assert.same(named, found)
  end)
end)
