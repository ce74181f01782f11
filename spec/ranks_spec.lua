-- gpt.train with several ranks: what one process alone computes.
local files = require "spec.support.files"
local gpt = require "gpt"
local mpirun = require "spec.support.mpirun"
local ranks = require "spec.support.ranks"

local it_runs = mpirun.it(it, pending)

-- The lines that a rank has shown, by the word in front: { plain = "3.9 3.8", ... }
local function by_name(shown)
  local list = {}
  for name, rest in shown:gmatch "([^\n ]+) ([^\n]*)\n" do list[name] = rest end
  return list
end

local function assert_near(expected, came, name)
  local a, b = {}, {}
  for number in expected:gmatch "%S+" do a[#a + 1] = tonumber(number) end
  for number in came:gmatch "%S+" do b[#b + 1] = tonumber(number) end
  assert.equal(#a, #b, name)
  for i, number in ipairs(a) do assert.near(number, b[i], 1e-5 * math.max(1, math.abs(number)), name) end
end

local ALL_RUNS = [[
local ranks = require "spec.support.ranks"
local names = {}
for name in pairs(ranks.runs) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local losses, result, model = ranks.runs[name](world)
  show(name, losses)
  show(name .. ".weights", ranks.weights(model))
end
]]

describe("gpt.train with several ranks", function()
  local alone = {}
  local function expected()
    if not alone.plain then
      for name, run in pairs(ranks.runs) do alone[name] = run(gpt.world()) end
    end
    return alone
  end

  it_runs("has the losses of one process, whatever is trained, and the same weights everywhere", function()
    for size = 2, 3 do
      local shown, output, ok = mpirun.run(size, ALL_RUNS .. [[
-- again, and with optimizers that are the script's own: the same bits
local first = ranks.train { world = world }
show("again", first, tostring(first == ranks.train { world = world }))
]])
      assert.is_true(ok, output)
      local first = by_name(shown[0])
      for name, losses in pairs(expected()) do assert_near(losses, first[name], name) end
      assert.equal(first.plain .. " true", first.again)
      assert.equal(first.plain, first.recompute)
      for rank = 1, size - 1 do assert.same(first, by_name(shown[rank])) end
    end
  end)

  it_runs("adds gradients up while backward goes on, in buckets that the model's shapes decide", function()
    local shown, output, ok = mpirun.run(2, [[
local core, ranks = require "gpt.core", require "spec.support.ranks"
local function buckets(model, recompute)
  local list = {}
  for _, p in model:parameters() do list[#list + 1] = p end
  if recompute then model:recompute() end
  local reducer = core._reducer(world, list)
  local ids = { { 1, 2, 3, 4, 5 + rank } }
  model:eval()
  model:loss(ids, ids):backward()          -- not watched: nothing begins
  show((reducer:begun()))
  reducer:watch()
  if rank == 0 then model:loss(ids, ids):backward() end
  local begun, count = reducer:begun()
  show(begun, count)
  reducer:finish()
  show((reducer:begun()))
  local sum = 0
  for _, square in ipairs(reducer:squares()) do sum = sum + square end
  show(("%.5g"):format(sum))
end
-- 2,097,152 numbers are a bucket: a larger matrix is cut
local large = { emb_dim = 256, vocab_size = 20000, n_layers = 1 }
buckets(ranks.model(large))
buckets(ranks.model(large), true)
large.tie_weights = true
buckets(ranks.model(large))
]])
    assert.is_true(ok, output)
    local squares = {}
    for line in shown[0]:gmatch "[^\n]+" do squares[#squares + 1] = line end
    assert.same({ "0", "7 7", "0", squares[4], "0", "7 7", "0", squares[4], "0", "4 4", "0" },
      table.move(squares, 1, 11, 1, {}))
    assert.equal(shown[0]:gsub("%d+ (%d+)\n", "0 %1\n"), shown[1])
  end)

  it_runs("goes on bit for bit, and with another number of ranks within rounding; one rank writes and tells", function()
    local dir = files.directory()
    local script = ([[
local ranks = require "spec.support.ranks"
local dir, log = %q, {}
local function run(options)
  options.world, options.checkpoints = world, dir .. "/runs"
  options.validation = options.data or ranks.data():split(0.5)
  options.evaluate_every, options.evaluate_batches = 2, 5
  options.metrics = dir .. "/metrics.csv"
  options.on_step = function(event) log[#log + 1] = event.step end
  options.on_checkpoint = function(event) log[#log + 1] = event.file:match "step.*" end
  return ranks.train(options)
end
]]):format(dir)
    local shown, output, ok = mpirun.run(2, script .. [[
local whole, result, model = run { steps = 6, resume = true, checkpoint_every = 3 }
show("whole", whole)
show("evaluations", result.evaluations[1].loss, result.validation_loss, result.best.step)
show("weights", ranks.weights(model))
show("log", table.concat(log, " "))
show("checkpoint", tostring(result):match "checkpoint (%S+)")
if rank == 0 then os.execute(("cp -r %s/runs %s/kept && rm %s/runs/step-00000006.safetensors"):format(dir, dir, dir)) end
if rank == 0 then os.execute(("echo '{\"files\": [\"step-00000003.safetensors\"]}' > %s/runs/checkpoints.json"):format(dir)) end
world:barrier()
local again, _, other = run { steps = 6, resume = true }
show("again", again)
show("weights", ranks.weights(other))
local adamw = gpt.optim.AdamW(ranks.model(), { moment_dtype = "q8" })
]])
    assert.is_true(ok, output)
    local first, second = by_name(shown[0]), by_name(shown[1])
    assert.equal(first.whole, first.again)
    assert.equal("1 2 3 step-00000003.safetensors 4 5 6 step-00000006.safetensors", first.log)
    assert.equal("", second.log)
    first.log, second.log = nil, nil
    assert.same(first, second)
    assert.equal(dir .. "/runs/step-00000006.safetensors", first.checkpoint)
    local weights = {}
    for value in shown[0]:gmatch "weights (%d+)" do weights[#weights + 1] = value end
    assert.equal(weights[1], weights[2])
    local _, lines = files.read(dir .. "/metrics.csv"):gsub("\n", "\n")
    assert.equal(7, lines)
    assert.same({ "best.safetensors", "checkpoints.json", "step-00000003.safetensors", "step-00000006.safetensors" },
      files.list(dir .. "/runs"))

    -- alone, from what two ranks have written: the same steps after it
    local one = ranks.train { steps = 6, world = gpt.world() }
    assert_near(one, first.whole, "alone")
    files.remove(dir .. "/runs")
    files.copy(dir .. "/kept", dir .. "/runs")
    files.write(dir .. "/runs/checkpoints.json", '{"files": ["step-00000003.safetensors"]}')
    local resumed = ranks.train { steps = 6, world = gpt.world(), checkpoints = dir .. "/runs", resume = true }
    assert_near(one, resumed, "resumed")
    files.write(dir .. "/runs/checkpoints.json", '{"files": ["step-00000003.safetensors"]}')
    shown, output, ok = mpirun.run(3, script .. [[show("three", (run { steps = 6, resume = true }))]])
    assert.is_true(ok, output)
    assert_near(one, by_name(shown[2]).three, "three")
    files.remove(dir)
  end)

  it_runs("gives a script's own optimizer its moments back, whole, of any dtype", function()
    local body = [[
for _, dtype in ipairs { "f32", "bf16", "q8" } do
  local model = ranks.model()
  local optimizer = gpt.optim.AdamW(model, { lr = 1e-3, moment_dtype = dtype })
  ranks.train { world = world, model = model, optimizer = optimizer }
  local state, sum = optimizer:state(), 0
  for name, tensor in pairs(state.tensors) do
    if not name:find "scale" and dtype ~= "q8" then sum = sum + tensor:float():abs():sum():item() end
    if name:find "scale" then sum = sum + tensor:abs():sum():item() end
  end
  show(dtype, ("%.6g"):format(sum), state.step)
  ranks.train { world = world, model = model, optimizer = optimizer } -- and goes on with them
  show(dtype .. ".more", optimizer:state().step)
end
]]
    local shown, output, ok = mpirun.run(2, 'local ranks = require "spec.support.ranks"\n' .. body)
    assert.is_true(ok, output)
    local lines = {}
    local function show(...) lines[#lines + 1] = table.concat({ ... }, " ") .. "\n" end
    local env = { ranks = ranks, gpt = gpt, world = gpt.world(), show = show }
    assert(load(body, "body", "t", setmetatable(env, { __index = _G })))()
    local expects, came = by_name(table.concat(lines)), by_name(shown[1])
    assert.same(by_name(shown[0]), came)
    for name, text in pairs(expects) do
      for a, b in (text .. " " .. came[name]):gmatch "(%S+) %S+ (%S+)" do
        assert.near(1, tonumber(a) / tonumber(b), 2e-3, name)
      end
    end
    assert.equal("6", came["q8.more"])
  end)

  it_runs("says which rank differs, and in what, before anything is trained", function()
    local dir = files.directory()
    local shown, output, ok = mpirun.run(2, ([[
local ranks = require "spec.support.ranks"
local dir = %q
local function try(options)
  options.world = world
  local ok, problem = pcall(ranks.train, options)
  show((tostring(problem):gsub("^.-:%%d+: ", "")))
end
local odd = rank == 1
try { model = ranks.model { emb_dim = odd and 32 or 64, n_heads = odd and 4 or 2 } }
try { steps = odd and 4 or 3, lr = odd and 2e-3 or nil, validation = odd and ranks.data() or nil }
try { data = ranks.data():split(odd and 0.5 or 0.6) }
local other = ranks.model()
gpt.no_grad(function() if odd then other.blocks[2].attention.query.weight:fill(1) end end)
try { model = other }
if odd then gpt.set_precision "bf16" end
try {}
gpt.set_precision "f32"
local frozen = ranks.model()
if odd then frozen.head:freeze() end
try { model = frozen }
local ids = {}
for i = 1, 200 do ids[i] = i %% (odd and 7 or 8) end
try { data = gpt.dataset(ids, { context_length = 16 }) }
package.loaded.gpt = setmetatable({ _VERSION = "luagpt " .. rank }, { __index = gpt })
try {}
package.loaded.gpt = gpt
try { checkpoints = dir .. "/" .. rank, steps = 2, checkpoint_every = 2, resume = true }
try { accumulate = 1 }
local model = ranks.model()
local extra = gpt.ones(3):requires_grad(true)
try { model = model, optimizer = gpt.optim.AdamW({ model, extra }, { lr = 1 }) }
try { model = model, optimizer = gpt.optim.AdamW(model, { lr = odd and 1e-3 or 2e-3 }) }
]]):format(dir))
    assert.is_true(ok, output)
    assert.equal(shown[0], shown[1])
    local lines = {}
    for line in shown[0]:gmatch "[^\n]+" do lines[#lines + 1] = line end
    local function differs(i, text) assert.equal("gpt.train: rank 1 differs from rank 0: " .. text, lines[i]) end
    differs(1, "config.emb_dim is 32, not 64; config.n_heads is 4, not 2; parameter blocks.1.attention.key.bias is "
      .. "f32 [32], not f32 [64]; parameter blocks.1.attention.key.weight is f32 [32, 32], not f32 [64, 64]; and 35 more")
    local shape = 'Schedule { shape = "constant", lr = %s, steps = %d, warmup = 0 }'
    differs(2, ("lr is 0.002, not 0.001; schedule is %s, not %s; steps is 4, not 3; validation.batch_size is 2, which "
      .. "rank 0 does not have; and 6 more"):format(shape:format("0.002", 4), shape:format("0.001", 3)))
    differs(3, "data.tokens is 600, not 720; data.windows is 37, not 44; the ids of batch 1 of data are others")
    differs(4, "the weights of blocks.2.attention.query.weight are others (weights are the same after the same gpt.seed, "
      .. "or from the same file; the directory of checkpoints has to be one that all ranks see)")
    differs(5, 'gpt.precision() is "bf16", not "f32"')
    differs(6, "parameter head.weight is f32 [50, 64], frozen, not f32 [50, 64]")
    differs(7, "the ids of batch 1 of data are others; the ids of batch 2 of data are others")
    differs(8, "luagpt is luagpt 1, not luagpt 0")
    differs(9, ('checkpoints is "%s/1", not "%s/0"'):format(dir, dir))
    assert.equal("gpt.train: accumulate: at least a batch for each of the 2 ranks expected, got 1", lines[10])
    assert.equal("gpt.train: optimizer: its parameter '2' is none that the model trains: with several ranks, nobody "
      .. "would add up its gradients", lines[11])
    differs(12, "optimizer is AdamW { lr = 0.001, betas = { 0.9, 0.999 }, eps = 1e-08, weight_decay = 0.01 }, "
      .. "not AdamW { lr = 0.002, betas = { 0.9, 0.999 }, eps = 1e-08, weight_decay = 0.01 }")
    files.remove(dir)
  end)
end)
