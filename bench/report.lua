-- Tables in Markdown and pictures: shown as they come, kept in a folder.
local gpt = require "gpt"

local Report = {}
Report.__index = Report

-- @string folder where report.md and the pictures go
function Report.new(folder)
  return setmetatable({ folder = folder, parts = {} }, Report)
end

function Report:text(format, ...)
  local text = format:format(...)
  self.parts[#self.parts + 1] = text
  print(text .. "\n")
  io.stdout:flush()
end

-- @tparam {string,...} head
-- @tparam {{string,...},...} rows
function Report:table(head, rows)
  local lines = { "| " .. table.concat(head, " | ") .. " |", "|" .. (" --- |"):rep(#head) }
  for _, row in ipairs(rows) do lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |" end
  self:text("%s", table.concat(lines, "\n"))
end

-- A line chart; options as gpt.plot.line takes them. Series without two points are left out.
function Report:chart(name, options)
  local series = {}
  for _, one in ipairs(options.series) do
    if #one.y > 1 then series[#series + 1] = one end
  end
  if #series == 0 then return end
  options.series = series
  gpt.plot.line(("%s/%s.svg"):format(self.folder, name), options)
  self:text("![%s](%s.svg)", options.title, name)
end

function Report:write()
  local path = self.folder .. "/report.md"
  local file <close> = assert(io.open(path, "w"))
  file:write(table.concat(self.parts, "\n\n"), "\n")
  return path
end

return Report
