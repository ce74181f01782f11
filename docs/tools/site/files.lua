-- Files, whole.
local files = {}

function files.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return assert(file:read "a")
end

function files.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

function files.copy(source, target)
  files.write(target, files.read(source))
end

function files.exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

function files.is_directory(path)
  local file <close> = assert(io.open(path, "rb"))
  return not file:read(0) and not file:read "a"
end

--- The paths that match a pattern of the shell, sorted.
function files.glob(pattern)
  local list = {}
  local pipe <close> = assert(io.popen(("LC_ALL=C ls -d %s 2>/dev/null"):format(pattern)))
  for path in pipe:lines() do list[#list + 1] = path end
  return list
end

return files
