local gpt = require "gpt"
local Row = require "gpt.generate.row"
local Run = require "gpt.generate.run"
local checks = require "gpt.generate.options"
local slices = require "gpt.generate.slices"
local source = require "gpt.generate.source"

describe("the share of prompts in a pass", function()
  it("leaves rows that lack one token theirs", function()
    assert.same({ 1, 1 }, slices.share({ 1, 1 }, 4))
    assert.same({ 1, 4, 1 }, slices.share({ 1, 9, 1 }, 4))
  end)

  it("is all of them without a limit", function()
    assert.same({ 5, 1, 900 }, slices.share({ 5, 1, 900 }, math.huge))
    assert.same({ 5, 2 }, slices.share({ 5, 2 }, 8))
  end)

  it("is half for the oldest, and the rest for the shortest first", function()
    assert.same({ 4, 0, 4 }, slices.share({ 100, 90, 10 }, 8))
    assert.same({ 4, 1, 3 }, slices.share({ 100, 90, 3 }, 8))
    assert.same({ 3, 5 }, slices.share({ 3, 100 }, 8))
    assert.same({ 1, 0 }, slices.share({ 9, 9 }, 1))
  end)
end)

describe("rows that join and leave", function()
  local config = gpt.config("gpt2-small", {
    vocab_size = 40, context_length = 32, emb_dim = 16, n_heads = 2, n_layers = 2, drop_rate = 0,
  })
  gpt.seed(1)
  local model = gpt.Model(config)

  -- A store of fresh sessions that notes what the passes are.
  local function store(opened)
    return {
      open = function(_, row)
        local session = model:session()
        opened[row.number] = session
        return session
      end,
      close = function(_, row) row.session:free() end,
    }
  end

  local function row(ids, number, n)
    local settings = checks.read("spec", { max_new_tokens = n })
    return Row.new("spec", settings, { ids = ids, form = "ids" }, number)
  end

  local function alone(ids, n)
    local whole = model:generate(ids, { max_new_tokens = n })
    return table.move(whole, #ids + 1, #whole, 1, {})
  end

  local long = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4 }

  it("get the tokens that each gets alone, prompts in slices", function()
    local opened = {}
    local run = Run.over(source.stored(store(opened), 32, 4))
    local first, second = row({ 7 }, 1, 10), row(long, 2, 5)
    run:join(first)
    run:step()
    run:join(second)
    local lengths = {}
    for i = 1, 5 do
      run:step()
      lengths[i] = opened[2].length
      assert.equal(i + 1, #first.output.ids)
    end
    assert.same({ 4, 8, 12, 16, 20 }, lengths)
    assert.equal(1, #second.output.ids)
    while run:step() do end
    assert.same(alone({ 7 }, 10), first.output.ids)
    assert.same(alone(long, 5), second.output.ids)
  end)

  it("may leave in the middle, and the others go on", function()
    local run = Run.over(source.stored(store {}, 32, 4))
    local first, second = row({ 7 }, 1, 10), row({ 8, 9 }, 2, 10)
    run:join(first)
    run:join(second)
    run:step()
    run:leave(first)
    assert.is_nil(first.session)
    while run:step() do end
    assert.equal(1, #first.output.ids)
    assert.same(alone({ 8, 9 }, 10), second.output.ids)
    assert.same({ second }, run.rows)
  end)

  it("see the last tokens past the context's end, also in slices", function()
    local run = Run.over(source.stored(store {}, 32, 5))
    local only = row(long, 1, 20)
    run:join(only)
    while run:step() do end
    assert.same(alone(long, 20), only.output.ids)
  end)
end)
