local name_list = require "gpt.support.name_list"

describe("name_list.names", function()
  it("folds names that differ in their first number into runs", function()
    assert.same({ "h.2..h.4.attn.c_attn.weight", "h.7.attn.c_attn.weight", "wte.weight", "h.1.ln_1.bias" },
      name_list.names { "h.2.attn.c_attn.weight", "wte.weight", "h.7.attn.c_attn.weight", "h.4.attn.c_attn.weight",
        "h.1.ln_1.bias", "h.3.attn.c_attn.weight" })
  end)

  it("keeps names apart that differ in anything else", function()
    assert.same({ "blocks.1.norm1.weight", "blocks.1.norm2.weight", "w is [2, 3], not [2, 4]" },
      name_list.names { "blocks.1.norm1.weight", "blocks.1.norm2.weight", "w is [2, 3], not [2, 4]" })
    assert.same({ "x.99999999.y", "x1", "x2", "" }, name_list.names { "x.99999999.y", "x1", "x2", "" })
  end)
end)

describe("name_list.line", function()
  it("joins, and says how many more there are", function()
    assert.equal("a, b", name_list.line { "a", "b" })
    local names = {}
    for i = 1, 100 do names[i] = ("%s"):format(("abcdefghij"):rep(i % 3 + 1)) .. string.char(64 + i) end
    local line = name_list.line(names)
    assert.is_true(#line < 500)
    assert.matches(", and %d+ more$", line)
    assert.equal(("z"):rep(147) .. "...", name_list.line { ("z"):rep(1000) })
  end)
end)
