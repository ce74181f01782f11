-- Links between the pages: from one source to another, and from a name in code to its place in the reference.
local files = require "site.files"

local Links = {}
Links.__index = Links

local DIRECTORY = {}

--- `pictures` and `sources`, names on the site by path, are what its pages lead to beside the pages.
function Links.new(list)
  local self = setmetatable({ by_source = {}, by_file = {}, pictures = {}, sources = {}, broken = {} }, Links)
  for _, page in ipairs(list) do self.by_source[page.source], self.by_file[page.file] = page, page end
  return self
end

-- "docs", "../examples/x.lua" -> "examples/x.lua"
local function join(directory, path)
  local parts = {}
  for part in (directory .. "/" .. path):gmatch "[^/]+" do
    if part == ".." then table.remove(parts) elseif part ~= "." then parts[#parts + 1] = part end
  end
  return table.concat(parts, "/")
end

local function is_outside(target)
  return target:find "^%a+://" or target:find "^mailto:"
end

-- The page of a module or class that ldoc links to.
local function reference_page(self, path)
  return self.by_file[("reference_%s.html"):format((path:gsub("^.*/", ""):gsub("%.markdown$", "")))]
end

-- A picture, or a source that has no page of its own yet: what it is called on the site.
local function add(self, page, path)
  local source = page.pictures and files.exists(page.pictures .. "/" .. path) and page.pictures .. "/" .. path
    or join(page.source:match "^(.*)/" or ".", path)
  if not files.exists(source) then return nil end
  if files.is_directory(source) then return DIRECTORY end
  local name = source:match "[^/]*/?[^/]*$":gsub("/", "_")
  local is_picture = name:find "%.svg$"
  self[is_picture and "pictures" or "sources"][source] = is_picture and name or name .. ".html"
  return is_picture and name or name .. ".html"
end

local function has_heading(page, id)
  if id == "" then return true end
  for _, heading in ipairs(page.headings) do
    if heading.id == id then return true end
  end
  return false
end

-- Where a link leads on the site; nil where it leads nowhere.
local function target_of(self, page, target)
  local path, id = target:match "^([^#]*)#?(.*)$"
  local to = path == "" and page or self.by_source[join(page.source:match "^(.*)/" or ".", path)]
    or reference_page(self, path)
  if not to then return add(self, page, path) end
  if has_heading(to, id) then return to.file .. (id ~= "" and "#" .. id or "") end
end

local function lead(self, page, target)
  if is_outside(target) then return target end
  local found = target_of(self, page, target)
  if not found then self.broken[#self.broken + 1] = ("%s: %s"):format(page.source, target) end
  return found or ""
end

-- `gpt.load` and `Tensor:sum` in a text, as they are called there.
local function reference_of(self, code)
  local owner, name = code:match "^([%a.]+)[.:]([%a_][%w_]*)"
  if not owner then return nil end
  local page = self.by_file[("reference_%s.html"):format(owner)]
    or self.by_file[("reference_%s.html"):format(owner:sub(1, 1):upper() .. owner:sub(2))]
    or owner == "nn" and self.by_file["reference_gpt.nn.html"]
  if page and has_heading(page, name) then return page, name end
end

local function link_names(self, page, html)
  local pieces = {}
  -- not inside of headings, links and blocks of code
  for before, kept in (html .. "<pre></pre>"):gmatch "(.-)(<pre>.-</pre>)" do
    pieces[#pieces + 1] = before:gsub("(<?/?[%w]*[^<>]*>?)<code>([^<]*)</code>", function(start, code)
      if start:find "^<[ah]" then return nil end
      local to, id = reference_of(self, code)
      if not to or to == page then return nil end
      return ('%s<a class="name" href="%s#%s"><code>%s</code></a>'):format(start, to.file, id, code)
    end)
    pieces[#pieces + 1] = kept
  end
  return (table.concat(pieces):gsub("<pre></pre>$", ""))
end

--- The HTML of a page with its links led to where they are on the site. A link to a directory is a word.
function Links:resolve(page)
  local html = page.html:gsub('<a href="([^"]*)">(.-)</a>', function(target, text)
    local to = lead(self, page, target)
    return to == DIRECTORY and text or ('<a href="%s">%s</a>'):format(to, text)
  end)
  html = html:gsub('<img src="([^"]*)"', function(target) return ('<img src="%s"'):format(lead(self, page, target)) end)
  return link_names(self, page, html)
end

--- Raises where links led nowhere.
function Links:check()
  if #self.broken > 0 then error("links that lead nowhere:\n  " .. table.concat(self.broken, "\n  "), 0) end
end

return Links
