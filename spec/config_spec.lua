local gpt = require "gpt"
local check = require("gpt.config").check
local raised = require "spec.support.raised"

local PRESETS = "presets: gpt2-small (gpt2, 124M), gpt2-medium (345M, 355M), gpt2-large (762M, 774M), "
  .. "gpt2-xl (1542M, 1558M), gpt3 (175B), llama-3.2-1B, llama-3.2-3B, llama-3.1-8B, llama-3.1-70B, llama-3-8B, "
  .. "llama-2-7B, tinyllama-1.1B, smollm2-135M, smollm2-360M, smollm2-1.7B, mistral-7B, mistral-7B-v0.3, qwen2.5-0.5B, "
  .. "qwen2.5-1.5B, qwen2.5-3B, qwen2.5-7B, qwen3-0.6B, qwen3-1.7B, qwen3-4B, qwen3-8B, gemma-2b, gemma-7b, gemma-2-2b, "
  .. "gemma-2-9b, gemma-2-27b, gemma-3-270m, gemma-3-1b"

-- The message of gpt.config("124M", overrides), its beginning left out.
local function refused(overrides)
  local text = raised(function() gpt.config("124M", overrides) end)
  return (text:gsub("^gpt%.config: ", ""))
end

local function plain(config)
  local copy = {}
  for key, value in pairs(config) do copy[key] = value end
  return copy
end

describe("gpt.config", function()
  it("knows the sizes by each of their names", function()
    local sizes = {
      [{ "gpt2-small", "gpt2", "124M" }] = { 1024, 768, 12, 12 },
      [{ "gpt2-medium", "345M", "355M" }] = { 1024, 1024, 16, 24 },
      [{ "gpt2-large", "762M", "774M" }] = { 1024, 1280, 20, 36 },
      [{ "gpt2-xl", "1542M", "1558M" }] = { 1024, 1600, 25, 48 },
      [{ "gpt3", "175B" }] = { 2048, 12288, 96, 96 },
    }
    for names, size in pairs(sizes) do
      for _, name in ipairs(names) do
        assert.same({
          vocab_size = 50257, context_length = size[1], emb_dim = size[2], n_heads = size[3], n_layers = size[4],
          drop_rate = 0.1, qkv_bias = false,
        }, plain(gpt.config(name)))
      end
    end
  end)

  it("returns a fresh, plain table", function()
    local config = gpt.config("124M")
    config.n_layers = 2
    config.emb_drop_rate = 0
    assert.equal(2, config.n_layers)
    assert.equal(12, gpt.config("124M").n_layers)
    assert.is_nil(gpt.config("124M").emb_drop_rate)
  end)

  it("takes overrides", function()
    local config = gpt.config("gpt2-small", { emb_dim = 64, n_heads = 4.0, activation = "relu", qkv_bias = true })
    assert.equal("integer", math.type(config.n_heads))
    assert.same({
      vocab_size = 50257, context_length = 1024, emb_dim = 64, n_heads = 4, n_layers = 12, drop_rate = 0.1,
      qkv_bias = true, activation = "relu",
    }, plain(config))
  end)

  it("takes a table and checks it", function()
    local config = gpt.config(plain(gpt.config("gpt2-xl")), { drop_rate = 0 })
    assert.equal(48, config.n_layers)
    assert.equal(0, config.drop_rate)
  end)

  it("prints as the Lua that makes it", function()
    local config = gpt.config("124M", { norm_eps = 1e-5, init = "torch", drop_rate = 0, hidden_dim = 2048 })
    assert.equal([[
{
  vocab_size = 50257,
  context_length = 1024,
  emb_dim = 768,
  n_heads = 12,
  n_layers = 12,
  drop_rate = 0,
  qkv_bias = false,
  hidden_dim = 2048,
  norm_eps = 1e-05,
  init = "torch",
}]], tostring(config))
    assert.same(plain(config), load("return " .. tostring(config))())
  end)

  it("prints what else was put into it", function()
    local config = gpt.config("124M")
    config.note, config[1], config.drop_rate = "a\nb", 2.0, 1 / 3
    local again = load("return " .. tostring(config))()
    assert.same(plain(config), again)
  end)

  it("names the presets", function()
    assert.equal('gpt.config: no preset is called "gpt2-smal"; did you mean "gpt2-small"? ' .. PRESETS,
      raised(function() gpt.config("gpt2-smal") end))
    assert.equal('gpt.config: no preset is called "a model of my own"; ' .. PRESETS,
      raised(function() gpt.config("a model of my own") end))
    assert.equal("gpt.config: a preset's name or a config table expected, got nil; " .. PRESETS,
      raised(function() gpt.config() end))
    assert.equal("gpt.config: a preset's name or a config table expected, got 124; " .. PRESETS,
      raised(function() gpt.config(124) end))
    assert.equal("gpt.config: a table of overrides expected, got 12",
      raised(function() gpt.config("124M", 12) end))
  end)

  it("refuses sizes that are none", function()
    local whole = "n_layers: a whole number of at least 1 expected, got "
    assert.equal(whole .. "0", refused { n_layers = 0 })
    assert.equal(whole .. "-1", refused { n_layers = -1 })
    assert.equal(whole .. "1.5", refused { n_layers = 1.5 })
    assert.equal(whole .. "nan", refused { n_layers = 0 / 0 })
    assert.equal(whole .. "inf", refused { n_layers = math.huge })
    assert.equal(whole .. '"12"', refused { n_layers = "12" })
    assert.equal(whole .. "true", refused { n_layers = true })
    assert.equal(whole .. "a table", refused { n_layers = {} })
    local large = "n_layers: a whole number of at most 2,147,483,647 expected, got "
    assert.equal(large .. "1e+18", refused { n_layers = 1e18 })
    assert.equal(large .. "2147483648", refused { n_layers = 2147483648 })
    for _, name in ipairs { "vocab_size", "context_length", "emb_dim", "n_heads", "hidden_dim" } do
      assert.equal(name .. ": a whole number of at least 1 expected, got -3", refused { [name] = -3 })
    end
  end)

  it("refuses sizes whose products cannot be counted", function()
    assert.equal("too large together: about 5.7e+18 parameters; at most 2^53 can be counted",
      refused { emb_dim = 768000000, n_layers = 1, hidden_dim = 2 ^ 31 - 1 })
    assert.equal("too large together: about 1.8e+16 numbers in the KV cache; at most 2^53 can be counted",
      refused { context_length = 2 ^ 30, emb_dim = 2 ^ 10, n_heads = 8, n_layers = 2 ^ 13 })
  end)

  it("refuses rates outside [0, 1)", function()
    for _, name in ipairs { "drop_rate", "emb_drop_rate", "attn_drop_rate", "shortcut_drop_rate" } do
      local expected = name .. ": a rate of at least 0 and below 1 expected, got "
      assert.equal(expected .. "1", refused { [name] = 1 })
      assert.equal(expected .. "-0.1", refused { [name] = -0.1 })
      assert.equal(expected .. "nan", refused { [name] = 0 / 0 })
      assert.equal(expected .. '"0.1"', refused { [name] = "0.1" })
    end
  end)

  it("refuses other values that cannot be", function()
    assert.equal("qkv_bias: true or false expected, got 1", refused { qkv_bias = 1 })
    assert.equal('tie_weights: true or false expected, got "yes"', refused { tie_weights = "yes" })
    assert.equal("norm_eps: a number above 0 and at most 1 expected, got 0", refused { norm_eps = 0 })
    assert.equal("norm_eps: a number above 0 and at most 1 expected, got nan", refused { norm_eps = 0 / 0 })
    assert.equal("norm_eps: a number above 0 and at most 1 expected, got a function", refused { norm_eps = print })
    assert.equal('activation: "gelu", "gelu_exact", "relu" or "silu" expected, got "gelo"; did you mean "gelu"?',
      refused { activation = "gelo" })
    assert.equal('activation: "gelu", "gelu_exact", "relu" or "silu" expected, got "tanh"', refused { activation = "tanh" })
    assert.equal('init: "gpt2" or "torch" expected, got false', refused { init = false })
  end)

  it("asks for heads that divide emb_dim", function()
    assert.equal("emb_dim: 770 is not divisible by n_heads (12); emb_dim 768 or 780 would fit, or n_heads 11 or 14",
      refused { emb_dim = 770 })
    assert.equal("emb_dim: 8 is not divisible by n_heads (12); emb_dim 12 would fit, or n_heads 8",
      refused { emb_dim = 8 })
    assert.equal("emb_dim: 7 is not divisible by n_heads (2); emb_dim 6 or 8 would fit, or n_heads 1 or 7",
      refused { emb_dim = 7, n_heads = 2 })
    assert.equal("emb_dim: 1000003 is not divisible by n_heads (2000); emb_dim 1000000 or 1002000 would fit, "
      .. "or n_heads 1", refused { emb_dim = 1000003, n_heads = 2000 })
  end)

  it("knows other programs' names for its keys", function()
    assert.equal("n_head: unknown key; did you mean 'n_heads'?", refused { n_head = 12 })
    assert.equal("n_embd: unknown key; did you mean 'emb_dim'?", refused { n_embd = 12 })
    assert.equal("block_size: unknown key; did you mean 'context_length'?", refused { block_size = 12 })
    assert.equal("dropout: unknown key; did you mean 'drop_rate'?", refused { dropout = 0 })
    assert.equal("droprate: unknown key; did you mean 'drop_rate'?", refused { droprate = 0 })
    assert.equal("flavour: unknown key", refused { flavour = 0 })
    assert.equal("[1]: unknown key", refused { 0 })
    assert.equal('"a \\x22key\\x22": unknown key', refused { ['a "key"'] = 0 })
  end)

  it("tells all that is wrong at once", function()
    assert.equal([[
gpt.config: 9 problems:
  context_length: missing; a whole number of at least 1 expected
  emb_dim: missing; a whole number of at least 1 expected
  n_heads: missing; a whole number of at least 1 expected
  n_layers: a whole number of at least 1 expected, got -1
  drop_rate: missing; a rate of at least 0 and below 1 expected
  qkv_bias: missing; true or false expected
  init: "gpt2" or "torch" expected, got "pytorch"; did you mean "torch"?
  n_embd: unknown key; did you mean 'emb_dim'?
  name: unknown key]], raised(function()
      gpt.config { vocab_size = 12.0, n_layers = -1, n_embd = 3, name = "mine", init = "pytorch" }
    end))
  end)

  it("folds what would be too long", function()
    local config = {}
    for i = 1, 100 do config[("%03d"):format(i) .. ("x"):rep(1000)] = i end
    local text = raised(function() gpt.config(config) end)
    assert.truthy(#text < 2000)
    assert.equal("gpt.config: 107 problems:", text:match("^[^\n]*"))
    assert.equal("  and 95 more", text:match("[^\n]*$"))
    assert.truthy(text:find('\n  "001' .. ("x"):rep(37) .. '...": unknown key\n', 1, true))
  end)
end)

describe("the check of a config", function()
  it("fills in the defaults and leaves the given table alone", function()
    local given = { vocab_size = 10.0, context_length = 4, emb_dim = 6, n_heads = 2, n_layers = 1, drop_rate = 0.2,
      qkv_bias = true, attn_drop_rate = 0 }
    assert.same({
      vocab_size = 10, context_length = 4, emb_dim = 6, n_heads = 2, n_layers = 1, drop_rate = 0.2, qkv_bias = true,
      hidden_dim = 24, activation = "gelu", tie_weights = false, norm_eps = 1e-5, init = "gpt2",
      emb_drop_rate = 0.2, attn_drop_rate = 0, shortcut_drop_rate = 0.2, family = "gpt2", n_kv_heads = 2, head_dim = 3,
      bias = true, gated = false, norm = "layer_norm", norm_offset = 0, qk_norm = false, post_norms = false,
      positions = "learned",
    }, check(given, "gpt.Model"))
    assert.equal("float", math.type(given.vocab_size))
    assert.is_nil(given.hidden_dim)
  end)

  it("takes keys that a metatable returns", function()
    local config = setmetatable({ n_layers = 3 }, { __index = gpt.config("124M") })
    assert.equal(3, check(config, "gpt.Model").n_layers)
    assert.equal(3072, check(config, "gpt.Model").hidden_dim)
  end)

  it("speaks for who asks", function()
    assert.equal("gpt.Model: n_layers: a whole number of at least 1 expected, got 0",
      raised(function() check(setmetatable({ n_layers = 0 }, { __index = gpt.config("124M") }), "gpt.Model") end))
  end)

  it("suggests the preset that a short name means, and turns whole numbers into integers", function()
    local function near(name) return raised(gpt.config, name):match "did you mean \"([^\"]+)\"" end
    assert.equal("llama-3.2-1B", near "llama-1B")
    assert.equal("gemma-2-9b", near "gemma-9B")
    assert.equal("gpt2-small", near "gpt2-smal")
    local config = gpt.config("llama-3.2-1B", { rope_base = 500000.0, attn_drop_rate = 0.0, norm_eps = 1e-5 })
    assert.same({ "500000", "0" }, { tostring(config.rope_base), tostring(config.attn_drop_rate) })
    assert.equal(1e-5, config.norm_eps)
  end)
end)
