local gpt = require "gpt"
local gradients = require "spec.support.gradients"

describe("the numeric check of gradients", function()
  local x = gpt.tensor { 0.5, -1.5, 2.25 }

  it("counts what it compared", function()
    assert.equal(3, gradients.check(function(t) return t * t end, { x }))
    assert.equal(6, gradients.check(function(a, b) return a * b end, { x, x + 1 }))
  end)

  it("notices a wrong gradient", function()
    local ok, text = pcall(gradients.check, function(t) return t + t:detach() * 1e-2 end, { x })
    assert.is_false(ok)
    assert.truthy(text:match("^input 1, element 1: backward gives %-0%.69%d+, differences %-0%.69%d+ %+%- [%de.-]+$"))
  end)

  it("refuses a place where it cannot tell", function()
    local ok, text = pcall(gradients.check, function(t) return (t - 0.49):abs() end, { x })
    assert.is_false(ok)
    assert.truthy(text:match(": too rough here to compare$"))
  end)
end)
