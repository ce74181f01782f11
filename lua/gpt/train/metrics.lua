-- The metrics file: a line a step, JSON or, where the name ends in .csv, comma-separated values.
local core = require "gpt.core"
local needs = require "gpt.support.needs"
local json = require "gpt.support.json"

local COLUMNS = { "step", "loss", "lr", "grad_norm", "tokens", "seconds", "validation_loss" }

local Metrics = {}
Metrics.__index = Metrics

local function finite(value)
  return value and value == value and math.abs(value) < math.huge
end

local function csv_line(row)
  local cells = {}
  for i, name in ipairs(COLUMNS) do cells[i] = finite(row[name]) and json.encode(row[name]) or "" end
  return table.concat(cells, ",")
end

local function json_line(row)
  local known = {}
  for _, name in ipairs(COLUMNS) do known[name] = finite(row[name]) and row[name] or nil end
  return json.encode(known)
end

-- The lines of an earlier run up to a step: what came after it will come again.
local function earlier_lines(path, is_csv, step)
  local kept = {}
  local file <close> = core._map_file(path)
  for line in file:bytes(0, file.size):gmatch "[^\n]+" do
    local at = tonumber(is_csv and line:match "^(%d+)," or line:match '"step":(%d+)')
    if at and at <= step then kept[#kept + 1] = line end
  end
  return kept
end

-- The file as it was after that step, replaced as a whole.
local function cut_back(path, is_csv, step)
  local lines = earlier_lines(path, is_csv, step)
  if is_csv then table.insert(lines, 1, table.concat(COLUMNS, ",")) end
  local file <close> = core._file_writer(path)
  file:write(#lines > 0 and table.concat(lines, "\n") .. "\n" or ""):commit()
end

--- Opens the file after that step: nothing that an earlier run wrote up to it is lost.
function Metrics.open(path, step)
  needs("io", "gpt.train: metrics")
  core._check_writable(path)
  local is_csv = path:find "%.csv$" ~= nil
  local goes_on = step > 0 and core._file_exists(path)
  if goes_on then cut_back(path, is_csv, step) end
  local file, problem = io.open(path, goes_on and "a" or "w")
  if not file then core._raise(problem) end
  local metrics = setmetatable({ path = path, file = file, line = is_csv and csv_line or json_line }, Metrics)
  if is_csv and not goes_on then metrics:write_line(table.concat(COLUMNS, ",")) end
  return metrics
end

function Metrics:write_line(line)
  local written, problem = self.file:write(line, "\n")
  if written then written, problem = self.file:flush() end
  if not written then core._raise(("%s: %s"):format(self.path, problem)) end
end

function Metrics:write(row)
  self:write_line(self.line(row))
end

function Metrics:close()
  if io.type(self.file) == "file" then self.file:close() end
end

return Metrics
