-- What pictures ask of their numbers, whoever draws them.
local extent = {}

local INFINITY = math.huge

--- Neither NaN nor infinite.
function extent.finite(value) return value == value and value ~= INFINITY and value ~= -INFINITY end

local finite = extent.finite

--- The least and the greatest number of all panels, `{ rows = }` each.
function extent.of_panels(panels)
  local low, high = INFINITY, -INFINITY
  for _, panel in ipairs(panels) do
    for _, row in ipairs(panel.rows) do
      for _, value in ipairs(row) do
        if finite(value) then low, high = math.min(low, value), math.max(high, value) end
      end
    end
  end
  return low, high
end

--- The least and the greatest of all series, by "x" or "y".
function extent.of_series(series, key)
  local low, high = INFINITY, -INFINITY
  for _, one in ipairs(series) do
    for i, value in ipairs(one[key]) do
      if finite(value) and finite(one.y[i]) and finite(one.x[i]) then
        low, high = math.min(low, value), math.max(high, value)
      end
    end
  end
  return low, high
end

--- Whether the places of all series are whole numbers.
function extent.all_whole(series)
  for _, one in ipairs(series) do
    for _, x in ipairs(one.x) do
      if finite(x) and x ~= math.floor(x) then return false end
    end
  end
  return true
end

--- Of more points than places only the lowest and the highest of every place's width remain.
function extent.thinned(xs, ys, places)
  if #xs <= 4 * places then return xs, ys end
  local x, y, per = {}, {}, #xs / places
  for place = 1, places do
    local first, last = math.floor((place - 1) * per) + 1, math.floor(place * per)
    while first < last and not finite(ys[first]) do first = first + 1 end
    local low, high = first, first
    for i = first, last do
      if finite(ys[i]) and ys[i] < ys[low] then low = i end
      if finite(ys[i]) and ys[i] > ys[high] then high = i end
    end
    for _, i in ipairs { math.min(low, high), math.max(low, high) } do
      x[#x + 1], y[#y + 1] = xs[i], ys[i]
    end
  end
  return x, y
end

--- The numbers of a heat map's weakest and strongest colour.
function extent.of_map(o)
  local low, high = extent.of_panels(o.panels)
  low, high = o.low or math.min(low, 0), o.high or high
  if low >= high then low, high = low - 0.5, high + 0.5 end
  return low, high
end

--- The kind ("above", "below", "missing") and the strength, 0 to 1, of a number's colour between low and high.
function extent.shade(value, low, high)
  if value ~= value then return "missing", 1 end
  if low < 0 and high > 0 then
    return value < 0 and "below" or "above", math.min(1, math.abs(value) / math.max(-low, high))
  end
  return "above", math.max(0, math.min(1, (value - low) / (high - low)))
end

return extent
