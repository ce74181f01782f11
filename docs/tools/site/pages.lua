-- The list of pages: which file each is made of, in the order of the menu.
local files = require "site.files"

local pages = {}

-- Groups of the menu: a heading, and pages { source, file, name }.
local GROUPS = {
  { "Learn", { { "README.md", "index.html", "Start" }, { "docs/guide.md", "guide.html", "Guide" },
    { "examples/README.md", "examples.html", "Examples" } } },
  { "Use", { { "docs/families.md", "families.html", "Model families" },
    { "docs/server.md", "server.html", "The server" }, { "examples/hosts/README.md", "hosts.html", "Hosts" },
    { "docs/c.md", "c.html", "From C" }, { "docs/performance.md", "performance.html", "Performance" } } },
  { "Trust", { { "docs/promises.md", "promises.html", "Promises" },
    { "docs/architecture.md", "architecture.html", "Architecture" }, { "CHANGELOG.md", "changes.html", "Changes" } } },
}

local function add(list, page)
  page.text = page.text or files.read(page.source)
  list[#list + 1] = page
end

local function fenced(language, text)
  return ("\n````%s\n%s\n````\n"):format(language, (text:gsub("%s+$", "")))
end

-- "06_shortcuts" -> "6. Shortcuts", as the list of chapters calls it.
local function chapter_title(name, list)
  return list:match("%[([^%]]*)%]%(" .. name:gsub("%p", "%%%0") .. "%.lua%)") or name
end

-- A chapter: its source, what it prints, and its pictures.
local function chapter_text(name, title, directory)
  local parts = { "# ", title, "\n\n`lua5.4 examples/", name, ".lua`\n",
    fenced("lua", files.read("examples/" .. name .. ".lua")), "\nIt prints:\n",
    fenced("text", files.read(directory .. "/output.txt")) }
  for _, picture in ipairs(files.glob(directory .. "/*.svg")) do
    parts[#parts + 1] = ("\n![%s](%s)\n"):format(picture:match "([^/]*)%.svg$":gsub("_", " "), picture:match "[^/]*$")
  end
  return table.concat(parts)
end

local function add_chapters(list, chapters)
  local titles = files.read "examples/README.md"
  for _, source in ipairs(files.glob "examples/[0-9][0-9]_*.lua") do
    local name = source:match "([^/]*)%.lua$"
    local title, directory = chapter_title(name, titles), chapters .. "/" .. name
    add(list, { source = source, file = ("example_%s.html"):format(name), name = title, group = "Examples",
      pictures = directory, text = chapter_text(name, title, directory) })
  end
end

--- The page of a source that other pages lead to.
function pages.source(path, file)
  local code = fenced(path:match "%.([^.]*)$" or "", files.read(path))
  return { source = path, file = file, name = path, text = "# `" .. path .. "`\n" .. code }
end

local function add_reference(list, reference)
  local function add_page(source, file, name)
    add(list, { source = source, file = file, name = name, group = "Reference" })
  end
  add_page(reference .. "/index.markdown", "reference.html", "All names")
  for _, kind in ipairs { "modules", "classes" } do
    for _, source in ipairs(files.glob(reference .. "/" .. kind .. "/*")) do
      local name = source:match "([^/]*)%.markdown$"
      add_page(source, ("reference_%s.html"):format(name), name)
    end
  end
end

--- @string reference a directory of ldoc's
-- @string chapters a directory of outputs
-- @treturn {table,...} pages: `source`, `file`, `name`, `group`, `text` (Markdown); `pictures`, where a chapter's are
function pages.list(reference, chapters)
  local list = {}
  for _, group in ipairs(GROUPS) do
    for _, each in ipairs(group[2]) do
      local source, file, name = table.unpack(each)
      if files.exists(source) then add(list, { source = source, file = file, name = name, group = group[1] }) end
    end
    if group[1] == "Learn" then add_chapters(list, chapters) end
  end
  add_reference(list, reference)
  return list
end

return pages
