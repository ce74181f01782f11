--- A picture, as the functions of gpt.plot return it where they are given no file: print it, or save it.
-- @classmod Picture
-- @usage local picture = gpt.plot.line { y = { 3, 1, 2 } }
-- print(picture)
local checks = require "gpt.plot.checks"
local core = require "gpt.core"
local device = require "gpt.plot.terminal.device"
local known_fields = require "gpt.support.known_fields"
local colors = require "gpt.plot.colors"
local methods = require "gpt.support.methods"
local validate = require "gpt.support.validate"

-- What draws a picture of each kind: as SVG, and in the terminal.
local KINDS = {
  line = { svg = require "gpt.plot.line", terminal = require "gpt.plot.terminal.line", width = 720, height = 420 },
  heatmap = { svg = require "gpt.plot.heatmap", terminal = require "gpt.plot.terminal.heatmap", width = 720 },
}

local Picture = {}
local metatable = { __name = "gpt.Picture", __index = known_fields.index("a picture", Picture) }

local OTHER_PICTURES = { png = true, jpg = true, jpeg = true, gif = true, webp = true, bmp = true, pdf = true }

local picture = {}

--- Raises where a name is not one of a file for a picture.
function picture.check_file(who, file)
  if type(file) ~= "string" or file == "" then
    checks.fail(who, "a file name expected as first argument, got %s", validate.show(file))
  end
  if OTHER_PICTURES[file:lower():match "%.(%w+)$"] then
    checks.fail(who, "pictures are SVG: a name that ends in .svg expected, got %s", validate.show(file))
  end
end

local function write(file, content)
  local writer <close> = core._file_writer(file)
  writer:write(content):commit()
end

--- @string kind "line" or "heatmap"
--- @tparam table o its description
function picture.new(kind, o)
  return setmetatable({ kind = kind, description = o }, metatable)
end

-- Its description for a file, of that size in pixels or the usual one.
local function sized(self, width, height)
  local kind, copy = KINDS[self.kind], {}
  for name, value in pairs(self.description) do copy[name] = value end
  copy.width, copy.height = width or kind.width, height or kind.height
  return copy
end

--- Writes it into a file, sizes being pixels.
function picture.write(self, file, width, height)
  write(file, KINDS[self.kind].svg(sized(self, width, height)))
  return file
end

local SAVE = { checks.field("width", checks.pixels), checks.field("height", checks.pixels) }

--- Writes the picture as SVG.
-- @string file to write, all of it or nothing
-- @tparam[opt] table options `width` and `height` in pixels
-- @treturn string the file's name
-- @usage gpt.plot.line({ y = { 3, 1, 2 } }):save "line.svg"
function Picture:save(file, options)
  local who = "picture:save"
  picture.check_file(who, file)
  local o, problems = validate.read(validate.options(who, options), SAVE)
  validate.raise(who, problems)
  return picture.write(self, file, o.width, o.height)
end

local TEXT = {
  checks.field("width", checks.columns), checks.field("height", checks.lines),
  checks.field("colors", validate.one_of { "24bit", "256", "none" }),
  checks.field("theme", validate.one_of { "dark", "light" }),
}

local THEMES = { dark = colors.DARK, light = colors.LIGHT }

--- The picture as text, for a terminal or for a file that is shown in one. `tostring` and `print` do the same for the
-- terminal that the program runs in: its width, its colours, and none of them in a pipe or with the variable NO_COLOR.
-- @tparam[opt] table options `width` in columns, `height` of a chart in lines; `colors`: "24bit", "256" or "none";
-- `theme`: "dark" or "light", the terminal's background
-- @treturn string
-- @usage io.write(gpt.plot.line({ y = { 3, 1, 2 } }):text { width = 60, colors = "none" }, "\n")
function Picture:text(options)
  local o, problems = validate.read(validate.options("picture:text", options), TEXT)
  validate.raise("picture:text", problems)
  local shown, given = device.describe(), self.description
  shown.width, shown.colors = o.width or given.width or shown.width, o.colors or shown.colors
  shown.theme = THEMES[o.theme] or shown.theme
  return KINDS[self.kind].terminal(given, shown, o.height or given.height)
end

function metatable:__tostring() return self:text() end

methods.check("a picture", Picture, metatable)

return picture
