-- Training beside PyTorch's numbers, and the memory that it takes.
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"

local FIXTURES = "spec/fixtures/"
local fixture = json.decode(files.read(FIXTURES .. "gpt2.json"))

local BOUND = 1e-4

local function check(what, expected, came, scale)
  local off = math.abs(expected - came)
  if off > BOUND * (scale or math.abs(expected)) or off ~= off then
    error(("%s: %.9g expected, got %.9g"):format(what, expected, came), 2)
  end
end

local function load_model(entry)
  local model = gpt.load(FIXTURES .. entry.dir)
  for _, p in model:parameters() do p:requires_grad(true) end
  return model
end

describe("beside PyTorch", function()
  for _, entry in ipairs(fixture.models) do
    if entry.dtype == "float32" then
      it(entry.dir .. " has its logits, loss and gradients", function()
        local model = load_model(entry)
        local logits = model(entry.ids)
        for _, row in ipairs(entry.logits) do
          for i, value in ipairs(row.values) do
            check("logit", value, logits[row.row][row.position][i]:item(), 1 + math.abs(value))
          end
        end
        local loss, compared = model:loss(entry.ids, entry.targets), 0
        check("loss", entry.loss, loss:item())
        check("cross_entropy", entry.loss, gpt.cross_entropy(logits, gpt.tensor(entry.targets)):item())
        loss:backward()
        check("norm of all", entry.grad_norm, gpt.clip_grad_norm(model, math.huge))
        for path, p in model:parameters() do
          local expected = assert(entry.gradients[path], path)
          -- a key's bias moves no score: its gradient is nothing but rounding, measured against the whole
          local scale = math.max(expected.norm, entry.grad_norm * 1e-3)
          assert.same(expected.shape, p.grad:shape())
          check(path, expected.norm, (p.grad * p.grad):sum():sqrt():item(), scale)
          check(path, expected.sum, p.grad:sum():item(), scale * math.sqrt(p:numel()))
          local flat = p.grad:reshape(p:numel())
          for i, value in ipairs(expected.first) do check(path, value, flat[i]:item(), scale) end
          compared = compared + 1
        end
        local count = 0
        for _ in pairs(entry.gradients) do count = count + 1 end
        assert.equal(count, compared)
      end)

      it(entry.dir .. " has its losses of 20 steps of AdamW", function()
        local model, how = load_model(entry), entry.adamw
        local optimizer = gpt.optim.AdamW(model,
          { lr = how.lr, betas = how.betas, eps = how.eps, weight_decay = how.weight_decay })
        assert.equal(20, #how.losses)
        for _, expected in ipairs(how.losses) do
          optimizer:zero_grad()
          local loss = model:loss(entry.ids, entry.targets)
          loss:backward()
          optimizer:step()
          check("loss", expected, loss:item())
        end
      end)
    end
  end

  it("leaves the file alone: a step writes to the copy in memory", function()
    local entry = fixture.models[1]
    local path = FIXTURES .. entry.dir .. "/model.safetensors"
    local before, model = files.read(path), load_model(entry)
    local weight = model.token_embedding.weight:bytes()
    model:loss(entry.ids, entry.targets):backward()
    gpt.optim.AdamW(model):step()
    assert.are_not.equal(weight, model.token_embedding.weight:bytes())
    assert.equal(before, files.read(path))
  end)
end)

-- A model and a function that trains it by a step; the batch is random, but always the same.
local function trainer(config, batch, tokens)
  gpt.seed(4)
  local model = gpt.Model(config)
  local optimizer = gpt.optim.AdamW(model)
  local ids, targets = gpt.randint(0, config.vocab_size, { batch, tokens }),
    gpt.randint(0, config.vocab_size, { batch, tokens })
  return function()
    optimizer:zero_grad()
    local loss <close> = model:loss(ids, targets)
    loss:backward()
    gpt.clip_grad_norm(model, 1)
    optimizer:step()
  end
end

local function config(context)
  return { vocab_size = 50, context_length = context, emb_dim = 32, n_heads = 4, n_layers = 3, drop_rate = 0.1,
    qkv_bias = false }
end

-- Bytes that step needs beyond what is held between two of them, to the nearest 4 KiB: the lowest limit it bears.
local function need(step)
  step()
  collectgarbage()
  collectgarbage()
  local live, low, high = gpt.memory().live, 0, 1 << 25
  while high - low > high // 64 do
    local middle = (low + high) // 2
    gpt.memory { limit = live + middle }
    if pcall(step) then high = middle else low = middle end
    collectgarbage()
    collectgarbage()
  end
  gpt.memory { limit = 0 }
  return high
end

describe("a training step", function()
  after_each(function()
    gpt.memory { limit = 0 }
    gpt.set_threads(0)
    collectgarbage "restart"
  end)

  it("asks the system for no more memory after the second one: it uses the buffers of the one before", function()
    local step = trainer(config(32), 4, 32)
    gpt.trim()
    local calls = gpt.memory().system_calls
    step()
    assert.is_true(gpt.memory().system_calls > calls + 100)
    assert.is_true(gpt.memory().cached > 4 * 32 * 32 * 4 * 10)
    step()
    calls = gpt.memory().system_calls
    for _ = 1, 5 do step() end
    assert.equal(calls, gpt.memory().system_calls)
  end)

  it("of gpt.train asks for no more either, whatever the collector does", function()
    local ids, calls = {}, {}
    for i = 1, 400 do ids[i] = i * i % 50 end
    local data = gpt.dataset(ids, { context_length = 16, batch_size = 4, stride = 3 })
    collectgarbage "stop"
    for accumulate = 1, 2 do
      gpt.train { model = gpt.Model(config(16)), data = data, steps = 8, accumulate = accumulate, progress = false,
        on_step = function(event) calls[event.step] = gpt.memory().system_calls end }
      assert.is_true(calls[1] > 100)
      for step = 3, 8 do assert.equal(calls[2], calls[step]) end
    end
  end)

  -- A row is emb_dim floats: what the blocks keep for the backward pass, and the gradients on their way.
  it("needs at most 64 rows a token in three blocks, whatever the context", function()
    gpt.set_threads(1)
    for _, tokens in ipairs { 256, 512, 1024 } do
      local rows = need(trainer(config(1024), 1, tokens)) / (tokens * 32 * 4)
      assert.is_true(rows < 64, tokens .. " tokens: " .. rows)
      assert.is_true(rows > 10, rows)
    end
  end)

  it("holds no tokens x tokens matrix in attention: 8 heads need less than one such matrix", function()
    gpt.set_threads(1)
    local attention = gpt.nn.MultiHeadAttention { emb_dim = 16, n_heads = 8, context_length = 1024 }
    local function bytes(tokens)
      local x = gpt.randn(1, tokens, 16)
      return need(function()
        attention(x):sum():backward()
        for _, parameter in attention:parameters() do parameter.grad = nil end
      end)
    end
    local short, long = bytes(512), bytes(1024)
    assert.is_true(long < 1024 * 1024 * 4 / 2, long)
    assert.is_true(long < 2.1 * short, long / short)
    -- what has such a matrix needs more
    local weights = gpt.randn(1024, 16):requires_grad(true)
    assert.is_true(need(function()
      weights:matmul(weights:transpose(1, 2)):softmax(2):sum():backward()
      weights.grad = nil
    end) > 1024 * 1024 * 4)
  end)
end)
