--- gpt.world: the processes that train together.
-- @submodule gpt
local core = require "gpt.core"

-- What those who start processes of MPI's tell each of them: how many there are.
local COUNTS = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS" }

local own -- one for each Lua state

-- How many processes were started, as somebody's environment variable tells: the number and the variable. Nothing where
-- nobody did, or where the host has taken the library os away.
local function started()
  if not os then return nil end
  for _, name in ipairs(COUNTS) do
    local count = math.tointeger(tonumber(os.getenv(name)))
    if count and count >= 1 then return count, name end
  end
end

local function open_transport(count, name)
  local found, problem = package.searchpath("gpt.mpi", package.cpath)
  if not found then
    local places = problem:gsub("^%s+", ""):gsub("\n%s*", "\n  ")
    core._raise(("gpt.world: this is one of %d processes (%s), and gpt/mpi.so, through which they talk, is not there: "
      .. "`make mpi` builds it beside gpt/core.so, `make install` installs it then. Looked for:\n  %s"):format(count,
      name, places))
  end
  return require "gpt.mpi"
end

--- The processes that `mpirun` started (or another program that starts MPI's), or this process alone where none did.
--
-- Under mpirun it needs `gpt/mpi.so`, which `make mpi` builds. Every call in a Lua state returns the same value.
-- @function world
-- @treturn World with the fields `rank` (from 0) and `size`, and the methods `all_reduce`, `broadcast` and `barrier`
-- @raise if there are several processes and gpt/mpi.so is missing, or was built with another MPI than mpirun's
-- @usage local world = gpt.world()
-- if world.rank == 0 then print(world.size .. " processes") end
return function()
  if own then return own end
  local count, name = started()
  local world = core._world(count and open_transport(count, name) or nil)
  if count and world.size ~= count then
    core._raise(("gpt.world: %s says %d processes, and the MPI of gpt/mpi.so sees %d: was it built with the MPI of "
      .. "this mpirun? `make mpi MPICC=...` names another compiler"):format(name, count, world.size))
  end
  own = world
  return world
end
