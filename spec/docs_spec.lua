local files = require "spec.support.files"

-- Every ```lua block of the documents runs: those of a chapter one after the other, as one script, in a directory of its
-- own. A block whose first line is `-- needs ...` wants data from outside, and is only compiled.
local NEEDS = "^%-%- needs [^\n]+\n"

-- The chapters of a document: `{ title, code, blocks = n }`. Lines keep their numbers.
local function chapters(path)
  local list, chapter, block, start = {}, nil, nil, 0
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    if block and line == "```" then
      table.insert(chapter.blocks, { code = table.concat(block, "\n") .. "\n", line = start })
      block = nil
    elseif block then
      table.insert(block, line)
    elseif line == "```lua" then
      block, start = {}, number + 1
    elseif line:find("^## ") or not chapter then
      chapter = { title = line:gsub("^#+ ", ""), blocks = {} }
      table.insert(list, chapter)
    end
  end
  assert(not block, path .. ": a block without an end")
  return list
end

local function working_directory()
  local pipe <close> = assert(io.popen("pwd"))
  return pipe:read("l")
end

local function run(code, directory)
  local root = working_directory()
  files.write(directory .. "/chapter.lua", code)
  local path, cpath = package.path:gsub("%./", root .. "/"), package.cpath:gsub("%./", root .. "/")
  local command = ("cd '%s' && LUA_PATH='%s' LUA_CPATH='%s' lua5.4 chapter.lua 2>&1"):format(directory, path, cpath)
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  return output, pipe:close() == true
end

-- What `print(...)  --> a  b   a remark` promises, in the order of the code; a tab is printed as two blanks are written.
local function promises(code)
  local list = {}
  for line in code:gmatch("[^\n]+") do
    local promised = line:match("%-%-> (.*)$")
    if promised then table.insert(list, (promised:gsub("   .*$", ""))) end
  end
  return list
end

-- The first promise that no line of the output keeps, or nil; the lines come in the order of the promises.
local function broken_promise(code, output)
  local lines = output:gsub("\t", "  "):gmatch("[^\n]+")
  for _, promised in ipairs(promises(code)) do
    local line
    repeat line = lines() until line == nil or line == promised
    if not line then return promised end
  end
end

local found, ran = {}, {}

for _, path in ipairs { "README.md", "docs/guide.md", "docs/server.md", "docs/architecture.md", "docs/families.md" } do
  found[path], ran[path] = 0, 0
  describe("the code in " .. path, function()
    for _, chapter in ipairs(chapters(path)) do
      local code, last = "", 1
      for _, block in ipairs(chapter.blocks) do
        found[path] = found[path] + 1
        if block.code:find(NEEDS) then
          it(("is Lua: line %d"):format(block.line), function() assert(load(block.code, "=" .. path)) end)
        else
          code = code .. ("\n"):rep(block.line - last) .. block.code
          local _, lines = code:gsub("\n", "\n")
          last = lines + 1
        end
      end
      if code ~= "" then
        it("runs: " .. chapter.title, function()
          local directory = files.directory()
          local output, ok = run(code, directory)
          files.remove(directory)
          assert.is_true(ok, output)
          local broken = broken_promise(code, output)
          assert.is_nil(broken, ("promised: %s\nprinted:\n%s"):format(broken, output))
          ran[path] = ran[path] + 1
        end)
      end
    end
  end)
end

describe("the documents", function()
  it("have code, all of it was seen, and most of it ran", function()
    local LEAST = {
      ["README.md"] = { 2, 1 }, ["docs/guide.md"] = { 15, 8 }, ["docs/server.md"] = { 1, 1 },
      ["docs/architecture.md"] = { 0, 0 }, ["docs/families.md"] = { 1, 1 },
    }
    for path, least in pairs(LEAST) do
      local _, fences = files.read(path):gsub("```%s*[lL]ua", "")
      assert.equal(fences, found[path], path)
      assert.is_true(found[path] >= least[1], path .. ": " .. found[path])
      assert.is_true(ran[path] >= least[2], path .. ": " .. ran[path])
    end
  end)

  it("list the guide's chapters, all of them", function()
    local guide, listed, chapters_there = files.read "docs/guide.md", {}, {}
    for title, anchor in guide:gmatch "\n%d+%. %[([^%]]+)%]%(#([^)]+)%)" do
      assert.equal(title:lower():gsub("[^%w -]", ""):gsub(" ", "-"), anchor)
      table.insert(listed, title)
    end
    for title in guide:gmatch "\n## ([^\n]+)" do table.insert(chapters_there, title) end
    assert.same(chapters_there, listed)
  end)

  it("link to files that are there", function()
    for _, path in ipairs { "README.md", "docs/guide.md", "docs/server.md", "docs/architecture.md", "docs/families.md" } do
      local folder = path:match("^(.*/)") or ""
      for target in files.read(path):gmatch("%]%(([^)#]+)[^)]*%)") do
        if not target:find("^https?:") then
          local file = io.open(folder .. target)
          assert.truthy(file, path .. ": " .. target)
          file:close()
        end
      end
    end
  end)
end)
