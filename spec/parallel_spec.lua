local gpt = require "gpt"

describe("threads", function()
  after_each(function() gpt.set_threads() end)

  it("are as many as was asked for, from 1", function()
    gpt.set_threads(3)
    assert.equal(3, gpt.threads())
    gpt.set_threads(1)
    assert.equal(1, gpt.threads())
  end)

  it("are by default as many as the process may use", function()
    local default = gpt.threads()
    assert.is_true(default >= 1)
    for _, way in ipairs { function() gpt.set_threads() end, function() gpt.set_threads(0) end } do
      gpt.set_threads(default + 1)
      way()
      assert.equal(default, gpt.threads())
    end
  end)

  it("are at most 256", function()
    gpt.set_threads(math.maxinteger)
    assert.equal(256, gpt.threads())
  end)

  it("are a whole number", function()
    local expected = "gpt.set_threads: a number of threads expected (0 or nil for the default), got "
    for text, value in pairs { ["-1"] = -1, ["1.5"] = 1.5, ["2.0"] = 2.0, two = "two", ["2"] = "2" } do
      local ok, message = pcall(gpt.set_threads, value)
      assert.is_false(ok)
      assert.equal(expected .. text, (message:gsub("^[^ ]*parallel_spec.lua:%d+: ", "")))
    end
  end)
end)
