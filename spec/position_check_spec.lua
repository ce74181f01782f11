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
