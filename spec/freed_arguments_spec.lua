local process = require "spec.support.process"

-- Whatever Lua does while a call of ours runs, it may free an argument of that call: in a finalizer, at every
-- allocation, and in a metamethod of an option table. The call then finishes, or says that its argument was freed.

-- A script in which the collector runs a whole cycle at every allocation. sweep(name, make, call): make() returns a
-- list of values; call(values) is run with all of them freed by a finalizer in the first cycle, then in the second, and
-- so on. What it returns has to be what it returns undisturbed.
local HARNESS = [[
  local gpt = require "gpt"
  local core = require "gpt.core"

  local function close(value)
    local closed <close> = value
    return closed == nil
  end

  local function free_all(values)
    for _, value in ipairs(values) do
      local ok = pcall(function() value:free() end)
      if not ok then pcall(close, value) end
    end
  end

  -- Calls action in the k-th cycle from now on; returns a function that tells how many there were.
  local function arm(k, action)
    local count, armed = 0, true
    local function plant()
      setmetatable({}, { __gc = function()
        if not armed then return end
        count = count + 1
        if count == k then action() else plant() end
      end })
    end
    plant()
    return function()
      armed = false
      return count
    end
  end

  local function shown(ok, value)
    if ok and gpt.is_tensor(value) then return value:dtype() .. value:bytes() end
    return ok and tostring(value) or nil
  end

  local allowed = { "was freed", "is closed", "changed while", "no session" }
  local function check(name, expected, ok, value)
    if ok then
      local got = shown(ok, value)
      assert(not got or got == expected or expected:find("0x", 1, true), name .. ": another result")
      return
    end
    for _, text in ipairs(allowed) do
      if tostring(value):find(text, 1, true) then return end
    end
    error(name .. ": " .. tostring(value))
  end

  local swept = 0
  local function sweep(name, make, call)
    local ok, value = pcall(call, make())
    if not ok then return false, value end
    local expected, k = shown(ok, value), 0
    repeat
      k = k + 1
      local values = make()
      collectgarbage "stop"
      local cycles = arm(k, function() free_all(values) end)
      collectgarbage("incremental", 1, 1000, 24)
      collectgarbage "restart"
      ok, value = pcall(call, values)
      local done = cycles() < k
      collectgarbage("incremental", 200, 100, 13)
      check(("%s, freed in cycle %d"):format(name, k), expected, ok, value)
    until done or k > 60
    swept = swept + 1
    return true
  end

  -- Options that free the values as they are read.
  local function traps(values, fields)
    return setmetatable({}, { __index = function(_, key)
      free_all(values)
      return fields and fields[key]
    end })
  end

  local function trapped(make, call)
    local values = make()
    pcall(call, values, traps(values)) -- an error or not, but no crash
    swept = swept + 1
  end
]]

local function runs(code)
  local output, ok = process.lua(HARNESS .. code)
  assert.is_true(ok, output)
  return tonumber(output)
end

describe("a call whose argument is freed while it runs", function()
  it("is safe for every method of tensors", function()
    assert.is_true(runs [[
      local function make()
        gpt.seed(3)
        return { gpt.rand(4, 4), gpt.rand(4, 4) }
      end
      local arguments = {
        function() end, function() return 1 end, function() return -1, true end, function(v) return v[2] end,
        function(v) return v[2], 0.5 end, function() return 1, 2 end, function() return 1, { 2, 1 } end,
        function() return 1, 2, 2 end, function() return 2, 8 end, function() return 4, 4 end, function() return "i64" end,
        function(v) return 1, gpt.ones({ 1, 4 }, { dtype = "i64" }), v[2] end,
      }
      for name, method in pairs(core._methods "gpt.Tensor") do
        local found = 0
        for i, get in ipairs(arguments) do
          local function call(values) return method(values[1], get(values)) end
          if name ~= "free" and found < 2 and sweep(("t:%s, arguments %d"):format(name, i), make, call) then
            found = found + 1
          end
          trapped(make, function(values, options)
            if i == 1 then return method(values[1], options) end
            return method(values[1], get(values), options)
          end)
        end
        assert(found > 0 or name == "free" or name == "item" or name == "squeeze" or name == "backward" or name == "outer", name)
      end
      assert(sweep("item", function() return { gpt.ones(1) } end, function(v) return v[1]:item() end))
      assert(sweep("squeeze", function() return { gpt.ones(1, 2) } end, function(v) return v[1]:squeeze(1) end))
      local function vectors() return { gpt.ones(2), gpt.ones(3) } end
      assert(sweep("outer", vectors, function(v) return v[1]:outer(v[2]) end))
      for name, call in pairs { both = function(v) return gpt.where(v[1], v[2], v[1]) end,
        numbers = function(v) return gpt.where(v[1], 1, 0) end, one = function(v) return gpt.where(v[1], 1.5, v[2]) end } do
        assert(sweep("where: " .. name, make, call))
      end
      local function loss() return { gpt.ones({ 3 }, { requires_grad = true }):exp():sum() } end
      assert(sweep("backward", loss, function(v) return v[1]:backward() end))
      trapped(loss, function(v, options) return v[1]:backward(options) end)
      for name, op in pairs { add = function(v) return v[1] + v[2] end, minus = function(v) return 1 - v[1] end,
        index = function(v) return v[1][2] end, set = function(v) v[1][2] = v[2][1] end,
        fill = function(v) v[1][2] = 5 end, grad = function(v) v[1].grad = v[2] end,
        print = function(v) return tostring(v[1]) end, length = function(v) return #v[1] end,
        read = function(v) v[1].grad = v[2]; return v[1].grad end } do
        assert(sweep(name, make, op))
      end
      io.write(swept)
    ]] > 500)
  end)

  it("is safe for functions of tensors and for layers", function()
    assert.is_true(runs [[
      local config = gpt.config("gpt2-small", { vocab_size = 7, context_length = 6, emb_dim = 4, n_heads = 2,
        n_layers = 1 })
      gpt.seed(1)
      local model, linear, table_of = gpt.Model(config):eval(), gpt.nn.Linear(4, 4), gpt.nn.Embedding(7, 2)
      local Own = gpt.nn.layer("Own", { forward = function(self, x) return x * 2 end })
      local own = Own()
      local keys = { family = "gemma3", vocab_size = 7, context_length = 6, emb_dim = 4, n_heads = 2, n_kv_heads = 1,
        n_layers = 2, sliding_window = 2, layer_types = { "sliding_attention", "full_attention" }, logit_softcap = 4 }
      local gemma, block = gpt.Model(keys):eval(), gpt.nn.TransformerBlock(keys)
      local norm, silu = gpt.nn.RMSNorm(4), gpt.nn.SiLU()
      local gated = gpt.nn.FeedForward { emb_dim = 4, gated = true, activation = "silu" }
      local turning = gpt.nn.MultiHeadAttention { emb_dim = 4, n_heads = 2, context_length = 6, rope_base = 100, qk_norm = true }
      local function floats() return { gpt.ones(2, 4), gpt.full({ 2, 4 }, 2.0) } end
      local function ids() return { gpt.tensor { 1, 2, 3 }, gpt.tensor { 2, 3, 4 } } end
      for name, call in pairs {
        cat = function(v) return gpt.cat(v, 1) end, stack = function(v) return gpt.stack(v, 1) end,
        linear = function(v) return linear(v[1]) end, own = function(v) return own(v[1]) end,
        sample = function(v) return table.concat(gpt.sample(v[1], { top_k = 2, seed = 1 })) end,
        probabilities = function(v) return gpt.probabilities(v[1]) end,
        clip = function(v)
          for i = 1, 2 do v[i].grad = v[i] end
          return gpt.clip_grad_norm(v, 1)
        end,
        rms_norm = function(v) return v[1]:rms_norm(v[2][1]) end,
        norm = function(v) return norm(v[1]) end, silu = function(v) return silu(v[1]) end,
        gate = function(v) return gated(v[1]) end,
        heads = function(v) return turning(v[1]) end, block = function(v) return block(v[1]) end,
        adamw = function(v) gpt.optim.AdamW({ v[1]:requires_grad(true), v[2] }):step() end,
        trace = function(v) return #linear:trace(v[1]) end,
        parameter = function(v) own.weight = gpt.nn.parameter(v[1]) own.weight = nil end,
      } do
        assert(sweep(name, floats, call))
      end
      for name, call in pairs {
        model = function(v) return model(v[1]) end, loss = function(v) return model:loss(v[1], v[2]) end,
        gemma = function(v) return gemma(v[1]) end, capped = function(v) return gemma:loss(v[1], v[2]) end,
        turned = function(v) return gemma:generate(v[1], { max_new_tokens = 2 }) end,
        embedding = function(v) return table_of(v[1]) end,
        cross_entropy = function(v) return gpt.cross_entropy(gpt.ones(3, 7), v[2]) end,
        generate = function(v) return model:generate(v[1], { max_new_tokens = 2 }) end,
        shape = function(v) return gpt.ones(v[1]:totable()) end,
      } do
        sweep(name, ids, call)
      end
      local function heads() return { gpt.ones(1, 2, 1, 2), gpt.ones(1, 2, 1, 2), gpt.ones(1, 2, 1, 2) } end
      assert(sweep("attention", heads, function(v) return gpt.attention(v[1], v[2], v[3]) end))
      trapped(heads, function(v, options) return gpt.attention(v[1], v[2], v[3], options) end)
      local function turned() return { gpt.ones(1, 2, 1, 4), gpt.arange(1, 2) } end
      assert(sweep("rotary", turned, function(v) return gpt.rotary(v[1], v[2], { dims = 2 }) end))
      trapped(turned, function(v, options) return gpt.rotary(v[1], v[2], options) end)
      trapped(turned, function(v) return gpt.rotary(v[1], v[2], { scaling = traps(v) }) end)
      for _, name in ipairs { "sample", "probabilities" } do
        trapped(floats, function(v, options) return gpt[name](v[1], options) end)
        trapped(floats, function(v)
          return gpt[name](v[1], setmetatable({}, { __index = function() free_all(v) end }))
        end)
      end
      io.write(swept)
    ]] >= 28)
  end)

  it("is safe where a finalizer exchanges parameters and parts", function()
    assert.is_true(runs [[
      local function make()
        local layer = gpt.nn.Sequential { gpt.nn.Linear(3, 3), gpt.nn.Linear(3, 3) }
        return { setmetatable({ layer = layer }, { __index = { free = function(self)
          self.layer[1].weight = gpt.zeros(3, 3)
          self.layer[1] = gpt.nn.Linear(3, 3)
        end } }) }
      end
      for name, call in pairs {
        field = function(l) return l[1].weight and nil end,
        parameters = function(l) for _, p in l:parameters() do p:numel() end end,
        children = function(l) for _, child in l:children() do child:num_parameters() end end,
        print = function(l) tostring(l) end,
        call = function(l) l(gpt.ones(2, 3)) end,
        freeze = function(l) l:freeze() end,
        find = function(l) l:find("1") end,
        apply = function(l) l:apply(function(each) each:eval() end) end,
        trace = function(l) l:trace(gpt.ones(2, 3)) end,
        optimizer = function(l) gpt.optim.AdamW(l):state() end,
      } do
        assert(sweep(name, make, function(values) call(values[1].layer) end))
      end
      io.write(swept)
    ]] == 10)
  end)

  it("is safe for sessions, optimizers, tokenizers, files and lists of tokens", function()
    assert.is_true(runs [[
      local config = gpt.config("gpt2-small", { vocab_size = 7, context_length = 9, emb_dim = 4, n_heads = 2,
        n_layers = 1 })
      local model = gpt.Model(config):eval()
      local function session()
        local s = model:session { seed = 1 }
        s:feed { 1, 2 }
        return { s }
      end
      for name, call in pairs {
        fork = function(v) return v[1]:fork().length end, feed = function(v) return v[1]:feed { 3 } end,
        ids = function(v) return table.concat(v[1]:ids()) end, rewind = function(v) v[1]:rewind(1) end,
        generate = function(v) return table.concat(v[1]:generate { max_new_tokens = 2 }) end,
        many = function(v) return gpt.feed(v, { { 3 } }) end, reserve = function(v) v[1]:reserve(8) end,
        print = function(v) return tostring(v[1]) end, tensor = function(v) return v[1]:feed(gpt.tensor { 3 }) end,
      } do
        assert(sweep("session: " .. name, session, call))
      end
      local weight = gpt.ones({ 3 }, { requires_grad = true })
      local function optimizer()
        weight.grad = gpt.ones(3)
        local o = gpt.optim.AdamW { weight }
        o:step()
        return { o }
      end
      for name, call in pairs {
        state = function(v) return v[1]:state().step end, print = function(v) return tostring(v[1]) end,
        step = function(v) v[1]:step() end, zero_grad = function(v) v[1]:zero_grad() end,
        load = function(v) v[1]:load_state(v[1]:state()) end, rate = function(v) v[1].lr = v[1].lr / 2 end,
      } do
        assert(sweep("optimizer: " .. name, optimizer, call))
      end
      local function tokenizer() return { gpt.tokenizer "spec/fixtures/tokenizer" } end
      for name, call in pairs {
        encode = function(v) return table.concat(v[1]:encode("the mouse", { special = true }), " ") end,
        decode = function(v) return v[1]:decode { 40, 41, 42 } end,
        tensor = function(v) return v[1]:decode(gpt.tensor { 40, 41 }) end,
        token = function(v) return v[1]:token(40) end, print = function(v) return tostring(v[1]) end,
      } do
        assert(sweep("tokenizer: " .. name, tokenizer, call))
      end
      trapped(tokenizer, function(v, options) return v[1]:encode("the mouse", options) end)
      assert(sweep("tokenizer: tree", tokenizer, function(v) return core._token_tree(v[1]) end))
      local function file() return { core._map_file "spec/fixtures/tokenizer/merges.txt" } end
      for name, call in pairs {
        bytes = function(v) return v[1]:bytes(3, 20) end,
        tensor = function(v) return v[1]:tensor(0, "f32", { 2, 2 }, false) end,
        view = function(v) return v[1]:tensor(0, "f32", { 2, 2 }, true) end,
      } do
        sweep("file: " .. name, file, call)
      end
      local function tokens()
        local list = core._tokens()
        list:append { 1, 2, 3, 4, 5 }
        return { list }
      end
      assert(sweep("tokens: append", tokens, function(v) v[1]:append { 6, 7 } end))
      assert(sweep("tokens: windows", tokens, function(v) return (v[1]:windows({ 0, 2 }, 2)) end))
      io.write(swept)
    ]] >= 24)
  end)
end)
