-- Every request for memory fails in turn: the core's, Lua's, and what other libraries ask of malloc; alone, or with all
-- that come behind it.
local cases = require "spec.faults.cases"
local core = require "gpt.core"
local faults = require "faults"
local sample = require "spec.faults.sample"

local memory = {}

-- Each runs work while the n-th request fails; returns whether it ended well, its value or error, and how many requests
-- there were.
local WAYS = {
  core = function(n, stays, work)
    core._memory_faults(n, stays)
    local ok, value = pcall(work)
    return ok, value, core._memory_faults()
  end,
  lua = function(n, stays, work)
    local ok, value, _, requests = faults.lua_memory(n, stays, work)
    return ok, value, requests
  end,
  system = function(n, stays, work)
    local ok, value, _, requests = faults.system_memory(n, stays, work)
    return ok, value, requests
  end,
}

memory.ways = faults.preloaded() and { "core", "lua", "system" } or { "core", "lua" }

-- Lets the n-th request of one kind fail.
local function try(case, way, n, stays)
  local place = ("memory %q %s %d%s"):format(case.name, way, n, stays and " stays" or "")
  return case:try(place, "not enough memory", function(work) return WAYS[way](n, stays, work) end)
end

local function count(case, way)
  local _, _, requests = WAYS[way](0, false, case.work)
  return requests
end

local function sweep(case, way, most, tally)
  local requests = count(case, way)
  case:reset()
  for n in sample(requests, most) do
    for _, stays in ipairs { false, true } do
      tally.tries = tally.tries + 1
      if try(case, way, n, stays) then tally.errors = tally.errors + 1 end
    end
  end
  tally.requests = tally.requests + requests
end

--- Lets requests of a scenario fail: all, or at most so many of each kind.
-- @return a table of `tries`, `errors` and `requests`, for each kind
function memory.run(scenario, most)
  local case, tallies = cases.prepare(scenario), {}
  for _, way in ipairs(memory.ways) do
    tallies[way] = { tries = 0, errors = 0, requests = 0 }
    sweep(case, way, most, tallies[way])
  end
  case:close()
  return tallies
end

--- One case alone.
function memory.one(scenario, way, n, stays)
  local case = cases.prepare(scenario)
  local failed = try(case, way, math.tointeger(tonumber(n)), stays == "stays")
  case:close()
  return failed
end

return memory
