-- Configs of the families: what their keys have to be, how they print, and what a Model makes of them.
local check = require("gpt.config").check
local gpt = require "gpt"
local raised = require "spec.support.raised"

local SMALL = {
  vocab_size = 40, context_length = 32, emb_dim = 24, n_heads = 4, n_layers = 2, drop_rate = 0, qkv_bias = false,
}

local function config_with(...)
  local merged = {}
  for _, keys in ipairs { SMALL, ... } do
    for key, value in pairs(keys) do merged[key] = value end
  end
  return merged
end

local function refused(...)
  local config = config_with(...)
  return (raised(function() gpt.config(config) end):gsub("^gpt%.config: ", ""))
end

local function names_of(layer)
  local names = {}
  for name in layer:children() do names[#names + 1] = name end
  return table.concat(names, " ")
end

describe("a config with keys of the families", function()
  it("prints as the Lua that makes it, lists and tables included", function()
    local config = gpt.config(config_with {
      family = "gemma3", n_kv_heads = 2, head_dim = 8, sliding_window = 4, layer_types = { "sliding_attention",
        "full_attention" }, rope_scaling = { rope_type = "linear", factor = 8.0 }, attention_scale = 0.25,
      logit_softcap = false,
    })
    assert.equal([[
{
  family = "gemma3",
  vocab_size = 40,
  context_length = 32,
  emb_dim = 24,
  n_heads = 4,
  n_layers = 2,
  drop_rate = 0,
  qkv_bias = false,
  n_kv_heads = 2,
  head_dim = 8,
  rope_scaling = { factor = 8.0, rope_type = "linear" },
  sliding_window = 4,
  layer_types = { "sliding_attention", "full_attention" },
  attention_scale = 0.25,
  logit_softcap = false,
}]], tostring(config))
    assert.equal(tostring(config), tostring(gpt.config(load("return " .. tostring(config))())))
  end)

  it("is a copy of its own, lists and tables included", function()
    local given = config_with { positions = "rotary", rope_scaling = { rope_type = "linear", factor = 2 },
      sliding_window = 3, layer_types = { "full_attention", "sliding_attention" } }
    local config = gpt.config(given)
    config.rope_scaling.factor, config.layer_types[1] = 4, "sliding_attention"
    assert.equal(2, given.rope_scaling.factor)
    assert.equal("full_attention", given.layer_types[1])
    local factors = { frequency_factors = { 1, 2, 3 } }
    config = gpt.config(config_with { positions = "rotary", rope_scaling = factors })
    config.rope_scaling.frequency_factors[1] = 4
    assert.equal(1, factors.frequency_factors[1])
  end)

  it("needs no key that its family has a default for", function()
    local config = gpt.config { family = "llama", vocab_size = 40, context_length = 32, emb_dim = 24, n_heads = 4,
      n_layers = 2 }
    assert.equal(0, config.drop_rate)
    assert.is_false(config.qkv_bias)
    assert.is_nil(config.norm)
    assert.equal("gpt.config: 2 problems:\n  drop_rate: missing; a rate of at least 0 and below 1 expected\n"
      .. "  qkv_bias: missing; true or false expected", raised(function()
      gpt.config { family = "gpt2", vocab_size = 40, context_length = 32, emb_dim = 24, n_heads = 4, n_layers = 2 }
    end))
  end)

  it("is completed by its family, then as GPT-2 is", function()
    local function complete(family, keys)
      return check(config_with({ family = family }, keys or {}), "gpt.Model")
    end
    local llama = complete "llama"
    assert.same({ "rms_norm", 1e-5, 0, "rotary", 10000, true, "silu", false, 4, 6 },
      { llama.norm, llama.norm_eps, llama.norm_offset, llama.positions, llama.rope_base, llama.gated, llama.activation,
        llama.bias, llama.n_kv_heads, llama.head_dim })
    assert.is_nil(complete("mistral").layer_types)
    assert.same({ "sliding_attention", "sliding_attention" }, complete("mistral", { sliding_window = 5 }).layer_types)
    assert.equal(1e6, complete("qwen2").rope_base)
    assert.is_true(complete("qwen3").qk_norm)
    local gemma2, gemma3 = complete("gemma2", { n_layers = 3 }), complete("gemma3", { n_layers = 7 })
    assert.same({ math.sqrt(24), 1, true, 50, 30, 4096 }, { gemma2.embedding_scale, gemma2.norm_offset,
      gemma2.tie_weights, gemma2.attention_softcap, gemma2.logit_softcap, gemma2.sliding_window })
    assert.same({ "sliding_attention", "full_attention", "sliding_attention" }, gemma2.layer_types)
    assert.equal("sliding_attention sliding_attention sliding_attention sliding_attention sliding_attention "
      .. "full_attention sliding_attention", table.concat(gemma3.layer_types, " "))
    assert.same({ 1e6, 10000 }, { gemma3.rope_base, gemma3.rope_base_local })
  end)

  it("has none of a family's defaults that it sets to false", function()
    local config = check(config_with { family = "gemma2", attention_softcap = false, logit_softcap = false,
      sliding_window = false, embedding_scale = false }, "gpt.Model")
    for _, key in ipairs { "attention_softcap", "logit_softcap", "sliding_window", "embedding_scale", "layer_types" } do
      assert.is_nil(config[key])
    end
    assert.is_true(config.post_norms)
  end)

  it("refuses values that cannot be", function()
    assert.equal('family: "gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2" or "gemma3" expected, '
      .. 'got "lama"; did you mean "llama"?', refused { family = "lama" })
    assert.equal('family: "gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2" or "gemma3" expected, '
      .. 'got "find"', refused { family = "find" })
    assert.equal('norm: "layer_norm" or "rms_norm" expected, got "rmsnorm"; did you mean "rms_norm"?',
      refused { norm = "rmsnorm" })
    assert.equal('positions: "learned", "rotary" or "none" expected, got "alibi"', refused { positions = "alibi" })
    assert.equal('activation: "gelu", "gelu_exact", "relu" or "silu" expected, got "swish"',
      refused { activation = "swish" })
    assert.equal("norm_offset: a finite number expected, got inf", refused { norm_offset = math.huge })
    assert.equal("sliding_window: a whole number of at least 1, or false expected, got 0",
      refused { sliding_window = 0 })
    for _, name in ipairs { "attention_scale", "attention_softcap", "logit_softcap", "embedding_scale",
      "rope_base_local" } do
      assert.equal(name .. ": a finite number above 0, or false expected, got 0", refused { [name] = 0 })
    end
    assert.equal("rope_base: a finite number above 0 expected, got -1", refused { rope_base = -1 })
    assert.equal("gated: true or false expected, got 1", refused { gated = 1 })
  end)

  it("refuses layer types that are none, or not one for each layer", function()
    local window = { sliding_window = 4 }
    assert.equal('layer_types[2]: "full_attention" or "sliding_attention" expected, got "sliding"; '
      .. 'did you mean "sliding_attention"?', refused(window, { layer_types = { "full_attention", "sliding" } }))
    assert.equal('layer_types[1]: "full_attention" or "sliding_attention" expected, got "chunked"',
      refused(window, { layer_types = { "chunked", "full_attention" } }))
    assert.equal("layer_types: 2 entries expected, one for each of n_layers, got 1",
      refused(window, { layer_types = { "full_attention" } }))
    assert.equal("layer_types: a list of layer types, or false expected, got \"sliding_attention\"",
      refused(window, { layer_types = "sliding_attention" }))
    assert.equal('sliding_window: missing; layer_types has "sliding_attention"',
      refused { layer_types = { "full_attention", "sliding_attention" } })
    assert.equal("n_layers: at most 65536 layers expected where some have a window, got 100000",
      refused(window, { n_layers = 100000, emb_dim = 4 }))
  end)

  it("refuses heads that do not fit", function()
    assert.equal("n_kv_heads: n_heads (4) is not divisible by 3; n_kv_heads 2 or 4 would fit",
      refused { n_kv_heads = 3 })
    assert.equal("n_kv_heads: n_heads (4) is not divisible by 8; n_kv_heads 4 would fit", refused { n_kv_heads = 8 })
    assert.equal("emb_dim: 25 is not divisible by n_heads (4); emb_dim 24 or 28 would fit, or n_heads 1 or 5",
      refused { emb_dim = 25 })
    assert.equal(25, gpt.config(config_with { emb_dim = 25, head_dim = 7 }).emb_dim)
  end)

  it("refuses dimensions that rotary positions cannot turn", function()
    local rotary = { positions = "rotary" }
    assert.equal("head_dim: 7 is odd; rotary positions turn pairs of numbers", refused(rotary, { head_dim = 7 }))
    assert.equal("head_dim, emb_dim / n_heads: 5 is odd; rotary positions turn pairs of numbers",
      refused(rotary, { emb_dim = 20 }))
    assert.equal("rope_dims: 3 is odd; rotary positions turn pairs of numbers", refused(rotary, { rope_dims = 3 }))
    assert.equal("rope_dims: at most head_dim (6) expected, got 8", refused(rotary, { rope_dims = 8 }))
    assert.equal("head_dim: rotary positions turn at most 1024 numbers, got 1026",
      refused(rotary, { head_dim = 1026 }))
    assert.equal(4, gpt.config(config_with(rotary, { head_dim = 7, rope_dims = 4 })).rope_dims)
  end)

  it("refuses what would mean nothing without rotary positions", function()
    assert.equal('rope_base: positions are "learned"; with positions = "rotary" it has a meaning',
      refused { rope_base = 10000 })
    assert.equal('rope_scaling: positions are "none"; with positions = "rotary" it has a meaning',
      refused { positions = "none", rope_scaling = { rope_type = "linear", factor = 2 } })
    assert.equal("none", gpt.config(config_with { family = "qwen3", positions = "none" }).positions)
  end)

  it("refuses scalings that are not implemented, or not complete", function()
    local function scaled(scaling) return refused { positions = "rotary", rope_scaling = scaling } end
    assert.equal('rope_scaling: rope_type: \'longrope\' is not implemented; there are "linear", "llama3", "yarn" and '
      .. '"default"', scaled { rope_type = "longrope" })
    assert.equal("rope_scaling: factor: missing; a finite number above 0 expected", scaled { rope_type = "linear" })
    assert.equal("rope_scaling: frequency_factors: an array of 3 numbers expected, one for each pair",
      scaled { frequency_factors = { 1, 1 } })
    assert.equal("rope_scaling: unknown option 'facto'; did you mean 'factor'?",
      scaled { rope_type = "linear", facto = 2 })
    for _, name in ipairs { "another process has been", "not enough memory", "interrupted!" } do
      assert.equal(("rope_scaling: unknown option '%s'"):format(name), scaled { rope_type = "linear", [name] = 2 })
    end
    assert.equal("rope_scaling: a table, or false expected, got 8", scaled(8))
  end)

  it("knows other programs' names for its keys", function()
    for other, ours in pairs { num_key_value_heads = "n_kv_heads", intermediate_size = "hidden_dim",
      rms_norm_eps = "norm_eps", hidden_act = "activation", rope_theta = "rope_base", model_type = "family",
      rope_parameters = "rope_scaling", attention_bias = "qkv_bias", final_logit_softcapping = "logit_softcap",
      attn_logit_softcapping = "attention_softcap", partial_rotary_factor = "rope_dims" } do
      assert.equal(("%s: unknown key; did you mean '%s'?"):format(other, ours), refused { [other] = 1 })
    end
    assert.equal("a config has no key 'num_key_value_heads'; did you mean 'n_kv_heads'?",
      raised(function() return gpt.config(SMALL).num_key_value_heads end))
  end)

  it("counts what cannot be counted by its heads and gates", function()
    local large = { emb_dim = 2 ^ 26, n_heads = 1, hidden_dim = 2 ^ 26, gated = true, head_dim = 2, n_layers = 1 }
    assert.equal("too large together: about 1.4e+16 parameters; at most 2^53 can be counted", refused(large))
    local text = "too large together: about %s numbers in the KV cache; at most 2^53 can be counted"
    assert.equal(text:format "1.8e+16", refused { context_length = 2 ^ 30, n_layers = 2 ^ 13, head_dim = 2 ^ 10,
      n_kv_heads = 1, n_heads = 4 })
  end)
end)

describe("a Model of a family's config", function()
  it("has the parts that its keys ask for", function()
    local plain = gpt.Model(config_with { family = "llama" })
    assert.equal("token_embedding blocks final_norm head", names_of(plain))
    assert.equal("norm1 attention norm2 feed_forward", names_of(plain.blocks[1]))
    assert.equal("query key value output", names_of(plain.blocks[1].attention))
    assert.equal("gate expand activation project", names_of(plain.blocks[1].feed_forward))
    local gemma = gpt.Model(config_with { family = "gemma3" })
    assert.equal("norm1 attention post_norm1 norm2 feed_forward post_norm2", names_of(gemma.blocks[2]))
    assert.equal("query key value query_norm key_norm output", names_of(gemma.blocks[2].attention))
  end)

  it("prints what its parts are", function()
    local text = tostring(gpt.Model(config_with { family = "gemma2", n_kv_heads = 1, head_dim = 8, sliding_window = 5,
      qk_norm = true, qkv_bias = true, attention_scale = 0.5, rope_base = 1000, rope_dims = 4, hidden_dim = 58,
      rope_scaling = { rope_type = "linear", factor = 2 } }))
    local lines = {}
    for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal("  vocab_size = 40, context_length = 32, emb_dim = 24, n_heads = 4, n_layers = 2, "
      .. "embedding_scale = 4.89898, logit_softcap = 30,", lines[2])
    assert.equal("        emb_dim = 24, n_heads = 4, context_length = 32, drop_rate = 0, qkv_bias = true, "
      .. "n_kv_heads = 1, head_dim = 8, sliding_window = 5, scale = 0.5, softcap = 50, bias = false, "
      .. 'rope_base = 1000, rope_dims = 4, rope_scaling = { rope_type = "linear", factor = 2 }, '
      .. "qk_norm = { eps = 1e-06, offset = 1 },", lines[8])
  end)

  it("takes positions by an embedding, by turning, or not at all", function()
    local ids = { { 1, 2, 3, 4 } }
    local function changes(positions)
      gpt.seed(3)
      local model = gpt.Model(config_with { positions = positions, n_layers = 1 }):eval()
      local there = model(ids)[1][4]
      local swapped = model { { 2, 1, 3, 4 } }[1][4]
      return (there - swapped):abs():max():item() > 1e-6
    end
    assert.is_true(changes "learned")
    assert.is_true(changes "rotary")
    assert.is_false(changes "none")
  end)

  it("gives windows to the layers that its types name, and the local base to those", function()
    local model = gpt.Model(config_with { family = "gemma3", sliding_window = 3, n_layers = 6,
      rope_scaling = { rope_type = "linear", factor = 2 } })
    for i = 1, 6 do
      local text = tostring(model.blocks[i].attention)
      assert.equal(i < 6 and "3" or nil, text:match "sliding_window = (%d+)")
      assert.equal(i < 6 and "10000" or "1e+06", text:match "rope_base = ([%de+]+)")
      assert.equal(i == 6, text:find 'rope_type = "linear"' ~= nil)
    end
  end)

  it("is refused by its size where memory is short, before anything is made", function()
    finally(function() gpt.memory { limit = 0 } end)
    gpt.memory { limit = 1000000 }
    for _, name in ipairs { "gpt2-small", "smollm2-135M", "llama-3.1-8B", "mistral-7B", "qwen2.5-0.5B", "qwen3-0.6B",
      "gemma-2b", "gemma-2-2b", "gemma-3-270m" } do
      local text = ("Model: %d parameters in float32 need "):format(gpt.size(name).parameters)
      assert.matches(text, raised(gpt.Model, name), 1, true)
    end
    local mixed = config_with { positions = "none", bias = false, gated = true, qkv_bias = true, qk_norm = true,
      post_norms = true, n_kv_heads = 1, vocab_size = 100000 }
    assert.matches(("Model: %d parameters in"):format(gpt.size(mixed).parameters), raised(gpt.Model, mixed), 1, true)
  end)

  it("has blocks that can be made by themselves, each of its type", function()
    local config = config_with { sliding_window = 3, layer_types = { "full_attention", "sliding_attention" } }
    assert.is_nil(tostring(gpt.nn.TransformerBlock(config)):match "sliding_window")
    assert.equal("3", tostring(gpt.nn.TransformerBlock(config, 2)):match "sliding_window = (%d+)")
    local model = gpt.Model(config, { block = gpt.nn.TransformerBlock })
    assert.equal(tostring(gpt.Model(config).blocks), tostring(model.blocks))
    for _, i in ipairs { 0, 3, 1.5, "1" } do
      assert.equal(("nn.TransformerBlock: a block's number from 1 to n_layers (2) expected, got %s"):format(
        type(i) == "string" and '"1"' or i), raised(function() gpt.nn.TransformerBlock(config, i) end))
    end
  end)
end)
