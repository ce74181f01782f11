local gpt = require "gpt"
local fixture = dofile "spec/fixtures/random.lua"

-- What a call as a user writes it raises.
local function message(name, ...)
  local call = load("local gpt = ... gpt." .. name .. "(select(2, ...))", "=user")
  local ok, text = pcall(call, gpt, ...)
  assert.is_false(ok)
  return text
end

describe("gpt.seed", function()
  it("takes any whole number", function()
    for _, n in ipairs { 0, 123, -1, 2.0, math.maxinteger, math.mininteger } do gpt.seed(n) end
  end)

  it("refuses anything else", function()
    local start = "user:1: bad argument #1 to 'seed' (a whole number expected, got "
    assert.equal(start .. "1.5)", message("seed", 1.5))
    assert.equal(start .. "string)", message("seed", "3"))
    assert.equal(start .. "no value)", message("seed"))
  end)
end)

describe("gpt.random_state", function()
  it("leads back, by itself or by its text", function()
    gpt.seed(123)
    local state = gpt.random_state()
    assert.truthy(state.text:match("^mt19937 123 624 0 0+ %x+$"))
    gpt.seed(5)
    assert.not_equal(state, gpt.random_state())
    gpt.random_state(state)
    assert.equal(state, gpt.random_state())
    gpt.seed(5)
    gpt.random_state(state.text)
    assert.equal(state, gpt.random_state())
  end)

  it("prints in a line", function()
    gpt.seed(123)
    assert.equal("RandomState { seed 123, word 624 of 624, block ..." .. gpt.random_state().text:sub(-8) .. " }",
      tostring(gpt.random_state()))
    gpt.rand(3)
    assert.truthy(tostring(gpt.random_state()):find("seed 123, word 3 of 624", 1, true))
  end)

  it("is what a seed alone decides", function()
    gpt.seed(123)
    local state = gpt.random_state()
    gpt.seed(124)
    gpt.seed(123)
    assert.equal(state, gpt.random_state())
  end)

  it("refuses what is not one, and stays as it was", function()
    gpt.seed(7)
    local before = gpt.random_state()
    local state = before.text
    local text = "user:1: gpt.random_state: a random state expected, as gpt.random_state() returns one, got "
    local bad = {
      "", "mt19937", state:sub(1, -2), state .. "0", state:sub(1, -2) .. "x",
      (state:gsub(" 624 ", " 625 ")), (state:gsub(" 624 ", " -1 ")), (state:gsub(" 0 ", " 2 ", 1)),
    }
    for _, s in ipairs(bad) do assert.equal(text .. "another string", message("random_state", s)) end
    assert.equal(text .. "nil", message("random_state", nil))
    assert.equal(text .. "a table", message("random_state", { state }))
    assert.equal(before, gpt.random_state())
  end)
end)

describe("random tensors", function()
  for _, sequence in ipairs(fixture) do
    it("are PyTorch's to the last bit, seed " .. sequence.seed, function()
      gpt.seed(sequence.seed)
      for i, call in ipairs(sequence) do
        local name, arguments, expected = table.unpack(call)
        if name == "randperm" then
          for k = 1, #expected do expected[k] = expected[k] + 1 end
        end
        local got = gpt[name](table.unpack(arguments)):totable()
        assert.same(expected, got, ("call %d, %s(%s)"):format(i, name, table.concat(arguments, ", ")))
      end
      assert.is_true(#sequence > 15)
    end)
  end

  it("begin as the printed ones do", function()
    gpt.seed(123)
    local x = gpt.randn(2, 3, 4):totable()
    assert.equal("0.3374 -0.1778 -0.3035 -0.5880", ("%.4f %.4f %.4f %.4f"):format(table.unpack(x[1][1])))
  end)

  it("come again from a saved state, a waiting normal included", function()
    gpt.seed(99)
    gpt.randn(3)
    local state = gpt.random_state()
    local a, b = gpt.randn(2):totable(), gpt.rand(700):totable()
    gpt.random_state(state)
    assert.same(a, gpt.randn(2):totable())
    assert.same(b, gpt.rand(700):totable())
  end)
end)

describe("bare layers", function()
  local sequence = fixture.layers[1]

  it("begin as PyTorch's do, one after the other", function()
    gpt.seed(sequence.seed)
    for i, made in ipairs(sequence) do
      local kind, sizes, expected = table.unpack(made)
      local layer = gpt.nn[kind](sizes[1], sizes[2], kind == "Linear" and { bias = #expected == 2 } or nil)
      local drawn = {}
      for _, parameter in layer:parameters() do
        table.insert(drawn, parameter:detach():reshape(-1):totable())
      end
      assert.same(expected, drawn, ("layer %d, a %s"):format(i, kind))
    end
    assert.equal(5, #sequence)
  end)
end)
