-- gpt.train with several ranks, of which one fails or is killed, or all are interrupted.
local files = require "spec.support.files"
local mpirun = require "spec.support.mpirun"

local it_runs = mpirun.it(it, pending)

-- A run of nine steps with a checkpoint at every other one; `fault` is Lua that runs before batch `number` of a rank is taken.
local function run(ranks, dir, fault, more, options)
  return mpirun.run(ranks, ([[
local ranks = require "spec.support.ranks"
local data = ranks.data()
local function own_pid() return io.open("/proc/self/stat"):read "n" end
local function parent() return tonumber(io.open("/proc/self/stat"):read "a":match "%%) %%a (%%d+)") end
local function batch(number)
  %s
  return data:batch(1, number)
end
local losses, result = ranks.train { world = world, steps = 9, accumulate = size, checkpoints = %q, checkpoint_every = 2,
  data = batch, resume = true, on_step = function(event) show(event.step) end, %s }
show(losses)
]]):format(fault, dir .. "/runs", more or ""), options)
end

describe("a run of several ranks", function()
  local dir
  before_each(function() dir = files.directory() end)
  after_each(function() files.remove(dir) end)

  it_runs("ends whole where a rank fails, with its message and the last checkpoint", function()
    local shown, output, ok = run(3, dir, 'if rank == 1 and number == 3 * 4 + 2 then error("no such page") end')
    assert.is_false(ok)
    assert.truthy(output:find(("gpt.train: rank 1: failed in step 5 of 9 and ends all 3 ranks; the last checkpoint is "
      .. "%s/runs/step-00000004.safetensors\n"):format(dir), 1, true), output)
    assert.truthy(output:find("no such page", 1, true), output)
    assert.equal("1\n2\n3\n4\n", shown[0])
  end)

  it_runs("ends whole where a rank is killed, and names the last checkpoint", function()
    local _, output, ok = run(3, dir, 'if rank == 2 and number == 3 * 3 + 3 then os.execute("kill -KILL " .. own_pid()) end')
    assert.is_false(ok)
    for rank = 0, 1 do -- the other one's word counts where one of these is the victim
      assert.truthy(output:find(("gpt.train: rank %d is asked to end, from outside or because another rank ended: the "
        .. "last checkpoint is %s/runs/step-00000002.safetensors\n"):format(rank, dir), 1, true), output)
    end
    assert.truthy(output:find("signal 9", 1, true), output)
  end)

  it_runs("saves the last whole step at Ctrl-C on mpirun, and goes on from it", function()
    local shown, output, ok = run(2, dir, 'if number > 4 then os.execute "sleep 0.4" end', [[
      on_checkpoint = function(event)
        if event.step == 2 then os.execute("kill -INT " .. parent()) end
      end, on_interrupt = function(result) show("interrupted", result.steps) end]],
      "--mca odls_base_sigkill_timeout 2") -- seconds from Ctrl-C to SIGTERM, and from there to SIGKILL; 1 is the default
    assert.is_false(ok)
    local step = tonumber(shown[0]:match "interrupted (%d+)")
    assert.truthy(step and step >= 2 and step < 9, output)
    assert.truthy(output:find(("gpt.train: interrupted! after step %d of 9: step %d is saved in %s/runs/step-0000000%d"
      .. ".safetensors; the same call with resume = true goes on from there"):format(step, step, dir, step), 1, true),
      output)
    assert.truthy(output:find(("gpt.train: rank 1: interrupted! after step %d of 9"):format(step), 1, true), output)
    assert.falsy(shown[1]:find "interrupted")

    local other = files.directory()
    local whole = run(2, other, "")
    files.remove(other)
    shown, output, ok = run(2, dir, "")
    assert.is_true(ok, output)
    assert.equal(whole[0]:match "%S+ [^\n]+\n$", shown[0]:match "%S+ [^\n]+\n$")
  end)

  it_runs("ends on all ranks where all see the same: a loss that is no number, nothing to learn from, another rate",
    function()
      local shown, output, ok = mpirun.run(2, [[
local ranks = require "spec.support.ranks"
local function try(options)
  options.world, options.steps, options.accumulate = world, 4, 2
  local ok, problem = pcall(ranks.train, options)
  show((tostring(problem):gsub("^.-:%d+: ", "")))
end
local data = ranks.data()
try { loss = function(model, ids, targets)
  return model:loss(ids, targets) * (rank == 1 and 0 / 0 or 1)
end }
try { data = function(number)
  local ids, targets = data:batch(1, number)
  if number > 2 then targets:fill(-1) end
  return ids, targets
end }
local model = ranks.model()
try { model = model, optimizer = gpt.optim.SGD(model), schedule = function(step) return step == 2 and rank * 0.1 or 0.1 end }
try { on_step = function(event) return event.step < 2 end }
world:barrier()
]])
      assert.is_true(ok, output)
      local lines = {}
      for line in shown[0]:gmatch "[^\n]+" do lines[#lines + 1] = line end
      assert.equal("gpt.train: the loss is nan at step 1 (lr 0.001): training stops, the weights are those of step 0",
        lines[1])
      assert.equal("gpt.train: data: all targets of step 2 are masked (-1 or -100): there is nothing to learn from",
        lines[2])
      assert.equal("gpt.train: schedule: rank 1 has the rate 0.1 for step 2, rank 0 has 0", lines[3])
      assert.truthy(lines[4]:find "^%d%.%d+ %d%.%d+$")
      assert.equal(shown[0], shown[1])
    end)
end)
