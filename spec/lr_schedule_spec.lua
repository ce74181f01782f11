-- Learning rates by step.
local gpt = require "gpt"
local cases = require "spec.fixtures.schedules"
local raised = require "spec.support.raised"

describe("gpt.lr_schedule", function()
  it("warms up, then decays along a cosine", function()
    local rate = gpt.lr_schedule { lr = 1, warmup = 4, steps = 12, min_lr = 0.2 }
    local expected = { [0] = 0, 0.25, 0.5, 0.75, 1, [6] = 0.2 + 0.4 * (1 + math.sqrt(0.5)), [8] = 0.6,
      [10] = 0.2 + 0.4 * (1 - math.sqrt(0.5)), [12] = 0.2, [100] = 0.2 }
    for step, value in pairs(expected) do assert.near(value, rate(step), 1e-12) end
  end)

  it("ends at a tenth, where nothing else is said", function()
    local rate = gpt.lr_schedule { lr = 2, steps = 10 }
    assert.near(0.2, rate(10), 1e-12)
    assert.is_true(rate(1) > 1.9)
  end)

  it("stays at its height where it only warms up", function()
    local rate = gpt.lr_schedule { lr = 1, warmup = 3, steps = 3 }
    for step, expected in pairs { 1 / 3, 2 / 3, 1, 1, [9] = 1 } do assert.near(expected, rate(step), 1e-12) end
  end)

  it("says what is wrong", function()
    assert.equal("gpt.lr_schedule: lr: a finite number above 0 expected, got -1",
      raised(gpt.lr_schedule, { lr = -1, steps = 10 }))
    assert.equal("gpt.lr_schedule: lr: a finite number above 0 expected, got nan",
      raised(gpt.lr_schedule, { lr = 0 / 0, steps = 10 }))
    local function refusal(options)
      options.lr, options.steps = 1, 10
      return (raised(gpt.lr_schedule, options):gsub("^gpt.lr_schedule: ", ""))
    end
    assert.equal("min_lr: at most lr, 1, expected, got 2", refusal { min_lr = 2 })
    assert.equal('shape: "constant", "linear", "cosine" or "wsd" expected, got "liner"; did you mean "linear"?',
      refusal { shape = "liner" })
    assert.equal('min_lr: the shape "constant" has none, it ends where it was', refusal { shape = "constant", min_lr = 0 })
    assert.equal('decay: only the shape "wsd" has it, this one is "cosine"', refusal { decay = 3 })
    assert.equal("decay: with a warm-up of 3 at most 7 of 10 steps expected, got 8",
      refusal { shape = "wsd", warmup = 3, decay = 8 })
    assert.equal("decay: a whole number of at least 1 expected, got 0", refusal { shape = "wsd", decay = 0 })
    assert.equal("a schedule has no field 'rate'; it has decay, lr, min_lr, shape, steps, warmup",
      raised(function() return gpt.lr_schedule({ lr = 1, steps = 3 }).rate end))
  end)

  it("has transformers' rates", function()
    for _, case in ipairs(cases) do
      local rate = gpt.lr_schedule(case.options)
      for step, expected in ipairs(case.rates) do assert.near(expected, rate(step), 1e-11) end
    end
  end)

  it("decays in the last fifth where nothing else is said, and stays at the lowest rate", function()
    local rate = gpt.lr_schedule { shape = "wsd", lr = 1, steps = 100 }
    for step, expected in pairs { [1] = 1, [80] = 1, [90] = 0.55, [100] = 0.1, [150] = 0.1 } do
      assert.near(expected, rate(step), 1e-12)
    end
    assert.equal(3, gpt.lr_schedule({ shape = "wsd", lr = 1, steps = 10, warmup = 7, decay = 3 }).decay)
    assert.equal(1, gpt.lr_schedule({ shape = "wsd", lr = 1, steps = 3, warmup = 3 })(3))
    assert.equal(2, gpt.lr_schedule({ shape = "constant", lr = 2, steps = 3, warmup = 5 })(9))
  end)

  it("prints what it is, and its curve", function()
    assert.equal('Schedule { shape = "wsd", lr = 0.001, steps = 20, warmup = 4, min_lr = 0.0001, decay = 8 }\n'
      .. "▂▄▆█████████▇▆▅▅▄▃▂▁", tostring(gpt.lr_schedule { shape = "wsd", lr = 1e-3, steps = 20, warmup = 4,
        decay = 8 }))
    assert.equal('Schedule { shape = "constant", lr = 2, steps = 4, warmup = 2 }\n▁███',
      tostring(gpt.lr_schedule { shape = "constant", lr = 2, steps = 4, warmup = 2 }))
  end)
end)
