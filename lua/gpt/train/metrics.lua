-- The metrics file: a line a step, JSON or, where the name ends in .csv, comma-separated values.
local core = require "gpt.core"
local needs = require "gpt.support.needs"
local json = require "gpt.support.json"

local COLUMNS = { "step", "loss", "lr", "grad_norm", "tokens", "seconds", "validation_loss" }
local LR = 3 -- its place: the rates of groups come after it, where they differ

local Metrics = {}
Metrics.__index = Metrics

local function finite(value)
  return value and value == value and math.abs(value) < math.huge
end

-- With a column for each group, where groups have rates of their own: lr_1, lr_2 and so on.
local function columns_of(groups)
  local columns = table.move(COLUMNS, 1, #COLUMNS, 1, {})
  for i = 1, groups > 1 and groups or 0 do table.insert(columns, LR + i, "lr_" .. i) end
  return columns
end

local function csv_line(row, columns)
  local cells = {}
  for i, name in ipairs(columns) do
    local group = name:match "^lr_(%d+)$"
    local value = row[name]
    if group then value = row.lrs[tonumber(group)] end
    cells[i] = finite(value) and json.encode(value) or ""
  end
  return table.concat(cells, ",")
end

local function json_line(row, columns)
  local known = {}
  for _, name in ipairs(COLUMNS) do known[name] = finite(row[name]) and row[name] or nil end
  if #columns > #COLUMNS then known.lrs = json.array(table.move(row.lrs, 1, #row.lrs, 1, {})) end
  return json.encode(known)
end

-- The whole lines up to a step: what came after it will come again.
local function earlier_lines(path, is_csv, step)
  local kept = {}
  local file <close> = core._map_file(path)
  for line in file:bytes(0, file.size):gmatch "([^\n]+)\n" do
    local at = tonumber(is_csv and line:match "^(%d+)," or line:match '"step":(%d+)')
    if at and at <= step then kept[#kept + 1] = line end
  end
  return kept
end

-- The file as it was after that step, replaced as a whole.
local function cut_back(path, is_csv, step, columns)
  local lines = earlier_lines(path, is_csv, step)
  if is_csv then table.insert(lines, 1, table.concat(columns, ",")) end
  local file <close> = core._file_writer(path)
  file:write(#lines > 0 and table.concat(lines, "\n") .. "\n" or ""):commit()
end

local function open_file(path, mode)
  local file, problem = io.open(path, mode)
  if not file then core._raise(problem) end
  return file
end

-- Returns what went wrong, or nil. The beginning of a line may be there then.
local function write_line(self, line)
  local written, problem = self.file:write(line, "\n")
  if written then written, problem = self.file:flush() end
  if not written then return ("%s: %s"):format(self.path, problem) end
end

--- Opens the file after that step: nothing that an earlier run wrote up to it is lost.
-- @param groups how many groups of parameters have rates of their own (1)
function Metrics.open(path, step, groups)
  needs("io", "gpt.train: metrics")
  core._check_writable(path)
  local is_csv = path:find "%.csv$" ~= nil
  local goes_on = step > 0 and core._file_exists(path)
  local columns = columns_of(groups or 1)
  if goes_on then cut_back(path, is_csv, step, columns) end
  local metrics = setmetatable({
    path = path, is_csv = is_csv, line = is_csv and csv_line or json_line, columns = columns,
    file = open_file(path, goes_on and "a" or "w"),
    step = step,    -- the last one whose line is there
    missing = 0,    -- lines that could not be written
    problem = nil,  -- why
    works = true,
  }, Metrics)
  local problem = is_csv and not goes_on and write_line(metrics, table.concat(columns, ","))
  if problem then core._raise(problem) end
  return metrics
end

local function reopen(self)
  cut_back(self.path, self.is_csv, self.step, self.columns)
  self.file = open_file(self.path, "a")
end

-- Begins anew behind the last whole line, after 1, 2, 4, 8 ... missing ones: that takes the whole file. False where it
-- cannot be done.
local function mend(self)
  if self.missing & (self.missing - 1) ~= 0 then return false end
  local ok, problem = pcall(reopen, self)
  if not ok and (core._is_interrupt(problem) or core._is_memory_error(problem)) then error(problem, 0) end
  return ok
end

-- A line is missing. Returns what is to be said of it, once.
local function miss(self, problem)
  local first = self.works
  self.problem, self.works, self.missing = problem or self.problem, false, self.missing + 1
  self:close()
  return first and ("%s; training goes on, and lines of that file will be missing"):format(self.problem) or nil
end

--- Writes a step's line. Where that cannot be, on a full disk for instance, training is worth more than the file: the
-- line will be missing.
-- @return what is to be said, or nil
function Metrics:write(row)
  if not self.works and not mend(self) then return miss(self) end
  local problem = write_line(self, self.line(row, self.columns))
  if problem then return miss(self, problem) end
  local again = not self.works
  self.step, self.works = row.step, true
  return again and ("%s is written again; %s"):format(self.path, self:what_is_missing()) or nil
end

--- What a result says of it; nil where all lines are there.
function Metrics:what_is_missing()
  if self.missing == 0 then return nil end
  return ("%s: %s"):format(self.missing == 1 and "the line of one step is missing"
    or ("the lines of %d steps are missing"):format(self.missing), self.problem)
end

function Metrics:close()
  if io.type(self.file) == "file" then self.file:close() end
end

return Metrics
