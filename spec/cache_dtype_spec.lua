-- A session whose keys and values are kept in f16.
local gpt = require "gpt"
local raised = require "spec.support.raised"

local config = { vocab_size = 64, context_length = 256, emb_dim = 64, n_heads = 4, n_layers = 3, drop_rate = 0,
  qkv_bias = true }

describe("session{cache_dtype}", function()
  local model

  setup(function()
    gpt.seed(1)
    model = gpt.Model(config):eval()
  end)

  local function ids(n)
    local list = {}
    for i = 1, n do list[i] = (i * 37) % 64 end
    return list
  end

  local function distance(a, b)
    return (a - b):abs():max():item() / a:abs():max():item()
  end

  it("has the logits of f32, rounded, token by token, in slices and across its growth", function()
    local plain <close> = model:session()
    local half <close> = model:session { cache_dtype = "f16" }
    local exact = true
    for _, n in ipairs { 5, 1, 1, 70, 1, 64, 1 } do
      local a, b = plain:feed(ids(n)), half:feed(ids(n))
      assert.is_true(distance(a, b) < 5e-3)
      exact = exact and distance(a, b) == 0
    end
    assert.is_false(exact)
  end)

  it("forks, rewinds, and runs beside others", function()
    local half <close> = model:session { cache_dtype = "f16" }
    half:feed(ids(20))
    local fork <close> = half:fork()
    local plain <close> = model:session()
    plain:feed(ids(20))
    local together = gpt.feed({ half, plain, fork }, { { 3 }, { 3 }, { 3 } })
    assert.is_true(distance(together[1], together[2]) < 5e-3)
    assert.is_true(distance(together[1], together[3]) < 1e-6)
    half:rewind(20)
    assert.is_true(distance(together[1], half:feed { 3 }) < 1e-4)
  end)

  it("takes half the memory", function()
    local function cache_of(options)
      collectgarbage()
      collectgarbage()
      local before = gpt.memory().live
      local session <close> = model:session(options)
      session:feed(ids(200))
      collectgarbage()
      collectgarbage()
      return gpt.memory().live - before
    end
    local whole, half = cache_of(), cache_of { cache_dtype = "f16" }
    local exact = 2 * 3 * 200 * 64 * 4
    assert.is_true(whole >= exact)
    assert.is_true(half < whole / 2 + 10000, ("%d of %d"):format(half, whole))
  end)

  it("refuses other dtypes by name", function()
    assert.equal("session: cache_dtype: 'f32' or 'f16' expected, got 'q8_0'",
      raised(function() model:session { cache_dtype = "q8_0" } end))
    assert.equal("session: cache_dtype: 'f32' or 'f16' expected, got 'half'",
      raised(function() model:session { cache_dtype = "half" } end))
  end)
end)
