-- What the terminal can show, as far as it says so.
local attempt = require "gpt.support.attempt"
local core = require "gpt.core"
local colors = require "gpt.plot.colors"

local device = {}

local NARROWEST, WIDEST = 30, 400

-- A host may leave out os and io: then it has no terminal.
local function variable(name)
  local os = rawget(_G, "os")
  local value = type(os) == "table" and type(os.getenv) == "function" and os.getenv(name)
  return value ~= "" and value or nil
end

local function terminal_width()
  local io = rawget(_G, "io")
  local known, width = attempt(function() return core._terminal_width(io.stdout) end)
  return known and width or nil
end

-- "24bit", "256" or "none": no colours for a pipe, for NO_COLOR (https://no-color.org), or for a terminal that is not
-- known to have them.
local function colors_of(is_terminal)
  local term, depth = variable "TERM" or "dumb", variable "COLORTERM"
  if not is_terminal or variable "NO_COLOR" or term == "dumb" then return "none" end
  if depth == "truecolor" or depth == "24bit" or term:find("direct", 1, true) then return "24bit" end
  return term:find("256color", 1, true) and "256" or "none"
end

-- Some terminals tell their background by its number in the 16 colours.
local function theme_of()
  local background = tonumber((variable "COLORFGBG" or ""):match ";(%d+)$")
  return (background == 7 or background == 15) and colors.LIGHT or colors.DARK
end

--- @treturn table `width` in columns, `colors` ("24bit", "256" or "none"), `theme`
function device.describe()
  local width = terminal_width()
  local columns = math.tointeger(tonumber(variable "COLUMNS")) or width or 80
  return {
    width = math.max(NARROWEST, math.min(WIDEST, columns)), colors = colors_of(width ~= nil), theme = theme_of(),
  }
end

return device
