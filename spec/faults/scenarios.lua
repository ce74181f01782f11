-- What luagpt is used for, in small: the work that has to bear a failing request for memory, and an interrupt, at any
-- moment. An entry is a name and a function that prepares it, with a directory of its own, and returns the work: a
-- function that returns the same value at each call. Or a table: `work`; `clear`, which lets go of what the work leaves
-- behind. Work that changes something, whole or not at all, is a single call: `fresh` makes what it changes, and
-- `kept` returns what that is, before and after.
local attempt = require "gpt.support.attempt"
local bytes_of = require "spec.support.bytes_of"
local core = require "gpt.core"
local gpt = require "gpt"
local loopback = require "spec.support.loopback"

local FIXTURES = "spec/fixtures/"
local CONFIG = {
  vocab_size = 9, context_length = 8, emb_dim = 8, n_heads = 2, n_layers = 2, drop_rate = 0.1, qkv_bias = true,
}
local GEMMA = {
  family = "gemma3", vocab_size = 9, context_length = 8, emb_dim = 8, n_heads = 4, n_kv_heads = 2, n_layers = 2,
  sliding_window = 2, layer_types = { "sliding_attention", "full_attention" }, logit_softcap = 4, attention_softcap = 3,
  rope_scaling = { rope_type = "linear", factor = 2 },
}

local function new_model(config, parts)
  gpt.seed(1)
  return gpt.Model(config or CONFIG, parts)
end

-- One whose sessions have several pages of keys and values.
local function long_model()
  return new_model {
    vocab_size = 9, context_length = 400, emb_dim = 8, n_heads = 2, n_layers = 2, drop_rate = 0, qkv_bias = false,
  }
end

local function some_ids(n)
  local list = {}
  for i = 1, n do list[i] = i * i % 9 end
  return list
end

-- The gradients of a layer's parameters; then it has none.
local function gradients_of(layer)
  local list = {}
  for _, tensor in layer:parameters() do
    list[#list + 1] = tensor.grad
    tensor.grad = nil
  end
  return list
end

local function no_gradients(layer)
  return function() gradients_of(layer) end
end

-- Bytes are the ids; 256 ends a text.
local bytewise = { eos = 256, vocab_size = 257 }
function bytewise.encode(_, text) return { text:byte(1, -1) } end
function bytewise.decode(_, ids)
  local letters = {}
  for i, id in ipairs(ids) do letters[i] = id < 256 and string.char(id) or "" end
  return table.concat(letters)
end

local function new_data()
  return gpt.dataset({ 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 5, 7 }, { context_length = 4, batch_size = 2, seed = 1 })
end

local function train(options)
  local model = new_model()
  local all = { model = model, data = new_data(), steps = 2, lr = 0.01, progress = false }
  for key, value in pairs(options or {}) do all[key] = value end
  return gpt.train(all).losses, bytes_of(model)
end

-- A server takes one request to its end, on a connection that is there. What its log says of an error is the
-- error: the client is told of it, or his connection ends.
local function serve()
  local model = loopback.model { emb_dim = 8, n_layers = 1 }
  local server, client, said
  local function log(line) said = line:match "^error: (.*)" or said end
  local function clear()
    if server then
      client:close()
      server:close()
    end
    server = loopback.start(model, { log = log })
    client = loopback.connect(server)
    loopback.drive(server, function() return #server.connections == 1 end)
  end
  local text = loopback.request("POST", "/v1/completions", { prompt = "ab", max_tokens = 2, temperature = 0 })
  return { clear = clear, work = function()
    said = nil
    local ok, response = attempt(client.response, client:send(text))
    if not ok or response.status ~= 200 then error(said or response, 0) end
    return loopback.decode(response.body).choices
  end }
end

local scenarios = {
  { "tensors are made", function()
    return function()
      gpt.seed(1)
      return { gpt.tensor { { 1, 2 }, { 3, 4.5 } }, gpt.zeros(2, 3), gpt.full({ 2 }, 3), gpt.randn(3), gpt.randperm(4),
        gpt.arange(1, 5), gpt.linspace(0, 1, 3), gpt.from_bytes("12345678", 2), gpt.randint(0, 5, { 2, 2 }) }
    end
  end },

  { "operators with broadcasting", function()
    local x, row = gpt.arange(1, 24):float():view(2, 3, 4), gpt.tensor { 1.5, 2, 3, 4 }
    return function()
      return { x + row, 2 - x, x:transpose(1, 3) * row:view(4, 1, 1), x / row, row ^ 2, -x, x:eq(row), x:gt(3) }
    end
  end },

  { "views and positions", function()
    local x = gpt.arange(1, 24):float():view(2, 3, 4)
    return function()
      local y = x:permute(3, 1, 2)
      return { y[2], y[-1], x:narrow(3, 2, 2), x:select(2, 1), x:index(3, { 4, 1 }), x:reshape(4, 6):contiguous(), #x,
        y:flip(1), x:gather(3, gpt.ones(2, 3, 1):to "i64") }
    end
  end },

  { "sums, extremes and orders", function()
    local x = gpt.arange(1, 24):float():view(2, 3, 4):sin()
    return function()
      return { x:sum(2), x:mean(), { x:max(1) }, x:var(2), x:argmax(3), { x:sort(3) }, { x:topk(2, 3) }, x:cumsum(1),
        gpt.cat({ x, x }, 2), gpt.stack { x, x }, x:softmax(3), x:log_softmax(1), x:norm() }
    end
  end },

  { "values as text and tables", function()
    local x, model = gpt.arange(1, 12):float():view(3, 4), new_model()
    return function()
      return { tostring(x), x:totable(), x:bytes(), { x:shape() }, tostring(model), tostring(model.config),
        gpt.size(model.config).parameters, tostring(gpt.size "124M") }
    end
  end },

  { "functions of a user's own graph, and backward", function()
    local a = gpt.arange(1, 12):float():view(3, 4):requires_grad(true)
    local b = gpt.arange(1, 8):float():view(4, 2):requires_grad(true)
    local function clear() a.grad, b.grad = nil, nil end
    return { clear = clear, work = function()
      local y = (a:matmul(b):tanh() + b:sum(1)) * 0.5
      local loss = y:softmax(2):log():sum() + a:exp():mean() + a:transpose(1, 2):contiguous():silu():sum()
      loss:backward()
      return { loss:item(), a.grad, b.grad }
    end }
  end },

  { "attention and rotary positions, forward and back", function()
    gpt.seed(1)
    local q = gpt.randn(1, 4, 4, 4):requires_grad(true)
    local k, v = gpt.randn(1, 4, 2, 4):requires_grad(true), gpt.randn(1, 4, 2, 4):requires_grad(true)
    local function clear() q.grad, k.grad, v.grad = nil, nil, nil end
    return { clear = clear, work = function()
      local y = gpt.attention(gpt.rotary(q, gpt.arange(1, 4)), k, v, { window = 3, softcap = 2 })
      y:sum():backward()
      return { y, q.grad, k.grad, v.grad }
    end }
  end },

  { "layers, forward and back", function()
    local nn, x = gpt.nn, gpt.arange(1, 64):float():view(2, 4, 8):sin()
    gpt.seed(1)
    local layer = nn.Sequential { nn.LayerNorm(8), nn.MultiHeadAttention { emb_dim = 8, n_heads = 2, context_length = 4,
      drop_rate = 0.1 }, nn.Shortcut(nn.FeedForward { emb_dim = 8 }), nn.RMSNorm(8), nn.Dropout(0.5), nn.GELU(), nn.Linear(8, 3) }
    return { clear = no_gradients(layer), work = function()
      gpt.seed(2)
      local y = layer(x)
      y:sum():backward()
      return { y, gradients_of(layer) }
    end }
  end },

  { "a model is made", function()
    return function() return { bytes_of(new_model()), tostring(new_model()) } end
  end },

  { "a model of a family with windows is made, learns and generates", function()
    return function()
      local model = new_model(GEMMA)
      local loss = model:loss({ 1, 2, 3 }, { 2, 3, 4 })
      loss:backward()
      return { loss:item(), gradients_of(model), model:generate({ 1, 2, 3 }, { max_new_tokens = 2 }) }
    end
  end },

  { "a model's logits and loss", function()
    local model = new_model()
    return { clear = no_gradients(model), work = function()
      gpt.seed(2)
      local logits, loss = model { { 1, 2, 3 }, { 4, 5, 6 } }, model:loss({ 1, 2, 3 }, { 2, 3, 4 })
      loss:backward()
      return { logits, loss:item(), gpt.cross_entropy(logits, gpt.tensor { { 2, 3, -1 }, { 5, 6, 7 } }), gradients_of(model) }
    end }
  end },

  { "first steps of an optimizer", function()
    return function()
      local model = new_model()
      local optimizer = gpt.optim.AdamW(model, { lr = 0.01 })
      for _ = 1, 2 do
        model:loss({ 1, 2, 3 }, { 2, 3, 4 }):backward()
        gpt.clip_grad_norm(model, 0.5)
        optimizer:step()
        optimizer:zero_grad()
      end
      return { bytes_of(model), tostring(optimizer) }
    end
  end },

  { "a step of an optimizer is taken whole or not at all", function()
    local model, optimizer
    return { fresh = function()
      model = new_model()
      optimizer = gpt.optim.AdamW(model, { lr = 0.01 })
      model:loss({ 1, 2, 3 }, { 2, 3, 4 }):backward()
    end, kept = function() return { bytes_of(model), optimizer:state() } end, work = function() optimizer:step() end }
  end },

  { "an optimizer's state is put back whole or not at all", function()
    local model, optimizer = new_model(), nil
    local function stepped(lr)
      optimizer = gpt.optim.AdamW(model, { lr = lr })
      model:loss({ 1, 2, 3 }, { 2, 3, 4 }):backward()
      optimizer:step()
      optimizer:zero_grad()
    end
    stepped(0.01)
    local saved = optimizer:state()
    return { fresh = function() model = new_model() stepped(0.02) end, kept = function() return optimizer:state() end,
      work = function() optimizer:load_state(saved) end }
  end },

  { "training", function() return function() return { train() } end end },

  { "training with recomputed blocks, a schedule and validation", function()
    return function()
      return { train { recompute = true, accumulate = 2, warmup = 1, validation = new_data(), evaluate_every = 1 } }
    end
  end },

  { "training makes a checkpoint", function(dir)
    return function() return { train { checkpoints = dir .. "/c", resume = false, steps = 1 } } end
  end },

  { "training goes on from a checkpoint", function(dir)
    local path, saved = dir .. "/c", dir .. "/saved"
    train { checkpoints = saved, steps = 1 }
    local function clear() assert(os.execute(("rm -rf %s && cp -r %s %s"):format(path, saved, path))) end
    return { clear = clear, work = function() return { train { checkpoints = path, resume = true } } end }
  end },

  { "datasets and evaluation", function(dir)
    local model = new_model():eval()
    gpt.write_tokens(dir .. "/tokens.u16", { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2 })
    return function()
      local data, file = new_data(), gpt.dataset(dir .. "/tokens.u16", { context_length = 4, batch_size = 1 })
      local train_part, rest = data:split(0.5)
      local all = { gpt.evaluate(model, data), #train_part, #rest }
      for ids, targets in file:batches() do all[#all + 1] = { ids, targets } end
      return all
    end
  end },

  { "a dataset of a text, and of examples", function()
    return function()
      local text = gpt.dataset({ text = ("a mouse "):rep(9) }, { tokenizer = bytewise, context_length = 8, batch_size = 2 })
      local data = gpt.examples({ { prompt = "ab", response = "cd" }, { prompt = "x", response = "yz!" } },
        { tokenizer = bytewise, shuffle = false, batch_size = 2 })
      return { { text:batch(1, 1) }, { data:batch(1, 1) } }
    end
  end },

  { "tokens are written to a file", function(dir)
    return function()
      gpt.write_tokens(dir .. "/tokens.u16", { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2 })
      return { gpt.dataset(dir .. "/tokens.u16", { context_length = 4, batch_size = 1 }):batch(1, 1) }
    end
  end },

  { "a tokenizer is loaded", function()
    return function() return gpt.tokenizer(FIXTURES .. "tokenizer_json"):encode "the mouse, the cat" end
  end },

  { "a tokenizer of a GGUF file", function()
    return function()
      local _, tokenizer = gpt.load(FIXTURES .. "families/llama.gguf")
      return { tokenizer and tokenizer:encode "the mouse, the cat" }
    end
  end },

  { "texts are encoded and decoded", function()
    local tokenizer = gpt.tokenizer(FIXTURES .. "tokenizer")
    return function()
      local ids = tokenizer:encode "the mouse, 27 of them, and the cat"
      return { ids, tokenizer:decode(ids), tokenizer:encode("a<|endoftext|>", { special = true }), tostring(tokenizer) }
    end
  end },

  { "a tokenizer is trained, saved and loaded", function(dir)
    return function()
      local tokenizer = gpt.train_tokenizer({ text = ("a mouse, a mouse "):rep(4) }, { vocab_size = 262 })
      tokenizer:save(dir .. "/tokenizer")
      return { tokenizer:token(260), gpt.tokenizer(dir .. "/tokenizer"):encode "a mouse" }
    end
  end },

  { "generation with sampling", function()
    local model = new_model():eval()
    return function()
      return { model:generate({ { 1 }, { 2, 3 } }, { max_new_tokens = 3, temperature = 1, top_k = 4, top_p = 0.9,
        repetition_penalty = 1.1, seed = 1, logprobs = true }) }
    end
  end },

  { "a stream that is left early, in a coroutine", function()
    local model = new_model():eval()
    return function()
      local step = coroutine.wrap(function()
        for id in model:stream({ 1, 2 }, { max_new_tokens = 6 }) do coroutine.yield(id) end
      end)
      return { step(), step(), step() }
    end
  end },

  { "sessions with a cache, forks and rewinding", function()
    local model = new_model():eval()
    return function()
      local session = model:session { seed = 1 }
      session:feed { 1, 2, 3 }
      local fork = session:fork()
      fork:rewind(1)
      local half = model:session { cache_dtype = "f16" }
      return { fork:feed { 5, 6 }, session:reserve(8):feed { 4 }, half:feed { 1, 2 }, session:ids(),
        fork:generate { max_new_tokens = 2 } }
    end
  end },

  { "a session is fed whole or not at all", function()
    local model, session = new_model():eval(), nil
    return { fresh = function()
      session = model:session()
      session:feed { 1, 2 }
    end, kept = function() return { session:ids(), session:fork():feed { 7 } } end,
      work = function() session:feed { 3, 4 } end }
  end },

  { "sessions grow past a page, a fork among them, or not at all", function()
    local model, session, fork = long_model():eval(), nil, nil
    return { fresh = function()
      session = model:session()
      session:feed(some_ids(120))
      fork = session:fork()
    end, kept = function() return { session:ids(), fork:ids(), session:fork():feed { 7 }, fork:fork():feed { 7 } } end,
      work = function() gpt.feed({ session, fork }, { some_ids(9), some_ids(140) }) end }
  end },

  { "a session takes its first tokens, or none", function()
    local model, session = long_model():eval(), nil
    return { fresh = function() session = model:session() end, kept = function() return session:ids() end,
      work = function() session:feed(some_ids(130)) end }
  end },

  { "a session has room for more, or as little as before", function()
    local model, session, other = long_model():eval(), nil, nil
    return { fresh = function()
      session = model:session()
      session:feed { 1, 2 }
      other = session:fork()
    end, kept = function() return { session:ids(), session:fork():feed { 7 }, other:ids() } end,
      work = function() session:reserve(300) end }
  end },

  { "sessions that advance together", function()
    local model = new_model():eval()
    return function()
      local one, two = model:session(), model:session { use_cache = false }
      local three = model:session()
      return { gpt.feed({ one, three }, { { 1, 2, 3 }, { 4 } }), gpt.feed({ one, three }, { { 5 }, { 6, 7 } }), two:feed { 1, 2 } }
    end
  end },

  { "a directory is loaded", function()
    return function()
      local model = gpt.load(FIXTURES .. "hf_tied", { map = false })
      return { bytes_of(model), tostring(model.config), model { 1, 2 } }
    end
  end },

  { "a directory is mapped, and converted", function()
    return function()
      return { bytes_of(gpt.load(FIXTURES .. "families/qwen2")), gpt.load(FIXTURES .. "hf_sharded", { dtype = "f16" }) { 1, 2 } }
    end
  end },

  { "a directory is saved", function(dir)
    local model = new_model()
    model.tokenizer = gpt.train_tokenizer({ text = "a mouse, a mouse" }, { vocab_size = 258 })
    return function()
      model:save(dir .. "/model")
      return bytes_of(gpt.load(dir .. "/model"))
    end
  end },

  { "a GGUF file is loaded", function()
    return function()
      local model = gpt.load(FIXTURES .. "gguf/q4_0.gguf")
      return { bytes_of(model), model { 1, 2 } }
    end
  end },

  { "a GGUF file is saved", function(dir)
    local model = new_model()
    return function()
      model:save(dir .. "/model.gguf")
      local file = gpt.read_gguf(dir .. "/model.gguf")
      return { bytes_of(gpt.load(dir .. "/model.gguf")), file.metadata["gpt2.block_count"] }
    end
  end },

  { "tensors in safetensors files", function(dir)
    local x = gpt.arange(1, 6):float()
    return function()
      gpt.write_safetensors(dir .. "/x.safetensors", { x = x, y = x:view(2, 3):to "f16" })
      return gpt.read_safetensors(dir .. "/x.safetensors").tensors
    end
  end },

  { "parameters are saved", function(dir)
    local model = new_model()
    return function()
      model:save_parameters(dir .. "/model.safetensors")
      return gpt.read_safetensors(dir .. "/model.safetensors").tensors
    end
  end },

  { "parameters are put back whole or not at all", function(dir)
    local model
    new_model():save_parameters(dir .. "/model.safetensors")
    return { fresh = function()
      model = new_model()
      for _, tensor in model:parameters() do gpt.no_grad(tensor.fill, tensor, 1) end
    end, kept = function() return bytes_of(model) end,
      work = function() model:load_parameters(dir .. "/model.safetensors") end }
  end },

  { "adapters learn and are merged", function()
    return function()
      local model = new_model()
      gpt.lora(model, { rank = 2, targets = { "query", "project" } })
      local optimizer = gpt.optim.AdamW(model, { lr = 0.1 })
      model:loss({ 1, 2, 3 }, { 2, 3, 4 }):backward()
      optimizer:step()
      local adapted = bytes_of(model)
      model:use_adapter(nil)
      model:use_adapter "default"
      return { adapted, bytes_of(model:merge_lora()) }
    end
  end },

  { "adapters are saved and loaded", function(dir)
    return function()
      local model = gpt.lora(new_model(), { rank = 2 })
      model:save_adapter(dir .. "/adapter")
      local other = new_model()
      gpt.load_adapter(other, dir .. "/adapter")
      return bytes_of(other)
    end
  end },

  { "an adapter is loaded whole or not at all", function(dir)
    local model
    gpt.lora(new_model(), { rank = 2 }):save_adapter(dir .. "/adapter")
    return { fresh = function() model = new_model() end, kept = function() return { tostring(model), bytes_of(model) } end,
      work = function() gpt.load_adapter(model, dir .. "/adapter", "mine") end }
  end },

  { "an adapter is attached whole or not at all", function()
    local model
    return { fresh = function() model = new_model() gpt.seed(1) end, kept = function() return { tostring(model), bytes_of(model) } end,
      work = function() gpt.lora(model, { rank = 2 }) end }
  end },

  { "an adapter is merged whole or not at all", function()
    local model
    return { fresh = function()
      model = gpt.lora(new_model(), { rank = 2 })
      for path, tensor in model:parameters() do
        if path:find "%.b$" then gpt.no_grad(tensor.fill, tensor, 0.5) end
      end
    end, kept = function() return { tostring(model), bytes_of(model) } end, work = function() model:merge_lora() end }
  end },

  { "a grammar in GBNF", function()
    return function()
      local grammar = gpt.grammar [[
        root ::= "{" (pair ("," pair){0,3})? "}"
        pair ::= "\"" [a-zé-ü]{0,9} "\":" ("1" | "the end" | root)
      ]]
      return { { grammar:matches '{"a":1}' }, { grammar:matches '{"a":2}' }, tostring(grammar) }
    end
  end },

  { "generation under a schema and a pattern", function()
    local tokenizer = gpt.tokenizer(FIXTURES .. "tokenizer")
    local function flat(ids) return gpt.zeros(#ids, tokenizer.vocab_size) end
    local schema = { type = "object", properties = { n = { type = "integer", minimum = 3 } }, required = { "n" } }
    return function()
      local options = { tokenizer = tokenizer, context_length = 50, temperature = 1, seed = 1, max_new_tokens = 6 }
      options.grammar = { json_schema = schema }
      local object = gpt.generate(flat, { 1, 2 }, options)
      options.grammar = { regex = "[a-c]+[0-9]?" }
      return { object, gpt.generate(flat, { 1, 2 }, options) }
    end
  end },

  { "a chat", function()
    local tokenizer = require("spec.support.chat").tokenizer()
    gpt.seed(5)
    local model = gpt.Model { vocab_size = tokenizer.vocab_size, context_length = 96, emb_dim = 8, n_heads = 2, n_layers = 1,
      drop_rate = 0, qkv_bias = false }
    model.tokenizer = tokenizer
    return function()
      local chat = model:chat { system = "Be brief." }
      local first = chat:say("Is it?", { max_new_tokens = 3 })
      chat:undo()
      return { first, chat:say("Is it not?", { max_new_tokens = 3 }), chat.messages }
    end
  end },

  { "a chat template", function()
    local tokenizer = require("spec.support.chat").tokenizer()
    local messages = { { role = "user", content = "Hello" }, { role = "assistant", content = "Hi" } }
    return function()
      return { tokenizer:apply_chat_template(messages, { add_generation_prompt = true,
        template = "{% for m in messages %}{{ m.role | upper }}: {{ m.content ~ '\n' }}{% endfor %}" }) }
    end
  end },

  { "hooks, a trace and features", function()
    local model = new_model():eval()
    return function()
      local seen = {}
      local logits = model:run({ 1, 2, 3 }, {
        ["blocks.1"] = function(output) seen[1] = output end, ["blocks.2.attention"] = function(output) return output * 0 end,
      })
      local trace = model:trace { 1, 2 }
      return { logits, seen[1], trace["blocks.1.feed_forward"].output, model:features { 1, 2, 3 } }
    end
  end },

  { "weights are converted", function()
    local config = { vocab_size = 9, context_length = 8, emb_dim = 32, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = true }
    return function()
      local model = new_model(config):eval()
      model:to "q8_0"
      local logits = model { 1, 2, 3 }
      model:to "f16"
      return { logits, bytes_of(model) }
    end
  end },

  { "weights are converted whole or not at all", function()
    local model
    return { fresh = function() model = new_model() end, kept = function() return bytes_of(model) end,
      work = function() model:to "bf16" end }
  end },

  { "layers written in Lua, inside each other", function()
    local Twice = gpt.nn.layer("Twice", {
      init = function(self, inner) self.inner, self.scale = inner, gpt.nn.parameter(gpt.ones(8)) end,
      forward = function(self, x) return self.inner(x * self.scale) + x end,
    })
    local x = gpt.arange(1, 16):float():view(2, 8)
    gpt.seed(1)
    local layer = Twice(Twice(gpt.nn.Sequential { gpt.nn.Linear(8, 8), function(y) return y * 2 end }))
    return { clear = no_gradients(layer), work = function()
      local y = layer(x)
      y:sum():backward()
      local parts = { block = function() return Twice(gpt.nn.Identity()) end, head = function() return gpt.nn.Linear(8, 9) end }
      local model = new_model(nil, parts)
      return { y, gradients_of(layer), model:eval():generate({ 1 }, { max_new_tokens = 2 }) }
    end }
  end },

  { "parts of a model are exchanged", function()
    return function()
      local model = new_model()
      model:replace("blocks.1.attention", gpt.nn.Identity())
      model:freeze()
      model.head:apply(function(layer) return layer end)
      return { tostring(model), model:num_parameters(), model:eval() { 1, 2 } }
    end
  end },

  { "perplexities, and likelihoods of continuations", function(dir)
    local model = new_model():eval()
    gpt.write_tokens(dir .. "/tokens.u16", { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 5 })
    local function of_function(ids) return model(ids) end
    return function()
      return { tostring(gpt.perplexity(model, dir .. "/tokens.u16", { stride = 3 })),
        gpt.perplexity(of_function, { 1, 2, 3, 4, 5 }, { context_length = 4 }).loss,
        { model:log_likelihood({ 1, 2 }, { { 3, 4 }, { 5 } }) } }
    end
  end },

  { "multiple choice", function(dir)
    local file <close> = assert(io.open(dir .. "/questions.jsonl", "w"))
    file:write('{"ctx": "\\u0001\\u0002", "endings": ["\\u0003", "\\u0004\\u0005"], "label": 1}\n'
      .. '{"ctx": "\\u0001\\u0002\\u0007", "endings": ["\\u0003", "\\u0004"], "label": 0}\n')
    file:flush()
    local model = new_model():eval()
    local options = { tokenizer = bytewise, delimiter = "", details = true }
    return function()
      local result = gpt.multiple_choice(model, dir .. "/questions.jsonl", options)
      return { tostring(result), result.examples[1].log_likelihoods, result.examples[2].log_likelihoods }
    end
  end },

  { "arrays of numpy", function(dir)
    local x = gpt.arange(1, 6):float():view(2, 3)
    return function()
      gpt.write_npy(dir .. "/x.npy", x:transpose(1, 2))
      return { gpt.read_npy(dir .. "/x.npy"), gpt.read_npy(FIXTURES .. "npy/bf8_F.npy"), gpt.read_npz(FIXTURES .. "npy/stored.npz").ids }
    end
  end },

  { "pictures in the terminal", function()
    local x = gpt.arange(1, 12):float():view(3, 4)
    return function()
      return { gpt.plot(x):text { width = 40, colors = "24bit" }, gpt.plot.histogram({ values = x }):text { width = 40 } }
    end
  end },

  { "pictures are drawn", function(dir)
    return function()
      gpt.plot.line(dir .. "/line.svg", { y = { 1, 3, 2 }, title = "a line" })
      local file <close> = core._map_file(dir .. "/line.svg")
      return file:bytes(0, file.size)
    end
  end },

  { "JSON is read and written", function()
    local json = require "gpt.support.json"
    return function() return json.encode(json.decode('{"a": [1, 2.5, {"b": "text"}], "c": null}', "a text"), 2) end
  end },

  { "help is asked for", function()
    return function() return { tostring(gpt.help "generate"), tostring(gpt.help "Tensor.sum") } end
  end },
}

if loopback.there then table.insert(scenarios, { "a server", serve }) end
return scenarios
