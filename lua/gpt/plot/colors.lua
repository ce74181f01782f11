-- The colours of pictures: each for a light and for a dark background.
local colors = {}

colors.LIGHT, colors.DARK = 1, 2

colors.NAMED = {
  background = { "#ffffff", "#14181d" },
  text = { "#1f2328", "#e6edf3" },
  muted = { "#57606a", "#9aa5b1" },
  grid = { "#e3e7ec", "#2b323b" },
  axis = { "#8c959f", "#6b7683" },
  missing = { "#c9ced6", "#3d4550" },
  above = { "#1858a8", "#7cb8ff" },
  below = { "#b3480b", "#ff9f5c" },
}

-- Series take these in turn; those of one picture are told apart by eyes that see few colours.
colors.SERIES = {
  { "#1f6cc0", "#6cb2ff" },
  { "#c4520a", "#ff9a4d" },
  { "#12805c", "#4fd1a1" },
  { "#a8327f", "#f286c6" },
  { "#6b4fc0", "#b7a1ff" },
  { "#82690f", "#e2c257" },
}

local function part(text, at) return tonumber(text:sub(at, at + 1), 16) end

--- Red, green and blue, 0 to 255 each.
function colors.rgb(hex) return { part(hex, 2), part(hex, 4), part(hex, 6) } end

--- From a to b, by a share from 0 to 1.
function colors.blend(a, b, share)
  local mixed = {}
  for i = 1, 3 do mixed[i] = math.floor(a[i] + (b[i] - a[i]) * share + 0.5) end
  return mixed
end

local LEVELS = { 0, 95, 135, 175, 215, 255 } -- of the 6 x 6 x 6 colours from number 16 on; from 232 on 24 greys

local function nearest_level(value)
  local best = 1
  for i, level in ipairs(LEVELS) do
    if math.abs(level - value) < math.abs(LEVELS[best] - value) then best = i end
  end
  return best
end

local function distance(a, b)
  return (a[1] - b[1]) ^ 2 + (a[2] - b[2]) ^ 2 + (a[3] - b[3]) ^ 2
end

-- Of a terminal's 256 colours those that lead from the background to a heat map's strongest colour, ever lighter, or
-- darker on a light one: the nearest ones to a blend would change their hue on the way.
local RAMPS = {
  above = {
    { "#ffffff", "#d7d7ff", "#afd7ff", "#5fafff", "#0087d7", "#005faf" },
    { "#000000", "#00005f", "#005f87", "#0087af", "#5fafff", "#87d7ff" },
  },
  below = {
    { "#ffffff", "#ffd7af", "#ffaf5f", "#ff8700", "#d75f00", "#af5f00" },
    { "#000000", "#5f0000", "#af5f00", "#d78700", "#ffaf5f", "#ffd787" },
  },
  missing = { { "#bcbcbc" }, { "#444444" } },
}

--- The colour of a cell by its kind and strength, on a theme, for a terminal with 256 colours or with all.
function colors.of_cell(kind, strength, theme, few)
  if not few then
    return colors.blend(colors.rgb(colors.NAMED.background[theme]), colors.rgb(colors.NAMED[kind][theme]), strength)
  end
  local ramp = RAMPS[kind][theme]
  return colors.rgb(ramp[1 + math.floor(strength * (#ramp - 1) + 0.5)])
end

--- The nearest of a terminal's 256 colours.
function colors.of_256(rgb)
  local r, g, b = nearest_level(rgb[1]), nearest_level(rgb[2]), nearest_level(rgb[3])
  local cube = 16 + 36 * (r - 1) + 6 * (g - 1) + b - 1
  local grey = math.max(0, math.min(23, math.floor(((rgb[1] + rgb[2] + rgb[3]) / 3 - 8) / 10 + 0.5)))
  local level = 8 + 10 * grey
  local in_cube = distance(rgb, { LEVELS[r], LEVELS[g], LEVELS[b] })
  return distance(rgb, { level, level, level }) < in_cube and 232 + grey or cube
end

return colors
