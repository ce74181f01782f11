-- The pieces of docs/tools/site that need no other program.
local files = require "spec.support.files"

package.path = "docs/tools/?.lua;" .. package.path
local Links = require "site.links"
local highlight = require "site.highlight"
local pages = require "site.pages"

-- A page of a site, with what its headings are called.
local function page(source, file, html, ...)
  local headings = {}
  for i, id in ipairs { ... } do headings[i] = { level = 2, id = id, html = id } end
  return { source = source, file = file, html = html, headings = headings, group = "Learn", name = source }
end

describe("the site's Lua", function()
  it("has classes for keywords, strings, numbers and comments, and is escaped", function()
    assert.equal('<span class="keyword">local</span> a = <span class="number">1.5e3</span> &lt; b '
      .. '<span class="comment">-- c &amp; d</span>\n<span class="string">"\\"&gt;"</span>',
      highlight 'local a = 1.5e3 < b -- c & d\n"\\">"')
    assert.equal('<span class="string">[==[ ]] ]==]</span> <span class="comment">--[[ a\n b ]]</span> ends',
      highlight "[==[ ]] ]==] --[[ a\n b ]] ends")
    assert.equal('<span class="string">"open</span>\nx', highlight '"open\nx')
  end)
end)

describe("the site's links", function()
  local function resolve(html, ...)
    local from = page("docs/guide.md", "guide.html", html, "tensors")
    local links = Links.new { from, page("README.md", "index.html", "", "chat"),
      page("build/pages/classes/Tensor.markdown", "reference_Tensor.html", "", "sum"), ... }
    return links:resolve(from), links
  end

  it("lead from one source to another, and to its headings", function()
    assert.equal('<a href="index.html#chat">x</a> <a href="guide.html#tensors">y</a>',
      (resolve '<a href="../README.md#chat">x</a> <a href="#tensors">y</a>'))
    assert.equal('<a href="https://example.org/a.md">x</a>', (resolve '<a href="https://example.org/a.md">x</a>'))
  end)

  it("lead to sources that have no page, and to pictures", function()
    local html, links = resolve '<a href="../examples/phi.lua">x</a> <img src="pictures/precision.svg"> <a href="../csrc/core">y</a>'
    assert.equal('<a href="examples_phi.lua.html">x</a> <img src="pictures_precision.svg"> y', html)
    assert.same({ ["examples/phi.lua"] = "examples_phi.lua.html" }, links.sources)
    assert.same({ ["docs/pictures/precision.svg"] = "pictures_precision.svg" }, links.pictures)
  end)

  it("lead from a name in code to the reference", function()
    assert.equal('<p>By <a class="name" href="reference_Tensor.html#sum"><code>tensor:sum(1)</code></a> or <code>tensor:none</code>'
      .. '</p><pre><code>Tensor:sum</code></pre><h2><code>Tensor:sum</code></h2>',
      (resolve '<p>By <code>tensor:sum(1)</code> or <code>tensor:none</code></p><pre><code>Tensor:sum</code></pre>'
        .. '<h2><code>Tensor:sum</code></h2>'))
  end)

  it("are an error where they lead nowhere", function()
    local _, links = resolve '<a href="nothing.md">x</a> <a href="../README.md#gone">y</a> <img src="no.svg">'
    assert.has_error(function() links:check() end,
      "links that lead nowhere:\n  docs/guide.md: nothing.md\n  docs/guide.md: ../README.md#gone\n  docs/guide.md: no.svg")
  end)
end)

describe("the site's pages", function()
  it("show what a chapter is, prints and draws", function()
    local reference, chapters = files.directory(), files.directory()
    files.write(reference .. "/index.markdown", "# The reference")
    for _, name in ipairs(files.list "examples") do
      local chapter = name:match "^(%d%d_.*)%.lua$"
      if chapter then
        files.copy("docs/site", chapters .. "/" .. chapter) -- a directory with files that are no pictures
        files.write(chapters .. "/" .. chapter .. "/output.txt", "what it says\n")
      end
    end
    files.write(chapters .. "/06_shortcuts/a_picture.svg", "<svg/>")
    local found
    for _, each in ipairs(pages.list(reference, chapters)) do
      if each.source == "examples/06_shortcuts.lua" then found = each end
    end
    files.remove(reference)
    files.remove(chapters)
    assert.equal("6. Shortcuts", found.name)
    assert.truthy(found.text:find("\nIt prints:\n\n````text\nwhat it says\n````\n\n![a picture](a_picture.svg)\n", 1, true))
  end)
end)
