-- Makes the site: every page of documentation as HTML, linked to each other.
--
--   lua5.4 docs/tools/site.lua REFERENCE CHAPTERS SITE
--
-- REFERENCE is where ldoc's pages of Markdown are, CHAPTERS has a directory for each chapter of examples/ with what it
-- printed (output.txt) and drew, and SITE is where the pages go. It needs cmark-gfm. A link that leads nowhere ends it.
package.path = arg[0]:match("^(.*/)") .. "?.lua;" .. package.path
local Links = require "site.links"
local files = require "site.files"
local layout = require "site.layout"
local markdown = require "site.markdown"
local pages = require "site.pages"

local reference, chapters, directory = table.unpack(arg)

local function main()
  local list = pages.list(reference, chapters)
  local links = Links.new(list)
  for _, page in ipairs(list) do page.html, page.headings = markdown.render(page.text) end
  for _, page in ipairs(list) do page.html = links:resolve(page) end
  links:check()
  for _, page in ipairs(list) do files.write(directory .. "/" .. page.file, layout.page(page, list)) end
  for source, name in pairs(links.pictures) do files.copy(source, directory .. "/" .. name) end
  for source, name in pairs(links.sources) do
    local page = pages.source(source, name)
    page.html, page.headings = markdown.render(page.text)
    files.write(directory .. "/" .. name, layout.page(page, list))
  end
  files.copy("docs/site/style.css", directory .. "/style.css")
  print(("written: %s/index.html and %d more pages"):format(directory, #list - 1))
end

main()
