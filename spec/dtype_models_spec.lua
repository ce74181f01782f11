-- Models whose weights are of other dtypes: converting, printing, loading, saving, training.
local gpt = require "gpt"
local files = require "spec.support.files"
local raised = require "spec.support.raised"

local config = { vocab_size = 96, context_length = 16, emb_dim = 64, n_heads = 4, n_layers = 2, drop_rate = 0,
  qkv_bias = true, tie_weights = true }
local ids = { 5, 17, 3, 80, 41 }

local function weights_of(model)
  local dtypes = {}
  for path, tensor in model:parameters() do dtypes[path] = tensor:dtype() end
  return dtypes
end

-- Every weight of Linear and Embedding has that dtype, everything else is f32.
local function assert_dtypes(model, dtype)
  for path, own in pairs(weights_of(model)) do
    local matrix = path:find "weight$" and not path:find "norm"
    assert.equal(matrix and dtype or "f32", own, path)
  end
end

local function distance(a, b)
  return (a - b):abs():max():item() / a:abs():max():item()
end

describe("layer:to", function()
  it("converts weights in place, keeps what is tied and adjacent, and goes back", function()
    gpt.seed(1)
    local model = gpt.Model(config):eval()
    local logits = gpt.no_grad(model, ids)
    local tolerance = { bf16 = 2e-2, f16 = 2e-3, q8_0 = 2e-2, q5_1 = 0.1, q4_0 = 0.3 }
    for dtype, most in pairs(tolerance) do
      local other = gpt.Model(config):eval()
      local source = {}
      for path, tensor in model:parameters() do source[path] = tensor end
      gpt.no_grad(function()
        for path, tensor in other:parameters() do tensor:copy(source[path]) end
      end)
      local embedding = other.token_embedding.weight
      assert.equal(other, (other:to(dtype)))
      assert_dtypes(other, dtype)
      assert.equal(dtype, embedding:dtype()) -- the tensor that one had in hand, too
      assert.equal(embedding:bytes(), other.head.weight:bytes())
      local converted = gpt.no_grad(other, ids)
      assert.is_true(distance(logits, converted) < most, dtype)
      local bytes = embedding:bytes()
      other:to(dtype) -- nothing to do
      assert.equal(bytes, other.head.weight:bytes())
      other:to "f32"
      assert_dtypes(other, "f32")
      assert.is_true(distance(converted, gpt.no_grad(other, ids)) < 2e-2) -- inputs were rounded to 8 bits or bf16
      assert.is_true(other.head.weight:requires_grad())
      assert.is_true(other.token_embedding.weight:requires_grad())
      local token = other.token_embedding.weight
      gpt.no_grad(function() token[1] = 0 end)
      assert.equal(0, other.head.weight[1]:abs():sum():item())
    end
  end)

  it("holds as many bytes as gpt.size says", function()
    gpt.seed(2)
    for _, dtype in ipairs { "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1" } do
      collectgarbage()
      collectgarbage()
      local before = gpt.memory().live
      local model <const> = gpt.Model(config)
      model:to(dtype)
      collectgarbage()
      collectgarbage()
      local bytes = 0
      for _, tensor in model:parameters() do bytes = bytes + #tensor:bytes() end
      assert.equal(gpt.size(config).bytes[dtype], bytes)
      local live = gpt.memory().live - before
      assert.is_true(live >= bytes and live < bytes + 40000, ("%s: %d live for %d"):format(dtype, live, bytes))
    end
    assert.equal(gpt.size(config).bytes.q8_0, gpt.size(config).bytes.q8)
  end)

  it("leaves f16 where rows are no whole blocks, and returns their paths", function()
    local model = gpt.nn.Sequential { gpt.nn.Linear(64, 40), gpt.nn.Linear(40, 64), gpt.nn.Linear(64, 4) }
    local same, unfit = model:to "q8_0"
    assert.equal(model, same)
    assert.same({ "2.weight" }, unfit)
    assert.equal("f16", model[2].weight:dtype())
    assert.equal("q8_0", model[3].weight:dtype())
    assert.same({ 2, 4 }, model(gpt.ones(2, 64)):shape())
    assert.equal(1, select("#", model:to "f16"))
  end)

  it("prints", function()
    local layers = gpt.nn.Sequential {
      gpt.nn.Embedding(50257, 768, { dtype = "q4_0" }), gpt.nn.Linear(768, 3072, { dtype = "q8_0" }),
      gpt.nn.Linear(3072, 768, { bias = false, dtype = "bf16" }), gpt.nn.Linear(3, 4, { bias = false }),
    }
    assert.equal([[
Sequential {  -- 43,319,052
  Embedding(50257, 768, { dtype = "q4_0" }),  -- 38,597,376
  Linear(768, 3072, { dtype = "q8_0" }),  -- 2,362,368
  Linear(3072, 768, { bias = false, dtype = "bf16" }),  -- 2,359,296
  Linear(3, 4, { bias = false }),  -- 12
}]], tostring(layers))
    assert.equal("q8_0", layers[2].weight:dtype())
    assert.equal("f32", layers[2].bias:dtype())
  end)

  it("goes on from a session's tokens with the new weights", function()
    gpt.seed(3)
    local model = gpt.Model(config):eval()
    local session <close> = model:session()
    session:feed(ids)
    model:to "q8_0"
    local logits = session:feed { 7 }
    local whole = gpt.no_grad(model, { 5, 17, 3, 80, 41, 7 })
    assert.is_true(distance(whole[1][6], logits:view(96)) < 1e-4)
  end)

  it("refuses what makes no sense, and changes nothing then", function()
    local layer = gpt.nn.Linear(64, 32)
    local bytes = layer.weight:bytes()
    local computed = gpt.nn.Linear(64, 32)
    computed.weight = layer.weight * 2
    for _, case in ipairs {
      { "bad argument #1 to 'to' (there is no dtype 'q8'; did you mean 'q8_0'?)", function() layer:to "q8" end },
      { "to: weights are floats, not i64", function() layer:to "i64" end },
      { "q6_k is read only: nothing can be converted to it; q4_0, q4_1, q5_0, q5_1, q8_0, f16 and bf16 can be written",
        function() gpt.nn.Linear(256, 2):to "q6_k" end },
      { "q6_k is read only: nothing can be converted to it; q4_0, q4_1, q5_0, q5_1, q8_0, f16 and bf16 can be written",
        function() layer:to "q6_k" end }, -- whose rows would not divide into its blocks
      { "to: the weight of a Linear was computed from others that require a gradient; give it a detach()",
        function() computed:to "f16" end },
      { "nn.Linear: dtype: there is no dtype 'q4'; did you mean 'q4_0'?",
        function() return gpt.nn.Linear(64, 2, { dtype = "q4" }) end },
      { "a q4_0 tensor has rows of whole blocks of 32 numbers; shape [2, 33] has rows of 33",
        function() return gpt.nn.Linear(33, 2, { dtype = "q4_0" }) end },
      { "nn.Embedding: unknown option 'dtpe'; did you mean 'dtype'?",
        function() return gpt.nn.Embedding(3, 32, { dtpe = "q4_0" }) end },
    } do
      assert.equal(case[1], raised(case[2]))
    end
    assert.equal(bytes, layer.weight:bytes())
    assert.equal("f32", layer.weight:dtype())
    local two = gpt.nn.Sequential { layer, gpt.nn.Linear(64, 3200) }
    collectgarbage()
    collectgarbage()
    gpt.memory { limit = gpt.memory().live + 100000 } -- enough for the first
    local ok, message = pcall(two.to, two, "f16")
    gpt.memory { limit = 0 }
    assert.is_false(ok)
    assert.match("not enough memory", message)
    assert.equal("f32", layer.weight:dtype())
  end)
end)

describe("training", function()
  it("needs f32 weights", function()
    local model = gpt.Model(config)
    local optimizer = gpt.optim.AdamW(model, { lr = 1e-3 })
    model:to "q8_0"
    local message = "parameter 'token_embedding.weight' is q8_0: training needs f32 weights; model:to \"f32\" converts them, "
      .. "and a list of parameters leaves them out"
    assert.equal("gpt.optim.AdamW: " .. message, raised(function() gpt.optim.AdamW(model, { lr = 1e-3 }) end))
    assert.equal(message, raised(function() optimizer:step() end):gsub("^step: ", ""))
    assert.is_false(model.head.weight:requires_grad())
    assert.equal("requires_grad: only f32 tensors have gradients, this one is q8_0; float() it first",
      raised(function() model.head.weight:requires_grad(true) end))
    model:to "f32"
    model:loss({ ids }, { ids }):backward()
    optimizer:step()
  end)

  it("small layers in f32 learn over frozen weights of blocks", function()
    gpt.seed(4)
    local Low = gpt.nn.layer("Low", {
      init = function(self, frozen, rank)
        local out, inner = table.unpack(frozen.weight:shape())
        self.frozen = frozen
        self.down = gpt.nn.parameter(gpt.randn(rank, inner) * 0.02)
        self.up = gpt.nn.parameter(gpt.zeros(out, rank))
      end,
      forward = function(self, x)
        return self.frozen(x) + x:matmul(self.down:transpose(1, 2)):matmul(self.up:transpose(1, 2))
      end,
      positionwise = true,
    })
    local model = gpt.Model(config):to "q8_0"
    model:freeze()
    local small = {}
    for i = 1, 2 do
      for _, name in ipairs { "query", "value" } do
        local layer = Low(model.blocks[i].attention[name], 4)
        model.blocks[i].attention:replace(name, layer)
        table.insert(small, layer.down)
        table.insert(small, layer.up)
      end
    end
    local optimizer = gpt.optim.AdamW(small, { lr = 0.02 })
    local first, last
    for _ = 1, 12 do
      optimizer:zero_grad()
      local loss = model:loss({ { 1, 2, 3, 4, 5, 6 } }, { { 2, 3, 4, 5, 6, 7 } })
      loss:backward()
      first, last = first or loss:item(), loss:item()
      optimizer:step()
    end
    assert.is_true(last < first - 0.05, ("%g after %g"):format(last, first))
    assert.is_nil(model.head.weight.grad)
  end)
end)

describe("files", function()
  local directory, model, logits

  setup(function()
    directory = files.directory()
    gpt.seed(5)
    model = gpt.Model(config):eval()
    model:save(directory .. "/f32")
    logits = gpt.no_grad(model, ids)
  end)

  teardown(function() files.remove(directory) end)

  it("gpt.load converts on request", function()
    for _, dtype in ipairs { "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1" } do
      for _, map in ipairs { true, false } do
        local loaded = gpt.load(directory .. "/f32", { dtype = dtype, map = map })
        assert_dtypes(loaded, dtype)
        assert.equal(model.head.weight:to(dtype):bytes(), loaded.head.weight:bytes())
        local key = model.blocks[2].attention.key.weight:to(dtype)
        assert.equal(key:bytes(), loaded.blocks[2].attention.key.weight:contiguous():bytes())
        assert.is_true(distance(logits, gpt.no_grad(loaded, ids)) < 0.3)
      end
    end
    collectgarbage()
    collectgarbage()
    local mapped = gpt.memory().mapped
    local loaded = gpt.load(directory .. "/f32", { dtype = "q8_0", pack = true })
    collectgarbage()
    assert.equal(mapped, gpt.memory().mapped)
    assert.equal("q8_0", loaded.head.weight:dtype())
    local packed = gpt.memory().live
    loaded:pack() -- it is
    assert.equal(packed, gpt.memory().live)
    assert.equal('gpt.load: dtype: "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0" or "q5_1" expected, got "q80"; '
      .. 'did you mean "q8_0"?', raised(function() gpt.load(directory .. "/f32", { dtype = "q80" }) end))
  end)

  it("a directory of halves is written, mapped as it is, and multiplied as it lies", function()
    for _, dtype in ipairs { "f16", "bf16" } do
      local path = directory .. "/" .. dtype
      model:save(path, { dtype = dtype })
      assert.match('"torch_dtype": "' .. (dtype == "f16" and "float16" or "bfloat16") .. '"', files.read(path .. "/config.json"))
      collectgarbage()
      collectgarbage()
      local before = gpt.memory().live
      local loaded = gpt.load(path)
      assert_dtypes(loaded, dtype)
      local matrices = gpt.size(config).bytes.f32 - gpt.size(config).bytes[dtype]
      assert.is_true(gpt.memory().live - before < matrices, "mapped, not copied")
      local converted = gpt.load(directory .. "/f32", { dtype = dtype })
      assert.is_true(distance(gpt.no_grad(converted, ids), gpt.no_grad(loaded, ids)) < 1e-2)
      loaded:save(path .. "-again")
      assert_dtypes(gpt.load(path .. "-again"), dtype)
      assert.equal(loaded.head.weight:bytes(), gpt.load(path .. "-again").head.weight:bytes())
      assert_dtypes(gpt.load(path, { dtype = "f32" }), "f32")
    end
  end)

  it("blocks do not fit into a directory, and nothing is left", function()
    local small = gpt.load(directory .. "/f32", { dtype = "q8_0" })
    local path = directory .. "/none"
    assert.equal("save: token_embedding.weight is q8_0, which a Hugging Face directory cannot hold; save to a name that "
      .. 'ends in .gguf, or give { dtype = "bf16" } ("f16", "f32")', raised(function() small:save(path) end))
    assert.equal('save: dtype: "f32", "f16" or "bf16" expected for a Hugging Face directory, got "q4_0"; a name that ends '
      .. "in .gguf can hold it", raised(function() model:save(path, { dtype = "q4_0" }) end))
    assert.is_nil(io.open(path .. "/config.json"))
    small:save(path, { dtype = "bf16" })
    assert_dtypes(gpt.load(path), "bf16")
  end)

  it("parameters are kept in their dtype and read into the layer's", function()
    local path = directory .. "/layer.safetensors"
    local layer, other = gpt.nn.Linear(64, 8, { dtype = "bf16" }), gpt.nn.Linear(64, 8)
    layer:save_parameters(path)
    other:load_parameters(path)
    assert.equal("f32", other.weight:dtype())
    assert.same(layer.weight:totable(), other.weight:totable())
    local blocks = gpt.nn.Linear(64, 8, { dtype = "q8_0" })
    blocks:load_parameters(path)
    assert.equal(layer.weight:to("q8_0"):bytes(), blocks.weight:bytes())
    assert.equal('save_parameters: weight is q8_0, which a safetensors file cannot hold; layer:to "f16" converts it',
      raised(function() blocks:save_parameters(path) end))
  end)
end)
