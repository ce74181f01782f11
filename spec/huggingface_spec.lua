local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local process = require "spec.support.process"
local raised = require "spec.support.raised"
local safetensors = require "gpt.safetensors"
local warnings = require "spec.support.warnings"

local FIXTURES = "spec/fixtures/"
local fixture = json.decode(files.read(FIXTURES .. "gpt2.json"))

local place -- a directory of this spec's own

-- A copy of a fixture's directory, to be broken.
local function copy_of(name)
  local dir = place .. "/copy"
  files.remove(dir)
  files.copy(FIXTURES .. name, dir)
  return dir
end

-- Changes some keys of config.json; json.null takes one out.
local function edit_config(dir, changes)
  local config = json.decode(files.read(dir .. "/config.json"))
  for key, value in pairs(changes) do
    if value == json.null then value = nil end
    config[key] = value
  end
  files.write(dir .. "/config.json", json.encode(config))
end

-- Rewrites model.safetensors: change(items) may add to the list, take from it, or answer another one.
local function edit_weights(dir, change)
  local items, path = {}, dir .. "/model.safetensors"
  local opened <close> = safetensors.open(path)
  for i, entry in ipairs(opened.entries) do
    items[i] = { name = entry.name, shape = entry.shape, tensor = safetensors.read(entry, false) }
  end
  safetensors.write(path, change(items) or items)
end

-- What loading a directory raises, without the directory's name.
local function refusal(dir, options)
  local text = raised(function() gpt.load(dir, options) end)
  assert.is_true(#text < 2000)
  return (text:gsub(dir, "DIR", nil))
end

local function logits_of(model, ids)
  return model(ids):bytes()
end

-- The same numbers, but for rounding: weights that lie another way are summed another way.
local function assert_close(a, b)
  assert.equal(#a, #b)
  for position = 1, #a, 4 do
    local x, y = string.unpack("<f", a, position), string.unpack("<f", b, position)
    assert.is_true(math.abs(x - y) < 1e-5 * (1 + math.abs(x)))
  end
end

local function live()
  collectgarbage()
  collectgarbage()
  local memory = gpt.memory()
  return { live = memory.live, mapped = memory.mapped }
end

describe("gpt.load", function()
  setup(function() place = files.directory() end)
  teardown(function() files.remove(place) end)

  it("knows the fixtures", function()
    assert.equal(9, #fixture.models)
  end)

  for _, case in ipairs(fixture.models) do
    -- Over halves many rows are multiplied in bf16, where the processor can.
    local most = case.dir:find "float16" and 5e-2 or 1e-4
    it("computes what transformers does with " .. case.dir, function()
      for _, map in ipairs { true, false } do
        local model, tokenizer = gpt.load(FIXTURES .. case.dir, { map = map })
        assert.is_nil(tokenizer)
        assert.is_false(model.training)
        local logits = model(case.ids)
        for _, row in ipairs(case.logits) do
          local got = logits[row.row][row.position]:totable()
          assert.equal(#row.values, #got)
          for i, value in ipairs(row.values) do
            assert.is_true(math.abs(got[i] - value) < most * (1 + math.abs(value)))
          end
        end
        local expected = table.move(case.greedy, 1, #case.greedy, #case.prompt + 1, { table.unpack(case.prompt) })
        assert.same(expected, gpt.generate(model, case.prompt, { max_new_tokens = #case.greedy }))
        for key, value in pairs(case.config) do
          if key ~= "qkv_bias" then assert.equal(value, model.config[key], key) end
        end
      end
    end)
  end

  it("maps aligned float32 weights, and copies all with map = false", function()
    local before = gpt.memory()
    local mapped = gpt.load(FIXTURES .. "hf_untied")
    assert.is_true(gpt.memory().mapped > before.mapped)
    local copied = gpt.load(FIXTURES .. "hf_untied", { map = false })
    assert.equal(logits_of(mapped, { 1, 2, 3 }), logits_of(copied, { 1, 2, 3 }))
    gpt.no_grad(function() mapped.blocks[1].norm1.weight:fill(0) end)
    assert.not_equal(logits_of(mapped, { 1, 2, 3 }), logits_of(copied, { 1, 2, 3 }))
    local again = gpt.load(FIXTURES .. "hf_untied")
    assert.equal(logits_of(again, { 1, 2, 3 }), logits_of(copied, { 1, 2, 3 }))
  end)

  it("shares one tensor between embedding and tied head, in the model's order of parameters", function()
    local model, paths = gpt.load(FIXTURES .. "hf_tied"), {}
    for path, tensor in model:parameters() do
      paths[#paths + 1] = path
      assert.is_true(tensor:requires_grad())
    end
    assert.equal("token_embedding.weight", paths[1])
    assert.equal("final_norm.bias", paths[#paths])
    assert.equal(61 * 24 + 16 * 24 + 2 * (12 * 24 * 24 + 13 * 24) + 2 * 24, model:num_parameters())
  end)

  it("gives every byte back, also where it fails", function()
    local dir = copy_of "hf_tied"
    local before = live()
    gpt.load(dir)
    edit_config(dir, { n_layer = 3 })
    for _ = 1, 3 do refusal(dir) end
    files.write(dir .. "/config.json", "{")
    refusal(dir)
    assert.same(before, live())
  end)

  it("takes GPT-2's defaults where config.json is silent", function()
    local dir = copy_of "hf_tied"
    files.write(dir .. "/config.json", '{"vocab_size":61,"n_ctx":16,"hidden_size":24,"num_hidden_layers":2,"n_head":3}')
    local config = gpt.load(dir).config
    assert.same({ 16, "gelu", 1e-5, 0.1, 0.1, 0.1, 0.1, true, true }, { config.context_length, config.activation,
      config.norm_eps, config.drop_rate, config.emb_drop_rate, config.attn_drop_rate, config.shortcut_drop_rate,
      config.tie_weights, config.qkv_bias })
  end)

  it("ignores the masks of old files", function()
    local dir = copy_of "hf_tied"
    local ids = { 1, 2, 3 }
    local expected = logits_of(gpt.load(dir), ids)
    edit_weights(dir, function(items)
      local mask = gpt.ones(1, 1, 16, 16)
      table.insert(items, { name = "transformer.h.0.attn.bias", shape = mask:shape(), tensor = mask })
      table.insert(items, { name = "transformer.h.1.attn.masked_bias", shape = { 1 }, tensor = gpt.ones(1) })
    end)
    assert.equal(expected, logits_of(gpt.load(dir), ids))
  end)

  it("loads weights that are not finite", function()
    local dir = copy_of "hf_tied"
    edit_weights(dir, function(items) items[1].tensor:fill(0 / 0) end)
    local value = gpt.load(dir) { 1 }[1][1][1]:item()
    assert.is_true(value ~= value)
  end)

  it("brings the tokenizer along", function()
    local dir = copy_of "hf_tied"
    files.copy(FIXTURES .. "tokenizer/vocab.json", dir)
    local _, none = gpt.load(dir)
    assert.is_nil(none)
    files.copy(FIXTURES .. "tokenizer/merges.txt", dir)
    local model, tokenizer = gpt.load(dir)
    assert.equal(tokenizer, model.tokenizer)
    assert.equal("hello", tokenizer:decode(tokenizer:encode "hello"))
  end)

  it("comes without a tokenizer that is not supported, and says why", function()
    local dir = copy_of "hf_tied"
    files.copy(FIXTURES .. "tokenizer_json/tokenizer.json", dir)
    local text = files.read(dir .. "/tokenizer.json"):gsub('"normalizer": null', '"normalizer": {"type": "Nmt"}')
    files.write(dir .. "/tokenizer.json", text)
    local heard, model = warnings(function()
      local model, none = gpt.load(dir)
      assert.is_nil(none)
      return model
    end)
    local reason = dir .. '/tokenizer.json: normalizer "Nmt" is not supported: NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, '
      .. "Replace or Sequence expected"
    assert.same({ "gpt.load: the model comes without its tokenizer: " .. reason }, heard)
    assert.is_nil(model.tokenizer)
    local says = ": a string needs a tokenizer, and this model's could not be read (" .. reason .. "); give "
    assert.equal("gpt.generate: prompt" .. says .. "token ids, or set model.tokenizer or the option tokenizer "
      .. "(gpt.tokenizer(dir) makes one)", raised(model.generate, model, "Hi"))
    assert.equal("gpt.stream: stop" .. says .. "a token id, or set model.tokenizer or the option tokenizer "
      .. "(gpt.tokenizer(dir) makes one)", raised(model.stream, model, { 1 }, { stop = "x" }))
    assert.equal(3, #model:generate({ 1, 2 }, { max_new_tokens = 1 }))
    assert.same({}, (warnings(function() gpt.load(dir, { tokenizer = false }) end)))
    local old = _G.warn
    rawset(_G, "warn", nil)
    local done, problem = pcall(gpt.load, dir)
    rawset(_G, "warn", old)
    assert(done, problem)
  end)

  it("leaves the tokenizer out with tokenizer = false", function()
    local dir = copy_of "hf_tied"
    files.copy(FIXTURES .. "tokenizer_json/tokenizer.json", dir)
    assert.is_truthy(select(2, gpt.load(dir)))
    local model, none = gpt.load(dir, { tokenizer = false })
    assert.is_nil(none)
    assert.is_nil(model.tokenizer)
    assert.equal('gpt.load: tokenizer: true or false expected, got "x"', refusal(dir, { tokenizer = "x" }))
  end)

  it("brings a tokenizer in the names of GPT-2's first release, and the end tokens of all files", function()
    local dir = copy_of "hf_tied"
    files.copy(FIXTURES .. "tokenizer/vocab.json", dir .. "/encoder.json")
    files.copy(FIXTURES .. "tokenizer/merges.txt", dir .. "/vocab.bpe")
    files.write(dir .. "/generation_config.json", '{"eos_token_id": [5, 7]}')
    edit_config(dir, { eos_token_id = json.null })
    local model, tokenizer = gpt.load(dir)
    assert.same({ 399, 5, 7 }, tokenizer.end_tokens)
    model:save(place .. "/ends")
    assert.same({ 399, 5, 7 }, json.read(place .. "/ends/config.json").eos_token_id)
    assert.same({ 399, 5, 7 }, select(2, gpt.load(place .. "/ends")).end_tokens)
  end)

  it("takes names with what wrappers put into them", function()
    local ids, expected = { 1, 2, 3 }, gpt.load(FIXTURES .. "hf_untied")
    for _, prefix in ipairs { "_orig_mod.", "module.", "base_model.model.", "module._orig_mod.",
      "base_model.model._orig_mod.module." } do
      local dir = copy_of "hf_untied"
      edit_weights(dir, function(items)
        for _, item in ipairs(items) do item.name = prefix .. item.name end
      end)
      assert.equal(logits_of(expected, ids), logits_of(gpt.load(dir), ids))
    end
    local dir = copy_of "hf_untied"
    edit_weights(dir, function(items)
      for _, item in ipairs(items) do item.name = item.name:gsub("h%.(%d+)%.", "h.%1._orig_mod.") end
    end)
    assert.equal(logits_of(expected, ids), logits_of(gpt.load(dir), ids))
  end)

  it("takes reorder_and_upcast_attn, which changes nothing in float32", function()
    local dir = copy_of "hf_tied"
    edit_config(dir, { reorder_and_upcast_attn = true })
    assert.equal(logits_of(gpt.load(FIXTURES .. "hf_tied"), { 1, 2 }), logits_of(gpt.load(dir), { 1, 2 }))
  end)

  describe("with strict = false", function()
    -- Without biases, and with a head of another kind.
    local function bare(change)
      local dir = copy_of "hf_tied"
      edit_weights(dir, function(items)
        local kept = {}
        for _, item in ipairs(items) do
          if not item.name:find "bias$" then kept[#kept + 1] = item end
        end
        kept[#kept + 1] = { name = "score.weight", shape = { 2, 24 }, tensor = gpt.ones(2, 24) }
        if change then change(kept) end
        return kept
      end)
      return dir
    end

    it("takes missing biases for zeros, and leaves out what is unexpected", function()
      local model = gpt.load(bare(), { strict = false })
      local zeroed = gpt.load(FIXTURES .. "hf_tied", { map = false })
      gpt.no_grad(function()
        for path, parameter in zeroed:parameters() do
          if path:find "bias$" then parameter:fill(0) end
        end
      end)
      assert_close(logits_of(zeroed, { 1, 2, 3 }), logits_of(model, { 1, 2, 3 }))
      assert.equal(0, model.blocks[1].attention.query.bias:abs():sum():item())
      model:train():loss({ 1, 2 }, { 2, 3 }):backward()
      assert.is_truthy(model.final_norm.bias.grad)
    end)

    it("wants everything else", function()
      local dir = bare(function(items) table.remove(items, 1) end)
      assert.equal("DIR/model.safetensors does not fit DIR/config.json\n  missing: h.0.attn.c_attn.weight",
        refusal(dir, { strict = false }))
      dir = bare(function(items) items[1] = { name = items[1].name, shape = { 2 }, tensor = gpt.ones(2) } end)
      assert.equal("DIR/model.safetensors does not fit DIR/config.json\n  of another shape: h.0.attn.c_attn.weight is [2], "
        .. "not [24, 72]", refusal(dir, { strict = false }))
    end)

    it("would do, as the error without it says where that is so", function()
      local expected = [[
DIR/model.safetensors does not fit DIR/config.json
  missing: ln_f.bias
  unexpected: score.weight
  strict = false leaves unexpected tensors out, and takes missing biases for zeros]]
      local dir = copy_of "hf_tied"
      edit_weights(dir, function(items)
        for i = #items, 1, -1 do
          if items[i].name:find "ln_f.bias" then table.remove(items, i) end
        end
        items[#items + 1] = { name = "score.weight", shape = { 2, 24 }, tensor = gpt.ones(2, 24) }
      end)
      assert.equal(expected, refusal(dir))
    end)
  end)

  describe("lets the weights win", function()
    it("where there is another lm_head.weight than config.json says", function()
      local dir = copy_of "hf_untied"
      local expected = logits_of(gpt.load(dir), { 1, 2 })
      edit_config(dir, { tie_word_embeddings = true })
      local heard, model = warnings(function() return gpt.load(dir) end)
      assert.same({ "gpt.load: " .. dir .. "/config.json says tie_word_embeddings = true, but lm_head.weight is "
        .. "another than wte.weight; the weights win" }, heard)
      assert.is_false(model.config.tie_weights)
      assert.equal(expected, logits_of(model, { 1, 2 }))
    end)

    it("where there is none", function()
      local dir = copy_of "hf_tied"
      local expected = logits_of(gpt.load(dir), { 1, 2 })
      edit_config(dir, { tie_word_embeddings = false })
      local heard, model = warnings(function() return gpt.load(dir) end)
      assert.same({ "gpt.load: " .. dir .. "/config.json says tie_word_embeddings = false, but there is no "
        .. "lm_head.weight; the weights win" }, heard)
      assert.is_true(model.config.tie_weights)
      assert.equal(expected, logits_of(model, { 1, 2 }))
    end)

    it("silently where lm_head.weight is a copy of wte.weight", function()
      local dir = copy_of "hf_tied"
      edit_weights(dir, function(items)
        for _, item in ipairs(items) do
          if item.name:find "wte" then
            table.insert(items, { name = "lm_head.weight", shape = item.shape, tensor = item.tensor })
            return
          end
        end
      end)
      local heard, model = warnings(function() return gpt.load(dir) end)
      assert.same({}, heard)
      assert.is_true(model.config.tie_weights)
      assert.equal(gpt.load(FIXTURES .. "hf_tied"):num_parameters(), model:num_parameters())
    end)

    it("where query, key and value biases are not zero", function()
      local dir = copy_of "hf_tied"
      edit_config(dir, { qkv_bias = false })
      local heard, model = warnings(function() return gpt.load(dir) end)
      assert.same({ "gpt.load: " .. dir .. "/config.json says qkv_bias = false, but an attn.c_attn.bias is not zero; "
        .. "the weights win" }, heard)
      assert.is_true(model.config.qkv_bias)
    end)
  end)

  describe("refuses", function()
    it("arguments of another kind", function()
      assert.equal("gpt.load: the name of a directory or of a .gguf file expected, got nil", raised(function() gpt.load() end))
      assert.equal("gpt.load: a table of options expected, got 3", raised(function() gpt.load("x", 3) end))
      assert.equal("gpt.load: mapp: unknown key; did you mean 'map'?",
        raised(function() gpt.load("x", { mapp = true }) end))
      assert.equal("gpt.load: map: true or false expected, got 1", raised(function() gpt.load("x", { map = 1 }) end))
      assert.equal('gpt.load: dtype: "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0" or "q5_1" expected, got "q80"; '
        .. 'did you mean "q8_0"?', raised(function() gpt.load("x", { dtype = "q80" }) end))
    end)

    it("a directory without its files", function()
      assert.equal("gpt.load: DIR: no such directory or file; gpt.load reads files of this machine and downloads nothing",
        refusal(place .. "/none"))
      local dir = copy_of "hf_tied"
      os.remove(dir .. "/model.safetensors")
      assert.equal("DIR: no model.safetensors and no model.safetensors.index.json there", refusal(dir))
      files.write(dir .. "/pytorch_model.bin", "x")
      assert.equal("DIR: only pytorch_model.bin is there, which is read by running code in it; convert it once in "
        .. "Python: transformers.AutoModelForCausalLM.from_pretrained(dir).save_pretrained(dir)", refusal(dir))
    end)

    it("a config.json that is none", function()
      local dir = copy_of "hf_tied"
      files.write(dir .. "/config.json", "{")
      assert.equal("DIR/config.json: not valid JSON near line 1, column 2: it seems cut short", refusal(dir))
      files.write(dir .. "/config.json", "[]")
      assert.equal("DIR/config.json: not a JSON object", refusal(dir))
      files.write(dir .. "/config.json", (" "):rep(10000001))
      assert.equal("DIR/config.json: 10000001 bytes, which is more than a description takes", refusal(dir))
    end)

    it("another architecture, by name", function()
      for key, case in pairs {
        model_type = { "mamba", 'model_type "mamba" is not implemented, only "gpt2", "llama", "mistral", "qwen2", '
          .. '"qwen3", "gemma", "gemma2", "gemma3_text"' },
        scale_attn_weights = { false, "scale_attn_weights = false changes the arithmetic and is not implemented" },
        scale_attn_by_inverse_layer_idx = { true,
          "scale_attn_by_inverse_layer_idx = true changes the arithmetic and is not implemented" },
        add_cross_attention = { true, "add_cross_attention = true changes the arithmetic and is not implemented" },
        quantization_config = { { bits = 4 },
          "quantization_config: quantized weights cannot be read; save the model in float32, float16 or bfloat16" },
        activation_function = { "silu", 'activation_function: one of "gelu", "gelu_fast", "gelu_new", "gelu_python", '
          .. '"gelu_pytorch_tanh", "relu" expected, got "silu"' },
      } do
        local dir = copy_of "hf_tied"
        edit_config(dir, { [key] = case[1] })
        assert.equal("DIR/config.json: " .. case[2], refusal(dir))
      end
    end)

    it("values that cannot be", function()
      for _, case in ipairs {
        { "n_layer", 0, "n_layer: a whole number from 1 to 1000 expected, got 0" },
        { "n_layer", 1 << 40, "n_layer: a whole number from 1 to 1000 expected, got 1099511627776" },
        { "n_embd", 24.5, "n_embd: a whole number from 1 to 2147483647 expected, got 24.5" },
        { "vocab_size", "61", 'vocab_size: a whole number from 1 to 2147483647 expected, got "61"' },
        { "n_positions", {}, "n_positions: a whole number from 1 to 2147483647 expected, got a table" },
        { "n_inner", -1, "n_inner: a whole number from 1 to 2147483647 expected, got -1" },
        { "n_head", 5, "n_embd, 24, is not a multiple of n_head, 5" },
        { "attn_pdrop", 1, "attn_pdrop: a rate from 0 to below 1 expected, got 1" },
        { "layer_norm_epsilon", 0, "layer_norm_epsilon: a number above 0, at most 1 expected, got 0" },
        { "tie_word_embeddings", "yes", 'tie_word_embeddings: true or false expected, got "yes"' },
        { "activation_function", {}, 'activation_function: one of "gelu", "gelu_fast", "gelu_new", "gelu_python", '
          .. '"gelu_pytorch_tanh", "relu" expected, got a table' },
      } do
        local dir = copy_of "hf_tied"
        edit_config(dir, { [case[1]] = case[2] })
        assert.equal("DIR/config.json: " .. case[3], refusal(dir))
      end
    end)

    it("missing, unexpected and mis-shaped tensors, all in one error", function()
      local dir = copy_of "hf_tied"
      edit_config(dir, { n_layer = 9, n_positions = 20 })
      edit_weights(dir, function(items)
        table.insert(items, { name = "transformer.h.0.attn.q_norm.weight", shape = { 1 }, tensor = gpt.ones(1) })
        table.insert(items, { name = "transformer.h.1.attn.q_norm.weight", shape = { 1 }, tensor = gpt.ones(1) })
        table.insert(items, { name = "score.weight", shape = { 1 }, tensor = gpt.ones(1) })
      end)
      local expected = [[
DIR/model.safetensors does not fit DIR/config.json
  missing: h.2..h.8.ln_1.weight, h.2..h.8.ln_1.bias, h.2..h.8.attn.c_attn.weight, h.2..h.8.attn.c_attn.bias, ]] .. [[
h.2..h.8.attn.c_proj.weight, h.2..h.8.attn.c_proj.bias, h.2..h.8.ln_2.weight, h.2..h.8.ln_2.bias, ]] .. [[
h.2..h.8.mlp.c_fc.weight, h.2..h.8.mlp.c_fc.bias, h.2..h.8.mlp.c_proj.weight, h.2..h.8.mlp.c_proj.bias
  unexpected: h.0..h.1.attn.q_norm.weight, score.weight
  of another shape: wpe.weight is [16, 24], not [20, 24]
]]
      assert.equal(expected, refusal(dir) .. "\n")
    end)

    it("a great many of them in a short message", function()
      local dir = copy_of "hf_tied"
      edit_config(dir, { n_layer = 1000, n_embd = 12345, n_head = 1 })
      edit_weights(dir, function(items)
        for i = 1, 300 do
          items[#items + 1] = { name = ("x"):rep(i) .. i, shape = { 1 }, tensor = gpt.ones(1) }
        end
      end)
      local text = refusal(dir)
      assert.matches("h.2..h.999.ln_1.weight", text, 1, true)
      assert.matches("h.0..h.1.attn.c_attn.weight is [24, 72], not [12345, 37035]", text, 1, true)
      assert.matches(", and %d+ more\n", text)
    end)

    it("a tensor under both of its names", function()
      local dir = copy_of "hf_tied"
      edit_weights(dir, function(items)
        table.insert(items, { name = "ln_f.bias", shape = { 24 }, tensor = gpt.ones(24) })
      end)
      assert.equal("DIR/model.safetensors: tensor ln_f.bias comes twice", (refusal(dir):gsub("transformer%.", "")))
    end)

    it("an index that lies", function()
      local dir = copy_of "hf_sharded"
      local path = dir .. "/model.safetensors.index.json"
      local index = json.decode(files.read(path))
      files.write(path, "{}")
      assert.equal("DIR/model.safetensors.index.json: weight_map is not an object", refusal(dir))
      for _, name in ipairs { "../copy/x", ".", 3 } do
        files.write(path, json.encode { weight_map = { a = name } })
        assert.equal('DIR/model.safetensors.index.json: weight_map: "a" does not name a safetensors file of this directory',
          refusal(dir))
      end
      files.write(path, json.encode { weight_map = { a = "model-00009-of-00006.safetensors" } })
      assert.equal("DIR/model-00009-of-00006.safetensors: No such file or directory", refusal(dir))
      index.weight_map["transformer.wpe.weight"] = nil
      files.write(path, json.encode(index))
      assert.equal("DIR/model.safetensors.index.json does not fit DIR/config.json\n  missing: wpe.weight", refusal(dir))
    end)

    it("weights that are cut short, wherever that is", function()
      local dir = copy_of "hf_gelu_exact"
      local path = dir .. "/model.safetensors"
      local bytes = files.read(path)
      for length = 0, #bytes - 1, 499 do
        files.write(path, bytes:sub(1, length))
        local text = refusal(dir)
        assert.is_true(text:find("DIR/model.safetensors: cut short", 1, true) == 1
          or text:find("DIR/model.safetensors: not a safetensors file", 1, true) == 1, text)
      end
    end)
  end)
end)

describe("model:save", function()
  setup(function() place = files.directory() end)
  teardown(function() files.remove(place) end)

  local IDS = { 3, 1, 4, 1, 5 }
  local SMALL = { vocab_size = 40, context_length = 8, emb_dim = 12, n_heads = 3, n_layers = 3, drop_rate = 0.1,
    qkv_bias = false }

  local function model_of(changes)
    local config = {}
    for key, value in pairs(SMALL) do config[key] = value end
    for key, value in pairs(changes or {}) do config[key] = value end
    gpt.seed(5)
    return gpt.Model(config)
  end

  it("writes what gpt.load reads: the same numbers and the same config", function()
    for number, changes in ipairs {
      {}, { qkv_bias = true, init = "torch" }, { tie_weights = true, hidden_dim = 20, activation = "gelu_exact" },
      { activation = "relu", norm_eps = 1e-3, emb_drop_rate = 0.2, attn_drop_rate = 0.0, shortcut_drop_rate = 0.3,
        drop_rate = 0.3 },
    } do
      local dir = place .. "/round" .. number
      local model = model_of(changes):eval()
      assert.is_nil(model:save(dir))
      assert.same({ "config.json", "model.safetensors" }, files.list(dir))
      local again = gpt.load(dir)
      assert_close(logits_of(model, IDS), logits_of(again, IDS))
      local parameters = {}
      for path, tensor in model:parameters() do parameters[path] = tensor:bytes() end
      for path, tensor in again:parameters() do assert.equal(parameters[path], tensor:bytes()) end
      assert.equal(model:num_parameters(), again:num_parameters())
      assert.equal(tostring(model), tostring(again))
      for key, value in pairs(model.config) do assert.equal(value, again.config[key], key) end
    end
  end)

  it("gives transformers' names, layout and metadata", function()
    local dir, model = place .. "/layout", model_of()
    model:save(dir)
    local opened <close> = safetensors.open(dir .. "/model.safetensors")
    assert.same({ format = "pt" }, opened.metadata)
    assert.equal(2 + 3 * 12 + 3, #opened.entries)
    for _, entry in ipairs(opened.entries) do assert.equal(0, entry.offset % 4) end
    local c_attn = safetensors.read(opened.by_name["transformer.h.2.attn.c_attn.weight"], true)
    assert.same({ 12, 36 }, c_attn:shape())
    local key = model.blocks[3].attention.key.weight
    assert.equal(key[7][5]:item(), c_attn[5][12 + 7]:item())
    assert.is_true(safetensors.is_zero(opened.by_name["transformer.h.2.attn.c_attn.bias"]))
    assert.is_not_nil(opened.by_name["lm_head.weight"])
    local config = json.decode(files.read(dir .. "/config.json"))
    assert.same({ "GPT2LMHeadModel" }, config.architectures)
    assert.same({ "gpt2", false, json.null, "gelu_new", 0.1 },
      { config.model_type, config.qkv_bias, config.n_inner, config.activation_function, config.resid_pdrop })
  end)

  it("may write over the directory that the model is mapped from, and leaves the user's files", function()
    local dir = copy_of "hf_untied"
    files.write(dir .. "/notes.txt", "mine")
    local model = gpt.load(dir)
    local expected = logits_of(model, IDS)
    model:save(dir)
    assert.equal(expected, logits_of(model, IDS))
    assert.equal(expected, logits_of(gpt.load(dir), IDS))
    assert.same({ "config.json", "model.safetensors", "notes.txt" }, files.list(dir))
    assert.equal("mine", files.read(dir .. "/notes.txt"))
  end)

  it("takes the shards of an earlier save away, and those only", function()
    local dir = copy_of "hf_sharded"
    files.write(dir .. "/other-00001-of-00002.safetensors", "mine")
    local model = gpt.load(dir)
    local expected = logits_of(model, IDS)
    model:save(dir)
    assert.same({ "config.json", "model.safetensors", "other-00001-of-00002.safetensors" }, files.list(dir))
    assert.equal(expected, logits_of(gpt.load(dir), IDS))
    assert.equal(expected, logits_of(model, IDS))
  end)

  it("takes the tokenizer along", function()
    local model, dir = model_of(), place .. "/with_tokenizer"
    model.tokenizer = gpt.tokenizer(FIXTURES .. "tokenizer")
    model:save(dir)
    local _, tokenizer = gpt.load(dir)
    assert.equal(model.tokenizer.vocab_size, tokenizer.vocab_size)
    assert.same(model.tokenizer:encode "hello there", tokenizer:encode "hello there")
    assert.equal(model.tokenizer.eos, json.decode(files.read(dir .. "/config.json")).eos_token_id or nil)
    assert.equal(model.tokenizer.bos, json.decode(files.read(dir .. "/config.json")).bos_token_id or nil)
    files.copy(FIXTURES .. "tokenizer", place .. "/marks")
    files.write(place .. "/marks/tokenizer_config.json", '{"bos_token": "a"}')
    model.tokenizer = gpt.tokenizer(place .. "/marks")
    local id = model.tokenizer:encode("a")[1]
    assert.equal(id, model.tokenizer.bos)
    model:save(dir)
    assert.equal(id, json.decode(files.read(dir .. "/config.json")).bos_token_id)
  end)

  it("leaves the old files whole, and nothing new, where it fails", function()
    local dir, model = copy_of "hf_tied", model_of()
    local before = { files.read(dir .. "/config.json"), files.read(dir .. "/model.safetensors") }
    model.tokenizer = { eos = 0, save = function() error("no tokenizer today", 0) end }
    assert.error_matches(function() model:save(dir) end, "no tokenizer today", 1, true)
    assert.same(before, { files.read(dir .. "/config.json"), files.read(dir .. "/model.safetensors") })
    assert.same({ "config.json", "model.safetensors" }, files.list(dir))
    assert.error_matches(function() model:save(place .. "/fresh") end, "no tokenizer today", 1, true)
    assert.is_false(require("gpt.core")._file_exists(place .. "/fresh"))
    assert.equal("PLACE/a/b: cannot be made a directory: No such file or directory",
      (raised(function() model:save(place .. "/a/b") end):gsub(place, "PLACE")))
    files.write(place .. "/plain", "")
    assert.equal("PLACE/plain: cannot be made a directory: File exists",
      (raised(function() model:save(place .. "/plain") end):gsub(place, "PLACE")))
  end)

  it("leaves the old or the new files where it is killed", function()
    local dir, model = place .. "/killed", model_of()
    model:save(dir)
    local expected = { [logits_of(gpt.load(dir), IDS)] = true }
    local other = model_of { init = "torch" }
    other:save(place .. "/other")
    expected[logits_of(gpt.load(place .. "/other"), IDS)] = true
    local script = place .. "/save.lua"
    files.write(script, ("local gpt = require 'gpt' local a, b = gpt.load %q, gpt.load %q "
      .. "io.write 'ready' io.flush() while true do a:save %q b:save %q end"):format(dir, place .. "/other", dir, dir))
    local output = process.lua(([[
      local pipe = io.popen("timeout -s KILL 0.3 lua5.4 %s")
      io.write(pipe:read(5))
      pipe:close()
    ]]):format(script))
    assert.matches("ready", output, 1, true)
    assert.is_true(expected[logits_of(gpt.load(dir), IDS)])
  end)

  it("refuses a tree that is not GPT-2's, and says what else there is", function()
    local function message(model)
      return raised(function() model:save(place .. "/no") end)
    end
    local hint = "; model:save_parameters(file) writes any layer's parameters"
    local start = "save: this model is not GPT-2's tree: "
    assert.equal(start .. "it is a Linear" .. hint, message(gpt.nn.Linear(2, 3)))
    assert.equal(start .. "it has no position_embedding.weight" .. hint,
      message(gpt.Model(SMALL, { position_embedding = false })))
    local model = model_of()
    model:replace("blocks.2.feed_forward.activation", gpt.nn.ReLU())
    assert.equal(start .. "blocks.2.feed_forward.activation is ReLU() where GPT-2 has GELU()" .. hint,
      message(model):gsub(" +", " "))
    model = model_of()
    model:replace("blocks.2.attention", gpt.nn.Identity())
    assert.matches("it has no blocks.2.attention.key.weight, blocks.2.attention.output.bias", message(model), 1, true)
    model = model_of()
    model:replace("final_norm", gpt.nn.Sequential { gpt.nn.LayerNorm(12) })
    assert.equal(start .. "it has no final_norm.bias, final_norm.weight" .. hint, message(model))
    model = model_of()
    model:replace("head", gpt.nn.Linear(12, 40))
    assert.equal(start .. "it also has head.bias" .. hint, message(model))
    model = model_of()
    model:replace("blocks.1.norm2", gpt.nn.LayerNorm(12, { eps = 1e-3 }))
    assert.equal(start .. "blocks.1.norm2 is LayerNorm(12, { eps = 0.001 }) where GPT-2 has LayerNorm(12)" .. hint, message(model))
    assert.equal("save: the name of a directory or of a .gguf file expected, got nil",
      raised(function() model_of():save() end))
  end)
end)

describe("layer:save_parameters and load_parameters", function()
  setup(function() place = files.directory() end)
  teardown(function() files.remove(place) end)

  local function stack()
    return gpt.nn.Sequential { gpt.nn.Linear(3, 4), gpt.nn.GELU(), gpt.nn.Linear(4, 2, { bias = false }) }
  end

  it("bring any layer's parameters back, by path", function()
    local file = place .. "/stack.safetensors"
    local first, second = stack(), stack()
    first:save_parameters(file)
    local weight = second[1].weight
    local missing, unexpected = second:load_parameters(file)
    assert.same({ {}, {} }, { missing, unexpected })
    local x = gpt.randn(5, 3)
    assert.equal(first(x):bytes(), second(x):bytes())
    assert.equal(first[1].weight:bytes(), weight:bytes())
    assert.is_true(weight:requires_grad())
    local opened <close> = safetensors.open(file)
    assert.same({ 4, 3 }, opened.by_name["1.weight"].shape)
  end)

  it("write a shared tensor once", function()
    local file = place .. "/tied.safetensors"
    local config = { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0,
      qkv_bias = false, tie_weights = true }
    local first, second = gpt.Model(config):eval(), gpt.Model(config):eval()
    first:save_parameters(file)
    second:load_parameters(file)
    assert.equal(logits_of(first, { 1, 2 }), logits_of(second, { 1, 2 }))
    local opened <close> = safetensors.open(file)
    assert.is_nil(opened.by_name["head.weight"])
  end)

  it("say what does not fit, all of it, and change nothing", function()
    local file = place .. "/other.safetensors"
    local other = gpt.nn.Sequential { gpt.nn.Linear(3, 4, { bias = false }), gpt.nn.GELU(), gpt.nn.Linear(4, 3) }
    other:save_parameters(file)
    local layer = stack()
    local before = layer[1].weight:bytes()
    assert.equal(("FILE does not fit this layer\n  missing: 1.bias\n  unexpected: 3.bias\n"
      .. "  of another shape: 3.weight is [3, 4], not [2, 4]"),
      (raised(function() layer:load_parameters(file) end):gsub(file, "FILE")))
    assert.equal("FILE does not fit this layer\n  of another shape: 3.weight is [3, 4], not [2, 4]",
      (raised(function() layer:load_parameters(file, { strict = false }) end):gsub(file, "FILE")))
    assert.equal(before, layer[1].weight:bytes())
  end)

  it("leave out what only one side has with strict = false", function()
    local file = place .. "/part.safetensors"
    local part, layer = gpt.nn.Sequential { gpt.nn.Linear(3, 4), gpt.nn.Linear(2, 2) }, stack()
    part:save_parameters(file)
    local missing, unexpected = layer:load_parameters(file, { strict = false })
    assert.same({ { "3.weight" }, { "2.bias", "2.weight" } }, { missing, unexpected })
    assert.equal(part[1].weight:bytes(), layer[1].weight:bytes())
  end)

  it("refuse arguments of another kind", function()
    local layer = stack()
    assert.equal("save_parameters: a file's name expected, got nil", raised(function() layer:save_parameters() end))
    assert.equal("load_parameters: a file's name expected, got 3", raised(function() layer:load_parameters(3) end))
    assert.equal("load_parameters: a table of options expected, got true",
      raised(function() layer:load_parameters("x", true) end))
    assert.equal("load_parameters: strickt: unknown key; did you mean 'strict'?",
      raised(function() layer:load_parameters("x", { strickt = true }) end))
  end)
end)
