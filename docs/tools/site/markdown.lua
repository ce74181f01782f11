-- Markdown as HTML, by cmark-gfm; headings get the ids that GitHub gives them, and Lua its colours.
local files = require "site.files"
local highlight = require "site.highlight"

local markdown = {}

local function convert(text)
  local path = os.tmpname()
  files.write(path, text)
  local pipe = assert(io.popen("cmark-gfm --unsafe -e table -e autolink " .. path))
  local html = pipe:read "a"
  local ok = pipe:close()
  os.remove(path)
  assert(ok, "cmark-gfm failed; make setup-docs installs it")
  return html
end

local ENTITIES = { ["&lt;"] = "<", ["&gt;"] = ">", ["&quot;"] = '"', ["&amp;"] = "&" }

--- What a piece of HTML says.
function markdown.plain(html)
  return (html:gsub("<[^>]*>", ""):gsub("&%a+;", ENTITIES))
end

-- "## The house, built" -> "the-house-built"; a heading that is the code of a function is called by its name.
local function slug(html)
  local name = html:match "^<code>([%w_.:]+)[^<]*</code>$"
  return name or (markdown.plain(html):lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

local function name_headings(html)
  local headings, seen = {}, {}
  html = html:gsub("<h(%d)>(.-)</h%d>", function(level, content)
    local id = slug(content)
    seen[id] = (seen[id] or -1) + 1
    if seen[id] > 0 then id = ("%s-%d"):format(id, seen[id]) end
    headings[#headings + 1] = { level = tonumber(level), id = id, html = content }
    return ('<h%s id="%s">%s</h%s>'):format(level, id, content, level)
  end)
  return html, headings
end

local function colour_code(html)
  return (html:gsub('<code class="language%-lua">(.-)</code>', function(code)
    return "<code>" .. highlight(markdown.plain(code)) .. "</code>"
  end))
end

--- @string text Markdown
-- @treturn string HTML
-- @treturn {table,...} headings: `level`, `id`, `html`
function markdown.render(text)
  local html, headings = name_headings(convert(text))
  html = colour_code(html):gsub("<table>", '<div class="wide"><table>'):gsub("</table>", "</table></div>")
  return html, headings
end

return markdown
