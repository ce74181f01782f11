-- make faults: every fault, whole, or one case alone, as a failure prints it.
--   run.lua [KIND [NAME]]             memory, files, kills, interrupts; all of them; the scenarios of that name
--   run.lua --sample [KIND]           a deterministic sample of each
--   run.lua memory NAME WAY N [stays] | files NAME N HOW | interrupts NAME N
-- luacheck: globals arg
package.path = "./?.lua;" .. package.path
local library = os.getenv "LUAGPT_FAULTS" or "build/faults.so"
package.cpath = library:gsub("[^/]*$", "?.so") .. ";" .. package.cpath

-- What other libraries ask of malloc can be refused only where a process has our malloc from its beginning (a sanitizer's
-- library, which may be preloaded too, has to be the first).
local function restart()
  local set = ("LD_PRELOAD=\"$LD_PRELOAD\":'%s' LUAGPT_FAULTS='%s' LUAGPT_PRELOADED=1"):format(library, library)
  local words = { set, arg[-1] }
  for i = 0, #arg do words[#words + 1] = "'" .. arg[i]:gsub("'", "'\\''") .. "'" end
  os.exit(os.execute(table.concat(words, " ")) == true)
end
if not os.getenv "LUAGPT_PRELOADED" then restart() end

local core = require "gpt.core"
local file_faults = require "spec.faults.files"
local file_scenarios = require "spec.faults.file_scenarios"
local gpt = require "gpt"
local interrupts = require "spec.faults.interrupts"
local kills = require "spec.faults.kills"
local memory = require "spec.faults.memory"
local scenarios = require "spec.faults.scenarios"

local KINDS = { "memory", "files", "kills", "interrupts" }
local WHOLE = { interrupts = 10000, kills = 1000 }
local SAMPLE = { memory = 2, files = 3, interrupts = 2 * #scenarios, kills = 12 }

local sampled = arg[1] == "--sample"
if sampled then table.remove(arg, 1) end
local failed = false

-- Those of a name, or all.
local function named(list, name)
  if not name then return list end
  local found = {}
  for _, entry in ipairs(list) do
    if entry == name or entry[1] == name then found[#found + 1] = entry end
  end
  if #found == 0 then error(("there is no scenario %q"):format(name), 0) end
  return found
end

local function find(list, name)
  return named(list, name)[1]
end

-- Runs a scenario and adds what it counted to the sums; a failure is printed, and the others go on.
local function add(sums, name, run, ...)
  local done, tally = xpcall(run, function(problem)
    return type(problem) == "string" and problem:find "\n" and problem or debug.traceback(problem)
  end, ...)
  if not done then
    failed = true
    print(("FAILED: %s"):format(tally))
    return
  end
  sums.scenarios = sums.scenarios + 1
  for key, value in pairs(tally) do
    if type(value) == "number" then sums[key] = (sums[key] or 0) + value end
  end
  if not sampled then print(("  %s: %d tries, %s errors"):format(name, tally.tries, tally.errors or "no")) end
end

local function report(kind, sums, format, ...)
  print(("%s: %d scenarios, " .. format):format(kind, sums.scenarios, ...))
end

local RUN = {}

function RUN.memory(most, name)
  local sums, requests, ways = { scenarios = 0, tries = 0, errors = 0 }, {}, {}
  for _, way in ipairs(memory.ways) do requests[way] = 0 end
  for _, scenario in ipairs(named(scenarios, name)) do
    add(sums, scenario[1], function()
      local all = { tries = 0, errors = 0 }
      for way, tally in pairs(memory.run(scenario, most)) do
        all.tries, all.errors = all.tries + tally.tries, all.errors + tally.errors
        requests[way] = requests[way] + tally.requests
      end
      return all
    end)
  end
  for i, way in ipairs(memory.ways) do ways[i] = ("%s %d"):format(way, requests[way]) end
  report("memory", sums, "%d requests failed, %d errors; they make %s", sums.tries, sums.errors, table.concat(ways, ", "))
end

function RUN.files(most, name)
  local sums, calls, names, parts = { scenarios = 0, tries = 0, errors = 0 }, {}, {}, {}
  for _, scenario in ipairs(named(file_scenarios, name)) do
    add(sums, scenario[1], function()
      local tally = file_faults.run(scenario, most)
      for call, count in pairs(tally.calls) do calls[call] = (calls[call] or 0) + count end
      return tally
    end)
  end
  for call in pairs(calls) do names[#names + 1] = call end
  table.sort(names)
  for i, call in ipairs(names) do parts[i] = ("%s %d"):format(call, calls[call]) end
  report("files", sums, "%d calls failed, %d errors; %s", sums.tries, sums.errors, table.concat(parts, ", "))
end

function RUN.kills(times, name)
  local sums = { scenarios = 0, tries = 0, 0, 0 }
  for _, kind in ipairs(named(kills.kinds, name)) do add(sums, kind, kills.run, kind, times // #kills.kinds) end
  report("kills", sums, "%d kills; one save was there %d times, the other %d times", sums.tries, sums[1], sums[2])
end

function RUN.interrupts(times, name)
  local sums = { scenarios = 0, tries = 0, errors = 0, steps = 0 }
  for _, scenario in ipairs(named(scenarios, name)) do
    add(sums, scenario[1], interrupts.run, scenario, math.ceil(times / #scenarios))
  end
  report("interrupts", sums, "%d interrupts came, of %d that were sent, in %d steps", sums.errors, sums.tries, sums.steps)
end

local ONE = {
  memory = function(name, ...) return memory.one(find(scenarios, name), ...) end,
  files = function(name, ...) return file_faults.one(find(file_scenarios, name), ...) end,
  interrupts = function(name, ...) return interrupts.one(find(scenarios, name), ...) end,
}

gpt.set_threads(1) -- the order of calls is the same every time
if #arg > 2 then
  print(ONE[arg[1]](table.unpack(arg, 2)) and "it failed as it should" or "it did not fail, as it may")
else
  for _, kind in ipairs(arg[1] and { arg[1] } or KINDS) do
    local began = core._now()
    RUN[kind]((sampled and SAMPLE or WHOLE)[kind], arg[2])
    if not sampled then print(("%s: %.0f seconds"):format(kind, core._now() - began)) end
  end
end
os.exit(not failed)
