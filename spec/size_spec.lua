local gpt = require "gpt"
local measure = require "spec.support.measure"
local raised = require "spec.support.raised"
local live = measure.live

describe("gpt.size", function()
  it("counts the parameters of GPT-2 and GPT-3", function()
    local counts = { -- as the config is, with a tied head, and that with qkv bias
      ["gpt2-small"] = { 163009536, 124412160, 124439808 },
      ["gpt2-medium"] = { 406212608, 354749440, 354823168 },
      ["gpt2-large"] = { 838220800, 773891840, 774030080 },
      ["gpt2-xl"] = { 1637792000, 1557380800, 1557611200 },
      ["gpt3"] = { 175218278400, 174600720384, 174604259328 },
    }
    for name, expected in pairs(counts) do
      local size = gpt.size(name)
      local biased = gpt.size(gpt.config(name, { qkv_bias = true, tie_weights = true }))
      assert.same(expected, { size.parameters, size.parameters_tied, biased.parameters })
      assert.equal(biased.parameters, biased.parameters_tied)
    end
  end)

  it("counts the parameters that the published models have", function()
    for name, parameters in pairs {
      ["llama-3.2-1B"] = 1235814400, ["llama-3.2-3B"] = 3212749824, ["llama-3.1-8B"] = 8030261248,
      ["llama-3.1-70B"] = 70553706496, ["llama-3-8B"] = 8030261248, ["llama-2-7B"] = 6738415616,
      ["tinyllama-1.1B"] = 1100048384, ["smollm2-135M"] = 134515008, ["smollm2-360M"] = 361821120,
      ["smollm2-1.7B"] = 1711376384, ["mistral-7B"] = 7241732096, ["mistral-7B-v0.3"] = 7248023552,
      ["qwen2.5-0.5B"] = 494032768, ["qwen2.5-1.5B"] = 1543714304, ["qwen2.5-3B"] = 3085938688,
      ["qwen2.5-7B"] = 7615616512, ["qwen3-0.6B"] = 596049920, ["qwen3-1.7B"] = 1720574976, ["qwen3-4B"] = 4022468096,
      ["qwen3-8B"] = 8190735360, ["gemma-2b"] = 2506172416, ["gemma-7b"] = 8537680896, ["gemma-2-2b"] = 2614341888,
      ["gemma-2-9b"] = 9241705984, ["gemma-2-27b"] = 27227128320, ["gemma-3-270m"] = 268098176,
      ["gemma-3-1b"] = 999885952,
    } do
      local size = gpt.size(name)
      assert.equal(parameters, size.parameters, name)
      assert.equal(4 * parameters, size.bytes.f32)
    end
  end)

  it("counts heads of keys and values, windows, gates and the norms there are", function()
    local size = gpt.size("gemma-2-2b")
    assert.equal(26 * 8192 * 2 * 4 * 256 * 4, size.kv_cache_bytes)
    local projections, hidden = 2 * (2 * 8 + 2 * 4) * 256 * 2304, 3 * 2 * 2304 * 9216
    assert.equal(13 * (2 * projections + 4 * 8 * 256 * (4096 + 8192)), size.parts.attention.flops.forward)
    assert.equal(projections + 4 * 8 * 256 * 4096, size.block.attention.flops.forward)
    assert.equal(26 * hidden, size.parts.feed_forward.flops.forward)
    assert.equal(26 * 4 * 2304, size.parts.norms.parameters)
    assert.same({ "token_embedding", "attention", "feed_forward", "norms", "final_norm", "head" },
      { size.parts[1].name, size.parts[2].name, size.parts[3].name, size.parts[4].name, size.parts[5].name,
        size.parts[6].name })
    local qwen3, qwen2 = gpt.size("qwen3-0.6B").block.attention, gpt.size("qwen2.5-0.5B").block.attention
    assert.equal(2 * (16 + 8) * 128 * 1024 + 2 * 128, qwen3.parameters)
    assert.equal(2 * (14 + 2) * 64 * 896 + (14 + 4) * 64, qwen2.parameters)
    assert.equal(2 ^ 30, gpt.size(gpt.config("mistral-7B", { context_length = 4096 })).kv_cache_bytes)
  end)

  it("is the sum of its parts", function()
    for _, config in ipairs { gpt.config("124M"), gpt.config("355M", { tie_weights = true, hidden_dim = 1000 }) } do
      local size = gpt.size(config)
      local parameters, f32, q4, training, cache = 0, 0, 0, 0, 0
      for i, part in ipairs(size.parts) do
        assert.equal(part, size.parts[part.name])
        parameters, f32, q4 = parameters + part.parameters, f32 + part.bytes.f32, q4 + part.bytes.q4
        training, cache = training + part.flops.training, cache + part.kv_cache_bytes
        assert.equal(i >= 3 and i <= 5 and config.n_layers or 1, part.count)
      end
      assert.equal(7, #size.parts)
      assert.same({ size.parameters, size.bytes.f32, size.bytes.q4, size.flops.training, size.kv_cache_bytes },
        { parameters, f32, q4, training, cache })
      assert.equal(size.parts.attention.parameters, config.n_layers * size.block.attention.parameters)
    end
  end)

  it("sets attention beside the feed-forward layer", function()
    local block = gpt.size("gpt2-small").block
    assert.equal(2360064, block.attention.parameters)
    assert.equal(4722432, block.feed_forward.parameters)
    assert.equal(3072, block.norms.parameters)
    assert.equal(7085568, block.parameters)
  end)

  it("gives bytes by dtype, biases and norms always in f32", function()
    local size = gpt.size("gpt2-small")
    assert.equal("621.83", ("%.2f"):format(size.bytes.f32 / 2 ^ 20))
    assert.equal(4 * 163009536, size.bytes.f32)
    local vectors = 12 * (768 + 3072 + 768 + 4 * 768) + 2 * 768
    local matrices = 163009536 - vectors
    local function blocks(bytes) return matrices // 32 * bytes + 4 * vectors end
    assert.same({ f32 = 4 * 163009536, bf16 = blocks(64), f16 = blocks(64), q8_0 = blocks(34), q4_0 = blocks(18),
      q4_1 = blocks(20), q5_0 = blocks(22), q5_1 = blocks(24) }, size.bytes)
    assert.same({ blocks(34), blocks(18) }, { size.bytes.q8, size.bytes.q4 }) -- as they were called before
    assert.equal("this table has no field 'q9'; it has bf16, f16, f32, q4_0, q4_1, q5_0, q5_1, q8_0",
      raised(function() return size.bytes.q9 end))
  end)

  it("counts rows that are no whole blocks as f16", function()
    local size = gpt.size(gpt.config("124M", { vocab_size = 7, emb_dim = 33, n_heads = 3 }))
    assert.equal(7 * 2 * 33, size.parts.head.bytes.q8_0)
    assert.equal(7 * 2 * 33, size.parts.head.bytes.q4_0)
  end)

  it("counts the KV cache of one sequence", function()
    assert.equal(72 * 2 ^ 20, gpt.size("gpt2-small").kv_cache_bytes)
    assert.equal(6 * 2 ^ 20, gpt.size("gpt2-small").block.kv_cache_bytes)
    assert.equal(18 * 2 ^ 30, gpt.size("gpt3").kv_cache_bytes)
  end)

  it("counts the operations per token", function()
    local size = gpt.size("gpt2-small")
    local attention = 8 * 768 * 768 + 4 * 1024 * 768
    local forward = 12 * (attention + 16 * 768 * 768) + 2 * 50257 * 768
    assert.same({ forward = forward, training = 3 * forward }, size.flops)
    assert.equal(attention, size.block.attention.flops.forward)
    local tied = gpt.size(gpt.config("gpt2-small", { tie_weights = true }))
    assert.same(size.flops, tied.flops)
    assert.equal(0, tied.parts.head.parameters)
    assert.equal(0, size.parts.token_embedding.flops.forward)
  end)

  it("takes hand-written configs", function()
    local size = gpt.size { vocab_size = 10, context_length = 4, emb_dim = 6, n_heads = 2, n_layers = 1, drop_rate = 0,
      qkv_bias = true, hidden_dim = 5 }
    assert.equal(10 * 6 * 2 + 4 * 6 + (4 * 36 + 24) + (60 + 11) + 24 + 12, size.parameters)
    assert.equal("gelu", size.config.activation)
  end)

  it("prints as a table", function()
    assert.equal([[
GPT, n_layers 12, n_heads 12, emb_dim 768, context_length 1,024, vocab_size 50,257

part                     parameters   share         f32  forward/token
token_embedding          38,597,376   23.7%  147.24 MiB
position_embedding          786,432    0.5%    3.00 MiB
attention x 12           28,320,768   17.4%  108.04 MiB   94.37 MFLOPs
feed_forward x 12        56,669,184   34.8%  216.18 MiB  113.25 MFLOPs
norms x 12                   36,864    0.0%  144.00 KiB
final_norm                    1,536    0.0%    6.00 KiB
head                     38,597,376   23.7%  147.24 MiB   77.19 MFLOPs
total                   163,009,536  100.0%  621.83 MiB  284.81 MFLOPs
total with a tied head  124,412,160          474.59 MiB

weights    f32 621.83 MiB, bf16 311.09 MiB, f16 311.09 MiB, q8_0 165.44 MiB, q4_0 87.75 MiB
KV cache   72.00 MiB for 1,024 tokens in f32
per token  284.81 MFLOPs forward, 854.44 MFLOPs in training
training   3.00 GiB: activations 582.76 MiB, weights, gradients and moments 2.43 GiB, for 1,024 tokens]],
      tostring(gpt.size("gpt2-small")))
  end)

  it("prints a tied head as such, and small numbers", function()
    local text = tostring(gpt.size { vocab_size = 5, context_length = 2, emb_dim = 2, n_heads = 1, n_layers = 1,
      drop_rate = 0, qkv_bias = false, tie_weights = true })
    assert.truthy(text:find("\nhead, tied                   0    0.0%    0 bytes       20 FLOPs\n", 1, true), text)
    assert.is_nil(text:find("total with a tied head", 1, true))
  end)

  it("refuses what gpt.config refuses", function()
    assert.equal("gpt.size: n_heads: missing; a whole number of at least 1 expected", raised(function()
      gpt.size { vocab_size = 10, context_length = 4, emb_dim = 6, n_layers = 1, drop_rate = 0, qkv_bias = true }
    end))
    assert.matches('gpt.size: no preset is called "124 M"; did you mean "124M"? presets: gpt2-small (gpt2, 124M), ',
      raised(function() gpt.size("124 M") end), 1, true)
    assert.matches("gpt.size: a preset's name or a config table expected, got nil; presets: gpt2-small (gpt2, 124M), ",
      raised(function() gpt.size() end), 1, true)
  end)

  it("of a model is that of its config, where its parts are", function()
    for _, overrides in ipairs { {}, { tie_weights = true }, { qkv_bias = true, hidden_dim = 10 },
      { family = "llama", n_kv_heads = 4, tie_weights = true }, { family = "qwen3", n_kv_heads = 2, head_dim = 4 },
      { family = "gemma2", n_kv_heads = 1, sliding_window = 7, head_dim = 4 }, { qk_norm = true, positions = "none" },
      { family = "gemma3", sliding_window = 100, norm = "layer_norm", bias = true } } do
      local config = gpt.config("gpt2-small", { emb_dim = 24, n_layers = 2, vocab_size = 50, context_length = 16 })
      for key, value in pairs(overrides) do config[key] = value end
      local model = gpt.Model(config)
      assert.equal(tostring(gpt.size(config)), tostring(gpt.size(model)))
      assert.equal(model:num_parameters(), gpt.size(model).parameters)
      for _, key in ipairs { "parameters", "parameters_tied", "kv_cache_bytes" } do
        assert.equal(gpt.size(config)[key], gpt.size(model)[key])
      end
      assert.equal(gpt.size(config).block.attention.flops.forward, gpt.size(model).block.attention.flops.forward)
    end
  end)

  it("of a model counts parts of its own", function()
    local config = gpt.config("gpt2-small", { emb_dim = 24, n_layers = 2, vocab_size = 50, context_length = 16 })
    local shared = gpt.nn.Linear(24, 24)
    local Own = gpt.nn.layer("Own", {
      init = function(self)
        self.attention = gpt.nn.MultiHeadAttention { emb_dim = 24, n_heads = 2, context_length = 16 }
        self.shared = shared
        self.scale = gpt.nn.parameter(gpt.ones(24))
        self.mix = gpt.nn.parameter(gpt.ones(24, 3))
      end,
      forward = function(self, x) return self.attention(x) + self.shared(x) * self.scale end,
      positionwise = true,
    })
    local model = gpt.Model(config, { block = Own, position_embedding = false, head = gpt.nn.Linear(24, 50) })
    local size = gpt.size(model)
    assert.equal(model:num_parameters(), size.parameters)
    assert.equal(size.parameters, size.parameters_tied) -- a head with a bias cannot be tied
    assert.same({ "token_embedding", "blocks", "final_norm", "head" },
      { size.parts[1].name, size.parts[2].name, size.parts[3].name, size.parts[4].name })
    assert.equal(2 * (4 * 24 * 24 + 24 + 24 + 72) + 24 * 24 + 24, size.parts.blocks.parameters)
    assert.equal(2 * (2 * (4 * 24 * 24 + 72 + 24 * 24) + 4 * 16 * 24), size.parts.blocks.flops.forward)
    assert.equal(2 * 4 * 2 * 16 * 24, size.kv_cache_bytes)
    assert.equal(2, size.parts.blocks.count)
    assert.is_nil(tostring(size):find("training  ", 1, true))
    assert.equal("size:training_memory: this model has parts of its own, and no config says what they keep for the "
      .. "backward pass; gpt.memory().peak has it after a step", raised(function() size:training_memory() end))
    assert.is_true(size:training_time { tokens = 1, flops_per_second = 1 } > 0)
    model = gpt.Model(config)
    model:replace("blocks.2.feed_forward", gpt.nn.FeedForward { emb_dim = 24, hidden_dim = 7 })
    assert.equal(model:num_parameters(), gpt.size(model).parameters)
    assert.error_matches(function() gpt.size(model):training_memory() end, "parts of its own", 1, true)
  end)

  it("counts the largest config there is without overflow", function()
    local size = gpt.size { vocab_size = 2 ^ 31 - 1, context_length = 2 ^ 31 - 1, emb_dim = 2 ^ 11, n_heads = 1,
      n_layers = 2 ^ 9, drop_rate = 0, qkv_bias = false }
    assert.truthy(size.flops.training > size.flops.forward and size.flops.forward > size.parameters)
    local memory = size:training_memory { batch_size = 2 ^ 31 - 1 }
    assert.truthy(memory.total > 1e25)
    assert.equal("string", type(tostring(size)))
  end)
end)

describe("size:training_time", function()
  it("is the published estimate", function()
    local seconds = gpt.size("gpt3"):training_time { tokens = 300e9, flops_per_second = 28e12 }
    assert.equal(355, seconds // (365.25 * 24 * 3600))
    assert.equal(seconds, gpt.size("175B"):training_time { tokens = 300000000000, flops_per_second = 28000000000000 })
    assert.equal(6 * 124412160 * 1e9 / 1e12,
      gpt.size("124M"):training_time { tokens = 1e9, flops_per_second = 1e12 })
  end)

  it("says what it needs", function()
    local size = gpt.size("124M")
    assert.equal([[
size:training_time: 3 problems:
  tokens: missing; a finite number above 0 expected
  flops_per_second: a finite number above 0 expected, got 0
  token: unknown key; did you mean 'tokens'?]],
      raised(function() size:training_time { token = 1, flops_per_second = 0 } end))
    assert.equal("size:training_time: a table of options expected, got nil",
      raised(function() size:training_time() end))
    assert.equal("size:training_time: call it with a colon, as in gpt.size(config):training_time{...}",
      raised(function() size.training_time { tokens = 1, flops_per_second = 1 } end))
  end)
end)

describe("size:training_memory", function()
  it("adds up weights, gradients, moments and activations", function()
    local size = gpt.size("124M")
    local memory = size:training_memory { batch_size = 2, tokens = 100 }
    local weights = 4 * 163009536
    local activations = 4 * 200 * (12 * (8 * 768 + 2 * 3072 + 12 + 4) + 2 * 768 + 2)
    local relu = gpt.size(gpt.config("124M", { activation = "relu" })):training_memory { batch_size = 2, tokens = 100 }
    assert.equal(activations - 4 * 200 * 12 * 3072, relu.activations)
    assert.same({ parameters = weights, gradients = weights, moments = 2 * weights, activations = activations,
      total = 4 * weights + activations }, memory)
    assert.same(size:training_memory(), size:training_memory { batch_size = 1, tokens = 1024 })
    for dtype, bytes in pairs { f32 = 8, bf16 = 4, q8 = 2.125 } do
      local reduced = size:training_memory { batch_size = 2, tokens = 100, moment_dtype = dtype }
      assert.equal(bytes * 163009536, reduced.moments)
      assert.equal(2 * weights + reduced.moments + activations, reduced.total)
    end
    local recomputed = size:training_memory { batch_size = 2, tokens = 100, recompute = true }
    assert.equal(4 * 200 * (12 * 768 + (7 * 768 + 2 * 3072 + 12 + 4) + 2 * 768 + 2), recomputed.activations)
  end)

  it("counts the angles of rotary positions once for all sequences", function()
    local function activations(rope_dims, batch)
      local c = gpt.config("smollm2-135M", { n_layers = 3, rope_dims = rope_dims })
      return gpt.size(c):training_memory({ batch_size = batch, tokens = 100 }).activations
    end
    for _, batch in ipairs { 1, 7 } do
      assert.equal(4 * 100 * 3 * (64 - 16), activations(nil, batch) - activations(16, batch))
    end
  end)

  it("refuses what cannot be", function()
    local size = gpt.size("124M")
    assert.equal("size:training_memory: tokens: at most context_length (1024) expected, got 1025",
      raised(function() size:training_memory { tokens = 1025 } end))
    assert.equal("size:training_memory: batchsize: unknown key; did you mean 'batch_size'?",
      raised(function() size:training_memory { batchsize = 4 } end))
    assert.equal("size:training_memory: a table of options expected, got 4",
      raised(function() size:training_memory(4) end))
    assert.equal("size:training_memory: call it with a colon, as in gpt.size(config):training_memory{...}",
      raised(function() size.training_memory() end))
  end)
end)

-- What gpt.memory() says beside gpt.size, for configs of every kind.
describe("gpt.size beside gpt.memory", function()
  local function config(changes)
    local c = { vocab_size = 500, context_length = 256, emb_dim = 96, n_heads = 4, n_layers = 2, drop_rate = 0, qkv_bias = false }
    for key, value in pairs(changes) do c[key] = value end
    return c
  end

  local CONFIGS = {
    ["as GPT-2 is"] = config {},
    ["dropout"] = config { drop_rate = 0.1 },
    ["only dropout of attention"] = config { attn_drop_rate = 0.3 },
    ["a tied head and biases"] = config { tie_weights = true, qkv_bias = true },
    ["a narrow hidden layer"] = config { hidden_dim = 100 },
    ["ReLU"] = config { activation = "relu", drop_rate = 0.2 },
    ["GELU by the error function"] = config { activation = "gelu_exact" },
    ["one head, more layers"] = config { n_heads = 1, n_layers = 5, vocab_size = 1500 },
    ["Llama's, with fewer heads of keys"] = config { family = "llama", n_kv_heads = 2, n_layers = 4, vocab_size = 1500 },
    ["Qwen3's, untied"] = config { family = "qwen3", n_kv_heads = 2, head_dim = 32, vocab_size = 1500 },
    ["norms of heads that do not turn"] = config { qk_norm = true, positions = "none", gated = true },
    ["Gemma 2's"] = config { family = "gemma2", sliding_window = 16, n_kv_heads = 2, n_layers = 4, vocab_size = 5000 },
    ["Gemma 3's, turning in part"] = config { family = "gemma3", rope_dims = 8, n_layers = 3, vocab_size = 3500 },
  }

  local function near(expected, found)
    assert.is_true(math.abs(found - expected) <= 0.02 * expected, ("%d bytes on paper, %d live"):format(expected, found))
  end

  -- Live bytes that a loss holds until its backward.
  local function held_by_loss(model, batch, tokens)
    local ids = gpt.randint(0, model.config.vocab_size, batch, tokens)
    local before = live()
    local loss = model:loss(ids, ids)
    local held = live() - before
    loss:free()
    return held
  end

  for name, c in pairs(CONFIGS) do
    it("agrees within 2%: " .. name, function()
      local size, before = gpt.size(c), live()
      local model = gpt.Model(c)
      assert.equal(size.parameters, model:num_parameters())
      near(size.bytes.f32, live() - before)

      before = live()
      local session = model:session()
      session:feed(gpt.randint(0, c.vocab_size, c.context_length))
      near(size.kv_cache_bytes, live() - before - 8 * c.context_length) -- its ids are not the cache's
      session = nil -- luacheck: ignore

      -- The loss has the gradient of the head's weight already.
      local head = 4 * c.vocab_size * c.emb_dim
      local function expected(batch, tokens)
        return size:training_memory({ batch_size = batch, tokens = tokens }).activations
      end
      near(expected(4, 256), held_by_loss(model, 4, 256) - head)
      near(expected(9, 128), held_by_loss(model, 9, 128) - head)
      local more = held_by_loss(model, 6, 128) - held_by_loss(model, 5, 128)
      assert.equal(expected(6, 128) - expected(5, 128), more) -- to the byte, where only the batch differs
    end)
  end
end)
