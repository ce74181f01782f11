-- What stands around the text of a page: head, menu and footer.
local files = require "site.files"
local markdown = require "site.markdown"

local layout = {}

local template = files.read "docs/site/page.html"

-- The second level of a page's headings, below its place in the menu.
local function sections(page)
  local items = {}
  for _, heading in ipairs(page.headings) do
    local level = page.group == "Reference" and 3 or 2
    if heading.level == level then
      items[#items + 1] = ('<li><a href="#%s">%s</a></li>'):format(heading.id,
        markdown.plain(heading.html):gsub("%(.*", ""):gsub("[<&]", { ["<"] = "&lt;", ["&"] = "&amp;" }))
    end
  end
  return #items > 0 and "<ul>" .. table.concat(items) .. "</ul>" or ""
end

local function menu(current, list)
  local parts, group = {}, nil
  for _, page in ipairs(list) do
    if page.group ~= group then
      parts[#parts + 1] = (group and "</ul>" or "") .. ("<h2>%s</h2><ul>"):format(page.group)
      group = page.group
    end
    local here = page == current
    parts[#parts + 1] = ('<li><a href="%s"%s>%s</a>%s</li>'):format(page.file, here and ' aria-current="page"' or "",
      page.name, here and sections(page) or "")
  end
  return table.concat(parts) .. "</ul>"
end

--- A whole page.
function layout.page(page, list)
  local title = page.file == "index.html" and "luagpt: a GPT for Lua" or page.name .. " · luagpt"
  local values = { title = title, menu = menu(page, list), text = page.html }
  return (template:gsub("{{(%w+)}}", values))
end

return layout
