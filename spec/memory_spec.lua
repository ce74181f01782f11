local gpt = require "gpt"

-- The message of the error that fn(...) raises, and whether it names this file.
local function message_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  local here, text = message:match("^(%S*memory_spec%.lua:%d+): (.*)$")
  return text or message, here ~= nil
end

describe("gpt.memory", function()
  after_each(function()
    gpt.memory { limit = 0 }
  end)

  it("counts bytes", function()
    local memory = gpt.memory()
    for _, name in ipairs { "live", "peak", "cached", "mapped", "limit", "system_calls" } do
      assert.equal("integer", math.type(memory[name]), name)
    end
    assert.is_true(memory.peak >= memory.live)
  end)

  it("sets a limit and keeps it", function()
    assert.equal(12345, gpt.memory({ limit = 12345 }).limit)
    assert.equal(12345, gpt.memory().limit)
    assert.equal(1 << 40, gpt.memory({ limit = 2 ^ 40 }).limit)
  end)

  it("refuses an unknown option, at the caller's line", function()
    assert.same({ "gpt.memory: unknown option 'limt'; did you mean 'limit'?", true },
      { message_of(function() gpt.memory { limt = 1 } end) })
    assert.same({ "gpt.memory: unknown option 'colour'", true },
      { message_of(function() gpt.memory { colour = 1 } end) })
    assert.same({ "gpt.memory: unknown option '1'", true },
      { message_of(function() gpt.memory { 100 } end) })
  end)

  it("refuses what is no number of bytes, and keeps the limit", function()
    gpt.memory { limit = 777 }
    local expected = "gpt.memory: limit: a whole number of bytes expected (0 for none), got "
    for shown, value in pairs { ["-1"] = -1, ["1.5"] = 1.5, ["many"] = "many", ["true"] = true } do
      assert.same({ expected .. shown, true }, { message_of(function() gpt.memory { limit = value } end) })
    end
    assert.same({ expected .. "nil", true }, { message_of(function() gpt.memory {} end) })
    assert.equal(777, gpt.memory().limit)
  end)

  it("wants a table", function()
    assert.same({ "bad argument #1 to 'memory' (table expected, got number)", true },
      { message_of(function() gpt.memory(5) end) })
  end)
end)

describe("gpt.memory", function()
  it("follows what is made and freed", function()
    collectgarbage()
    gpt.trim()
    local before, bytes = gpt.memory(), 1 << 20
    local t = gpt.zeros(bytes // 4)
    local made = gpt.memory()
    assert.is_true(made.live - before.live >= bytes and made.peak >= made.live)
    t:free()
    local freed = gpt.memory()
    assert.is_true(freed.live - before.live < 1000 and freed.cached >= bytes and freed.peak >= made.live)
    t = gpt.zeros(bytes // 4)
    assert.is_true(gpt.memory().cached < bytes // 2)
    t:free()
  end)
end)

describe("gpt.trim", function()
  it("leaves nothing cached", function()
    gpt.trim()
    assert.equal(0, gpt.memory().cached)
  end)
end)
