-- gpt.world: one process, and several under mpirun.
local gpt = require "gpt"
local core = require "gpt.core"
local mpirun = require "spec.support.mpirun"
local process = require "spec.support.process"
local raised = require "spec.support.raised"

local it_runs = mpirun.it(it, pending)

describe("gpt.world", function()
  it("is one process where nobody started several", function()
    local world = gpt.world()
    assert.equal(0, world.rank)
    assert.equal(1, world.size)
    assert.equal("World { one process }", tostring(world))
    assert.equal(world, gpt.world())
    local t = gpt.tensor { 1.0, 2.0 }
    assert.equal(t, world:all_reduce(t))
    assert.equal(t, world:broadcast(t))
    assert.same({ 1, 2 }, t:totable())
    world:barrier()
    assert.same({ { 1, 2 } }, core._world_numbers(world, { 1, 2 }))
    assert.same({ "" }, core._world_texts(world, ""))
  end)

  it("checks its arguments alone as well", function()
    local world = gpt.world()
    assert.equal("all_reduce: an f32 or i64 tensor expected, got bf16; t:float() converts it",
      raised(function() world:all_reduce(gpt.zeros(2, { dtype = "bf16" })) end))
    assert.equal("bad argument #2 to 'broadcast' (a rank from 0 to 0 expected, got 1)",
      raised(function() world:broadcast(gpt.zeros(2), 1) end))
    assert.equal("a gpt.World has no field or method 'ranks'; did you mean 'rank'?", raised(function() return world.ranks end))
    local w = gpt.ones(2):requires_grad(true)
    assert.truthy(raised(function() world:all_reduce(w) end):find("all_reduce: ", 1, true))
    local x = gpt.zeros(2, 2):fill(3)
    world:all_reduce(x:transpose(1, 2))
    assert.same({ { 3, 3 }, { 3, 3 } }, x:totable())
  end)

  it("says what to do under mpirun without gpt/mpi.so", function()
    local output, ok = process.lua([[local gpt = require "gpt"
package.cpath = "./nowhere/?.so" -- as if it was not built
local world = gpt.world()]], "OMPI_COMM_WORLD_SIZE=4")
    assert.is_false(ok)
    assert.truthy(output:find("gpt.world: this is one of 4 processes (OMPI_COMM_WORLD_SIZE), and gpt/mpi.so, through "
      .. "which they talk, is not there: `make mpi` builds it beside gpt/core.so, `make install` installs it then. "
      .. "Looked for:\n  no file './nowhere/gpt/mpi.so'", 1, true), output)
    assert.truthy(output:find(":3: gpt.world: ", 1, true), output)
  end)

  it_runs("says so where mpirun is another MPI's", function()
    local output, ok = process.lua([[print(select(2, pcall(require "gpt".world)))]], "PMI_SIZE=3")
    assert.is_true(ok, output)
    assert.truthy(output:find("gpt.world: PMI_SIZE says 3 processes, and the MPI of gpt/mpi.so sees 1: was it built with "
      .. "the MPI of this mpirun? `make mpi MPICC=...` names another compiler\n", 1, true), output)
  end)

  it("is one process for a state without the library os", function()
    local output, ok = process.lua([[os = nil print(require "gpt".world())]], "PMI_SIZE=2")
    assert.is_true(ok, output)
    assert.equal("World { one process }\n", output)
  end)

  it_runs("sums in the order of the ranks, broadcasts and waits", function()
    local shown, output, ok = mpirun.run(3, [[
local core = require "gpt.core"
show(rank, size, tostring(world), tostring(world == gpt.world()))
-- big + small + -big: only this order gives it
local parts = { 1e8, 1.0, -1e8 }
show(world:all_reduce(gpt.tensor { parts[rank + 1], rank + 0.5 }):totable()[1])
show(world:all_reduce(gpt.tensor { { rank, 2^60 // 1 | 0 }, { math.mininteger, -1 } }):float()[1][1]:item())
local long = gpt.full(2^22 // 1 + 5, rank + 1)       -- more than is summed at a time
show(world:all_reduce(long):min():item(), long:max():item())
local across = gpt.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
world:all_reduce(across:transpose(1, 2))
show(table.concat(across[1]:totable(), ","), table.concat(across[2]:totable(), ","))
world:all_reduce(gpt.zeros(0))
show(world:all_reduce(gpt.tensor(2.5)):item(), world:all_reduce(gpt.tensor { rank }):item())
local t = gpt.full({ 2, 2 }, rank):to "bf16"
show(world:broadcast(t, 2)[1][1]:item(), world:broadcast(gpt.tensor { rank + 10 }):item())
world:barrier()
for _, list in ipairs(core._world_numbers(world, { rank, 0.1 })) do show(list[1], list[2]) end
show(table.concat(core._world_texts(world, ("x"):rep(rank * 3)), "|"))
for _, call in ipairs {
  function() world:all_reduce(gpt.zeros(rank + 2)) end,
  function() if rank == 1 then world:barrier() else world:all_reduce(gpt.zeros(2)) end end,
  function() world:broadcast(gpt.zeros(2), rank) end,
  function() world:broadcast(rank == 2 and gpt.zeros(2) or gpt.tensor { 1, 2 }) end,
} do show((select(2, pcall(call)):gsub("^.-:%d+: ", ""))) end]])
    assert.is_true(ok, output)
    for rank = 0, 2 do
      assert.equal(([[%d 3 World { rank %d of 3 } true
0.0
3.0
6 6
3,6,9 12,15,18
7.5 3
2.0 10
0.0 0.1
1.0 0.1
2.0 0.1
|xxx|xxxxxx
all_reduce: rank 1 has f32 of shape [3], rank 0 has f32 of shape [2]
all_reduce: rank 1 calls barrier where rank 0 calls all_reduce: all ranks make the same calls, in one order
broadcast: rank 1 says root 1, rank 0 says 0
broadcast: rank 2 has f32 of shape [2], rank 0 has i64 of shape [2]
]]):format(rank, rank), shown[rank])
    end
  end)

  it_runs("ends all where one ends with an error", function()
    local _, output, ok = mpirun.run(2, [[
if rank == 1 then error "this one cannot go on" end
world:barrier()
show "unreachable"]])
    assert.is_false(ok)
    assert.truthy(output:find("script.lua:2: this one cannot go on", 1, true), output)
  end)
end)
