local process = require "spec.support.process"

-- Lua's own memory runs out, a request later each time, wherever the binding asks for some: each failure is an error,
-- nothing of the core's is lost, and the next call works.

-- A script in which sweep(name, f, clear) lets f fail so, from its first request to its last, or at as many places
-- between these as there is time for. clear lets go of what f leaves behind.
local SWEEP = [[
  local gpt = require "gpt"
  local MOST = 150
  local function live()
    collectgarbage()
    collectgarbage()
    return gpt.memory().live
  end

  local function sweep(name, call, clear)
    clear = clear or function() end
    local function f() call() end -- what it returns is let go of
    for _ = 1, 3 do f() clear() end -- strings and stack that only the first calls ask for
    local base = live()
    local _, _, _, requests = short_of_memory(1 << 40, f)
    clear()
    for n = 1, requests, math.max(1, requests // MOST) do
      local ok, message, refused = short_of_memory(n, f)
      clear()
      assert(ok or refused and tostring(message):find("not enough memory", 1, true), name .. ": " .. tostring(message))
      local now = live()
      assert(now == base, ("%s, request %d: %d bytes lost"):format(name, n, now - base))
      f()
      clear()
    end
    assert(requests > 0, name)
    io.write(name, "; ")
  end

  local config = gpt.config("gpt2-small", { vocab_size = 5, context_length = 6, emb_dim = 4, n_heads = 2, n_layers = 2 })
]]

local function runs(code)
  if not process.host() then pending "build/states is not built; make test builds it" end
  local output, ok = process.states(SWEEP .. code)
  assert.is_true(ok, output)
  return output
end

describe("when Lua's own memory runs out in", function()
  it("layers written in Lua, inside each other, nothing is lost and no pass goes on", function()
    assert.equal("layers; trained; part; ", runs [[
      local Twice = gpt.nn.layer("Twice", {
        init = function(self, inner) self.inner, self.scale = inner, gpt.nn.parameter(gpt.ones(4)) end,
        forward = function(self, x) return self.inner(x * self.scale) + x end,
      })
      local x, layer = gpt.ones(2, 4), Twice(Twice(gpt.nn.Sequential { gpt.nn.Linear(4, 4), function(y) return y * 2 end }))
      sweep("layers", function() layer(x):free() end)
      local function clear()
        for _, p in layer:parameters() do p.grad = nil end
      end
      sweep("trained", function() layer(x):sum():backward() end, clear)
      local part = { block = function() return Twice(gpt.nn.Identity()) end, head = gpt.nn.Linear(4, 5) }
      sweep("part", function() gpt.Model(config, part) end)
      for _ = 1, 250 do -- more than layers may be nested deep
        assert(not short_of_memory(12, layer, x))
      end
      layer(x)
    ]])
  end)

  it("tensors and their functions, nothing is lost", function()
    assert.equal("ops; made; texts; lists; ", runs [[
      local x = gpt.rand(3, 4)
      sweep("ops", function()
        local y = (x + 1):matmul(x:transpose(1, 2)):softmax(-1)
        return y:max(1), y:sort(-1), y:index(1, { 2, 1 }), y[1]:var(), 2 - y
      end)
      sweep("made", function()
        return gpt.tensor { { 1, 2 }, { 3, 4.5 } }, gpt.zeros(2, 3), gpt.arange(1, 5), gpt.from_bytes("12345678", 2)
      end)
      sweep("texts", function() return tostring(x), x:totable(), x:bytes(), x:shape() end)
      sweep("lists", function() return gpt.cat({ x, x }, 1), gpt.stack({ x, x }), gpt.cat({ x, x }, 2) end)
    ]])
  end)

  it("models, sessions and training, nothing is lost", function()
    assert.equal("model; printed; parameters; session; generate; step; state; trace; ", runs [[
      local model, dropped = gpt.Model(config), gpt.nn.Dropout(0.5)
      sweep("model", function() return model { 1, 2, 3 }, model:loss({ 1, 2 }, { 2, 3 }), dropped(gpt.ones(3)) end)
      sweep("printed", function() return tostring(model) end)
      sweep("parameters", function() for _ in model:parameters() do end return model:num_parameters() end)
      model:eval()
      sweep("session", function()
        local session = model:session { seed = 1 }
        session:feed { 1, 2 }
        local fork = session:fork()
        fork:rewind(1)
        return fork:feed { 3 }, gpt.feed({ session, fork }, { { 1 }, { 2, 3 } }), session:ids()
      end)
      sweep("generate", function()
        return model:generate({ 1, 2 }, { max_new_tokens = 2, temperature = 1, top_k = 3, seed = 1, logprobs = true })
      end)
      local linear = gpt.nn.Linear(2, 2)
      local optimizer = gpt.optim.AdamW(linear)
      linear(gpt.ones(1, 2)):sum():backward()
      optimizer:step()
      local function clear() optimizer:zero_grad() end
      clear()
      sweep("step", function()
        linear(gpt.ones(1, 2)):sum():backward()
        gpt.clip_grad_norm(linear, 1)
        optimizer:step()
      end, clear)
      sweep("state", function() optimizer:load_state(optimizer:state()) return tostring(optimizer) end)
      sweep("trace", function() return #linear:trace(gpt.ones(1, 2)) end)
    ]])
  end)

  it("tokenizers, data and files, nothing is lost", function()
    assert.equal("tokenizer; encode; train; data; load; json; ", runs [[
      MOST = 60
      sweep("tokenizer", function() return gpt.tokenizer "spec/fixtures/tokenizer" end)
      local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
      sweep("encode", function() return tokenizer:decode(tokenizer:encode "the mouse and the cat") end)
      sweep("train", function() return gpt.train_tokenizer({ text = "a mouse, a mouse" }, { vocab_size = 260 }) end)
      sweep("data", function()
        for ids in gpt.dataset({ 1, 2, 3, 4, 5 }, { context_length = 2, batch_size = 1 }):batches() do return ids end
      end)
      sweep("load", function() return gpt.load "spec/fixtures/hf_tied" end)
      local json = require "gpt.core"._json_decode
      sweep("json", function() return json '{"a": [1, 2, {"b": "text"}], "c": null}' end)
    ]])
  end)
end)
