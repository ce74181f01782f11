-- Systems take turns for some rounds; medians, and how far the rounds differ.
local noise = require "noise"

local REST = "sleep 0.07" -- the threads of most systems go on spinning for a while

-- The median, and the width of the middle half as a share of it; nil without numbers.
local function summary(values)
  if #values == 0 then return nil end
  table.sort(values)
  local function at(share) return values[math.floor(share * (#values - 1) + 0.5) + 1] end
  return { median = at(0.5), spread = (at(0.75) - at(0.25)) / at(0.5) }
end

local function ask(system, line, case)
  if not line then return nil end
  local value, why = system:ask(line)
  if not value then
    io.stderr:write(("%s: %s: %s\n"):format(system.name, line, why))
    return nil
  end
  local convert = case.convert and case.convert[system.name]
  return convert and convert(value) or value
end

-- @tparam {System,...} systems
-- @tparam {table,...} cases each: `name`; `lines`, a request by a system's name (or `line` for all others);
-- `convert`: what to make of a system's number, by its name
-- @int rounds after one that is not counted
-- @treturn table results[case name][system name]: `median`, `spread`
return function(systems, cases, rounds)
  local values, results = {}, {}
  for _, case in ipairs(cases) do values[case.name] = {} end
  for round = 0, rounds do
    for _, case in ipairs(cases) do
      for _, system in ipairs(systems) do
        local list = values[case.name][system.name] or {}
        values[case.name][system.name] = list
        local value = ask(system, case.lines and case.lines[system.name] or not system.bound and case.line, case)
        if round > 0 then list[#list + 1] = value end
        os.execute(REST)
      end
    end
    noise.sample()
  end
  for name, by_system in pairs(values) do
    results[name] = {}
    for system, list in pairs(by_system) do results[name][system] = summary(list) end
  end
  return results
end
