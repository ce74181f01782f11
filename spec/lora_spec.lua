local adapter_config = require "gpt.lora.adapter_config"
local gpt = require "gpt"
local json = require "gpt.support.json"
local files = require "spec.support.files"
local measure = require "spec.support.measure"

local FIXTURES = "spec/fixtures/"
local PLAIN = { vocab_size = 50, context_length = 16, emb_dim = 32, n_heads = 2, n_layers = 2, drop_rate = 0, qkv_bias = true }
local IDS = { 1, 2, 3, 4 }

local function largest(a, b)
  return (a - b):abs():max():item()
end

local function plain(overrides)
  gpt.seed(1)
  return gpt.Model(gpt.config(PLAIN, overrides)):eval()
end

-- Random adapters, so that they change something.
local function shake(model)
  for _, tensor in model:parameters() do
    if tensor:requires_grad() then gpt.no_grad(tensor.copy, tensor, gpt.randn(tensor:shape()) * 0.2) end
  end
  return model
end

local function text_of(value) return type(value) == "table" and json.encode(value) or value end

-- A copy of an adapter whose config and whose file of weights may be others.
local function adapter_with(config, weights)
  local dir = files.directory()
  local values = json.read(FIXTURES .. "adapters/fused/adapter_config.json")
  for key, value in pairs(config or {}) do values[key] = value end
  files.write(dir .. "/adapter_config.json", text_of(values))
  if weights then gpt.write_safetensors(dir .. "/adapter_model.safetensors", weights)
  else files.copy(FIXTURES .. "adapters/fused/adapter_model.safetensors", dir .. "/adapter_model.safetensors") end
  return dir
end

local function fails(message, fn, ...)
  local done, problem = pcall(fn, ...)
  assert.is_false(done)
  assert.equal(message, (tostring(problem):gsub("^[^\n]-:%d+: ", "", 1)))
end

describe("gpt.lora", function()
  it("changes nothing at first, and trains its own parameters alone", function()
    local model = plain()
    local before = model(IDS)
    assert.equal(model, gpt.lora(model, { rank = 4, targets = { "query", "project" } }))
    assert.equal(0, largest(model(IDS), before))
    local names, count = {}, 0
    for path, tensor in model:parameters() do
      if tensor:requires_grad() then names[#names + 1], count = path, count + tensor:numel() end
    end
    assert.same({
      "blocks.1.attention.query.default.a", "blocks.1.attention.query.default.b",
      "blocks.1.feed_forward.project.default.a", "blocks.1.feed_forward.project.default.b",
      "blocks.2.attention.query.default.a", "blocks.2.attention.query.default.b",
      "blocks.2.feed_forward.project.default.a", "blocks.2.feed_forward.project.default.b",
    }, names)
    assert.equal(2 * (4 * 32 + 32 * 4 + 4 * 128 + 32 * 4), count)
    local optimizer = gpt.optim.AdamW(model, { lr = 1e-2 })
    local weight = model.blocks[1].attention.query.base.weight:clone()
    local first, last
    for _ = 1, 12 do
      last = model:loss(IDS, { 2, 3, 4, 5 })
      first = first or last:item()
      last:backward()
      optimizer:step()
      optimizer:zero_grad()
    end
    assert.is_true(last:item() < first - 0.1)
    assert.equal(0, largest(weight, model.blocks[1].attention.query.base.weight))
  end)

  it("computes base(x) + alpha / rank * x a' b'", function()
    local linear, x = gpt.nn.Linear(5, 3), gpt.randn(2, 5)
    local layer = gpt.nn.Sequential { linear }
    shake(gpt.lora(layer, { rank = 2, alpha = 3, targets = "1" }))
    local adapter = layer[1].default
    local expected = linear(x) + x:matmul(adapter.a:transpose(1, 2)):matmul(adapter.b:transpose(1, 2)) * 1.5
    assert.is_true(largest(layer(x), expected) < 1e-6)
  end)

  it("drops its input in training only", function()
    local layer = shake(gpt.lora(gpt.nn.Sequential { gpt.nn.Linear(64, 3) }, { targets = "1", dropout = 0.5 }))
    local x = gpt.randn(1, 64)
    assert.is_true(largest(layer(x), layer(x)) > 0)
    layer:eval()
    assert.equal(0, largest(layer(x), layer(x)))
  end)

  it("prints what is there", function()
    local layer = gpt.lora(gpt.nn.Sequential { gpt.nn.Linear(4, 6) }, { rank = 2, targets = "1", dropout = 0.1 })
    assert.equal([[
LoRA {  -- 50
  adapter = "default",
  base = Linear(4, 6),  -- 30
  default = Adapter { rank = 2, alpha = 4, dropout = 0.1 },  -- 20
}]], tostring(layer[1]))
  end)

  it("finds targets by the end of a path, by a pattern, and all but the head", function()
    local function paths_of(targets)
      local model, paths = gpt.lora(plain(), { targets = targets }), {}
      for path in model:parameters() do paths[#paths + 1] = path:match "^(.*)%.default%.a$" end
      return paths
    end
    assert.same({ "blocks.1.attention.output", "blocks.2.attention.output" }, paths_of "attention.output")
    assert.same({ "blocks.2.attention.query", "blocks.2.attention.key", "blocks.2.attention.value" },
      paths_of "^blocks%.2%.attention%.[qkv]")
    assert.equal(12, #paths_of "all")
    assert.same({ "head" }, paths_of { "head" })
  end)

  it("adapts a layer that stands in two places once", function()
    local shared = gpt.nn.Linear(4, 4)
    local layer = gpt.lora(gpt.nn.Sequential { shared, gpt.nn.GELU(), shared }, { targets = "all" })
    assert.equal(layer[1], layer[3])
    assert.equal("LoRA", layer[1].kind)
  end)

  it("trains over quantised weights, which stay as they are, whatever else is converted", function()
    local model = plain():to "q8_0"
    shake(gpt.lora(model, { targets = "all" }))
    model:loss(IDS, { 2, 3, 4, 5 }):backward()
    assert.equal("q8_0", model.blocks[1].attention.query.base.weight:dtype())
    assert.is_true(model.blocks[1].attention.query.default.a.grad:abs():max():item() > 0)
    model:to "bf16"
    assert.equal("bf16", model.blocks[1].attention.query.base.weight:dtype())
    assert.equal("f32", model.blocks[1].attention.query.default.a:dtype())
  end)

  it("uses one adapter at a time, and sessions notice", function()
    local model = plain()
    local before = model(IDS)
    local first = shake(gpt.lora(model, { name = "first" }))(IDS)
    gpt.lora(model, { name = "second", targets = { "key" } })
    assert.is_true(largest(model(IDS), before) == 0)
    assert.same({ { "first", "second" }, "second" }, { model:adapters() })
    local session = model:session()
    session:feed { 1, 2, 3 }
    model:use_adapter "first"
    assert.is_true(largest(model(IDS), first) == 0)
    assert.is_true(largest(session:feed { 4 }:reshape(50), first[1][4]) < 1e-5)
    model:use_adapter(nil)
    assert.is_true(largest(model(IDS), before) == 0)
    assert.same({ { "first", "second" } }, { model:adapters() })
  end)

  it("merges the adapter in use, in the weights' dtype, and leaves a plain model", function()
    for dtype, tolerance in pairs { f32 = 1e-6, bf16 = 0.1, q8_0 = 0.1 } do
      local model = plain():to(dtype)
      shake(gpt.lora(model, { targets = { "all" } }))
      local with = model(IDS)
      assert.equal(model, model:merge_lora())
      assert.is_true(largest(model(IDS), with) < tolerance)
      assert.equal("Linear", model.blocks[1].attention.query.kind)
      assert.equal(dtype, model.blocks[1].attention.query.weight:dtype())
      assert.same({ {} }, { model:adapters() })
    end
  end)

  it("merges a head that was tied without changing the embedding", function()
    local model = plain { tie_weights = true }
    shake(gpt.lora(model, { targets = { "head" } }))
    local embedding, with = model.token_embedding.weight:clone(), model(IDS)
    model:merge_lora()
    assert.is_true(largest(model(IDS), with) < 1e-6)
    assert.equal(0, largest(embedding, model.token_embedding.weight))
  end)

  it("returns its memory", function()
    local model = plain()
    collectgarbage()
    collectgarbage()
    local live = gpt.memory().live
    shake(gpt.lora(model, { targets = "all" }))
    for name in model:find("blocks.1.attention.query"):children() do assert.is_string(name) end
    model:use_adapter(nil)
    for i = 1, 2 do
      for _, path in ipairs { "attention.query", "attention.key", "attention.value", "attention.output",
        "feed_forward.expand", "feed_forward.project" } do
        path = ("blocks.%d.%s"):format(i, path)
        model:replace(path, model:find(path).base)
      end
    end
    collectgarbage()
    collectgarbage()
    assert.equal(live, gpt.memory().live)
  end)

  it("says what is wrong", function()
    local model = plain()
    fails("gpt.lora: a model or another layer expected, got 3", gpt.lora, 3)
    fails("gpt.lora: a table of options expected, got 3", gpt.lora, model, 3)
    fails("gpt.lora: 3 problems:\n  rank: a whole number of at least 1 expected, got 0\n  targets: a name, or a list of "
      .. "names or patterns, expected, got a table\n  rang: unknown key; did you mean 'rank'?", gpt.lora, model,
      { rank = 0, targets = {}, rang = 1 })
    fails('gpt.lora: name: a name of letters, digits, "_" and "-", other than "base", expected, got "base"', gpt.lora,
      model, { name = "base" })
    fails('gpt.lora: targets: no Linear layer is called "querry"; there are query, key, value, output, expand, project, '
      .. "head", gpt.lora, model, { targets = { "key", "querry" } })
    assert.equal("Linear", model.blocks[1].attention.key.kind)
    fails("gpt.lora: there is no Linear layer in a Linear; a layer whose parts are Linear layers expected", gpt.lora,
      gpt.nn.Linear(2, 2))
    fails("merge_lora: there is no adapter; gpt.lora makes one", model.merge_lora, model)
    fails('use_adapter: there is no adapter "x"; there are none', model.use_adapter, model, "x")
    gpt.lora(model, { name = "poems" })
    fails('gpt.lora: there is an adapter "poems" already; give the new one another name', gpt.lora, model,
      { name = "poems", targets = "key" })
    fails('use_adapter: there is no adapter "poem", did you mean "poems"?; there is poems', model.use_adapter, model, "poem")
    model:use_adapter(nil)
    fails("merge_lora: no adapter is in use; layer:use_adapter(name) chooses one of poems", model.merge_lora, model)
  end)

  it("does not merge into what can only be read", function()
    local linear = gpt.nn.Linear(256, 2)
    linear.weight = gpt.from_bytes(("\0"):rep(2 * 144), { 2, 256 }, "q4_k")
    local layer = gpt.lora(gpt.nn.Sequential { linear }, { targets = "1" })
    fails('merge_lora: 1 is q4_k, which cannot be written; model:to "q8_0" converts the weights first', layer.merge_lora,
      layer)
  end)
end)

describe("adapters of PEFT", function()
  local file = assert(io.open(FIXTURES .. "adapters.json"))
  local reference = json.decode(file:read "a")
  file:close()

  for _, case in ipairs(reference.adapters) do
    local function load()
      return gpt.load_adapter(gpt.load(FIXTURES .. case.model), FIXTURES .. "adapters/" .. case.dir)
    end
    local function check(model, tolerance)
      assert.is_true(largest(model(case.ids)[1], gpt.tensor(case.logits)) < tolerance)
    end

    it("are loaded and give the logits that PEFT gives: " .. case.dir, function()
      check(load(), 2e-5)
    end)

    it("train as in PEFT: " .. case.dir, function()
      local model, ids, targets = load(), {}, {}
      for i = 1, #case.ids - 1 do ids[i], targets[i] = case.ids[i], case.ids[i + 1] end
      local optimizer = gpt.optim.AdamW(model, { lr = 1e-2, weight_decay = 0 })
      for i = 1, #case.losses do
        local loss = model:loss(ids, targets)
        assert.is_true(math.abs(loss:item() - case.losses[i]) < 1e-3 * case.losses[i])
        loss:backward()
        optimizer:step()
        optimizer:zero_grad()
      end
    end)

    it("are saved, and come back the same: " .. case.dir, function()
      local dir = files.directory()
      load():save_adapter(dir .. "/adapter")
      local model = gpt.load_adapter(gpt.load(FIXTURES .. case.model), dir .. "/adapter", "again")
      files.remove(dir)
      check(model, 2e-5)
    end)

    it("are merged: " .. case.dir, function()
      local model = load():merge_lora()
      check(model, 2e-5)
      local squares = 0
      for _, tensor in model:parameters() do squares = squares + (tensor * tensor):sum():item() end
      assert.is_true(math.abs(math.sqrt(squares) / case.merged_norm - 1) < 1e-5)
    end)
  end

  it("are matrices, or say what they are", function()
    local dir = files.directory()
    files.write(dir .. "/adapter_config.json", files.read(FIXTURES .. "adapters/fused/adapter_config.json"))
    local head = ('{"base_model.model.%s.lora_A.weight":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}')
      :format "transformer.h.0.attn.c_attn"
    files.write(dir .. "/adapter_model.safetensors", string.pack("<s8I4", head, 0))
    fails(("gpt.load_adapter: %s/adapter_model.safetensors is for another model\n  missing: h.0.attn.c_attn.lora_B\n"
      .. "  of another shape: h.0.attn.c_attn.lora_A is [], not [rank, 24]"):format(dir),
      gpt.load_adapter, gpt.load(FIXTURES .. "hf_tied"), dir)
    files.remove(dir)
  end)

  it("are of the model that is saved, or say what is not", function()
    local model = gpt.load(FIXTURES .. "hf_tied")
    local other = gpt.load(FIXTURES .. "hf_untied")
    local dir = FIXTURES .. "adapters/fused"
    fails(("gpt.load_adapter: %s/adapter_model.safetensors is for another model\n  of another shape: "
      .. "h.0..h.1.attn.c_attn.lora_A is [3, 24], not [3, 32], h.0..h.1.attn.c_attn.lora_B is [72, 3], not [96, 3]"):format(dir),
      gpt.load_adapter, other, dir)
    fails(("gpt.load_adapter: %s/adapter_model.safetensors is for another model\n  unexpected: "):format(
      FIXTURES .. "adapters/patterns") .. "h.2.mlp.c_fc.lora_A, h.2.mlp.c_fc.lora_B\n  of another shape: "
      .. "h.0..h.1.mlp.c_fc.lora_A is [4, 32], not [4, 24], h.0..h.1.mlp.c_fc.lora_B is [128, 4], not [96, 4], "
      .. "h.1.attn.c_proj.lora_A is [2, 32], not [2, 24], h.1.attn.c_proj.lora_B is [32, 2], not [24, 2]",
      gpt.load_adapter, model, FIXTURES .. "adapters/patterns")
    for _, layer in model:parameters() do assert.is_true(layer:requires_grad()) end
    gpt.load_adapter(model, dir)
    fails('gpt.load_adapter: there is an adapter "default" already; give the new one another name', gpt.load_adapter,
      model, dir)
    fails("save: blocks.1.attention.query has adapters: model:merge_lora() adds the one in use to the weights; "
      .. "model:save_adapter(dir) writes it alone", model.save, model, "unused")
    fails('save_adapter: there is none called "x"; there is default', model.save_adapter, model, "unused", "x")
    fails("save_adapter: there is no adapter; gpt.lora makes one", other.save_adapter, other, "unused")
    fails("save_adapter: the name of a directory expected, got nil", model.save_adapter, model)
    fails("save_adapter: a Model expected, got a Linear; layer:save_parameters writes any layer's parameters",
      model.save_adapter, gpt.nn.Linear(2, 2), "unused")
    model:use_adapter(nil)
    fails("save_adapter: none is in use; there is default", model.save_adapter, model, "unused")
  end)

  it("take the longest of the patterns that mean a module", function()
    local dir = adapter_with { lora_alpha = 3, alpha_pattern = { c_attn = 6, ["0.attn.c_attn"] = 9, ["attn.c_attn"] = 12 } }
    local model = gpt.load_adapter(gpt.load(FIXTURES .. "hf_tied"), dir)
    files.remove(dir)
    assert.matches("rank = 3, alpha = 9", tostring(model.blocks[1].attention.query.default), 1, true)
    assert.matches("rank = 3, alpha = 12", tostring(model.blocks[2].attention.query.default), 1, true)
  end)

  it("look a module's pattern up by its name, however many there are", function()
    local dir, patterns = files.directory(), {}
    for i = 1, 5000 do patterns["other.module" .. i] = i end
    patterns["0.attn.c_attn"] = 9
    files.write(dir .. "/adapter_config.json", json.encode { lora_alpha = 3, alpha_pattern = patterns })
    local config = adapter_config.read(dir .. "/adapter_config.json")
    files.remove(dir)
    local function scales(n)
      for _ = 1, n do assert.equal(3, config:scale("transformer.h.0.attn.c_attn", 3)) end
      assert.equal(1, config:scale("transformer.h.1.attn.c_attn", 3))
    end
    assert.is_true(measure.instructions(scales, 100) < 100000) -- five million, were each pattern looked at
  end)

  it("say which file is missing or not what it should be", function()
    local model = gpt.load(FIXTURES .. "hf_tied")
    local function refused(message, config, weights)
      local dir = adapter_with(config, weights)
      fails(message:gsub("DIR", (dir:gsub("%%", "%%%%"))), gpt.load_adapter, model, dir)
      files.remove(dir)
    end
    fails("gpt.load_adapter: spec/fixtures/hf_tied: no adapter_config.json there", gpt.load_adapter, model,
      FIXTURES .. "hf_tied")
    refused('DIR/adapter_config.json: peft_type: "LOHA" is not implemented', { peft_type = "LOHA" })
    refused("DIR/adapter_config.json: use_dora: true is not implemented", { use_dora = true })
    refused("DIR/adapter_config.json: modules_to_save: what it asks for is not implemented",
      { modules_to_save = { "lm_head" } })
    refused("DIR/adapter_config.json: lora_alpha: a number above 0 expected, got -1", { lora_alpha = -1 })
    refused("DIR/adapter_config.json: lora_dropout: a rate of at least 0 and below 1 expected, got 1",
      { lora_dropout = 1 })
    refused('DIR/adapter_config.json: alpha_pattern: "c_attn": a number above 0 expected, got 0',
      { alpha_pattern = { c_attn = 0 } })
    refused('DIR/adapter_config.json: alpha_pattern: ".*attn" is a regular expression, which is not implemented',
      { alpha_pattern = { [".*attn"] = 2 } })
    refused("DIR/adapter_model.safetensors: tensor base_model.model.transformer.wte.lora_embedding_A: only lora_A and "
      .. "lora_B of Linear layers are implemented", {}, { ["base_model.model.transformer.wte.lora_embedding_A"] = gpt.ones(2) })
    refused("gpt.load_adapter: DIR/adapter_model.safetensors holds no adapter", {}, {})
    refused("gpt.load_adapter: DIR/adapter_model.safetensors is for another model\n  missing: h.0.attn.c_attn.lora_B", {},
      { ["base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"] = gpt.ones(2, 24) })
    local dir = adapter_with {}
    os.rename(dir .. "/adapter_model.safetensors", dir .. "/adapter_model.bin")
    fails(("gpt.load_adapter: %s: no adapter_model.safetensors there (adapter_model.bin is read by running code in it; "
      .. "save it again as safetensors)"):format(dir), gpt.load_adapter, model, dir)
    files.remove(dir)
    assert.same({ {} }, { model:adapters() })
  end)
end)
