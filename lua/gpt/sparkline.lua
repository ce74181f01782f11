-- Small curves of text: one character a column.
local neutral = require "gpt.support.neutral"

local BLOCKS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

local function mean_of(values, first, last)
  local sum = 0
  for i = first, last do sum = sum + values[i] end
  return sum / (last - first + 1)
end

-- The values as at most `width` columns, each the mean of those that fall into it; what is not finite is left out.
local function columns_of(values, width)
  local finite = {}
  for _, value in ipairs(values) do
    if value == value and math.abs(value) < math.huge then finite[#finite + 1] = value end
  end
  local n, columns = math.min(width, #finite), {}
  for i = 1, n do columns[i] = mean_of(finite, (i - 1) * #finite // n + 1, i * #finite // n) end
  return columns
end

local function range_of(values)
  local low, high = math.huge, -math.huge
  for _, value in ipairs(values) do low, high = math.min(low, value), math.max(high, value) end
  return low, high
end

local sparkline = {}

--- A curve of one line.
function sparkline.line(values, width)
  local columns = columns_of(values, width)
  local low, high = range_of(columns)
  for i, value in ipairs(columns) do
    local share = high > low and (value - low) / (high - low) or 0
    columns[i] = BLOCKS[1 + math.floor(share * (#BLOCKS - 1) + 0.5)]
  end
  return table.concat(columns)
end

--- A curve of several lines, with the highest and the lowest value beside it.
function sparkline.curve(values, width, height)
  local columns = columns_of(values, width)
  local low, high = range_of(columns)
  local lines = {}
  for row = height, 1, -1 do
    local cells = {}
    for i, value in ipairs(columns) do
      local share = high > low and (value - low) / (high - low) or 0
      local eighths = math.floor(share * (8 * height - 1) + 1.5) - 8 * (row - 1)
      cells[i] = eighths <= 0 and " " or BLOCKS[math.min(eighths, 8)]
    end
    local edge = row == height and high or row == 1 and low
    local label = edge and neutral.format("%8.3f", edge) or (" "):rep(8)
    lines[#lines + 1] = label .. " " .. table.concat(cells)
  end
  return table.concat(lines, "\n")
end

return sparkline
