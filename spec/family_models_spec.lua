-- Models of every family beside transformers' (spec/fixtures/make_family_models.py): logits, with and without a cache,
-- and losses of training steps.
local gpt = require "gpt"
local json = require "gpt.support.json"

local cases = json.read "spec/fixtures/family_models.json"
local SPREAD = 2.0

-- Draws the weights as the fixture's script does.
local function draw(model, case)
  local tensors, paths = {}, {}
  for path, tensor in model:parameters() do
    tensors[path], paths[#paths + 1] = tensor, path
  end
  table.sort(paths)
  gpt.seed(case.seed)
  gpt.no_grad(function()
    for _, path in ipairs(paths) do
      local shape = tensors[path]:shape()
      local flat = #shape == 1
      local numbers = gpt.randn(shape) * (flat and 0.2 or SPREAD / shape[#shape] ^ 0.5)
      local centred = flat and path:find "norm" and not case.config.family:find "gemma"
      tensors[path]:copy(centred and numbers + 1.0 or numbers)
    end
  end)
  return model
end

local function config_of(case)
  local config = { drop_rate = 0.0 }
  for key, value in pairs(case.config) do config[key] = value end
  return config
end

local function new_model(case) return draw(gpt.Model(config_of(case)), case) end

-- The largest difference from the expected logits, relative to the largest of those.
local function distance(expected, logits)
  expected = gpt.tensor(expected)
  return (logits - expected):abs():max():item() / expected:abs():max():item()
end

-- The logits of session i after so many tokens of its row, from passes of several sizes.
local function fed(sessions, rows, sizes)
  local found, first = {}, 1
  for i in ipairs(rows) do found[i] = {} end
  for _, size in ipairs(sizes) do
    local lists = {}
    for i, row in ipairs(rows) do lists[i] = table.move(row, first, first + size - 1, 1, {}) end
    local logits = gpt.feed(sessions, lists)
    first = first + size
    for i in ipairs(rows) do found[i][first - 1] = logits[i]:clone() end
  end
  return found
end

local ONES = {}
for i = 1, 17 do ONES[i] = 1 end

for _, case in ipairs(cases.models) do
  describe("a model of " .. case.name, function()
    local model
    setup(function() model = new_model(case):eval() end)
    teardown(function() model = nil end)

    it("returns transformers' logits", function()
      local logits = gpt.no_grad(model, case.ids)
      for _, place in ipairs(case.logits) do
        assert.is_true(distance(place.values, logits[place.row][place.position]) < 1e-4)
      end
    end)

    it("returns them over a cache, token by token and in slices, past the edge of a window", function()
      for _, sizes in ipairs { ONES, { 6, 4, 1, 1, 5 }, { 10, 7 } } do
        local found = fed({ model:session(), model:session() }, case.ids, sizes)
        for _, place in ipairs(case.logits) do
          local logits = found[place.row][place.position]
          if logits then assert.is_true(distance(place.values, logits) < 1e-4) end
        end
      end
    end)

    it("returns them in ragged batches, after a fork and a rewind", function()
      local long, short = model:session(), model:session()
      long:feed(table.move(case.ids[1], 1, 12, 1, {}))
      local fork = long:fork()
      fork:feed { 1, 2, 3, 4, 5 }
      fork:rewind(9)
      short:feed(table.move(case.ids[2], 1, 3, 1, {}))
      local logits = gpt.feed({ fork, short, long }, { table.move(case.ids[1], 10, 17, 1, {}),
        table.move(case.ids[2], 4, 17, 1, {}), table.move(case.ids[1], 13, 17, 1, {}) })
      for _, place in ipairs(case.logits) do
        if place.position == 17 and place.row == 1 then
          assert.is_true(distance(place.values, logits[1]) < 1e-4)
          assert.is_true(distance(place.values, logits[3]) < 1e-4)
        elseif place.position == 17 then
          assert.is_true(distance(place.values, logits[2]) < 1e-4)
        end
      end
    end)

    it("generates the same with and without a cache", function()
      local options = { max_new_tokens = 20 }
      local cached = model:generate(case.ids[1], options)
      options.use_cache = false
      assert.same(cached, model:generate(case.ids[1], options))
    end)

    it("trains as PyTorch trains it", function()
      local trained = new_model(case)
      local optimizer = gpt.optim.AdamW(trained, { lr = 1e-3, weight_decay = 0.01 })
      for _, expected in ipairs(case.losses) do
        local loss = trained:loss(case.ids, case.targets)
        assert.is_true(math.abs(loss:item() - expected) < 1e-3)
        optimizer:zero_grad()
        loss:backward()
        optimizer:step()
      end
    end)
  end)
end
