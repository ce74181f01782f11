-- Models of the families, as transformers and llama.cpp's converter write them; fixtures by make_families.py.
local build = require "spec.support.gguf"
local files = require "spec.support.files"
local gpt = require "gpt"
local rope_factors = require "gpt.model_files.rope_factors"
local json = require "gpt.support.json"
local measure = require "spec.support.measure"
local raised = require "spec.support.raised"
local warnings = require "spec.support.warnings"

local FIXTURES = "spec/fixtures/families/"
local fixture = json.decode(files.read(FIXTURES .. "families.json"))

local place -- a directory of this spec's own

local function quietly(fn) return select(2, warnings(fn)) end

local function case_of(name)
  for _, case in ipairs(fixture.models) do
    if case.name == name then return case end
  end
end

local function exists(path)
  return require("gpt.core")._file_kind(path) ~= nil
end

-- The largest logit that differs from the reference, over the largest of all.
local function difference(case, model)
  local logits, worst, largest = model(case.ids), 0, 0
  for _, row in ipairs(case.logits) do
    local got = logits[row.row][row.position]:totable()
    assert.equal(#row.values, #got)
    for i, value in ipairs(row.values) do
      worst, largest = math.max(worst, math.abs(got[i] - value)), math.max(largest, math.abs(value))
    end
  end
  return worst / largest
end

local function assert_computes(case, model)
  assert.is_true(difference(case, model) < 1e-5)
  local expected = table.move(case.greedy, 1, #case.greedy, #case.prompt + 1, { table.unpack(case.prompt) })
  assert.same(expected, gpt.generate(model, case.prompt, { max_new_tokens = #case.greedy }))
  for key, value in pairs(case.config) do assert.equal(value, model.config[key], key) end
  assert.equal(case.family, model.config.family)
end

-- The same config, all keys; a list or table by its content.
local function assert_same_config(expected, got)
  assert.same(json.decode(json.encode(expected)), json.decode(json.encode(got)))
end

-- A copy of a fixture's directory with some keys of config.json changed; json.null takes one out.
local function edited(name, changes)
  local dir = place .. "/edited"
  files.remove(dir)
  files.copy(FIXTURES .. name, dir)
  local config = json.decode(files.read(dir .. "/config.json"))
  for key, value in pairs(changes) do
    if value == json.null then value = nil end
    config[key] = value
  end
  files.write(dir .. "/config.json", json.encode(config))
  return dir
end

local function refusal(name, changes)
  local dir = edited(name, changes)
  return (raised(gpt.load, dir):gsub(dir, "DIR", nil))
end

describe("a model of the families", function()
  setup(function() place = files.directory() end)
  teardown(function() files.remove(place) end)

  it("is there in every family", function()
    local there = { gpt2 = true }
    for _, case in ipairs(fixture.models) do there[case.family] = true end
    for _, name in ipairs(require("gpt.families").NAMES) do assert.is_true(there[name], name) end
  end)

  for _, case in ipairs(fixture.models) do
    it("computes what transformers does: " .. case.name, function()
      for _, map in ipairs { true, false } do
        assert_computes(case, gpt.load(FIXTURES .. case.name, { map = map, dtype = "f32" }))
      end
    end)

    it("trains as PyTorch does: " .. case.name, function()
      local model = gpt.load(FIXTURES .. case.name, { dtype = "f32" }):train()
      local optimizer = gpt.optim.AdamW(model, { lr = 1e-3, betas = { 0.9, 0.999 }, eps = 1e-8, weight_decay = 0.01 })
      for _, expected in ipairs(case.losses) do
        local loss = model:loss(case.ids, case.targets)
        assert.is_true(math.abs(loss:item() - expected) < 1e-3 * expected)
        loss:backward()
        optimizer:step()
        optimizer:zero_grad()
      end
    end)

    it("comes back from either format, with its config: " .. case.name, function()
      local model = gpt.load(FIXTURES .. case.name, { dtype = "f32" })
      for _, path in ipairs { place .. "/" .. case.name, place .. "/" .. case.name .. ".gguf" } do
        quietly(function() model:save(path) end)
        local again = gpt.load(path)
        assert_computes(case, again)
        assert_same_config(model.config, again.config)
        assert.equal(tostring(model), tostring(again))
        quietly(function() again:save(place .. "/again") end)
        assert_computes(case, gpt.load(place .. "/again"))
      end
    end)

    if exists(FIXTURES .. case.name .. ".gguf") then
      it("computes the same from llama.cpp's converter: " .. case.name, function()
        for _, map in ipairs { true, false } do
          assert_computes(case, gpt.load(FIXTURES .. case.name .. ".gguf", { map = map }))
        end
      end)

      it("is written with the tensors and keys that the converter writes: " .. case.name, function()
        local path = place .. "/written.gguf"
        quietly(function() gpt.load(FIXTURES .. case.name, { dtype = "f32" }):save(path) end)
        local theirs, ours = gpt.read_gguf(FIXTURES .. case.name .. ".gguf"), gpt.read_gguf(path)
        for name, tensor in pairs(theirs.tensors) do
          local own = assert.is_not_nil(ours.tensors[name], name) and ours.tensors[name]
          assert.same(tensor:shape(), own:shape())
          assert.is_true((tensor - own):abs():max():item() < 1e-5, name)
          ours.tensors[name] = nil
        end
        assert.is_nil(next(ours.tensors))
        for key, value in pairs(theirs.metadata) do
          if not key:find "^general%." then assert.equal(value, ours.metadata[key], key) end
        end
      end)
    end
  end

  it("keeps halves as they are, and reads shards", function()
    assert.equal("bf16", gpt.load(FIXTURES .. "llama_bias").blocks[1].feed_forward.gate.weight:dtype())
    assert.equal("f16", gpt.load(FIXTURES .. "mistral").blocks[2].attention.key.weight:dtype())
    assert.is_true(exists(FIXTURES .. "qwen3/model-00002-of-00005.safetensors"))
  end)

  it("is mapped, but for rows that files have in another order", function()
    measure.live()
    local before = gpt.memory().mapped
    local model = gpt.load(FIXTURES .. "llama.gguf")
    assert.is_true(gpt.memory().mapped - before > 60000)
    gpt.no_grad(function() model.blocks[1].attention.query.weight:fill(0) end)
    assert.is_true(difference(case_of "llama", gpt.load(FIXTURES .. "llama.gguf")) < 1e-5)
  end)

  it("moves rows of every dtype whole", function()
    local case = case_of "llama"
    local model = gpt.load(FIXTURES .. "llama")
    for _, dtype in ipairs { "f16", "bf16", "q8_0", "q4_0", "q5_1" } do
      local path = place .. "/rows.gguf"
      quietly(function() model:save(path, { dtype = dtype }) end)
      local loaded = gpt.load(path)
      assert.equal(dtype, loaded.blocks[1].attention.query.weight:dtype())
      local converted = gpt.load(FIXTURES .. case.name, { dtype = dtype })
      for _, name in ipairs { "query", "key", "value" } do
        assert.equal(converted.blocks[1].attention[name].weight:float():bytes(),
          loaded.blocks[1].attention[name].weight:float():bytes(), name)
      end
      quietly(function() loaded:save(path) end)
      assert.equal(loaded(case.ids):bytes(), gpt.load(path)(case.ids):bytes())
    end
  end)

  it("knows the names of rotary positions in older files", function()
    local old = { rope_parameters = json.null, rope_theta = 5000, rope_scaling = { type = "llama3", factor = 8,
      low_freq_factor = 1, high_freq_factor = 4, original_max_position_embeddings = 32 } }
    assert_computes(case_of "llama", gpt.load(edited("llama", old)))
    old.rope_parameters, old.rope_theta = { rope_theta = 5000 }, json.null -- both, each with a part of it
    assert_computes(case_of "llama", gpt.load(edited("llama", old)))
    old = { rope_parameters = json.null, rope_theta = 1e6, rope_local_base_freq = 1e4, layer_types = json.null,
      _sliding_window_pattern = json.null, sliding_window_pattern = 6 }
    assert_computes(case_of "gemma3", gpt.load(edited("gemma3", old)))
    old = { rope_parameters = json.null, layer_types = json.null }
    assert_computes(case_of "gemma2", gpt.load(edited("gemma2", old)))
    assert_computes(case_of "qwen2_window", gpt.load(edited("qwen2_window", { layer_types = json.null })))
  end)

  it("writes the names of older and of newer programs", function()
    local function saved(name)
      local dir = place .. "/names"
      quietly(function() gpt.load(FIXTURES .. name):save(dir) end)
      return json.read(dir .. "/config.json")
    end
    local llama = saved "llama"
    local scaling = { rope_type = "llama3", factor = 8, low_freq_factor = 1, high_freq_factor = 4,
      original_max_position_embeddings = 32 }
    assert.same({ 5000, "silu", { "LlamaForCausalLM" }, false, 16 }, { llama.rope_theta, llama.hidden_act,
      llama.architectures, llama.mlp_bias, llama.head_dim })
    assert.same(scaling, llama.rope_scaling)
    scaling.rope_theta = 5000
    assert.same(scaling, llama.rope_parameters)
    assert.is_nil(llama.luagpt)
    local gemma3 = saved "gemma3"
    assert.same({ 1000000, 10000, json.null }, { gemma3.rope_theta, gemma3.rope_local_base_freq, gemma3.rope_scaling })
    assert.same({ full_attention = { rope_theta = 1000000, rope_type = "default" },
      sliding_attention = { rope_theta = 10000, rope_type = "default" } }, gemma3.rope_parameters)
    assert.same({ 16, 5, 3, "gelu_pytorch_tanh" }, (function(c)
      return { c.query_pre_attn_scalar, c.attn_logit_softcapping, c.final_logit_softcapping, c.hidden_activation }
    end)(saved "gemma2"))
  end)

  it("takes what a file does not say as transformers does", function()
    local dir = edited("mistral", { sliding_window = json.null })
    assert.equal(4096, gpt.load(dir).config.sliding_window)
    files.write(dir .. "/config.json", files.read(dir .. "/config.json"):gsub("^{", '{"sliding_window": null,'))
    assert.is_nil(gpt.load(dir).config.sliding_window)
    dir = edited("gemma2", { attn_logit_softcapping = json.null })
    assert.equal(50, gpt.load(dir).config.attention_softcap)
    files.write(dir .. "/config.json", files.read(dir .. "/config.json"):gsub("^{", '{"attn_logit_softcapping": null,'))
    assert.is_false(gpt.load(dir).config.attention_softcap)
    assert.is_nil(tostring(gpt.load(dir)):find("softcap = 50", 1, true))
  end)

  it("says what other programs will compute otherwise, and remembers it for itself", function()
    local path = place .. "/warned.gguf"
    local function heard(name, changes)
      local config, model = {}, gpt.load(FIXTURES .. name)
      for key, value in pairs(model.config) do config[key] = value end
      for key, value in pairs(changes or {}) do config[key] = value end
      model = gpt.Model(config)
      local list = warnings(function() model:save(path) end)
      assert_same_config(model.config, gpt.load(path).config)
      for i, text in ipairs(list) do
        list[i] = text:gsub("^save: " .. path .. ": of this family llama.cpp knows no other ", "", 1)
      end
      return list
    end
    local instead = ", and will compute that instead of "
    assert.same({}, heard "llama")
    assert.same({}, heard "qwen2")
    assert.same({}, heard "gemma3")
    assert.same({ "sliding_window than none" .. instead .. "5" }, heard "mistral")
    assert.same({ "sliding_window than none" .. instead .. "4" }, heard "qwen2_window")
    assert.same({ "attention_scale than none" .. instead .. "0.25" }, heard "gemma2")
    assert.same({ 'activation than "silu"' .. instead .. '"gelu_exact"' }, heard "llama_bias")
    assert.same({ 'rope_scaling than none' .. instead .. '{"factor":8,"high_freq_factor":4,"low_freq_factor":1,'
      .. '"original_max_position_embeddings":32,"rope_type":"llama3"}' }, heard("qwen3", { rope_scaling = {
      rope_type = "llama3", factor = 8, low_freq_factor = 1, high_freq_factor = 4,
      original_max_position_embeddings = 32 } }))
    assert.same({ "sliding_window than 4096" .. instead .. "none", "attention_scale than none" .. instead .. "0.25",
      "attention_softcap than 50" .. instead .. "none" }, heard("gemma2", { sliding_window = false, layer_types = false,
      attention_softcap = false }))
    local model = gpt.Model(gpt.config { family = "qwen2", vocab_size = 20, context_length = 8, emb_dim = 8, n_heads = 2,
      n_layers = 1, sliding_window = 3, attention_softcap = 2.5 })
    local dir = place .. "/warned"
    assert.same({ "save: " .. dir .. ": of this family transformers knows no other attention_softcap than none, and will "
      .. "compute that instead of 2.5" }, (warnings(function() model:save(dir) end)))
    assert.equal(2.5, json.read(dir .. "/config.json").luagpt.attention_softcap)
    assert.equal(2.5, gpt.load(dir).config.attention_softcap)
  end)

  it("may have its biases in part only", function()
    local base = { family = "llama", vocab_size = 20, context_length = 8, emb_dim = 8, n_heads = 2, n_layers = 2 }
    for _, biases in ipairs { { true, true }, { true, false }, { false, true }, { false, false } } do
      base.qkv_bias, base.bias = table.unpack(biases)
      local model = gpt.Model(base):eval()
      gpt.no_grad(function()
        for path, tensor in model:parameters() do
          if path:find "bias$" then tensor:copy(gpt.randn(tensor:shape())) end
        end
      end)
      for _, path in ipairs { place .. "/biases", place .. "/biases.gguf" } do
        model:save(path)
        local again = gpt.load(path)
        assert.same(biases, { again.config.qkv_bias, again.config.bias })
        assert.is_true((model { 1, 2, 3 } - again { 1, 2, 3 }):abs():max():item() < 1e-6)
      end
    end
  end)

  it("takes feed-forward biases for zeros, which stay so, where only attention has some", function()
    local model = gpt.load(FIXTURES .. "llama_bias", { dtype = "f32" })
    local bias = model.blocks[2].feed_forward.gate.bias
    assert.equal(0, bias:abs():sum():item())
    assert.is_false(bias:requires_grad())
    assert.is_true(model.blocks[2].attention.output.bias:requires_grad())
    local dir = place .. "/attention_bias"
    files.copy(FIXTURES .. "llama_bias", dir)
    local tensors = gpt.read_safetensors(dir .. "/model.safetensors").tensors
    tensors["model.layers.1.self_attn.o_proj.bias"] = nil
    for name, tensor in pairs(tensors) do tensors[name] = tensor:clone() end
    gpt.write_safetensors(dir .. "/model.safetensors", tensors, { format = "pt" })
    assert.matches("\n  missing: layers.1.self_attn.o_proj.bias\n", raised(gpt.load, dir), 1, true)
  end)

  it("has Llama 3's scaling in GGUF as divisors, and by its own names here", function()
    for _, scaling in ipairs {
      { rope_type = "llama3", factor = 32, low_freq_factor = 1, high_freq_factor = 4,
        original_max_position_embeddings = 8192 },
      { rope_type = "llama3", factor = 8, low_freq_factor = 1, high_freq_factor = 4,
        original_max_position_embeddings = 8192 },
    } do
      local path = place .. "/scaled.gguf"
      gpt.Model({ family = "llama", vocab_size = 20, context_length = 8, emb_dim = 64, n_heads = 1, n_layers = 1,
        rope_base = 500000, rope_scaling = scaling }):save(path)
      local file = gpt.read_gguf(path)
      local divisors = file.tensors["rope_freqs.weight"]
      assert.same({ 32 }, divisors:shape())
      assert.same({ 1, scaling.factor }, { divisors[1]:item(), divisors[32]:item() })
      assert.is_nil(file.metadata["luagpt.rope_scaling"])
      assert_same_config(scaling, gpt.load(path).config.rope_scaling)
    end
    for _, list in ipairs { {}, { 1 } } do
      assert.same({ frequency_factors = list }, rope_factors.scaling(list, 10000, 8))
    end
  end)

  it("refuses trees that its files have no place for", function()
    local base = { family = "qwen3", vocab_size = 20, context_length = 8, emb_dim = 8, n_heads = 2, n_layers = 2 }
    base.qkv_bias = true
    local places = "have no place for blocks.1..blocks.2.attention.key.bias, blocks.1..blocks.2.attention.query.bias, "
      .. "blocks.1..blocks.2.attention.value.bias; layer:save_parameters(file) writes any layer's parameters"
    assert.equal("save: Hugging Face's files of Qwen3 " .. places, raised(function()
      gpt.Model(base):save(place .. "/no")
    end))
    assert.equal("save: GGUF files of Qwen3 " .. places, raised(function() gpt.Model(base):save(place .. "/no.gguf") end))
    base.qkv_bias = false
    local model = gpt.Model(base)
    model:replace("blocks.1.norm1", gpt.nn.LayerNorm(8))
    assert.matches("^save: this model is not Qwen3's tree: it also has blocks.1.norm1.bias; ",
      raised(function() model:save(place .. "/no") end))
  end)

  it("says what weights take as each dtype where there is no room for them", function()
    local function refused(path, options, room)
      local live = measure.live()
      gpt.memory { limit = live + room }
      local done, text = pcall(gpt.load, path, options)
      gpt.memory { limit = 0 }
      assert.is_false(done)
      assert.equal(live, measure.live())
      return (text:gsub("^.-: (spec/)", "%1", 1):gsub("[%d.]+ %a+ live, the limit is [%d.]+ %a+", "LIVE", 1))
    end
    local advice = "LIVE (gpt.memory{limit = bytes} sets it)\n  its weights take 109.25 KiB as f32, 55.00 KiB as bf16, "
      .. "31.91 KiB as q8_0, 19.60 KiB as q4_0 (the option dtype), and no memory of the process's own where they are "
      .. "mapped as they are in the file"
    for _, path in ipairs { FIXTURES .. "llama", FIXTURES .. "llama.gguf" } do
      assert.equal(path .. ": not enough memory: 109.25 KiB requested, " .. advice, refused(path, { map = false }, 100000))
    end
    assert.equal(FIXTURES .. "llama: not enough memory: 54.25 KiB requested, " .. advice, refused(FIXTURES .. "llama",
      { dtype = "bf16" }, 40000))
    local guard = require("gpt.model_files.room").guard -- for what is found out amid loading
    assert.equal("FILE: not enough memory: none left\n  its weights take 384 bytes as f32, 256 bytes as bf16, 196 bytes as "
      .. "q8_0, 164 bytes as q4_0 (the option dtype), and no memory of the process's own where they are mapped as they are "
      .. "in the file", raised(guard, "FILE", { { 2, 32 }, { 32 } }, error, "user:1: not enough memory: none left"))
    assert.same({ false, "x" }, { pcall(guard, "FILE", {}, error, "x", 0) })
    assert.same({ 1, nil, 3 }, { guard("FILE", {}, function(...) return ... end, 1, nil, 3) })
  end)

  describe("refuses", function()
    it("what is not implemented, by file and key", function()
      for _, case in ipairs {
        { "llama", { hidden_act = "mish" }, 'hidden_act: one of "gelu", "gelu_fast", "gelu_new", "gelu_python", '
          .. '"gelu_pytorch_tanh", "relu", "silu", "swish" expected, got "mish"' },
        { "llama", { rope_parameters = { rope_type = "longrope", rope_theta = 1e4, factor = 2 } },
          "rope_scaling: rope_type: 'longrope' is not implemented; there are \"linear\", \"llama3\", \"yarn\" and "
            .. '"default"' },
        { "llama", { rope_parameters = { rope_type = "default", partial_rotary_factor = 0.5 } },
          "partial_rotary_factor = 0.5 changes the arithmetic and is not implemented" },
        { "llama", { rope_parameters = "x" }, 'rope_parameters: an object expected, got "x"' },
        { "gemma3", { layer_types = { "full_attention", "chunked_attention" } },
          'layer_types: "chunked_attention" is not implemented, only "full_attention" and "sliding_attention"' },
        { "gemma3", { rope_parameters = { full_attention = { rope_theta = 1e6 }, sliding_attention = {
          rope_type = "linear", factor = 2 } } },
          'rope_parameters: sliding_attention: rope_type "linear" is not implemented, only "default"' },
        { "gemma2", { use_bidirectional_attention = true },
          "use_bidirectional_attention = true changes the arithmetic and is not implemented" },
        { "qwen3", { attention_bias = true }, "attention_bias = true changes the arithmetic and is not implemented" },
        { "qwen3", { model_type = "qwen3_moe" }, 'model_type "qwen3_moe" is not implemented, only "gpt2", "llama", '
          .. '"mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text"' },
      } do
        assert.equal("DIR/config.json: " .. case[3], refusal(case[1], case[2]))
      end
    end)

    it("values that cannot be", function()
      for _, case in ipairs {
        { "llama", { num_key_value_heads = 3 }, "n_kv_heads: n_heads (4) is not divisible by 3; n_kv_heads 2 or 4 would "
          .. "fit" },
        { "llama", { head_dim = 15 }, "head_dim: 15 is odd; rotary positions turn pairs of numbers" },
        { "mistral", { sliding_window = 0 }, "sliding_window: a whole number from 1 to 2147483647 expected, got 0" },
        { "qwen2_window", { use_sliding_window = "yes" }, 'use_sliding_window: true or false expected, got "yes"' },
        { "gemma2", { attn_logit_softcapping = -1 }, "attn_logit_softcapping: a finite number above 0 expected, got -1" },
        { "gemma2", { query_pre_attn_scalar = 0 }, "query_pre_attn_scalar: a finite number above 0 expected, got 0" },
        { "gemma3", { layer_types = "all" }, 'layer_types: a list expected, got "all"' },
        { "llama", { rope_parameters = { rope_theta = -1 } }, "rope_theta: a finite number above 0 expected, got -1" },
        { "llama", { luagpt = { attention_softcap = "x" } },
          'luagpt.attention_softcap: a finite number above 0, or false expected, got "x"' },
        { "llama", { luagpt = 3 }, "luagpt: an object expected, got 3" },
      } do
        assert.equal("DIR/config.json: " .. case[3], refusal(case[1], case[2]))
      end
    end)

    it("metadata of GGUF that is not implemented", function()
      local path = place .. "/bad.gguf"
      local function refused(name, changes)
        local file = gpt.read_gguf(FIXTURES .. name .. ".gguf")
        local list, seen = {}, {}
        local function add(key, value)
          local kind = ({ integer = "u32", float = "f32" })[math.type(value)] or type(value) == "boolean" and "bool"
          list[#list + 1] = build.pair(key, kind or "string", kind == "bool" and (value and 1 or 0) or value)
          seen[key] = true
        end
        for key, value in pairs(changes) do add(key, value) end
        for key, value in pairs(file.metadata) do
          if not seen[key] and type(value) ~= "table" then add(key, value) end
        end
        local embedding = build.tensor("token_embd.weight", { 4, 61 }, 0, 0)
        files.write(path, build.file { pairs = list, tensors = { embedding }, data = ("\0"):rep(4 * 61 * 4) })
        return (raised(gpt.load, path):gsub(path .. ": ", "", 1))
      end
      assert.equal('llama.rope.scaling.type is "longrope"; what is implemented: linear, yarn',
        refused("llama", { ["llama.rope.scaling.type"] = "longrope" }))
      assert.equal("llama.rope.scaling.factor: a finite number above 0 expected, got nil",
        refused("llama", { ["llama.rope.scaling.type"] = "linear" }))
      assert.equal("llama.rope.dimension_count: 16, as many as a head has, expected, got 8",
        refused("llama", { ["llama.rope.dimension_count"] = 8 }))
      assert.equal("llama.expert_count is 8; what is implemented is no experts, 0",
        refused("llama", { ["llama.expert_count"] = 8 }))
      assert.equal("gemma3.attention.value_length: the same as gemma3.attention.key_length expected, got 4",
        refused("gemma3", { ["gemma3.attention.value_length"] = 4 }))
      assert.equal("gemma3.attention.sliding_window: a whole number from 1 to 2147483647 expected, got 0",
        refused("gemma3", { ["gemma3.attention.sliding_window"] = 0 }))
      assert.equal('luagpt.sliding_window: a whole number of at least 1, or false expected, got "x"',
        refused("llama", { ["luagpt.sliding_window"] = "x" }))
    end)
  end)
end)
