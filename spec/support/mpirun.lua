-- Scripts in several processes that mpirun starts, one thread each.
local files = require "spec.support.files"

local mpirun = {}

-- As root mpirun wants to be told that it may; a test may have more ranks than processors. Shared memory and loopback are
-- all that is needed; copies from the other process's memory are forbidden in many containers.
local OPTIONS = "--allow-run-as-root --oversubscribe --bind-to none --mca btl self,vader "
  .. "--mca btl_vader_single_copy_mechanism none --mca orte_base_help_aggregate 0"

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

local function succeeds(command) return os.execute(command .. " >/dev/null 2>&1") == true end

--- What is missing here for such scripts, or nil.
mpirun.missing = not succeeds "command -v mpirun" and "needs mpirun (Debian: openmpi-bin)"
  or not package.searchpath("gpt.mpi", package.cpath) and "needs gpt/mpi.so (make mpi)" or nil

--- busted's `it` for specs that run them: pending where something is missing.
function mpirun.it(it, pending)
  if not mpirun.missing then return it end
  return function(name) return pending(name .. ": " .. mpirun.missing) end
end

--- The shell's command that runs the code on that many ranks, in `directory`. `rank`, `size`, `world` and `gpt` are there for
--- it, and `show(...)`, which writes a line into the rank's own file.
function mpirun.command(ranks, code, directory, options)
  local prelude = ([[local gpt = require "gpt"
gpt.set_threads(1)
local world = gpt.world()
local rank, size = world.rank, world.size
local shown <const> = assert(io.open(%q .. "/rank-" .. rank, "w"))
local function show(...)
  shown:write(table.concat({ ... }, " "), "\n")
  shown:flush()
end
]]):format(directory)
  files.write(directory .. "/script.lua", prelude:gsub("\n", " ") .. "\n" .. code)
  return ("unset LUA_PATH_5_4 LUA_CPATH_5_4; export LUA_PATH=%s LUA_CPATH=%s TMPDIR=/tmp; mpirun %s %s -n %d %s %s/script.lua")
    :format(quote(package.path), quote(package.cpath), OPTIONS, options or "", ranks,
      os.getenv "LUAGPT_LUA" or "lua5.4", quote(directory))
end

--- Runs it; returns what each rank has shown, by rank (from 0), what all wrote, and whether mpirun ended well.
function mpirun.run(ranks, code, options)
  local own = files.directory()
  local pipe = assert(io.popen("{ " .. mpirun.command(ranks, code, own, options) .. "; } 2>&1 </dev/null"))
  local output = pipe:read "a"
  local ok = pipe:close() == true
  local shown = {}
  for rank = 0, ranks - 1 do
    local name = own .. "/rank-" .. rank
    local file = io.open(name)
    shown[rank] = file and file:read "a" or ""
    if file then file:close() end
  end
  files.remove(own)
  return shown, output, ok
end

return mpirun
