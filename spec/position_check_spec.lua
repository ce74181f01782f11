-- A layer in Lua that says it is positionwise, and is not, is caught at the first use of a cache.
local gpt = require "gpt"
local nn = gpt.nn

local config = { vocab_size = 11, context_length = 8, emb_dim = 4, n_heads = 2, n_layers = 2, drop_rate = 0,
  qkv_bias = true }

local function model_of(forward)
  local Own = nn.layer("Own", { forward = forward, positionwise = true })
  gpt.seed(2)
  return gpt.Model(config, { block = function(c, i)
    return i == 2 and nn.Sequential { nn.TransformerBlock(c), Own() } or nn.TransformerBlock(c)
  end }):eval()
end

local function message(fn, ...)
  local ok, text = pcall(fn, ...)
  assert.is_false(ok)
  return (text:gsub("^[^ ]+:%d+: ", ""))
end

describe("a layer that is marked positionwise", function()
  local function mean(_, x) return x + x:mean(2, true) * 3 end

  it("and mixes positions is caught, by its path", function()
    local expected = "blocks.2.2: Own is marked positionwise, but its forward mixes positions: the last of several tokens "
      .. "gets other numbers than over a cache of those before; leave positionwise out, or mix through pass:attention"
    local model = model_of(mean)
    assert.equal(expected, message(model.generate, model, { 1, 2, 3 }, { max_new_tokens = 1 }))
    local session = model:session()
    session:feed { 1 }
    assert.equal(expected, message(session.feed, session, { 2 }))
    assert.equal(1, session.length)
    assert.equal(3, #model:generate({ 1, 2 }, { max_new_tokens = 1, use_cache = false }))
  end)

  it("and counts positions for itself is caught", function()
    local model = model_of(function(_, x) return x + gpt.arange(1, x:shape()[2]):view(-1, 1) end)
    assert.matches("^blocks%.2%.2: Own is marked positionwise", message(function() model:session():feed { 1, 2, 3 } end))
  end)

  it("and tells the truth is not, and runs no more often later", function()
    local calls = 0
    local model = model_of(function(_, x)
      calls = calls + 1
      return x:tanh() + x
    end)
    local session = model:session()
    session:feed { 1, 2, 3 }
    local first = calls
    assert.is_true(first <= 4)
    session:feed { 4 }
    model:session():feed { 5, 6 }
    assert.equal(first + 2, calls)
  end)

  it("and never gives the same numbers is let alone, and the random numbers stay", function()
    local model = model_of(function(_, x) return x + gpt.randn(x:shape()) end)
    model:session():feed { 1, 2, 3 }
    local plain = model_of(function(_, x) return x end)
    gpt.seed(7)
    local expected = gpt.rand(1):item()
    gpt.seed(7)
    plain:session():feed { 1, 2, 3 }
    assert.equal(expected, gpt.rand(1):item())
  end)

  it("is checked again when a part was exchanged", function()
    local model = model_of(function(_, x) return x end)
    model:session():feed { 1, 2 }
    model:replace("blocks.1", nn.layer("Late", { forward = mean, positionwise = true })())
    assert.matches("^blocks%.1: Late is marked positionwise", message(function() model:session():feed { 1, 2 } end))
  end)

  it("leaves nothing behind", function()
    local measure = require "spec.support.measure"
    local model = model_of(mean)
    local before = measure.live()
    pcall(function() local session <close> = model:session() session:feed { 1, 2, 3 } end)
    assert.equal(before, measure.live())
  end)
end)

describe("a layer that does not say whether it is positionwise", function()
  local rows
  local function model_with(forward)
    local Own = nn.layer("Own", { forward = function(self, x, pass)
      rows[#rows + 1] = x:shape()[2]
      return forward(self, x, pass)
    end })
    rows = {}
    gpt.seed(2)
    return gpt.Model(config, { block = function(c, i)
      return i == 2 and nn.Sequential { nn.TransformerBlock(c), Own() } or nn.TransformerBlock(c)
    end }):eval()
  end
  local function attend(_, x, pass)
    local heads = x:reshape(x:shape()[1], x:shape()[2], 2, -1)
    return x + pass:attention(heads, heads, heads):reshape(x:shape())
  end

  it("and mixes positions through the pass alone, runs over the cache", function()
    local model = model_with(attend)
    local session = model:session()
    session:feed { 1, 2, 3 }
    assert.same({ 3 }, rows)
    assert.equal("Session(3 of 8 tokens, uncached)", tostring(session))
    rows = {}
    session:feed { 4 }
    assert.equal("Session(4 of 8 tokens)", tostring(session))
    session:feed { 5 }
    assert.equal(1, rows[#rows])
    local expected = model:generate({ 1, 2, 3 }, { max_new_tokens = 5, use_cache = false })
    assert.same(expected, model:generate({ 1, 2, 3 }, { max_new_tokens = 5 }))
    rows = {}
    model:session():feed { 1, 2 }
    assert.same({ 2 }, rows)
  end)

  it("and mixes them otherwise too, does not, and is not asked again", function()
    local model = model_with(function(self, x, pass) return attend(self, x, pass) + x:mean(2, true) end)
    local expected = model:generate({ 1, 2, 3 }, { max_new_tokens = 5, use_cache = false })
    assert.same(expected, model:generate({ 1, 2, 3 }, { max_new_tokens = 5 }))
    rows = {}
    local session = model:session()
    session:feed { 1, 2, 3 }
    session:feed { 4 }
    assert.same({ 3, 4 }, rows)
  end)

  it("and never attends, does not", function()
    local model = model_with(function(_, x) return x:tanh() end)
    local session = model:session()
    session:feed { 1, 2, 3 }
    session:feed { 4 }
    assert.same({ 3, 4 }, rows)
  end)

  it("stays open while its forward fails, and draws no random numbers", function()
    local fails
    local model = model_with(function(self, x, pass)
      if fails then error("no", 0) end
      return attend(self, x, pass)
    end)
    local session = model:session()
    session:feed { 1, 2, 3 }
    fails = true
    assert.is_false(pcall(session.feed, session, { 4 }))
    fails = false
    local state = gpt.random_state().text
    session:feed { 4 }
    assert.equal(state, gpt.random_state().text)
    assert.equal("Session(4 of 8 tokens)", tostring(session))
  end)
end)
