-- Sources for ldoc: the same comments, sorted by what they belong to, one file for each module and class.
local reference = {}

local function write_block(out, lines)
  for i, line in ipairs(lines) do out:write(i == 1 and "--- " or "-- ", line, "\n") end
  out:write("\n")
end

-- The comment with the tag that names it last, and the name without its owner, which is the file's.
local function member_block(entry)
  local block, naming = {}, "^@t?" .. entry.kind .. "%s"
  for _, line in ipairs(entry.block) do
    if line:find(naming) then
      local plain = entry.name:match("([^.:]+)$")
      line = ("@%s %s"):format(entry.kind, plain)
    end
    table.insert(block, line)
  end
  return block
end

local function write_heading(out, owner, heading)
  local block = heading and heading.block or { owner .. ".", "@classmod " .. owner }
  for i, line in ipairs(block) do block[i] = line:gsub("^@module%s+(.*)", "@module %1") end
  write_block(out, block)
end

--- Writes OWNER.lua for each owner into a directory.
function reference.write(entries, directory)
  local headings, owners, members = {}, {}, {}
  for _, entry in ipairs(entries) do
    local heading = entry.kind == "module" or entry.kind == "classmod"
    local owner = heading and entry.name or entry.owner
    if heading then headings[owner] = entry end
    if not members[owner] then
      members[owner] = {}
      table.insert(owners, owner)
    end
    if not heading then table.insert(members[owner], entry) end
  end
  for _, owner in ipairs(owners) do
    local out <close> = assert(io.open(("%s/%s.lua"):format(directory, owner), "w"))
    write_heading(out, owner, headings[owner])
    for _, entry in ipairs(members[owner]) do write_block(out, member_block(entry)) end
  end
end

return reference
