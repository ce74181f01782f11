local gpt = require "gpt"

describe("tables that the module returns", function()
  it("are plain tables that print as Lua", function()
    assert.equal("{ 2, 3 }", tostring(gpt.zeros(2, 3):shape()))
    assert.equal("{ { 1, 2 }, { 0.5, -1 } }", tostring(gpt.tensor { { 1.0, 2.0 }, { 0.5, -1.0 } }:totable()))
    assert.equal("{}", tostring(gpt.zeros(0):totable()))
    assert.matches("^{ cached = %d+, limit = 0, live = %d+, mapped = %d+, peak = %d+, system_calls = %d+ }$",
      tostring(gpt.memory()))
    local function next_id(ids) return gpt.ones(#ids, 5) * gpt.arange(0, 4):eq((#ids + 1) % 5) end
    local options = { context_length = 9, max_new_tokens = 3 }
    assert.equal("{ 4, 2, 3, 4 }", tostring(gpt.generate(next_id, { 4 }, options)))
    assert.equal("{ { 4, 2, 3, 4 }, { 1, 1, 3, 4, 0 } }", tostring(gpt.generate(next_id, { { 4 }, { 1, 1 } }, options)))
    local long = gpt.arange(1, 100):totable()
    assert.equal("{ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, ..., 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, "
      .. "98, 99, 100 }  -- 100 items", tostring(long))
    assert.same({ 2, 3 }, gpt.zeros(2, 3):shape())
  end)
end)

describe("a value that was freed", function()
  it("prints", function()
    local config = { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0, qkv_bias = false }
    local session = gpt.Model(config):session { seed = -1 }
    assert.equal("Session(0 of 4 tokens)", tostring(session))
    session:free()
    assert.equal("Session (freed)", tostring(session))
    local kept
    do
      local tokenizer <close> = gpt.tokenizer "spec/fixtures/tokenizer"
      kept = tokenizer
    end
    assert.equal("Tokenizer (freed)", tostring(kept))
  end)
end)
