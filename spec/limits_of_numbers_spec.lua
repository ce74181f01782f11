local core = require "gpt.core"
local gpt = require "gpt"
local process = require "spec.support.process"

-- Lengths that lie, tables that never end, and integers at their limits: an error, and soon.

-- A table whose length is 2^61: its border is looked for at powers of two.
local function endless()
  local t = {}
  for i = 61, 0, -1 do t[1 << i] = 1 end
  assert(#t == 1 << 61)
  return t
end

local EXTREMES = { math.mininteger, math.mininteger + 1, -(1 << 53), -(1 << 32) - 1, -(1 << 31) - 1, -(1 << 31), -9, -1, 0,
  (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 53, 1 << 61, 1 << 62, math.maxinteger - 1, math.maxinteger }

describe("a list whose length is 2^61", function()
  local config = gpt.config("gpt2-small", { vocab_size = 9, context_length = 6, emb_dim = 4, n_heads = 2, n_layers = 1 })
  local model = gpt.Model(config):eval()
  local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
  local t = gpt.ones(3, 3)

  local cases = {
    model = function(l) return model(l) end, rows = function(l) return model { l, l } end,
    ["many rows"] = function(l) l[1] = { 1 } return model(l) end,
    loss = function(l) return model:loss(l, l) end, feed = function(l) return model:session():feed(l) end,
    ["gpt.feed"] = function(l) return gpt.feed({ model:session() }, { l }) end,
    sessions = function(l) l[1] = model:session() return gpt.feed(l, l) end,
    dataset = function(l) return gpt.dataset(l, { context_length = 2 }) end,
    write_tokens = function(l) return gpt.write_tokens(l, os.tmpname()) end,
    append = function(l) return core._tokens():append(l) end, pack = function(l) return core._pack_ids(l, 4) end,
    decode = function(l) return tokenizer:decode(l) end, tensor = function(l) return gpt.tensor(l) end,
    ["nested"] = function(l) return gpt.tensor { l } end, cat = function(l) return gpt.cat(l, 1) end,
    stack = function(l) return gpt.stack(l, 1) end, index = function(l) return t:index(1, l) end,
    shape = function(l) return gpt.zeros(l) end, permute = function(l) return t:permute(l) end,
    sample = function(l) return gpt.sample(t[1], { ids = l }) end, adamw = function(l) return gpt.optim.AdamW(l) end,
    groups = function(l) l[1] = { params = l } return gpt.optim.AdamW(l) end,
    betas = function(l) return gpt.optim.AdamW({ t }, { betas = l }) end,
    clip = function(l) return gpt.clip_grad_norm(l, 1) end, sequential = function(l) return gpt.nn.Sequential(l) end,
    list = function(l) return gpt.nn.List(l) end,
  }

  for name, call in pairs(cases) do
    it("is an error for " .. name, function() assert.is_false((pcall(call, endless()))) end)
  end

  it("is told from one that memory could hold", function()
    local ok, message = pcall(model, endless())
    assert.is_false(ok)
    assert.truthy(message:find("too large", 1, true), message)
    ok, message = pcall(core._pack_ids, endless(), 4)
    assert.is_false(ok)
    assert.truthy(message:find("not enough memory", 1, true), message)
  end)
end)

describe("tables that always say that there is more", function()
  it("are read no further than their length", function()
    local function forever(value)
      return setmetatable({}, { __index = function() return value end })
    end
    local linear, t = gpt.nn.Linear(2, 2), gpt.ones(2, 2)
    assert.equal(0, #gpt.nn.Sequential(forever(linear)))
    assert.equal(0, #gpt.nn.List(forever(linear)))
    assert.same({ 0 }, gpt.tensor(forever(1)):shape())
    local config = gpt.config("gpt2-small", { vocab_size = 9, context_length = 6, emb_dim = 4, n_heads = 2, n_layers = 1 })
    local model = gpt.Model(config):eval()
    assert.is_false((pcall(model.generate, model, forever(1))))
    assert.same({}, model:generate(forever({ 1 })))
    assert.equal(2, #model:generate({ 1 }, { stop = forever(1), max_new_tokens = 1 }))
    assert.is_false((pcall(gpt.plot, os.tmpname(), { y = forever(1) })))
    assert.equal("", gpt.tokenizer("spec/fixtures/tokenizer"):decode(forever(1)))
    for _, call in ipairs { function() return gpt.cat(forever(t), 1) end, function() return gpt.stack(forever(t), 1) end,
      function() return gpt.optim.AdamW(forever(t)) end, function() return gpt.clip_grad_norm(forever(t), 1) end,
      function() return gpt.dataset(forever(1), { context_length = 2 }) end } do
      assert.is_false((pcall(call)))
    end
  end)

  it("and lie about it are errors, before anything is read", function()
    local reads = 0
    local liar = setmetatable({}, { __len = function() return 1 << 61 end, __index = function()
      reads = reads + 1
      return 1
    end })
    local ok, message = pcall(gpt.tensor, liar)
    assert.is_false(ok)
    assert.truthy(message:find("not enough memory", 1, true), message)
    assert.is_true(reads < 3)
    for _, length in ipairs { -1, math.mininteger } do
      local short = setmetatable({}, { __len = function() return length end })
      assert.is_false((pcall(gpt.tensor, short)))
    end
  end)
end)

describe("integers at their limits", function()
  -- Calls fn with each extreme in turn; an error or not, but it returns.
  local function all(fn)
    for _, n in ipairs(EXTREMES) do pcall(fn, n) end
  end

  before_each(function() gpt.memory { limit = gpt.memory().live + (64 << 20) } end)
  after_each(function() gpt.memory { limit = 0 } end)

  it("are safe in every method of tensors", function()
    gpt.seed(1)
    local t, ids = gpt.rand(3, 4, 2), gpt.randint(0, 3, 4)
    for name, method in pairs(core._methods "gpt.Tensor") do
      if name ~= "free" then
        for _, tensor in ipairs { t, ids } do
          all(function(n) method(tensor, n) end)
          all(function(n) method(tensor, n, n) end)
          all(function(n) method(tensor, n, 1) end)
          all(function(n) method(tensor, 1, n) end)
          all(function(n) method(tensor, 1, 1, n) end)
          all(function(n) method(tensor, 2, n, n) end)
          all(function(n) method(tensor, { n, n, n }) end)
          all(function(n) method(tensor, 1, { n }) end)
          all(function(n) method(tensor, n, 2, 4) end)
        end
      end
    end
    assert.is_true(t:sum():item() == t:sum():item())
  end)

  it("are safe in everything that makes something", function()
    local other = gpt.ones(2, 2)
    for _, name in ipairs { "zeros", "ones", "rand", "randn", "randperm" } do
      all(function(n) gpt[name](n) end)
      all(function(n) gpt[name](n, n) end)
      all(function(n) gpt[name] { 2, n } end)
    end
    all(function(n) gpt.full(n, 1) end)
    all(function(n) gpt.full({ 2 }, n) end)
    for _, m in ipairs(EXTREMES) do
      all(function(n) gpt.arange(n, m) end)
      all(function(n) gpt.arange(m, 5, n) end)
      all(function(n) gpt.arange(1, m, n) end)
      all(function(n) gpt.randint(m, n, 3) end)
      all(function(n) gpt.nn.Linear(m, n) end)
      all(function(n) gpt.nn.Embedding(m, n) end)
      all(function(n) gpt.zeros { m, n } end)
      all(function(n) gpt.zeros { m, n, 0 } end)
      all(function(n) other:view(m, n) end)
    end
    all(function(n) gpt.randint(0, 5, n) end)
    all(function(n) gpt.linspace(0, 1, n) end)
    all(function(n) gpt.linspace(n, -n, 3) end)
    all(function(n) gpt.tensor { n } end)
    assert.same({ math.mininteger, -1, math.maxinteger - 1 },
      gpt.arange(math.mininteger, math.maxinteger, math.maxinteger):totable())
    for _, dim in ipairs { 1, 2 } do
      all(function(n) gpt.tensor({ { n, n }, { n, n } }):sum(dim) end)
      all(function(n) gpt.tensor({ { n, n }, { n, n } }):max(dim) end)
    end
    all(function(n) gpt.tensor({ n, n }):sum() end)
    all(function(n) gpt.tensor({ n, n }):float() end)
    all(function(n) gpt.tensor({ n, n }):eq(n) end)
    all(function(n) gpt.tensor({ n + 0.0, 1.0 }):to("i64") end)
    all(function(n) gpt.from_bytes("12345678", n) end)
    all(function(n) gpt.from_bytes("12345678", { n, n }) end)
    all(function(n) gpt.cat({ other, other }, n) end)
    local heads = gpt.ones(1, 2, 1, 2)
    all(function(n) gpt.attention(heads, heads, heads, { window = n }) end)
    all(function(n) gpt.stack({ other, other }, n) end)
    all(function(n) gpt.seed(n) end)
    all(function(n) return other[n] end)
    all(function(n) other[n] = 1 end)
    all(function(n) gpt.memory { limit = n } end)
    gpt.memory { limit = gpt.memory().live + (64 << 20) }
    all(function(n) gpt.nn.LayerNorm(n) end)
    all(function(n) gpt.nn.FeedForward { emb_dim = n } end)
    all(function(n) gpt.nn.FeedForward { emb_dim = 2, hidden_dim = n } end)
    local _, message = pcall(gpt.nn.MultiHeadAttention,
      { emb_dim = 4, n_heads = 1 << 32, context_length = 4, head_dim = 1 << 32 })
    assert.truthy(message:find("MultiHeadAttention: 4294967296 heads of 4294967296 numbers are too large", 1, true))
    for _, key in ipairs { "emb_dim", "n_heads", "context_length", "head_dim", "n_kv_heads", "sliding_window" } do
      local options = { emb_dim = 4, n_heads = 2, context_length = 4 }
      all(function(n) options[key] = n; gpt.nn.MultiHeadAttention(options) end)
    end
    for key, value in pairs(gpt.config("gpt2-small", { n_layers = 1 })) do
      if math.type(value) == "integer" then
        all(function(n)
          local given = gpt.config("gpt2-small",
            { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 2, n_layers = 1, hidden_dim = 4 })
          given[key] = n
          gpt.size(given)
          if key ~= "n_layers" then gpt.Model(given) end
        end)
      end
    end
  end)

  it("are safe in sessions, sampling, tokenizers and data", function()
    local config = gpt.config("gpt2-small", { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 2, n_layers = 1 })
    local model = gpt.Model(config):eval()
    local tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
    local tokens = core._tokens()
    tokens:append { 1, 2, 3 }
    all(function(n) model:session():feed { n } end)
    all(function(n) model { n } end)
    all(function(n) model:loss({ 1 }, { n }) end)
    all(function(n) model:session():rewind(n) end)
    all(function(n) model:session():reserve(n) end)
    all(function(n) model:session { seed = n } end)
    all(function(n) model:generate({ 1 }, { max_new_tokens = math.min(n, 3) }) end)
    all(function(n) model:generate({ 1 }, { max_new_tokens = 2, top_k = n, seed = n, temperature = 1 }) end)
    all(function(n) gpt.sample(gpt.ones(4), { top_k = n, seed = n, temperature = 1, ids = { n } }) end)
    all(function(n) gpt.sample(gpt.ones(4), { repetition_penalty = 2, ids = { n } }) end)
    all(function(n) tokenizer:token(n) end)
    all(function(n) tokenizer:decode { n } end)
    all(function(n) gpt.cross_entropy(gpt.ones(2, 3), gpt.tensor { n, n }) end)
    all(function(n) gpt.dataset({ 1, 2, 3, 4 }, { context_length = n }) end)
    for _, key in ipairs { "stride", "batch_size", "seed" } do
      all(function(n)
        return gpt.dataset({ 1, 2, 3, 4 }, { context_length = 1, [key] = n }):batches()()
      end)
    end
    all(function(n) core._tokens():append { n } end)
    all(function(n) core._pack_ids({ n }, 4) end)
    all(function(n) tokens:windows({ n }, 1) end)
    all(function(n) tokens:windows({ 0 }, n) end)
    all(function(n) gpt.train_tokenizer({ text = "some text" }, { vocab_size = n }) end)
    all(function(n) core._shuffled(0, n, n, n) end)
    all(function(n) gpt.lr_schedule { warmup = n, steps = n, lr = 1 } end)
    local set = process.lua("require('gpt').set_threads(" .. math.maxinteger .. ")")
    assert.equal("", set)
  end)
end)
