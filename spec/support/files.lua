-- Directories and files that specs make, break and remove.
local files = {}

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- A fresh directory; remove it with files.remove. In `parent`, where that is there: /dev/shm has no disk to wait for.
function files.directory(parent)
  local name = os.tmpname()
  os.remove(name)
  local beside = parent and name:gsub("^.*/", parent .. "/")
  if beside and os.execute("mkdir " .. quote(beside) .. " 2>/dev/null") then return beside end
  assert(os.execute("mkdir " .. quote(name)))
  return name
end

--- Removes a file or a directory with all that is in it.
function files.remove(path)
  assert(os.execute("rm -rf " .. quote(path)))
end

--- Copies a directory.
function files.copy(from, to)
  assert(os.execute("cp -r " .. quote(from) .. " " .. quote(to)))
end

--- The names in a directory, hidden ones too, in order.
function files.list(directory)
  local names, pipe = {}, assert(io.popen("ls -A " .. quote(directory)))
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

function files.write(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
end

function files.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

return files
