local build = require "spec.support.gguf"
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"
local measure = require "spec.support.measure"
local raised = require "spec.support.raised"
local warnings = require "spec.support.warnings"

local FIXTURES = "spec/fixtures/gguf/"
local fixture = json.decode(files.read(FIXTURES .. "gguf.json"))
-- Of the largest logit; products with halves may round activations to bf16, those with blocks to 8 bits.
local TOLERANCES = { ["f16.gguf"] = 3e-2, ["untied.gguf"] = 2e-5, ["q8_0.gguf"] = 3e-2, ["q4_0.gguf"] = 3e-2 }

local place, path

local function small_model(changes)
  local config = { vocab_size = 40, context_length = 8, emb_dim = 32, n_heads = 2, n_layers = 2, drop_rate = 0,
    qkv_bias = true }
  for key, value in pairs(changes or {}) do config[key] = value end
  gpt.seed(3)
  local model = gpt.Model(config)
  gpt.no_grad(function()
    for _, tensor in model:parameters() do
      if tensor:dim() == 1 then tensor:copy(gpt.randn(tensor:shape())) end
    end
  end)
  return model:eval()
end

local function difference(a, b)
  return measure.difference(a, b) / a:abs():max():item()
end

-- A fixture with some keys changed ("absent" takes one out), its tensors in f32; in `path`.
local function rewritten(name, changes)
  local file, pairs_list, tensors, data, position = gpt.read_gguf(FIXTURES .. name), {}, {}, {}, 0
  local kinds = { integer = "u32", float = "f32" }
  local names = {}
  for key in pairs(file.metadata) do names[#names + 1] = key end
  for key in pairs(changes) do
    if file.metadata[key] == nil then names[#names + 1] = key end
  end
  table.sort(names)
  for _, key in ipairs(names) do
    local value = changes[key]
    if value == nil then value = file.metadata[key] end
    local kind = math.type(value) and kinds[math.type(value)] or type(value) == "boolean" and "bool" or "string"
    if type(value) == "table" then
      local item = math.type(value[1]) and "i32" or "string"
      pairs_list[#pairs_list + 1] = build.array(key, item, value)
    elseif value ~= "absent" then
      pairs_list[#pairs_list + 1] = build.pair(key, kind, kind == "bool" and (value and 1 or 0) or value)
    end
  end
  for tensor_name, tensor in pairs(file.tensors) do
    local shape, bytes = tensor:shape(), tensor:float():bytes()
    tensors[#tensors + 1] = build.tensor(tensor_name, { shape[2] or shape[1], shape[2] and shape[1] }, 0, position)
    data[#data + 1] = bytes .. ("\0"):rep(-#bytes % 32)
    position = position + #data[#data]
  end
  files.write(path, build.file { pairs = pairs_list, tensors = tensors, data = table.concat(data) })
  return path
end

local function refusal(changes, options)
  local text = raised(gpt.load, rewritten("untied.gguf", changes), options)
  assert.equal(path .. ": ", text:sub(1, #path + 2))
  return text:sub(#path + 3)
end

describe("gpt.load of a GGUF file", function()
  setup(function()
    place = files.directory()
    path = place .. "/model.gguf"
  end)
  teardown(function() files.remove(place) end)

  for _, case in ipairs(fixture.models) do
    it("computes what transformers does with the numbers of " .. case.file, function()
      for _, map in ipairs { true, false } do
        local model, tokenizer = gpt.load(FIXTURES .. case.file, { map = map })
        local tolerance = TOLERANCES[case.file]
        assert.is_false(model.training)
        assert.is_true(difference(gpt.tensor(case.logits), model(case.ids)[1][#case.ids]) < tolerance)
        if tolerance < 1e-3 then
          local expected = table.move(case.greedy, 1, #case.greedy, #case.ids + 1, { table.unpack(case.ids) })
          assert.same(expected, gpt.generate(model, case.ids, { max_new_tokens = #case.greedy }))
        end
        for key, value in pairs(case.config) do assert.equal(value, model.config[key], key) end
        assert.equal(0, model.config.drop_rate)
        assert.equal("{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}",
          model.chat_template)
        assert.equal(model.tokenizer, tokenizer)
        for _, text in ipairs(case.texts) do assert.same(text[2], tokenizer:encode(text[1], { special = true })) end
        assert.same({ 276, 277 }, { tokenizer.eos, tokenizer.vocab_size })
        assert.equal(" sat<|endoftext|>", tokenizer:decode { 266, 276, 279 })
      end
    end)
  end

  it("maps the weights, in the types that they have in the file", function()
    measure.live()
    local before = gpt.memory()
    local model = gpt.load(FIXTURES .. "q4_0.gguf", { tokenizer = false })
    assert.is_true(gpt.memory().mapped - before.mapped > 20000)
    assert.equal("q4_0", model.blocks[1].attention.key.weight:dtype())
    assert.equal("q8_0", model.token_embedding.weight:dtype())
    assert.equal("f32", model.position_embedding.weight:dtype())
    assert.equal("f32", model.blocks[1].feed_forward.expand.bias:dtype())
    assert.is_nil(model.tokenizer)
    local live = measure.live()
    local copied = gpt.load(FIXTURES .. "q4_0.gguf", { tokenizer = false, map = false })
    assert.is_true(gpt.memory().live - live > 15000)
    assert.equal(model({ 1, 2 }):bytes(), copied({ 1, 2 }):bytes())
  end)

  it("takes files by other names, and directories that are called so", function()
    files.write(place .. "/blob", files.read(FIXTURES .. "untied.gguf"))
    assert.equal(12, gpt.load(place .. "/blob").config.emb_dim)
    local model = small_model()
    model:save(place .. "/dir.gguf.d")
    assert(os.rename(place .. "/dir.gguf.d", place .. "/dir.gguf"))
    assert.equal(32, gpt.load(place .. "/dir.gguf").config.emb_dim)
    assert.equal(place .. "/none.gguf: No such file or directory", raised(gpt.load, place .. "/none.gguf"))
  end)

  it("gives every byte back, also where it fails", function()
    rewritten("untied.gguf", { ["gpt2.block_count"] = 3 })
    local before = measure.live()
    gpt.load(FIXTURES .. "f16.gguf")
    raised(gpt.load, path)
    assert.equal(before, measure.live())
  end)

  it("fills in what a file may leave out, and reads what is luagpt's own", function()
    local model = gpt.load(rewritten("untied.gguf", { ["gpt2.feed_forward_length"] = "absent",
      ["luagpt.activation"] = "relu", ["luagpt.attn_drop_rate"] = 0.25, ["luagpt.init"] = "torch" }))
    local config = model.config
    assert.same({ 48, "relu", 0.25, 0, "torch" }, { config.hidden_dim, config.activation, config.attn_drop_rate,
      config.shortcut_drop_rate, config.init })
    local without = gpt.load(rewritten("untied.gguf", { ["tokenizer.ggml.model"] = "none" }))
    assert.is_nil(without.tokenizer)
    assert.matches("a string needs a tokenizer, and this model has none;", raised(without.generate, without, "x"), 1, true)
  end)

  it("begins a text and ends it as the file says", function()
    local ends = { ["tokenizer.ggml.add_bos_token"] = true, ["tokenizer.ggml.eot_token_id"] = 275,
      ["tokenizer.ggml.eom_token_id"] = 9999 }
    local model, tokenizer = gpt.load(rewritten("untied.gguf", ends))
    assert.same({ 276, 275 }, tokenizer.end_tokens)
    model:save(path)
    local metadata = gpt.read_gguf(path).metadata
    assert.is_true(metadata["tokenizer.ggml.add_bos_token"])
    assert.equal(275, metadata["tokenizer.ggml.eot_token_id"])
    assert.is_nil(metadata["tokenizer.ggml.eom_token_id"])
    assert.same({ 276, 275 }, select(2, gpt.load(path)).end_tokens)
  end)

  it("leaves out a tokenizer that is not implemented or contradicts itself, with a warning", function()
    local function heard(changes)
      rewritten("untied.gguf", changes)
      local list, model = warnings(function() return gpt.load(path) end)
      assert.equal(1, #list)
      assert.is_nil(model.tokenizer)
      local start = "gpt.load: the model comes without its tokenizer: " .. path .. ": "
      assert.equal(start, list[1]:sub(1, #start))
      assert.matches("a string needs a tokenizer, and this model's could not be read", raised(model.generate, model, "x"),
        1, true)
      return list[1]:sub(#start + 1)
    end
    local texts = gpt.read_gguf(FIXTURES .. "untied.gguf").metadata
    assert.equal('tokenizer.ggml.model is "bert"; what is implemented is "gpt2" and "llama"',
      heard { ["tokenizer.ggml.model"] = "bert" })
    assert.equal('tokenizer.ggml.pre is "superbpe", which is not implemented', heard { ["tokenizer.ggml.pre"] = "superbpe" })
    assert.equal("tokenizer.ggml.scores is not an array of f32", heard { ["tokenizer.ggml.model"] = "llama" })
    assert.equal("luagpt.tokenizer is no string", heard { ["luagpt.tokenizer"] = true })
    assert.equal("luagpt.tokenizer: not valid JSON near line 1, column 1", heard { ["luagpt.tokenizer"] = "x" })
    assert.equal("tokenizer.ggml.tokens is not an array of strings", heard { ["tokenizer.ggml.tokens"] = "absent" })
    assert.equal("tokenizer.ggml.token_type is not an array of i32", heard { ["tokenizer.ggml.token_type"] = "absent" })
    assert.equal("tokenizer.ggml.merges is not an array of strings", heard { ["tokenizer.ggml.merges"] = "absent" })
    assert.equal("tokenizer.ggml.token_type has 2 elements, tokenizer.ggml.tokens 280",
      heard { ["tokenizer.ggml.token_type"] = { 1, 1 } })
    assert.equal("tokenizer.ggml.eos_token_id is no token's id", heard { ["tokenizer.ggml.eos_token_id"] = "x" })
    assert.equal("tokenizer.ggml.merges: merge 2: two tokens with a space between expected",
      heard { ["tokenizer.ggml.merges"] = { "t h", "th" } })
    assert.matches("^tokenizer.ggml.merges: merge 1: merge of \"q\" and \"q\": the token that the two become",
      heard { ["tokenizer.ggml.merges"] = { "q q" } })
    local types = { table.unpack(texts["tokenizer.ggml.token_type"]) }
    types[3] = 6
    assert.equal("tokenizer.ggml.tokens: token 2: type 6 is not one of this kind of tokenizer",
      heard { ["tokenizer.ggml.token_type"] = types })
    local tokens = { table.unpack(texts["tokenizer.ggml.tokens"]) }
    tokens[2] = tokens[1]
    assert.matches('^tokenizer.ggml.tokens: token 1: .*"!"', heard { ["tokenizer.ggml.tokens"] = tokens })
  end)

  describe("refuses", function()
    it("what is no model, and architectures that are not implemented", function()
      assert.equal("general.architecture is missing, so this is no model",
        refusal { ["general.architecture"] = "absent" })
      local known = "; what is implemented: gpt2, llama, qwen2, qwen3, gemma, gemma2, gemma3"
      assert.equal('general.architecture is "falcon"' .. known, refusal { ["general.architecture"] = "falcon" })
      assert.equal("general.architecture is 7" .. known, refusal { ["general.architecture"] = 7 })
    end)

    it("keys that are missing or of another kind", function()
      assert.equal("gpt2.block_count is missing", refusal { ["gpt2.block_count"] = "absent" })
      assert.equal("gpt2.block_count: a whole number from 1 to 1000 expected, got 1001",
        refusal { ["gpt2.block_count"] = 1001 })
      assert.equal('gpt2.embedding_length: a whole number from 1 to 2147483647 expected, got "wide"',
        refusal { ["gpt2.embedding_length"] = "wide" })
      assert.equal("gpt2.attention.layer_norm_epsilon: a number above 0, at most 1 expected, got 2.0",
        refusal { ["gpt2.attention.layer_norm_epsilon"] = 2.0 })
      assert.equal("an embedding of 12 is not a multiple of 5 heads", refusal { ["gpt2.attention.head_count"] = 5 })
      assert.equal("gpt2.attention.head_count_kv is 1; what is implemented is as many as heads, 2",
        refusal { ["gpt2.attention.head_count_kv"] = 1 })
      assert.equal('luagpt.activation: "gelu", "gelu_exact", "relu" or "silu" expected, got "tanh"',
        refusal { ["luagpt.activation"] = "tanh" })
      assert.equal("luagpt.attn_drop_rate: a rate of at least 0 and below 1 expected, got 1.5",
        refusal { ["luagpt.attn_drop_rate"] = 1.5 })
    end)

    it("tensors that are missing, unexpected or of another shape, all in one error", function()
      assert.equal("the tensors do not fit the metadata\n  missing: blk.2.attn_norm.weight, blk.2.attn_norm.bias, "
        .. "blk.2.attn_qkv.weight, blk.2.attn_qkv.bias, blk.2.attn_output.weight, blk.2.attn_output.bias, "
        .. "blk.2.ffn_norm.weight, blk.2.ffn_norm.bias, blk.2.ffn_up.weight, blk.2.ffn_up.bias, blk.2.ffn_down.weight, "
        .. "blk.2.ffn_down.bias\n  of another shape: position_embd.weight is [8, 12], not [9, 12]",
        refusal { ["gpt2.block_count"] = 3, ["gpt2.context_length"] = 9 })
      assert.matches("^the tensors do not fit the metadata\n  unexpected: blk.1.attn_norm.bias, .*\n  strict = false leaves "
        .. "unexpected tensors out, and takes missing biases for zeros$", refusal { ["gpt2.block_count"] = 1 })
      assert.equal(1, gpt.load(path, { strict = false }).config.n_layers)
      files.write(path, files.read(FIXTURES .. "values.gguf"):gsub("values", "gpt2\0\0"))
      assert.matches("model.gguf: ", raised(gpt.load, path), 1, true)
    end)
  end)
end)

describe("model:save as a GGUF file", function()
  setup(function()
    place = files.directory()
    path = place .. "/saved.gguf"
  end)
  teardown(function() files.remove(place) end)

  it("writes what it loaded, with the keys that llama.cpp's converter writes", function()
    for _, case in ipairs(fixture.models) do
      local source = FIXTURES .. case.file
      gpt.load(source):save(path)
      local before, after = gpt.read_gguf(source), gpt.read_gguf(path)
      local missing = { ["general.size_label"] = true, ["general.name"] = true }
      for key, value in pairs(before.metadata) do
        if not missing[key] then assert.same(value, after.metadata[key], key) end
        after.metadata[key] = nil
      end
      assert.same({ ["gpt2.vocab_size"] = 280 }, after.metadata)
      for name, tensor in pairs(before.tensors) do
        assert.equal(tensor:dtype(), after.tensors[name]:dtype(), name)
        assert.equal(tensor:bytes(), after.tensors[name]:bytes(), name)
        after.tensors[name] = nil
      end
      assert.is_nil(next(after.tensors))
    end
    assert.equal("saved", gpt.read_gguf(path).metadata["general.name"])
  end)

  it("lies as the format demands: version 3, tensors one after the other, all at multiples of 32", function()
    small_model():save(path)
    local text = files.read(path)
    assert.equal("GGUF", text:sub(1, 4))
    local version, tensors = string.unpack("<I4I8", text, 5)
    assert.same({ 3, 29 }, { version, tensors })
    assert.equal(0, #text % 32)
  end)

  for _, changes in ipairs { {}, { tie_weights = true, hidden_dim = 64, norm_eps = 1e-3 },
    { qkv_bias = false, emb_drop_rate = 1 / 3, init = "torch" } } do
    it("brings back any GPT-2: " .. (next(changes) or "plain"), function()
      local model = small_model(changes)
      model:save(path)
      local again = gpt.load(path)
      assert.equal(model({ 1, 2, 3 }):bytes(), again({ 1, 2, 3 }):bytes())
      local expected = { vocab_size = 40, context_length = 8, emb_dim = 32, n_heads = 2, n_layers = 2, qkv_bias = true,
        hidden_dim = 128, activation = "gelu", tie_weights = false, norm_eps = 1e-5, init = "gpt2", drop_rate = 0,
        emb_drop_rate = 0, attn_drop_rate = 0, shortcut_drop_rate = 0 }
      for key, value in pairs(changes) do expected[key] = value end
      for key, value in pairs(expected) do assert.equal(value, again.config[key], key) end
      if changes.qkv_bias == false then
        assert.is_nil(again.blocks[1].attention.query.bias)
        assert.equal(0, gpt.read_gguf(path).tensors["blk.0.attn_qkv.bias"]:abs():sum():item())
      end
    end)
  end

  it("converts matrices, and neither norms nor biases nor positions", function()
    local model = small_model()
    local logits = model { 1, 2, 3, 4 }
    local numbers = { f32 = 0, f16 = 1, bf16 = 32, q8_0 = 7, q4_0 = 2, q4_1 = 3, q5_0 = 8, q5_1 = 9 }
    local errors = { f32 = 0, f16 = 3e-2, bf16 = 3e-2, q8_0 = 4e-2, q4_0 = 0.3, q4_1 = 0.3, q5_0 = 0.2, q5_1 = 0.2 }
    for dtype, number in pairs(numbers) do
      model:save(path, { dtype = dtype })
      local file = gpt.read_gguf(path)
      assert.equal(number, file.metadata["general.file_type"])
      for name, tensor in pairs(file.tensors) do
        local plain = tensor:dim() == 1 or name == "position_embd.weight"
        assert.equal(plain and "f32" or dtype, tensor:dtype(), name)
      end
      local again = gpt.load(path)
      assert.is_true(difference(logits, again { 1, 2, 3, 4 }) <= errors[dtype])
      assert.equal(dtype, again.blocks[2].feed_forward.project.weight:dtype())
    end
  end)

  it("writes rows that are no multiple of the block as f16, and names them", function()
    local model = small_model { emb_dim = 24, n_heads = 2, hidden_dim = 64, tie_weights = true }
    local heard = warnings(function() model:save(path, { dtype = "q4_0" }) end)
    assert.same({ "save: " .. path .. ": rows that are no multiple of q4_0's block, 32, are written as f16: "
      .. "token_embd.weight (24), blk.0..blk.1.attn_qkv.weight (24), blk.0..blk.1.attn_output.weight (24), "
      .. "blk.0..blk.1.ffn_up.weight (24)" }, heard)
    local tensors = gpt.read_gguf(path).tensors
    assert.same({ "f16", "q4_0" }, { tensors["blk.1.ffn_up.weight"]:dtype(), tensors["blk.1.ffn_down.weight"]:dtype() })
    assert.equal(1, gpt.read_gguf(path).metadata["general.file_type"])
  end)

  it("turns the weights of a directory, and a directory's model comes back from it", function()
    local model = gpt.load "spec/fixtures/hf_tied"
    model:save(path)
    local again = gpt.load(path)
    assert.is_true(difference(model { 1, 2, 3 }, again { 1, 2, 3 }) < 1e-5)
    again:save(place .. "/dir")
    assert.is_true(difference(model { 1, 2, 3 }, gpt.load(place .. "/dir") { 1, 2, 3 }) < 1e-5)
  end)

  it("writes a tokenizer of a directory, as many tokens as the model has, and the template", function()
    local model = small_model { vocab_size = 500 }
    model.tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
    model.chat_template = "{{ messages }}"
    model:save(path)
    local metadata = gpt.read_gguf(path).metadata
    assert.equal(500, #metadata["tokenizer.ggml.tokens"])
    assert.equal("[PAD499]", metadata["tokenizer.ggml.tokens"][500])
    assert.equal(5, metadata["tokenizer.ggml.token_type"][500])
    local again, tokenizer = gpt.load(path)
    assert.equal("{{ messages }}", again.chat_template)
    assert.equal("{{ messages }}", tokenizer.chat_template)
    again.chat_template = "{{ other }}"
    again:save(place .. "/with_template")
    again, tokenizer = gpt.load(place .. "/with_template")
    assert.same({ "{{ other }}", "{{ other }}" }, { again.chat_template, tokenizer.chat_template })
    again.tokenizer, again.chat_template = nil, "{{ alone }}"
    again:save(place .. "/template_alone")
    assert.equal("{{ alone }}", gpt.load(place .. "/template_alone").chat_template)
    assert.equal(model.tokenizer.vocab_size, tokenizer.vocab_size)
    for _, text in ipairs { "The miller's cat sat", "Grüße <|endoftext|> 🐈", "" } do
      assert.same(model.tokenizer:encode(text), tokenizer:encode(text))
      assert.same(model.tokenizer:encode(text, { special = true }), tokenizer:encode(text, { special = true }))
    end
    tokenizer:save(place .. "/tokenizer")
    assert.same(tokenizer:encode "The miller's cat", gpt.tokenizer(place .. "/tokenizer"):encode "The miller's cat")
  end)

  it("says what llama.cpp will compute otherwise", function()
    local heard = warnings(function() small_model({ activation = "relu" }):save(path) end)
    assert.same({ "save: " .. path .. ': of this family llama.cpp knows no other activation than "gelu", and will '
      .. 'compute that instead of "relu"' }, heard)
    assert.equal("relu", gpt.load(path).config.activation)
  end)

  it("is all or nothing", function()
    small_model():save(path)
    local before, names = files.read(path), files.list(place)
    local model = small_model { vocab_size = 100 }
    model.tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
    local tokens = model.tokenizer.vocab_size
    assert.equal(("save: the tokenizer has %d tokens, the model's vocabulary only 100"):format(tokens),
      raised(model.save, model, path))
    model = small_model()
    model:replace("blocks.1.feed_forward", gpt.nn.GELU())
    assert.matches("^save: this model is not GPT%-2's tree: ", raised(model.save, model, path))
    assert.matches("save: this model is not GPT-2's tree: it is a Linear; model:save_parameters(file) writes any layer's "
      .. "parameters", raised(gpt.nn.Linear(2, 2).save, gpt.nn.Linear(2, 2), path), 1, true)
    assert.equal(before, files.read(path))
    assert.same(names, files.list(place))
  end)

  it("refuses options and names that are none", function()
    local model = small_model()
    assert.equal('save: dtype: "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0" or "q5_1" expected, got "q4_k"; '
      .. 'did you mean "q4_0"?', raised(model.save, model, path, { dtype = "q4_k" }))
    assert.equal("save: a table of options expected, got 3", raised(model.save, model, path, 3))
    assert.equal("save: dtyp: unknown key; did you mean 'dtype'?", raised(model.save, model, path, { dtyp = "f16" }))
    assert.equal(place .. "/none/x.gguf: cannot be written: No such file or directory",
      raised(model.save, model, place .. "/none/x.gguf"))
  end)

  it("gives every byte back", function()
    local model = gpt.load(FIXTURES .. "q8_0.gguf")
    local before = measure.live()
    model:save(path, { dtype = "q4_0" })
    assert.equal(before, measure.live())
  end)
end)
