local gpt = require "gpt"
local fixture = dofile "spec/fixtures/sampling.lua"

local inf, nan = math.huge, 0 / 0

-- What a call as a user writes it raises.
local function message(name, ...)
  local call = load("local gpt = ... return gpt." .. name .. "(select(2, ...))", "=user")
  local ok, text = pcall(call, gpt, ...)
  assert.is_false(ok)
  return text
end

local function sum(list)
  local total = 0
  for _, value in ipairs(list) do total = total + value end
  return total
end

-- How far counts of draws are from a distribution, in standard deviations of the chi-square statistic.
local function excess(counts, probabilities, draws)
  local statistic, cells = 0, 0
  for i, p in ipairs(probabilities) do
    local count = counts[i - 1] or 0
    if p == 0 then assert.equal(0, count) end
    if p > 0 then
      cells = cells + 1
      statistic = statistic + (count - draws * p) ^ 2 / (draws * p)
    end
  end
  return (statistic - (cells - 1)) / math.sqrt(2 * math.max(cells - 1, 1))
end

describe("gpt.probabilities", function()
  it("is a softmax of logits alone", function()
    local logits = gpt.tensor { { 1.0, 2.0, 3.0 }, { 0.5, -1.0, 0.0 } }
    assert.is_true((gpt.probabilities(logits) - logits:softmax(2)):abs():max():item() < 1e-6)
    assert.near(0.7311, gpt.probabilities(logits[1], { top_k = 2 })[3]:item(), 1e-4)
  end)

  it("is what transformers' logits processors make of the same logits", function()
    local cases = 0
    for _, row in ipairs(fixture) do
      local logits = gpt.tensor(row.logits)
      for _, case in ipairs(row) do
        local got = gpt.probabilities(logits, case.options):totable()
        for i, expected in ipairs(case.probabilities) do assert.near(expected, got[i], 2e-6) end
        cases = cases + 1
      end
    end
    assert.equal(66, cases)
  end)

  it("is certain at temperature 0", function()
    assert.same({ 0, 1, 0 }, gpt.probabilities(gpt.tensor { 1.0, 3.0, 3.0 }, { temperature = 0 }):totable())
  end)

  it("keeps equals of the k-th with top_k, and the lower ids of equals with top_p", function()
    local equal = gpt.zeros(4)
    assert.same({ 0.25, 0.25, 0.25, 0.25 }, gpt.probabilities(equal, { temperature = 1, top_k = 2 }):totable())
    assert.same({ 0.5, 0.5, 0, 0 }, gpt.probabilities(equal, { temperature = 1, top_p = 0.5 }):totable())
  end)

  it("takes extreme temperatures, penalties and logits", function()
    local logits = gpt.tensor { 3e38, -3e38, -inf, 1.0 }
    local even = gpt.probabilities(logits, { temperature = 1e300 }):totable()
    assert.same({ 0, true, true, true }, { even[3], even[1] > 0.33, even[2] > 0.33, even[4] > 0.33 })
    for _, temperature in ipairs { 1e-300, 1e-310, 2.0 ^ -1074 } do -- 1 / temperature may be inf
      assert.same({ 1, 0, 0, 0 }, gpt.probabilities(logits, { temperature = temperature }):totable())
    end
    for _, penalty in ipairs { 1e-300, 1e300 } do
      local options = { temperature = 1, repetition_penalty = penalty, ids = { 0, 1, 2, 3 } }
      assert.near(1, sum(gpt.probabilities(logits, options):totable()), 1e-6)
    end
  end)

  it("keeps enough with top_p, whatever share of the ids that takes", function()
    local equal = gpt.zeros(20)
    for share, expected in pairs { [0.01] = 1, [0.2] = 4, [0.52] = 11, [0.95] = 19, [0.99] = 20 } do
      local kept = gpt.probabilities(equal, { temperature = 1, top_p = share }):gt(0):sum():item()
      assert.equal(expected, kept, "top_p " .. share)
    end
    gpt.seed(3)
    local logits = gpt.randn(500) * 3
    local sorted = logits:softmax(1):sort(1, { descending = true }):totable()
    for _, share in ipairs { 0.1, 0.5, 0.9, 0.999 } do
      local expected, total = 0, 0
      while total < share do expected = expected + 1 total = total + sorted[expected] end
      local kept = gpt.probabilities(logits, { temperature = 1, top_p = share }):gt(0):sum():item()
      assert.equal(expected, kept, "top_p " .. share)
    end
  end)

  it("keeps k with top_k, however many the greatest stand together", function()
    local falling = -gpt.arange(1, 1600):float() / 100
    for _, k in ipairs { 1, 40, 51, 99, 150, 700, 1599 } do
      assert.equal(k, gpt.probabilities(falling, { temperature = 1, top_k = k }):gt(0):sum():item())
    end
  end)

  it("takes what a temperature makes equal as equals", function()
    local third = gpt.probabilities(gpt.tensor { 1.0, 2, 3 }, { temperature = 1e300, top_k = 1 }):totable()
    for i = 1, 3 do assert.near(1 / 3, third[i], 1e-6) end
  end)

  it("works row by row on a batch", function()
    local rows = gpt.tensor { fixture[1].logits, fixture[2].logits }
    local options = { temperature = 0.9, top_k = 5 }
    local got = gpt.probabilities(rows, options):totable()
    for i = 1, 2 do assert.same(gpt.probabilities(rows[i], options):totable(), got[i]) end
  end)
end)

describe("gpt.sample", function()
  it("returns the first of the greatest logits by default", function()
    assert.equal(1, gpt.sample(gpt.tensor { 0.5, 2.0, 2.0 }))
    assert.equal(2, gpt.sample(gpt.tensor { -inf, -inf, -7.0 }))
    assert.same({ 1, 0 }, gpt.sample(gpt.tensor { { 0.5, 2.0, 1.0 }, { 3.0, 2.0, 1.0 } }))
    assert.equal("integer", math.type(gpt.sample(gpt.tensor { 0.5, 2.0 })))
  end)

  it("finds the first of the greatest, and what is no number, anywhere in a long row", function()
    for _, n in ipairs { 5, 63, 50257, 140001 } do
      for _, at in ipairs { 1, n // 4 + 1, n // 2 + 1, n - 1, n } do
        local logits = gpt.full({ n }, -3.5)
        logits[n], logits[at] = 2, 2
        assert.equal(at - 1, gpt.sample(logits))
        for _, bad in ipairs { nan, inf } do
          logits[at] = bad
          assert.match("logits are not numbers: id " .. at - 1 .. " has", message("sample", logits), 1, true)
        end
      end
    end
  end)

  it("reads any strides, and long rows", function()
    assert.same({ 0, 1 }, gpt.sample(gpt.tensor({ { 5.0, 1.0 }, { 1.0, 2.0 }, { 3.0, 0.0 } }):transpose(1, 2)))
    local logits = gpt.zeros(50257)
    logits[50257] = 1
    logits[50001] = 1
    assert.equal(50000, gpt.sample(logits))
  end)

  it("draws as often as the distribution says, for every option", function()
    local draws = 3000
    for _, options in ipairs {
      { temperature = 1 },
      { temperature = 0.6 },
      { temperature = 1, top_k = 4 },
      { temperature = 1, top_p = 0.8 },
      { temperature = 1, min_p = 0.1 },
      { temperature = 1, repetition_penalty = 1.5, ids = { 0, 1, 5 } },
      { temperature = 1.5, top_k = 8, top_p = 0.9, min_p = 0.05, repetition_penalty = 1.2, ids = { 2, 10 } },
    } do
      local logits, counts = gpt.tensor(fixture[2].logits), {}
      gpt.seed(123)
      for _ = 1, draws do
        local id = gpt.sample(logits, options)
        counts[id] = (counts[id] or 0) + 1
      end
      assert.is_true(excess(counts, gpt.probabilities(logits, options):totable(), draws) < 4)
    end
  end)

  it("draws from long rows as the distribution says", function()
    gpt.seed(5)
    local logits, inside, draws = gpt.randn(50257), 0, 300
    local options = { temperature = 1, top_p = 0.7 }
    local kept = gpt.probabilities(logits, options):totable()
    for _ = 1, draws do
      local id = gpt.sample(logits, options)
      assert.is_true(kept[id + 1] > 0)
      if id < 25000 then inside = inside + 1 end
    end
    assert.near(sum(table.move(kept, 1, 25000, 1, {})), inside / draws, 0.12)
  end)

  it("repeats itself with a seed, and leaves the state's random numbers alone then", function()
    local logits, options = gpt.zeros(1000), { temperature = 1, seed = 7 }
    local state = gpt.random_state()
    local first = gpt.sample(logits, options)
    assert.equal(first, gpt.sample(logits, options))
    assert.not_equal(first, gpt.sample(logits, { temperature = 1, seed = 8 }))
    assert.equal(state, gpt.random_state())
  end)

  it("goes on with the state's random numbers without a seed, and at temperature 0 uses none", function()
    local logits = gpt.zeros(1000)
    gpt.seed(11)
    local state = gpt.random_state()
    gpt.sample(logits)
    assert.equal(state, gpt.random_state())
    local first, second = gpt.sample(logits, { temperature = 1 }), gpt.sample(logits, { temperature = 1 })
    assert.not_equal(first, second)
    gpt.seed(11)
    assert.equal(first, gpt.sample(logits, { temperature = 1 }))
  end)

  it("returns the model's own log probability", function()
    local logits = gpt.tensor { 1.0, 2.0, 0.5 }
    local total = math.exp(1) + math.exp(2) + math.exp(0.5)
    local own = { 1 - math.log(total), 2 - math.log(total) }
    local id, logprob = gpt.sample(logits, { logprobs = true })
    assert.equal(1, id)
    assert.near(own[2], logprob, 1e-6)
    local options = { logprobs = true, temperature = 0.1, top_k = 1, repetition_penalty = 9, ids = { 1 } }
    id, logprob = gpt.sample(logits, options)
    assert.equal(0, id)
    assert.near(own[1], logprob, 1e-6)
    local ids, logprobs = gpt.sample(gpt.stack({ logits, logits }, 1), { logprobs = true })
    assert.same({ 1, 1 }, ids)
    assert.near(own[2], logprobs[2], 1e-6)
  end)

  it("takes the ids of the penalty row by row", function()
    local rows = gpt.tensor { { 2.0, 1.5 }, { 2.0, 1.5 }, { 2.0, 1.5 } }
    assert.same({ 1, 0, 1 }, gpt.sample(rows, { repetition_penalty = 2, ids = { { 0 }, { 1 }, { 0 } } }))
  end)

  it("keeps no memory", function()
    local logits = gpt.zeros(3, 1000)
    local function some()
      for _ = 1, 3 do
        gpt.sample(logits, { temperature = 1, top_k = 5, logprobs = true })
        pcall(gpt.sample, logits, { temperature = 1, repetition_penalty = 2, ids = { { 1000 } } })
      end
      collectgarbage()
      collectgarbage()
      return gpt.memory().live
    end
    assert.equal(some(), some())
  end)

  it("says what is wrong with the logits", function()
    local start = "user:1: gpt.sample: logits of shape [vocab] or [batch, vocab] expected, got "
    assert.equal(start .. "[1, 4, 3]; logits:select(2, -1) are the last position's",
      message("sample", gpt.zeros(1, 4, 3)))
    assert.equal(start .. "[0]", message("sample", gpt.zeros(0)))
    assert.equal(start .. "[]", message("sample", gpt.zeros(2)[1]))
    assert.equal("user:1: gpt.sample: f32 logits expected, got i64", message("sample", gpt.tensor { 1, 2 }))
    assert.equal("user:1: bad argument #1 to 'sample' (gpt.Tensor expected, got table; gpt.tensor(array) makes one)", message("sample", { 1, 2 }))
    assert.equal("user:1: logits are not numbers: id 1 has nan; look for nan and inf in the weights",
      message("sample", gpt.tensor { 1.0, nan }))
    assert.equal("user:1: logits are not numbers: id 0 has inf, and 1 more of 3 ids have nan or inf; "
      .. "look for them in the weights", message("sample", gpt.tensor { inf, 1.0, nan }))
    assert.equal("user:1: row 2: logits are not numbers: id 0 has nan; look for nan and inf in the weights",
      message("sample", gpt.tensor { { 1.0, 2.0 }, { nan, 2.0 } }))
    assert.equal("user:1: logits are all -inf: there is no id to draw",
      message("probabilities", gpt.tensor { -inf, -inf }, { temperature = 1 }))
  end)

  it("says what is wrong with the options", function()
    local logits = gpt.zeros(3)
    for _, case in ipairs {
      { { temperature = -1 }, "temperature: a finite number of at least 0 expected, got -1" },
      { { temperature = nan }, "temperature: a finite number of at least 0 expected, got nan" },
      { { temperature = "hot" }, "temperature: a finite number of at least 0 expected, got string" },
      { { top_k = 0 }, "top_k: a whole number of at least 1 expected, got 0" },
      { { top_k = 1.5 }, "top_k: a whole number of at least 1 expected, got 1.5" },
      { { top_p = 0 }, "top_p: a number above 0 and up to 1 expected, got 0" },
      { { top_p = 1.01 }, "top_p: a number above 0 and up to 1 expected, got 1.01" },
      { { min_p = -0.1 }, "min_p: a number from 0 to 1 expected, got -0.1" },
      { { repetition_penalty = 0 }, "repetition_penalty: a finite number above 0 expected, got 0" },
      { { seed = 1.5 }, "seed: a whole number expected, got 1.5" },
      { { seed = {} }, "seed: a whole number expected, got table" },
      { { ids = 5 }, "ids: an array expected, got 5" },
      { { ids = { 1.5 } }, "ids: an array of whole numbers expected, got 1.5" },
      { { topk = 5 }, "unknown option 'topk'; did you mean 'top_k'?" },
      { { max_new_tokens = 5 }, "unknown option 'max_new_tokens'" },
    } do
      assert.equal("user:1: gpt.sample: " .. case[2], message("sample", logits, case[1]))
    end
    assert.equal("user:1: gpt.sample: ids: an array of ids for each row expected, got 1",
      message("sample", gpt.zeros(2, 3), { ids = { 1, 2 } }))
    assert.equal("user:1: repetition_penalty: position 2 has id 3, which is not in the vocabulary of 3 (0 to 2)",
      message("sample", logits, { repetition_penalty = 2, ids = { 0, 3 } }))
    assert.equal("user:1: bad argument #2 to 'sample' (table expected, got number)", message("sample", logits, 5))
  end)

  it("leaves the random numbers as they were when it fails", function()
    local state = gpt.random_state()
    message("sample", gpt.tensor { 1.0, nan }, { temperature = 1 })
    assert.equal(state, gpt.random_state())
  end)
end)
