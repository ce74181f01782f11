-- Two real models, which are too large to be kept here: spec/fixtures/make_real.py says where they are from.
local files = require "spec.support.files"
local gpt = require "gpt"
local json = require "gpt.support.json"

local expected = json.decode(files.read "spec/fixtures/families/real.json")
local NEAR = 0.01 -- a choice as close as that may go another way

-- The largest difference of logits, over the largest of them.
local function difference(logits, values)
  local worst, largest = 0, 0
  for _, pair in ipairs(values) do
    local id, value = table.unpack(pair)
    worst, largest = math.max(worst, math.abs(logits[id + 1] - value)), math.max(largest, math.abs(value))
  end
  return worst / largest
end

-- Ids up to the first that another computer might not choose.
local function sure(greedy)
  local ids = {}
  for i, pair in ipairs(greedy) do
    if pair[2] <= NEAR then break end
    ids[i] = pair[1]
  end
  return ids
end

local function assert_computes(model, run)
  local logits = model(run.ids)[1][#run.ids]:totable()
  assert.is_true(difference(logits, run.logits) < 1e-3)
  local ids = sure(run.greedy)
  local generated = gpt.generate(model, run.ids, { max_new_tokens = #ids })
  assert.same(ids, table.move(generated, #run.ids + 1, #generated, 1, {}))
end

describe("with the weights as float32, logits and greedy tokens are transformers' of", function()
  for _, name in ipairs { "LUAGPT_SMOLLM2", "LUAGPT_GEMMA3" } do
    local path = os.getenv(name)
    local test = path and it or function(title) pending(title .. " (set " .. name .. " to its path)") end
    test("the model at " .. name, function()
      local model = gpt.load(path, { tokenizer = false, dtype = "f32" })
      for _, run in ipairs(expected[name].runs) do assert_computes(model, run) end
    end)

    test("the model at " .. name .. ", saved and loaded again", function()
      local place = files.directory()
      local model = gpt.load(path, { tokenizer = false })
      local logits = model(expected[name].runs[1].ids):bytes()
      model:save(place .. "/again.gguf")
      assert.equal(logits, gpt.load(place .. "/again.gguf", { tokenizer = false })(expected[name].runs[1].ids):bytes())
      model:save(place .. "/again", { dtype = "f32" })
      assert_computes(gpt.load(place .. "/again"), expected[name].runs[1])
      files.remove(place)
    end)
  end

  it("as many tokens as are sure", function()
    assert.same({ 5, 6 }, sure { { 5, 1.5 }, { 6, 0.5 }, { 7, 0.001 }, { 8, 2 } })
  end)
end)
