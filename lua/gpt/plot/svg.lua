-- Writing SVG: a document with its style, readable in light and dark, that needs nothing outside itself.
local colors = require "gpt.plot.colors"
local neutral = require "gpt.support.neutral"

local svg = {}

local COLORS, SERIES = colors.NAMED, colors.SERIES

svg.SERIES = #SERIES

local function style_of(theme)
  local lines = {}
  local function add(selector, property, pair)
    table.insert(lines, (".gpt-plot %s { %s: %s }"):format(selector, property, pair[theme]))
  end
  add(".background", "fill", COLORS.background)
  add(".text", "fill", COLORS.text)
  add(".muted", "fill", COLORS.muted)
  add(".inverse", "fill", COLORS.background)
  add(".grid", "stroke", COLORS.grid)
  add(".axis", "stroke", COLORS.axis)
  add(".missing", "fill", COLORS.missing)
  add(".above", "fill", COLORS.above)
  add(".below", "fill", COLORS.below)
  add(".stop-above", "stop-color", COLORS.above)
  add(".stop-below", "stop-color", COLORS.below)
  for i, pair in ipairs(SERIES) do
    add(".line" .. i, "stroke", pair)
    add(".mark" .. i, "fill", pair)
  end
  return table.concat(lines, "\n")
end

local STYLE = ([[
<style>
.gpt-plot text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif }
%s
@media (prefers-color-scheme: dark) {
%s
}
</style>]]):format(style_of(1), style_of(2))

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

--- Text for a document: bytes that XML forbids, or that are no UTF-8, become question marks.
function svg.escape(text)
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]", "?") end
  return (text:gsub("[%c\x7f]", function(c) return c:find("[\t\n]") and " " or "?" end):gsub('[&<>"]', ESCAPES))
end

--- About how wide a text comes out, in pixels.
function svg.text_width(text, size)
  return (utf8.len(text) or #text) * size * 0.6
end

local Document = {}
Document.__index = Document

function Document:add(format, ...)
  self[#self + 1] = neutral.format(format, ...)
end

--- Text at a place. style: "text" or "muted"; anchor: "start", "middle", "end"; more: further attributes.
function Document:text(x, y, text, size, style, anchor, more)
  self:add('<text x="%.1f" y="%.1f" class="%s" font-size="%d" text-anchor="%s"%s>%s</text>', x, y, style or "text",
    size, anchor or "start", more and " " .. more or "", svg.escape(text))
end

--- The title of a picture: smaller where there is little room, and cut off at last.
function Document:title(x, y, text, room)
  local size = 16
  while size > 11 and svg.text_width(text, size) > room do size = size - 1 end
  if svg.text_width(text, size) > room and utf8.len(text) then
    text = text:sub(1, (utf8.offset(text, math.max(2, math.floor(room / (0.6 * size)))) or #text + 1) - 1) .. "…"
  end
  self:text(x, y, text, size, "text", "start", 'font-weight="600"')
end

function Document:line(x1, y1, x2, y2, style)
  self:add('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s" stroke-width="1"/>', x1, y1, x2, y2, style)
end

--- The whole document as a string.
function Document:finish(width, height, title)
  local head = ('<svg xmlns="http://www.w3.org/2000/svg" class="gpt-plot" role="img" width="%d" height="%d" '
    .. 'viewBox="0 0 %d %d">'):format(width, height, width, height)
  local background = ('<rect class="background" width="%d" height="%d"/>'):format(width, height)
  local name = title and ("<title>%s</title>\n"):format(svg.escape(title)) or ""
  return ("%s\n%s%s\n%s\n%s\n</svg>\n"):format(head, name, STYLE, background, table.concat(self, "\n"))
end

function svg.document()
  return setmetatable({}, Document)
end

return svg
