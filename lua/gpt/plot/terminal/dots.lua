-- A grid of dots, from (0, 0) at the top left, of which several stand in one cell of the terminal.
local dots = {}

local Grid = {}
Grid.__index = Grid

function dots.new() return setmetatable({ set = {} }, Grid) end

function Grid:put(x, y)
  x, y = math.floor(x + 0.5), math.floor(y + 0.5)
  self.set[y] = self.set[y] or {}
  self.set[y][x] = true
end

-- A straight line, a dot for each place along its longer side.
function Grid:segment(from, to)
  local steps = math.max(1, math.ceil(math.max(math.abs(to[1] - from[1]), math.abs(to[2] - from[2]))))
  for i = 0, steps do
    local share = i / steps
    self:put(from[1] + (to[1] - from[1]) * share, from[2] + (to[2] - from[2]) * share)
  end
end

--- Points joined by lines; false leaves a gap.
function Grid:polyline(points)
  for i, point in ipairs(points) do
    local before = points[i - 1]
    if point and before then self:segment(before, point) elseif point then self:put(point[1], point[2]) end
  end
end

-- Braille's dots, by column and row.
local BITS = { [0] = { [0] = 0x01, 0x02, 0x04, 0x40 }, { [0] = 0x08, 0x10, 0x20, 0x80 } }

--- Calls fn with each cell that has a dot, `across` x `down` of them: column and row from 0, and the bits of braille.
function Grid:each(across, down, fn)
  local cells = {}
  for y, row in pairs(self.set) do
    for x in pairs(row) do
      local line = cells[y // down] or {}
      cells[y // down] = line
      line[x // across] = (line[x // across] or 0) | BITS[x % across % 2][y % down % 4]
    end
  end
  for y, line in pairs(cells) do
    for x, bits in pairs(line) do fn(x, y, bits) end
  end
end

return dots
