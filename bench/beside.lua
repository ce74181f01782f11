-- One model, run by all systems in turn, and what becomes of it in tables.
local models = require "models"
local systems = require "systems"
local turns = require "turns"

local beside = {}

-- results[case][system], or nil and why the model cannot be had.
-- @tparam table run `options`
-- @string size @string dtype
-- @tparam function cases_of from config and dtype to cases, as turns.lua takes them
-- @tparam[opt] table names of systems, as keys
function beside.measure(run, size, dtype, cases_of, names)
  local file, why = models.file(run.options, size, dtype)
  if not file then return nil, why end
  local list = systems.start(run.options, size, dtype, file, names)
  io.stderr:write(("%s, %s, %d threads\n"):format(size, dtype, run.options.threads))
  local results = turns(list, cases_of(models.config(size), dtype), run.options.rounds)
  for _, system in ipairs(list) do system:close() end
  return results
end

-- "1,234", "56.7", "" without a number
function beside.number(value)
  if not value then return "" end
  if value < 100 then return ("%.1f"):format(value) end
  return (("%.0f"):format(value):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function median(result, name) return result[name] and result[name].median end

local function share(mine, other, format, factor)
  return mine and other and format:format(factor * mine / other) or ""
end

-- Cells of one result: the bound, luagpt, its share of the bound, luagpt in other ways, then each other system and the
-- rates over its.
local function cells_of(first, result, ways, others)
  local mine, bound = median(result, "luagpt"), median(result, "bound")
  local cells = { first, beside.number(bound), beside.number(mine), share(mine, bound, "%.0f%%", 100) }
  for _, way in ipairs(ways) do cells[#cells + 1] = beside.number(median(result, way)) end
  for _, name in ipairs(others) do
    local value = median(result, name)
    cells[#cells + 1] = beside.number(value)
    cells[#cells + 1] = share(mine, value, "%.2fx", 1)
    for _, way in ipairs(ways) do cells[#cells + 1] = share(median(result, way), value, "%.2fx", 1) end
  end
  return cells
end

-- The names that have a number in one of the rows.
local function there(names, rows)
  local list = {}
  for _, name in ipairs(names) do
    for _, row in ipairs(rows) do
      if row[2][name] then list[#list + 1] = name break end
    end
  end
  return list
end

-- One case of several results, as a table.
-- @string first what the first column is
-- @string bound what bounds the case
-- @tparam {table,...} rows { first cell, result }
function beside.table(run, first, bound, rows)
  local ways, others, list = there(systems.ways, rows), there(systems.others, rows), {}
  local head = { first, bound, "luagpt", "of that", table.unpack(ways) }
  for _, name in ipairs(others) do
    head[#head + 1] = name
    head[#head + 1] = "luagpt / " .. name
    for _, way in ipairs(ways) do head[#head + 1] = way .. " / " .. name end
  end
  for i, row in ipairs(rows) do list[i] = cells_of(row[1], row[2], ways, others) end
  run.report:table(head, list)
end

-- One series for each system of points { x, result }.
function beside.series(points, names)
  local list = {}
  for _, name in ipairs(names or { "bound", "luagpt", table.unpack(systems.others) }) do
    local one = { name = name == "bound" and "plain read" or name, x = {}, y = {}, points = true }
    for _, point in ipairs(points) do
      local value = median(point[2], name)
      if value then table.insert(one.x, point[1]) table.insert(one.y, value) end
    end
    list[#list + 1] = one
  end
  return list
end

return beside
