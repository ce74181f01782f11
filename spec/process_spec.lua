local gpt = require "gpt"
local raised = require "spec.support.raised"
local script = require "spec.support.script"

local mixes = script.mixes(16)

-- A hook that leaves one id.
local function only(id)
  return function(logits)
    local rest = logits[id + 1]:item()
    logits:fill(-math.huge)
    logits[id + 1] = rest
  end
end

local function with(process, more)
  local options = { context_length = 9, max_new_tokens = 3, process = process }
  for name, value in pairs(more or {}) do options[name] = value end
  return options
end

describe("process", function()
  it("changes the logits in place", function()
    assert.same({ 1, 7, 7, 7 }, gpt.generate(mixes, { 1 }, with(only(7))))
  end)

  it("or returns others", function()
    local returned = gpt.generate(mixes, { 1 }, with(function(logits) return -logits end))
    local lowest = mixes({ 1 })[1][1]:totable()
    local least = 1
    for i, value in ipairs(lowest) do if value < lowest[least] then least = i end end
    assert.equal(least - 1, returned[2])
    assert.same({ 1, 2, 2, 2 }, gpt.generate(mixes, { 1 }, with(function()
      return gpt.tensor { { 0, 0, 1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } }
    end)))
  end)

  it("gets logits [vocab_size] and all ids so far, as copies", function()
    local seen = {}
    gpt.generate(mixes, { 1, 2 }, with(function(logits, ids)
      assert.same({ 16 }, logits:shape())
      seen[#seen + 1] = #ids
      ids[1], ids[#ids + 1] = 99, 99
    end))
    assert.same({ 2, 3, 4 }, seen)
  end)

  it("is called for each prompt of a list, which stay apart", function()
    local together = gpt.generate(mixes, { { 1 }, { 2, 3 } }, with(function(logits, ids)
      only(ids[1])(logits)
    end))
    assert.same({ { 1, 1, 1, 1 }, { 2, 3, 2, 2, 2 } }, together)
  end)

  it("leaves the log probabilities the model's own", function()
    local _, logprobs = gpt.generate(mixes, { 1 }, with(only(7), { logprobs = true }))
    assert.near(mixes({ 1 })[1][1]:log_softmax(1)[8]:item(), logprobs[1], 1e-6)
  end)

  it("raises its own errors, and the stream goes on where it was", function()
    local calls = 0
    local function fails_once()
      calls = calls + 1
      if calls == 2 then error({ mine = true }) end
    end
    local expected = gpt.generate(mixes, { { 1 }, { 2 } }, { context_length = 9, max_new_tokens = 3 })
    local next_values = gpt.stream(mixes, { { 1 }, { 2 } }, with(fails_once))
    local ok, err = pcall(next_values)
    assert.is_false(ok)
    assert.is_true(err.mine)
    local got = { { 1 }, { 2 } }
    for values in next_values do
      for i, id in pairs(values) do table.insert(got[i], id) end
    end
    assert.same(expected, got)
  end)

  it("keeps a session as it was where it fails", function()
    local model = gpt.Model(gpt.config("gpt2-small", {
      vocab_size = 20, context_length = 16, emb_dim = 8, n_heads = 2, n_layers = 1, drop_rate = 0,
    }))
    local session = model:session()
    session:feed { 3, 1, 2 }
    local expected = model:generate({ 3, 1, 2 }, { max_new_tokens = 4 })
    local calls = 0
    assert.has_error(function()
      session:generate { max_new_tokens = 4, process = function()
        calls = calls + 1
        assert(calls < 3, "enough")
      end }
    end)
    assert.equal(3, session.length)
    session:generate { max_new_tokens = 4, process = function() end }
    assert.same(expected, session:ids())
  end)

  it("may yield to the coroutine that runs the stream", function()
    local thread = coroutine.wrap(function()
      for id in gpt.stream(mixes, { 1 }, with(function(logits)
        only(coroutine.yield "which")(logits)
      end)) do coroutine.yield(id) end
    end)
    assert.equal("which", thread())
    assert.equal(4, thread(4))
    assert.equal("which", thread())
    assert.equal(9, thread(9))
  end)

  it("has to be a function that leaves logits", function()
    local got = raised(function() gpt.generate(mixes, { 1 }, with(7)) end)
    assert.equal("gpt.generate: process: a function expected, got 7", got)
    got = raised(function() gpt.generate(mixes, { 1 }, with(function() return gpt.zeros(3) end)) end)
    assert.equal("gpt.generate: process: the function has to change its logits, or return f32 logits of shape [16], "
      .. "got f32 of shape [3]", got)
    got = raised(function() gpt.generate(mixes, { 1 }, with(function() return true end)) end)
    assert.equal("gpt.generate: process: the function has to change its logits, or return f32 logits of shape [16], "
      .. "got true", got)
  end)
end)

describe("on_finish", function()
  local function reasons(prompt, options)
    local list = {}
    options.context_length = 9
    options.on_finish = function(reason, i) list[#list + 1] = i .. " " .. reason end
    gpt.generate(mixes, prompt, options)
    table.sort(list)
    return list
  end

  it("tells why each prompt ended, once", function()
    assert.same({ "1 length" }, reasons({ 1 }, { max_new_tokens = 2 }))
    assert.same({ "1 length" }, reasons({ 1 }, { max_new_tokens = 0 }))
    local first = gpt.generate(mixes, { 1 }, { context_length = 9, max_new_tokens = 1 })[2]
    assert.same({ "1 stop", "2 length" }, reasons({ { 1 }, { 2 } }, { max_new_tokens = 2, stop = first,
      process = function(logits, ids) if ids[1] == 2 then only((first + 1) % 16)(logits) end end }))
  end)

  it("tells of stop strings and end tokens", function()
    local tokenizer = script.tokenizer {}
    for _, stop in ipairs { "b", 256 } do
      local got
      gpt.generate(script.says({ 97, 98, 256 }, 1, 257), ">", { tokenizer = tokenizer, context_length = 9, stop = stop,
        on_finish = function(reason) got = reason end })
      assert.equal("stop", got)
    end
  end)
end)
