local gpt = require "gpt"
local process = require "spec.support.process"

-- Each op forward and back, with memory running out a little later each time: every failure is the error it should be,
-- leaks nothing and leaves nothing behind.

local function live()
  collectgarbage()
  return gpt.memory().live
end

local x, row, ids, places

local ops = {
  ["a sum of unequal shapes"] = function() return x + row end,
  ["a difference from a number"] = function() return 2 - x end,
  ["a product with a view"] = function() return x:transpose(1, 3) * row:view(5, 1, 1) end,
  ["a quotient"] = function() return x / row end,
  ["a power"] = function() return x ^ row end,
  ["a comparison"] = function() return x:eq(ids:float():view(3, 4, 1)) end,
  ["a function of a view"] = function() return x:transpose(1, 2):exp() end,
  ["a function with numbers"] = function() return x:clamp(0, 1) end,
  ["a sum"] = function() return x:sum(2) end,
  ["a mean of a view"] = function() return x:transpose(1, 2):mean(1, true) end,
  ["a variance"] = function() return x:var(1) end,
  ["a maximum along a dimension"] = function() return (x:max(2)) end,
  ["a maximum of all"] = function() return x:max() end,
  ["positions"] = function() return x:argmax(1) end,
  ["a deviation"] = function() return x:std(1) end,
  ["a norm"] = function() return x:norm(3, 2) end,
  ["running sums"] = function() return x:transpose(1, 2):cumsum(2) end,
  ["a choice"] = function() return gpt.where(row:gt(0.5), x, row) end,
  ["a choice of numbers"] = function() return x:where(x:gt(0.5), 2) end,
  ["gathered elements"] = function() return x:gather(3, places:narrow(2, 1, 2)) end,
  ["scattered elements"] = function() return x:scatter_add(3, places, x) end,
  ["a flipped view"] = function() return x:transpose(1, 2):flip(1, 3) end,
  ["an outer product"] = function() return row:outer(row) end,
  ["silu of a view"] = function() return x:transpose(1, 3):silu() end,
  ["an RMS norm of a view"] = function() return x:transpose(1, 2):rms_norm(row, 1e-5) end,
  ["turned heads"] = function()
    return gpt.rotary(x:transpose(2, 3), gpt.arange(1, 3), { dims = 2 })
  end,
  ["softmax"] = function() return x:softmax(1) end,
  ["log_softmax"] = function() return x:log_softmax(3) end,
  ["cross-entropy"] = function() return gpt.cross_entropy(x:transpose(1, 2):contiguous():transpose(1, 2), ids) end,
}

local function forward_and_back(op)
  local y = op()
  if y:dtype() == "f32" then y:sum():backward() end
end

-- One try with that many bytes; returns whether it was enough.
local function try(op, base, bytes)
  gpt.memory { limit = base + bytes }
  local ok, text = pcall(forward_and_back, op)
  gpt.memory { limit = 0 }
  x.grad, row.grad = nil, nil
  assert.equal(base, live())
  if not ok then assert.truthy(text:match("not enough memory")) end
  return ok
end

describe("when memory runs out in", function()
  setup(function()
    collectgarbage("stop") -- a failed allocation then tries no collection, of which the many here would take their time
    gpt.seed(1)
    x, row = gpt.rand(3, 4, 5):requires_grad(true), gpt.rand(5):requires_grad(true)
    ids, places = gpt.randint(0, 5, { 3, 4 }), gpt.randint(1, 6, { 3, 4, 4 })
  end)

  teardown(function() collectgarbage("restart") end)

  for name, op in pairs(ops) do
    it(name .. ", nothing is lost", function()
      local base, failures = live(), 0
      while not try(op, base, failures * 192) do failures = failures + 1 end
      assert.is_true(failures > 3)
    end)
  end
end)

-- Whole layers, models and what works with them, in a Lua of their own, whose heap is small: collections are quick.
-- sweep(name, f, clear): f fails with less memory than it needs, at as many places as there is time for; clear lets go
-- of what it leaves behind.
local SWEEP = [[
  local gpt = require "gpt"
  collectgarbage "stop"
  gpt.seed(1)
  local function live()
    collectgarbage()
    return gpt.memory().live
  end

  local function try(name, f, clear, base, bytes)
    gpt.memory { limit = base + bytes }
    local ok, text = pcall(f)
    gpt.memory { limit = 0 }
    clear()
    assert(ok or tostring(text):find("not enough memory", 1, true), name .. ": " .. tostring(text))
    text = nil
    local now = live()
    assert(now == base, ("%s with %d bytes: %d lost"):format(name, bytes, now - base))
    return ok
  end

  local function sweep(name, call, clear)
    local function f() call() end -- what it returns is let go of
    clear = clear or function() end
    f()
    clear()
    local base, need, failures = live(), 64, 0
    while not try(name, f, clear, base, need) do need = need * 2 end
    for bytes = 0, need, math.max(64, need // 120 // 64 * 64) do
      if not try(name, f, clear, base, bytes) then failures = failures + 1 end
    end
    f()
    clear()
    assert(failures > 1, name)
    io.write(name, "; ")
  end

  local function sweep_layer(name, layer, make)
    local x
    sweep(name, function()
      x = make()
      layer(x):sum():backward()
    end, function()
      x = nil
      for _, p in layer:parameters() do p.grad = nil end
    end)
  end

  local function wanted() return gpt.rand(2, 4, 8):requires_grad(true) end
  local config = gpt.config("gpt2-small", { vocab_size = 9, context_length = 8, emb_dim = 8, n_heads = 2, n_layers = 2 })
  local gemma = gpt.config { family = "gemma3", vocab_size = 9, context_length = 8, emb_dim = 8, n_heads = 4, n_kv_heads = 2,
    n_layers = 2, sliding_window = 2, layer_types = { "sliding_attention", "full_attention" }, logit_softcap = 4,
    attention_softcap = 3, rope_scaling = { rope_type = "linear", factor = 2 } }
]]

describe("when memory runs out, nothing is lost in", function()
  local cases = {
    ["layers, forward and back"] = { "linear; norm; attention; embedding; feed forward; dropout; block; matmul; ", [[
      local nn = gpt.nn
      sweep_layer("linear", nn.Linear(8, 6), wanted)
      sweep_layer("norm", nn.LayerNorm(8), wanted)
      sweep_layer("attention", nn.MultiHeadAttention { emb_dim = 8, n_heads = 2, context_length = 4, drop_rate = 0.1 }, wanted)
      sweep_layer("embedding", nn.Embedding(9, 8), function() return gpt.randint(0, 9, 2, 4) end)
      sweep_layer("feed forward", nn.FeedForward { emb_dim = 8 }, wanted)
      sweep_layer("dropout", nn.Dropout(0.5), wanted)
      sweep_layer("block", nn.TransformerBlock(config), wanted)
      local a = gpt.rand(2, 3, 4):requires_grad(true)
      local b = gpt.rand(4, 5):requires_grad(true)
      sweep("matmul", function() a:matmul(b):sum():backward() end, function() a.grad, b.grad = nil, nil end)
    ]] },
    ["layers of the families, forward and back"] = { "norm; activation; gate; heads; sandwich; ", [[
      local nn = gpt.nn
      sweep_layer("norm", nn.RMSNorm(8, { offset = 1 }), wanted)
      sweep_layer("activation", nn.SiLU(), wanted)
      sweep_layer("gate", nn.FeedForward { emb_dim = 8, gated = true, activation = "silu", bias = false }, wanted)
      sweep_layer("heads", nn.MultiHeadAttention { emb_dim = 8, n_heads = 4, n_kv_heads = 2, context_length = 4,
        rope_base = 100, rope_scaling = { rope_type = "linear", factor = 2 }, qk_norm = true }, wanted)
      sweep_layer("sandwich", nn.TransformerBlock(gemma), wanted)
    ]] },
    ["a model of a family, its loss and its sessions"] = { "model; made; loss; sessions; ", [[
      local model = gpt.Model(gemma)
      local function clear()
        for _, p in model:parameters() do p.grad = nil end
      end
      sweep("model", function() return model { { 1, 2, 3 }, { 4, 5, 6 } } end)
      sweep("made", function() return gpt.Model(gemma) end)
      sweep("loss", function() model:loss({ 1, 2, 3 }, { 2, 3, 4 }):backward() end, clear)
      sweep("sessions", function()
        local one, two = model:session(), model:session()
        gpt.feed({ one, two }, { { 1, 2, 3, 5 }, { 4 } })
        local fork = one:fork()
        fork:rewind(2)
        return gpt.feed({ fork, two }, { { 5, 6, 7 }, { 8, 1 } })
      end)
    ]] },
    ["a model, its loss and a training step"] = { "model; made; loss; step; trace; ", [[
      local model = gpt.Model(config)
      local optimizer = gpt.optim.AdamW(model)
      local function clear() optimizer:zero_grad() end
      sweep("model", function() return model { { 1, 2, 3 }, { 4, 5, 6 } } end)
      sweep("made", function() return gpt.Model(config) end)
      sweep("loss", function() model:loss({ 1, 2, 3 }, { 2, 3, 4 }):backward() end, clear)
      model:loss({ 1, 2, 3 }, { 2, 3, 4 }):backward()
      optimizer:step()
      clear()
      sweep("step", function()
        model:loss({ 1, 2, 3 }, { 2, 3, 4 }):backward()
        gpt.clip_grad_norm(model, 1)
        optimizer:step()
        optimizer:load_state(optimizer:state())
      end, clear)
      sweep("trace", function() return #model:trace { 1, 2 } end)
    ]] },
    ["the first steps of an optimizer"] = { "first; ", [[
      sweep("first", function()
        local layer = gpt.nn.Linear(8, 8)
        local optimizer = gpt.optim.AdamW({ { params = layer, weight_decay = 0 } }, { moment_dtype = "q8" })
        layer(gpt.ones(1, 8)):sum():backward()
        gpt.clip_grad_norm(layer, 1)
        optimizer:step()
      end)
    ]] },
    ["sessions"] = { "feed; many; uncached; generate; ", [[
      local model = gpt.Model(config):eval()
      sweep("feed", function()
        local session = model:session { seed = 1 }
        session:feed { 1, 2, 3 }
        local fork = session:fork()
        fork:rewind(1)
        fork:feed { 5, 6 }
        return session:reserve(8):feed { 4 }
      end)
      sweep("many", function()
        local one, two = model:session(), model:session()
        return gpt.feed({ one, two }, { { 1, 2, 3 }, { 4 } })
      end)
      sweep("uncached", function() return model:session({ use_cache = false }):feed { 1, 2 } end)
      sweep("generate", function()
        return model:generate({ { 1 }, { 2, 3 } }, { max_new_tokens = 3, temperature = 1, top_k = 4, top_p = 0.9, seed = 1 })
      end)
      local session = model:session()
      session:feed { 1, 2 }
      local base, length = live(), session.length
      for bytes = 0, 2000, 64 do -- a failure feeds nothing
        gpt.memory { limit = base + bytes }
        local ok = pcall(session.feed, session, { 3, 4 })
        gpt.memory { limit = 0 }
        assert(session.length == (ok and 4 or 2))
        if ok then session:rewind(2) end
      end
    ]] },
    ["grammars"] = { "grammar; left; generated; forgetful; ", [[
      local core = require "gpt.core"
      local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
      local text = [=[
        root ::= "{" (pair ("," pair){0,3})? "}"
        pair ::= "\"" [a-zé-ü]{0,9} "\":" ("1" | "the end" | root)
      ]=]
      sweep("grammar", function() return gpt.grammar(text) end)
      sweep("left", function()
        local _, message = pcall(gpt.grammar, "root ::= a root | [b]\na ::= [b-]*")
        assert(message:find "left recursion", message)
      end)
      local function flat(ids) return gpt.zeros(#ids, tokenizer.vocab_size) end
      sweep("generated", function()
        gpt.generate(flat, { 1, 2 }, { grammar = gpt.grammar(text), tokenizer = tokenizer, context_length = 50,
          temperature = 1, seed = 1, max_new_tokens = 10 })
      end)
      local tree = core._token_tree(tokenizer)
      sweep("forgetful", function()
        local matcher = core._grammar_matcher(gpt.grammar(text), tree, 0)
        local cursors = { core._grammar_cursor(matcher, {}), core._grammar_cursor(matcher, {}) }
        for _, id in ipairs(tokenizer:encode '{"the":1}') do
          for _, cursor in ipairs(cursors) do cursor:only() end
          assert(cursors[1]:take(id))
        end
      end)]] },
    ["tokenizers and files"] = { "tokenizer; text; trained; load; saved; ", [[
      sweep("tokenizer", function() return gpt.tokenizer "spec/fixtures/tokenizer" end)
      local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
      sweep("text", function() return gpt.tokenizer("spec/fixtures/tokenizer"):encode "the mouse, the cat" end)
      sweep("trained", function() return gpt.train_tokenizer({ text = ("a mouse "):rep(30) }, { vocab_size = 262 }) end)
      sweep("load", function() return gpt.load("spec/fixtures/hf_tied", { map = false }) end)
      local model = gpt.Model(config)
      local name = os.tmpname()
      os.remove(name)
      model:save(name)
      sweep("saved", function() model:save(name) end)
      os.execute("rm -r " .. name)
      assert(tokenizer.vocab_size > 0)
    ]] },
  }

  for name, case in pairs(cases) do
    it(name, function()
      local output, ok = process.lua(SWEEP .. case[2])
      assert.same({ case[1], true }, { output, ok })
    end)
  end
end)

-- OpenBLAS maps a buffer for each thread inside it, and would try for ever where the system refuses it.
describe("when the system refuses OpenBLAS a buffer", function()
  local machine = io.popen("uname -m"):read("l")
  local maybe = machine == "x86_64" and not os.getenv "LUAGPT_LUA" and it or
    function(title) pending(title .. " (x86 alone has kernels that need it)") end
  local LIMITED = [[
    local gpt = require "gpt"
    gpt.set_threads(3)
    local x = gpt.ones(700, 640)
    local many = gpt.ones(2000, 2000) + 1 -- the threads run
    local parameter = gpt.ones(40, 30):requires_grad(true)
    local optimizer = gpt.optim.Muon({ parameter }, { lr = 0.1 })
    parameter:sum():backward()
    local function limit(more) -- of addresses: so many MiB more than now
      local bytes = "unlimited"
      if more then bytes = io.open("/proc/self/status"):read("a"):match("VmSize:%s+(%d+)") * 1024 + (more << 20) end
      assert(os.execute(("prlimit --pid $PPID --as=%s:"):format(bytes)))
    end
    local function try(fn)
      collectgarbage()
      local before = gpt.memory().live
      local ok, problem = pcall(fn)
      collectgarbage()
      return ok and "done" or problem:gsub("^[^ ]*: ", ""), ok or gpt.memory().live == before
    end
  ]]

  maybe("a product, attention and a step are errors, and work when it has room", function()
    local output, ok = process.lua(LIMITED .. [[
      local function product() assert(x:matmul(x:transpose(1, 2)):sum():item() == 700 * 700 * 640) end
      local function attention() gpt.nn.MultiHeadAttention { emb_dim = 32, n_heads = 2, context_length = 96 }(gpt.ones(1, 96, 32)) end
      local function step() optimizer:step() end
      limit(64)
      for _, fn in ipairs { product, attention, step } do print(try(fn)) end
      limit()
      for _, fn in ipairs { product, attention, step } do print(try(fn)) end
    ]], "LUAGPT_KERNELS=generic")
    local refused = "not enough memory: the system refused OpenBLAS a buffer of 134217728 bytes\ttrue\n"
    assert.equal(refused:rep(3) .. ("done\ttrue\n"):rep(3), output)
    assert.is_true(ok)
  end)

  maybe("threads take turns with the buffers there are", function()
    local output, ok = process.lua(LIMITED .. [[
      limit(128 + 64)
      print(try(function() assert(x:matmul(x:transpose(1, 2)):sum():item() == 700 * 700 * 640) end))
    ]], "LUAGPT_KERNELS=generic")
    assert.equal("done\ttrue\n", output)
    assert.is_true(ok)
  end)
end)
