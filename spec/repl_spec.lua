local gpt = require "gpt"
local files = require "spec.support.files"

local nn = gpt.nn

-- What a line at the prompt raises.
local function told(line, env)
  env = setmetatable(env or {}, { __index = _G })
  local ok, message = pcall(assert(load(line, "=stdin", "t", env)))
  assert.is_false(ok, line)
  return message
end

describe("a mistake at the prompt", function()
  local env
  setup(function()
    local config = { vocab_size = 9, context_length = 8, emb_dim = 4, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = false }
    local model = gpt.Model(config)
    env = { gpt = gpt, nn = nn, t = gpt.ones(2, 3), model = model, session = model:session(), linear = nn.Linear(3, 3),
      optimizer = gpt.optim.AdamW(model), tokenizer = gpt.tokenizer "spec/fixtures/tokenizer", size = gpt.size(config),
      config = gpt.config("124M"), data = gpt.dataset({ 1, 2, 3, 4, 5, 6, 7, 8 }, { context_length = 2 }),
      trace = model:trace { 1, 2 }, state = gpt.random_state() }
    env.result = gpt.train { model = model, data = env.data, steps = 1, progress = false, validation = env.data,
      on_step = function(event) env.event = event end }
    env.Own = nn.layer("Own", {
      init = function(self)
        self.attention, self.weight, self.eps, self.mask = nn.Linear(3, 3), nn.parameter(gpt.ones(3)), 1e-5, nil
        self.norm1 = nn.LayerNorm(3)
      end,
      forward = function(self, x) return self.atention(x) end,
      double = function(_, x) return 2 * x end,
    })
    env.own = env.Own()
  end)

  local COLON = "; a method is called with a colon: value:"
  for line, message in pairs {
    ["x = gpt.tensr { 1 }"] = "gpt has no 'tensr'; did you mean 'tensor'?",
    ["x = gpt.xyzzyxyzzy"] = "gpt has no 'xyzzyxyzzy'; gpt.help() lists what there is",
    ["x = nn.Linaer(1, 2)"] = "gpt.nn has no 'Linaer'; did you mean 'Linear'?",
    ["x = gpt.optim.Adam(model)"] = "gpt.optim has no 'Adam'; AdamW with weight_decay = 0 is Adam",
    ["x = gpt.plot.lines {}"] = "gpt.plot has no 'lines'; did you mean 'line'?",
    ["x = t.shap"] = "a gpt.Tensor has no field or method 'shap'; did you mean 'shape'?",
    ["x = session.lenght"] = "a gpt.Session has no field or method 'lenght'; did you mean 'length'?",
    ["x = tokenizer.vocabsize"] = "a gpt.Tokenizer has no field or method 'vocabsize'; did you mean 'vocab_size'?",
    ["x = model.block"] = "Model has no field or method 'block'; did you mean 'blocks'?",
    ["optimizer:stp()"] = "a gpt.Optimizer has no field or method 'stp'; did you mean 'step'?",
    ["x = config.n_layer"] = "a config has no key 'n_layer'; did you mean 'n_layers'?",
    ["x = config.n_embd"] = "a config has no key 'n_embd'; did you mean 'emb_dim'?",
    ["x = model.config.dropout"] = "a config has no key 'dropout'; did you mean 'drop_rate'?",
    ["x = config.xyzzyxyzzy"] = "a config has no key 'xyzzyxyzzy'; gpt.help \"config\" lists the keys",
    ["x = size.paramters"] = "a gpt.Size has no field or method 'paramters'; did you mean 'parameters'?",
    ["x = size:training_tim()"] = "a gpt.Size has no field or method 'training_tim'; did you mean 'training_time'?",
    ["x = size.bytes.fp32"] = "this table has no field 'fp32'; did you mean 'f32'?",
    ["x = size.flops.forwards"] = "this table has no field 'forwards'; did you mean 'forward'?",
    ["x = size.parts.atention"] = "size.parts has no field 'atention'; did you mean 'attention'?",
    ["x = size.parts.attention.paramters"] = "this table has no field 'paramters'; did you mean 'parameters'?",
    ["x = size.block.norm"] = "this table has no field 'norm'; did you mean 'norms'?",
    ["x = size.config.n_layer"] = "a config has no key 'n_layer'; did you mean 'n_layers'?",
    ["x = size:training_memory().totl"] = "this table has no field 'totl'; did you mean 'total'?",
    ["x = gpt.memory().liv"] = "this table has no field 'liv'; did you mean 'live'?",
    ["x = gpt.memory().xyzzyxyzzy"] = "this table has no field 'xyzzyxyzzy'; it has cached, limit, live, mapped, peak, "
      .. "system_calls",
    ["x = data.window"] = "a gpt.Dataset has no field or method 'window'; did you mean 'windows'?",
    ["x = data:batchess()"] = "a gpt.Dataset has no field or method 'batchess'; did you mean 'batches'?",
    ["x = trace['blocks.1.atention']"] = "the trace has nothing at 'blocks.1.atention'; did you mean 'blocks.1.attention'?",
    ["x = trace.head.ouput"] = "a trace's entry has no field 'ouput'; did you mean 'output'?",
    ["x = result.los"] = "a training's result has no field 'los'; did you mean 'loss'?",
    ["x = result.best.stp"] = "this table has no field 'stp'; did you mean 'step'?",
    ["x = event.leaning_rate"] = "the event has no field 'leaning_rate'; it has best, grad_norm, loss, lr, lrs, model, optimizer, "
      .. "seconds, step, steps, tokens, validation_loss",
    ["x = event.validation_los"] = "the event has no field 'validation_los'; did you mean 'validation_loss'?",
    ["x = state.txt"] = "a gpt.RandomState has no field 'txt'; did you mean 'text'?",
    ["x = own.wieght"] = "Own has no field or method 'wieght'; did you mean 'weight'? (an optional field: self.wieght = nil in init)",
    ["x = own.maks"] = "Own has no field or method 'maks'; did you mean 'mask'? (an optional field: self.maks = nil in init)",
    ["x = own:paramters()"] = "Own has no field or method 'paramters'; did you mean 'parameters'? "
      .. "(an optional field: self.paramters = nil in init)",
    ["x = own:duoble(t)"] = "Own has no field or method 'duoble'; did you mean 'double'? "
      .. "(an optional field: self.duoble = nil in init)",
    ["x = t < t"] = "tensors are compared by methods, element by element: a:lt(b), a:le(b), a:gt(b), a:ge(b), a:eq(b)",
    ["x = t >= 1"] = "tensors are compared by methods, element by element: a:lt(b), a:le(b), a:gt(b), a:ge(b), a:eq(b)",
    ["for row in t do x = row end"] = "a gpt.Tensor cannot be called: t[i] is its slice at i; a loop over all: "
      .. "for i = 1, #t do",
    ["x = gpt.size(linear)"] = "gpt.size: a preset's name or a config table expected, got a gpt.Layer; a model's is "
      .. "model.config",
    ["x = nn.Sequential { linear, Own }"] = "nn.Sequential: item 2 is the function Own itself: call it, as in Own(...)",
    ["x = nn.layer('Own', { forward = print, positionWise = true })"] =
      "nn.layer: Own: positionWise: unknown key; did you mean 'positionwise'?",
    ["x = nn.layer('Own', { forward = print, positionwise = 1 })"] =
      "nn.layer: Own: positionwise: true or false expected, got number",
    ["x = 'loss ' .. t"] = "a gpt.Tensor is no string: tostring(t), or t:item() for the number in a tensor of one element",
    ["for _, row in ipairs(t) do x = row end"] = "t[i]: position 3 out of range 1..2 (shape [2, 3]); a loop over all: "
      .. "for i = 1, #t do",
    ["x = t.foo"] = "a gpt.Tensor has no field or method 'foo'",
    ["x = t:requires()"] = "a gpt.Tensor has no field or method 'requires'; did you mean 'requires_grad'?",
    ["x = t:softmax()"] = "bad argument #1 to 'softmax' (a dim expected (1..2, or -1 for the last), got no value)",
    ["x = gpt.cat(t, t)"] = "bad argument #1 to 'cat' (a list of tensors expected, { a, b }, got gpt.Tensor)",
    ["x = gpt.arange(10)"] = "bad argument #2 to 'arange' (the last number expected, got no value: gpt.arange(1, 10), "
      .. "or gpt.arange(0, 9) for ids)",
    ["x = nn.Sequential(linear)"] = "nn.Sequential: a table of layers expected, got gpt.Layer: nn.Sequential { a, b }",
    ["x = nn.Sequential { linear, nn.GELU }"] = "nn.Sequential: item 2 is the function nn.GELU itself: call it, as in nn.GELU(...)",
    ["x = session:generate { 1, 2 }"] = "session:generate: options are names, as in { max_new_tokens = 5 }, got 1 at position 1; "
      .. "session:feed(ids) takes token ids",
    ["x = gpt.optim.AdamW(model:parameters())"] = "gpt.optim.AdamW: a layer, a list of tensors or a list of groups "
      .. "{params = ...} expected, got function; of a layer's parameters pass the layer itself",
    ["x = gpt.train(model, data)"] = "gpt.train: a table of options expected, got a gpt.Layer",
    ["x = gpt.dataset({ 1 }, { context_length = 1, batch = 2 })"] = "gpt.dataset: batch: unknown key; did you mean 'batch_size'?",
    ["x = optimizer:state().stp"] = "this table has no field 'stp'; did you mean 'step'?",
    ["x = t[0]"] = "t[i]: position 0 out of range 1..2 (shape [2, 3])",
    ["x = t[100]"] = "t[i]: position 100 out of range 1..2 (shape [2, 3])",
    ["x = t[1.5]"] = "gpt.Tensor[i]: a whole number expected, got 1.5",
    ["x = model.blocks[0]"] = "List[0]: a number from 1 to 1 expected (-1 is the last)",
    ["x = model.blocks[3]"] = "List[3]: a number from 1 to 1 expected (-1 is the last)",
    ["t.softmax(1)"] = "bad argument #1 to 'softmax' (gpt.Tensor expected, got number" .. COLON .. "softmax(...))",
    ["x = t.sum()"] = "bad argument #1 to 'sum' (gpt.Tensor expected, got no value" .. COLON .. "sum(...))",
    ["model.session()"] = "bad argument #1 to 'session' (gpt.Layer expected, got no value" .. COLON .. "session(...))",
    ["session.feed { 1 }"] = "bad argument #1 to 'feed' (gpt.Session expected, got table" .. COLON .. "feed(...))",
    ["tokenizer.encode 'a'"] = "bad argument #1 to 'encode' (gpt.Tokenizer expected, got string" .. COLON .. "encode(...))",
    ["optimizer.step()"] = "bad argument #1 to 'step' (gpt.Optimizer expected, got no value" .. COLON .. "step(...))",
    ["x = model.generate { 1, 2 }"] = "gpt.generate: a model, or a function from ids to logits, expected, got a table; "
      .. "a method is called with a colon: model:generate(...)",
    ["x = gpt.sample { 1, 2 }"] = "bad argument #1 to 'sample' (gpt.Tensor expected, got table; gpt.tensor(array) makes one)",
    ["x = gpt.sample()"] = "bad argument #1 to 'sample' (gpt.Tensor expected, got no value)",
    ["x = t:matmul { { 1 } }"] = "bad argument #1 to 'matmul' (gpt.Tensor expected, got table; gpt.tensor(array) makes one)",
    ["x = model 'Hello'"] = "Model expects a tensor or an array of token ids, got string; a tokenizer makes ids of text: "
      .. "model.tokenizer:encode(text)",
    ["x = linear { 1, 2, 3 }"] = "Linear expects a tensor, got table; gpt.tensor(array) makes one",
    ["x = linear(3)"] = "Linear expects a tensor, got number",
    ["x = linear:forward(t)"] = "Linear has no field or method 'forward'; call the layer itself: layer(x)",
    ["x = nn.Linear(3)"] = "bad argument #2 to 'Linear' (the number of outputs: a whole number of at least 1 expected, got no value)",
    ["x = nn.Linear { 3, 4 }"] = "bad argument #1 to 'Linear' (the number of inputs: a whole number of at least 1 expected, got table)",
    ["x = nn.Linear(3, 2.5)"] = "bad argument #2 to 'Linear' (the number of outputs: a whole number of at least 1 expected, got 2.5)",
    ["x = nn.Linear(3, 0)"] = "bad argument #2 to 'Linear' (the number of outputs must be at least 1, got 0)",
    ["x = nn.LayerNorm()"] = "bad argument #1 to 'LayerNorm' (dim: a whole number of at least 1 expected, got no value)",
    ["x = nn.Sequential { linear, function() end }(t)"] = "2: forward of Function must return a tensor, got nil; does it return one?",
    ["x = tokenizer:decode 'a'"] = "bad argument #1 to 'decode' (array of token ids expected, got string)",
    ["x = gpt.no_grad(3)"] = "bad argument #1 to 'no_grad' (a function, or a layer, expected, got number)",
    ["x = gpt.no_grad()"] = "bad argument #1 to 'no_grad' (a function, or a layer, expected, got no value)",
    ["x = t + 'a'"] = "bad argument #2 to 'add' (a tensor or a number expected, got string)",
    ["t:softmax(0)"] = "bad argument #1 to 'softmax' (dim 0 out of range: the tensor has 2, counted 1..2, or -1 for the last)",
    ["t:backward()"] = "backward: a tensor with one element expected (a loss), got shape [2, 3]; take its sum() or mean() first",
    ["x = gpt.zeros(2.5)"] = "bad argument #1 to 'zeros' (size 1 of the shape: a whole number expected, got 2.5)",
    ["x = model { 1.5 }"] = "token ids are integers: got 1.5 (number) at position 1",
    ["x = model { 9 }"] = "token_embedding: id 9 at position 1 is out of the vocabulary: ids are 0 .. 8",
    ["x = nn.Embedding(3, 4)(t)"] = "embedding: ids must be integers (i64), got a tensor of f32",
  } do
    it("is told at its line: " .. line, function() assert.equal("stdin:1: " .. message, told(line, env)) end)
  end

  it("is told within a forward of Lua, too", function()
    local ok, message = pcall(env.own, env.t)
    assert.is_false(ok)
    assert.truthy(tostring(message):find("Own has no field or method 'atention'; did you mean 'attention'?", 1, true), message)
  end)

  it("names the part that a forward of Lua called", function()
    local Own = nn.layer("Own", {
      init = function(self)
        self.gate, self.experts = nn.Linear(3, 3), nn.List { nn.Linear(2, 2), nn.Linear(4, 4) }
        self.inner = nn.layer("Inner", { forward = function() error("ouch", 0) end })()
      end,
      forward = function(self, x)
        if self.which then return self.experts[self.which](x) end
        return x:dim() == 1 and self.inner(x) or self.gate(x)
      end,
    })
    local own = Own()
    local function failure(x) return select(2, pcall(nn.Sequential { own }, x)):match "^[^\n]*" end
    local shapes = "linear: an input of shape [..., %d] expected for a weight [out, in] of [%d, %d], got [1, 5]"
    assert.truthy(failure(gpt.ones(1, 5)):find("^1: spec/repl_spec.lua:%d+: gate: "))
    assert.truthy(failure(gpt.ones(1, 5)):find("gate: " .. shapes:format(3, 3, 3), 1, true))
    assert.equal("1.inner: ouch", failure(gpt.ones(5)))
    own.which = 2
    assert.truthy(failure(gpt.ones(1, 5)):find("experts.2: " .. shapes:format(4, 4, 4), 1, true))
  end)

  it("is not seen where a field is optional", function()
    assert.is_nil(env.config.hidden_dim)
    assert.is_nil(env.config[1])
    assert.is_nil(env.event.best)
    assert.is_nil(env.result.checkpoint)
    assert.is_nil(env.trace.head.weights)
    assert.is_nil(gpt.zeros(2):shape().n) -- a list is a plain list
    assert.is_nil(env.own.mask)           -- assigned nil
    assert.is_nil(env.own.norm2)          -- "norm1" with another number
    assert.is_nil(env.own.cache)          -- like nothing that is there
    env.own.masks = nil                   -- looks misspelt until it is assigned
    assert.is_nil(env.own.masks)
  end)

  it("is not seen where a config is copied", function()
    local copy = {}
    for key, value in pairs(env.config) do copy[key] = value end
    assert.equal(12, copy.n_layers)
    assert.is_nil(copy.n_layer) -- a table like any other
    env.config.note = "mine"
    assert.equal("mine", env.config.note)
    env.config.note = nil
  end)

  it("does not keep lists of layers from being walked", function()
    local count = 0
    for i, block in ipairs(env.model.blocks) do
      assert.equal(block, env.model.blocks[-i])
      count = count + 1
    end
    assert.equal(1, count)
  end)

  it("is no reason to lose what was there", function()
    local name = os.tmpname()
    files.write(name, table.concat({
      'gpt = require "gpt"', "gpt.seed(1)", "w = gpt.ones(2):requires_grad(true)", "w:matmul(gpt.ones(3))", "loss = (w * w):sum()",
      "loss:backwrd()", "loss:backward()", "print(w.grad)", "gpt.no_grad(function() error 'oh' end)", "print((w * 2):requires_grad())",
      "model = gpt.Model { vocab_size = 9, context_length = 8, emb_dim = 4, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = false }",
      "session = model:session()", "x = session:feed { 1, 2 }", "session:feed { 99 }", "session:feed { 1, 2, 3, 4, 5, 6, 7, 8 }",
      "print(session.length)", "print(gpt.memory().live > 0)",
    }, "\n") .. "\n")
    local pipe = assert(io.popen(("LUA_PATH='%s' LUA_CPATH='%s' lua5.4 -i < %s 2>&1"):format(package.path, package.cpath, name)))
    local output = pipe:read("a")
    pipe:close()
    os.remove(name)
    assert.truthy(output:find("stdin:1: matmul: shapes [2] and [3] do not fit", 1, true), output)
    assert.truthy(output:find("did you mean 'backward'?", 1, true), output)
    assert.truthy(output:find("tensor [2] f32\n{2.0, 2.0}", 1, true), output)
    assert.truthy(output:find("stdin:1: oh", 1, true), output)
    assert.truthy(output:find("id 99 at position 1 is out of the vocabulary", 1, true), output)
    assert.truthy(output:find("\n2\n", 1, true), output)
    local _, trues = output:gsub("\ntrue\n", "")
    assert.equal(2, trues, output)
  end)
end)

describe("what prints", function()
  it("shows tensors within tables by what they are", function()
    local w = gpt.ones(2, 3):requires_grad(true)
    local optimizer = gpt.optim.AdamW({ w }, { lr = 0.5 })
    w:sum():backward()
    optimizer:step()
    assert.equal("{ lr = 0.5, moment_dtype = \"f32\", optimizer = \"AdamW\", step = 1, "
      .. "steps = { 1 = 1 }, tensors = { exp_avg.1 = tensor [2, 3] f32 ..., "
      .. "exp_avg_sq.1 = tensor [2, 3] f32 ... } }", tostring(optimizer:state()))
  end)

  it("counts one and many", function()
    assert.equal("Dataset { 5 tokens, 1 window of 4, stride 4, 1 batch of 8 }",
      tostring(gpt.dataset({ 1, 2, 3, 4, 5 }, { context_length = 4 })))
  end)
end)

describe("a module", function()
  it("prints what it has", function()
    for line in tostring(gpt):gmatch "[^\n]+" do assert.is_true(#line <= 79, line) end
    assert.truthy(tostring(gpt):find("^gpt: Model arange"), tostring(gpt))
    assert.truthy(tostring(gpt.nn):find("gpt.nn: Dropout Embedding", 1, true))
    assert.truthy(tostring(gpt):find('gpt.help "NAME" shows one of them.', 1, true))
  end)
end)
