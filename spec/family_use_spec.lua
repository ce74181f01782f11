-- What models of the families do as every model does: drawing, tracing, training, saving, sessions.
local files = require "spec.support.files"
local gpt = require "gpt"
local nn = gpt.nn

local KEYS = {
  llama = { n_kv_heads = 2, rope_scaling = { rope_type = "llama3", factor = 8, low_freq_factor = 1, high_freq_factor = 4,
    original_max_position_embeddings = 8 } },
  mistral = { sliding_window = 3, n_kv_heads = 1 },
  qwen2 = { n_kv_heads = 2, tie_weights = true },
  qwen3 = { head_dim = 16 },
  gemma = { n_kv_heads = 1 },
  gemma2 = { sliding_window = 3, n_kv_heads = 2 },
  gemma3 = { sliding_window = 3, n_kv_heads = 1, layer_types = { "sliding_attention", "full_attention" } },
}
local FAMILIES = { "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3" }

local function config(family, changes)
  local c = { family = family, vocab_size = 50, context_length = 24, emb_dim = 32, n_heads = 4, n_layers = 2,
    hidden_dim = 64 }
  for _, keys in ipairs { KEYS[family], changes or {} } do
    for key, value in pairs(keys) do c[key] = value end
  end
  return c
end

local function new_model(family, changes)
  gpt.seed(4)
  return gpt.Model(config(family, changes))
end

local function distance(a, b) return (a - b):abs():max():item() end

local function ids_of(n)
  local ids = {}
  for i = 1, n do ids[i] = (7 * i * i + 3 * i) % 50 end
  return ids
end

local IDS = ids_of(12)

local function gradients_of(model, ids)
  for _, p in model:parameters() do p.grad = nil end
  model:loss(ids, ids):backward()
  local grads = {}
  for path, p in model:parameters() do grads[path] = p.grad and p.grad:clone() end
  return grads
end

describe("init of a model of a family", function()
  it("\"torch\" draws as PyTorch's layers do, in the order of the parts", function()
    local model = new_model("gemma3", { init = "torch", tie_weights = false, qkv_bias = true })
    gpt.seed(4)
    local function compare(layer, path)
      for name, tensor in layer:parameters() do
        assert.equal(0, distance(tensor, model:find(path)[name]), path)
      end
    end
    compare(nn.Embedding(50, 32), "token_embedding")
    for i = 1, 2 do
      local block = ("blocks.%d."):format(i)
      compare(nn.Linear(32, 32), block .. "attention.query")
      for _, name in ipairs { "key", "value" } do compare(nn.Linear(32, 8), block .. "attention." .. name) end
      compare(nn.Linear(32, 32, { bias = false }), block .. "attention.output")
      for _, name in ipairs { "gate", "expand" } do
        compare(nn.Linear(32, 64, { bias = false }), block .. "feed_forward." .. name)
      end
      compare(nn.Linear(64, 32, { bias = false }), block .. "feed_forward.project")
    end
    compare(nn.Linear(32, 50, { bias = false }), "head")
  end)

  it("\"gpt2\" draws weights from normal(0, 0.02), residual ones from less, and leaves norms without effect", function()
    local model = new_model("gemma2", { emb_dim = 128, hidden_dim = 256 })
    local function deviation(path) return model:find(path).weight:std():item() end
    for _, path in ipairs { "attention.query", "feed_forward.gate", "feed_forward.expand" } do
      assert.is_true(math.abs(deviation("blocks.2." .. path) - 0.02) < 0.001, path)
    end
    for _, path in ipairs { "attention.output", "feed_forward.project" } do
      assert.is_true(math.abs(deviation("blocks.2." .. path) - 0.01) < 0.0005, path)
    end
    for _, name in ipairs { "norm1", "post_norm1", "norm2", "post_norm2" } do
      assert.equal(0, model.blocks[1][name].weight:abs():max():item()) -- their factor is 1 + weight
    end
    local llama = new_model "llama"
    assert.same({ 1, 1 }, { llama.final_norm.weight:min():item(), llama.final_norm.weight:max():item() })
  end)
end)

for _, family in ipairs(FAMILIES) do
  describe("a model of the family " .. family, function()
    it("is traced part by part, and its attentions weigh what they see", function()
      local model = new_model(family):eval()
      local trace, sandwich = model:trace(IDS), family == "gemma2" or family == "gemma3"
      assert.equal(0, distance(trace[""].output, model(IDS)))
      for i = 1, 2 do
        local block = ("blocks.%d"):format(i)
        local x = i == 1 and trace.token_embedding.output * (trace[""].layer.config.family:find "gemma" and 32 ^ 0.5 or 1)
          or trace["blocks.1"].output
        local inner = trace[block .. (sandwich and ".post_norm1" or ".attention")]
        local last = trace[block .. (sandwich and ".post_norm2" or ".feed_forward")]
        assert.is_true(distance(trace[block].output, x + inner.output + last.output) < 1e-5)
        local weights = trace[block .. ".attention"].weights
        assert.same({ 4, 12, 12 }, weights:shape())
        assert.is_true(distance(weights:sum(3), gpt.ones(4, 12)) < 1e-5)
        local windowed = family == "mistral" or sandwich and i == 1
        assert.equal(windowed, weights[1][12][9]:item() == 0)
        assert.is_true(weights[1][12][10]:item() > 0)
        assert.equal(0, weights[1][3][4]:item())
      end
    end)

    it("keeps its cache in f16, too", function()
      local model = new_model(family):eval()
      local full, half = model:session(), model:session { cache_dtype = "f16" }
      for _, size in ipairs { 7, 1, 4 } do
        local slice = {}
        for i = 1, size do slice[i] = IDS[full.length + i] end
        assert.is_true(distance(full:feed(slice), half:feed(slice)) < 1e-3)
      end
    end)

    it("trains: the loss falls, and one seed gives one run", function()
      local function run()
        local model = new_model(family, { drop_rate = 0.1 })
        local optimizer, losses = gpt.optim.AdamW(model, { lr = 3e-3 }), {}
        for step = 1, 12 do
          local loss = model:loss(IDS, IDS)
          losses[step] = loss:item()
          optimizer:zero_grad()
          loss:backward()
          optimizer:step()
        end
        return losses
      end
      local losses = run()
      assert.is_true(losses[12] < losses[1] - 0.3)
      assert.same(losses, run())
    end)

    it("has the same gradients where blocks are computed again", function()
      local model = new_model(family)
      local expected = gradients_of(model, { IDS, IDS })
      for path, grad in pairs(gradients_of(model:recompute(), { IDS, IDS })) do
        assert.equal(0, distance(grad, expected[path]), path)
      end
    end)

    it("gives a frozen part no gradient", function()
      local model = new_model(family)
      model.blocks:freeze()
      local grads = gradients_of(model, IDS)
      assert.is_nil(grads["blocks.1.attention.query.weight"])
      assert.is_truthy(grads["token_embedding.weight"])
    end)

    it("saves and loads its parameters by path", function()
      local name = files.directory() .. "/parameters.safetensors"
      finally(function() files.remove(name:match "^(.*)/") end)
      local model, other = new_model(family):eval(), gpt.Model(config(family)):eval()
      model:save_parameters(name)
      assert.is_true(distance(model(IDS), other(IDS)) > 0)
      other:load_parameters(name)
      assert.equal(0, distance(model(IDS), other(IDS)))
    end)

    it("computes with weights of other dtypes", function()
      local model = new_model(family):eval()
      local expected = model(IDS)
      model:to "q8_0"
      assert.is_true(distance(expected, model(IDS)) < 0.05 * expected:abs():max():item() + 1e-3)
      assert.equal(20, #model:generate({ 1, 2, 3 }, { max_new_tokens = 17 }))
    end)
  end)
end
