-- Interrupts, as Ctrl-C is one in lua5.4, at random steps of every scenario: each ends the work with its error, holds
-- nothing, breaks nothing, and is never lost.
local cases = require "spec.faults.cases"
local faults = require "faults"

local interrupts = {}

-- Numbers that look random, and are the same each time: SplitMix64.
local function numbers(seed)
  local state = seed
  return function(last)
    state = state + 0x9E3779B97F4A7C15
    local z = (state ~ (state >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
    return (z ~ (z >> 31)) % last + 1
  end
end

-- Interrupts at step n. An interrupt that came and ended nothing was swallowed by somebody.
local function try(case, n)
  local place, came = ("interrupts %q %d"):format(case.name, n), nil
  local failed = case:try(place, "interrupted!", function(work)
    local ok, value
    ok, value, came = faults.interrupted(n, work)
    return ok, value
  end, true)
  if came and not failed then error(("%s: %s\nthe interrupt was lost"):format(case.name, place), 0) end
  return failed
end

local function count(case)
  local _, _, _, steps = faults.interrupted(0, case.work)
  return steps
end

--- Interrupts a scenario so many times. Work takes a few steps more or less each time, so that one that was to come at
-- the last of them may find it over; then another is sent.
-- @return a table of `tries`, `errors`, which are the interrupts that came, and `steps`
function interrupts.run(scenario, times)
  local case = cases.prepare(scenario)
  case:run() -- as before each try: what is kept between calls, by weak tables too, is there
  local steps, draw = count(case), numbers(#scenario[1])
  case:reset()
  local tally = { tries = 0, errors = 0, steps = steps }
  while tally.errors < times do
    tally.tries = tally.tries + 1
    if try(case, draw(steps)) then tally.errors = tally.errors + 1 end
    if tally.tries > 2 * times + 10 then error(case.name .. ": half of the interrupts did not come") end
  end
  case:close()
  return tally
end

--- One case alone.
function interrupts.one(scenario, n)
  local case = cases.prepare(scenario)
  local failed = try(case, math.tointeger(tonumber(n)))
  case:close()
  return failed
end

return interrupts
