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
      optimizer = gpt.optim.AdamW(model), tokenizer = gpt.tokenizer "spec/fixtures/tokenizer" }
  end)

  local COLON = "; a method is called with a colon: value:"
  for line, message in pairs {
    ["x = gpt.tensr { 1 }"] = "gpt has no 'tensr'; did you mean 'tensor'?",
    ["x = gpt.xyzzyxyzzy"] = "gpt has no 'xyzzyxyzzy'; gpt.help() lists what there is",
    ["x = nn.Linaer(1, 2)"] = "gpt.nn has no 'Linaer'; did you mean 'Linear'?",
    ["x = gpt.optim.Adam(model)"] = "gpt.optim has no 'Adam'; did you mean 'AdamW'?",
    ["x = gpt.plot.lines {}"] = "gpt.plot has no 'lines'; did you mean 'line'?",
    ["x = t.shap"] = "a gpt.Tensor has no field or method 'shap'; did you mean 'shape'?",
    ["x = session.lenght"] = "a gpt.Session has no field or method 'lenght'; did you mean 'length'?",
    ["x = tokenizer.vocabsize"] = "a gpt.Tokenizer has no field or method 'vocabsize'; did you mean 'vocab_size'?",
    ["x = model.block"] = "Model has no field or method 'block'; did you mean 'blocks'?",
    ["optimizer:stp()"] = "a gpt.AdamW has no field or method 'stp'; did you mean 'step'?",
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
    ["optimizer.step()"] = "bad argument #1 to 'step' (gpt.AdamW expected, got no value" .. COLON .. "step(...))",
    ["x = model.generate { 1, 2 }"] = "gpt.generate: a model, or a function from ids to logits, expected, got a table; "
      .. "a method is called with a colon: model:generate(...)",
    ["x = gpt.sample { 1, 2 }"] = "bad argument #1 to 'sample' (gpt.Tensor expected, got table; gpt.tensor(array) makes one)",
    ["x = gpt.sample()"] = "bad argument #1 to 'sample' (gpt.Tensor expected, got no value)",
    ["x = t:matmul { { 1 } }"] = "bad argument #1 to 'matmul' (gpt.Tensor expected, got table; gpt.tensor(array) makes one)",
    ["x = model 'Hello'"] = "Model expects a tensor or an array of token ids, got string; a tokenizer makes ids of text: "
      .. "model.tokenizer:encode(text)",
    ["x = linear { 1, 2, 3 }"] = "Linear expects a tensor, got table; gpt.tensor(array) makes one",
    ["x = linear(3)"] = "Linear expects a tensor, got number",
    ["x = linear:forward(t)"] = "Linear has no method 'forward'; call the layer itself: layer(x)",
    ["x = nn.Linear(3)"] = "bad argument #2 to 'Linear' (the number of outputs: a whole number of at least 1 expected, got no value)",
    ["x = nn.Linear { 3, 4 }"] = "bad argument #1 to 'Linear' (the number of inputs: a whole number of at least 1 expected, got table)",
    ["x = nn.Linear(3, 2.5)"] = "bad argument #2 to 'Linear' (the number of outputs: a whole number of at least 1 expected, got 2.5)",
    ["x = nn.Linear(3, 0)"] = "bad argument #2 to 'Linear' (the number of outputs must be at least 1, got 0)",
    ["x = nn.LayerNorm()"] = "bad argument #1 to 'LayerNorm' (dim: a whole number of at least 1 expected, got no value)",
    ["x = nn.Sequential { linear, function() end }(t)"] = "2: forward of Function must answer a tensor, got nil; does it return one?",
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

describe("a module", function()
  it("prints what it has", function()
    assert.truthy(tostring(gpt):find("^gpt: Model arange"), tostring(gpt))
    assert.truthy(tostring(gpt.nn):find("gpt.nn: Dropout Embedding", 1, true))
    assert.truthy(tostring(gpt):find('gpt.help "NAME" tells more of one.', 1, true))
  end)
end)
