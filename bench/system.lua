-- A program that is measured: a process of its own, which waits for a request, a line, and tells a number. So systems
-- that are loaded once take turns every half second, and what the machine does meanwhile meets all of them.
local System = {}
System.__index = System

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local started = 0

-- @string name
-- @tparam {string,...} command words
-- @string work a folder for pipes and for what the program complains of
function System.start(name, command, work)
  started = started + 1
  local pipe, log = ("%s/pipe%d"):format(work, started), ("%s/%s.log"):format(work, name)
  local words = {}
  for i, word in ipairs(command) do words[i] = quoted(tostring(word)) end
  assert(os.execute(("rm -f %s && mkfifo %s"):format(quoted(pipe), quoted(pipe))), "a pipe cannot be made: " .. pipe)
  local self = setmetatable({ name = name, log = log }, System)
  self.input = assert(io.popen(("exec %s >%s 2>%s"):format(table.concat(words, " "), quoted(pipe), quoted(log)), "w"))
  self.output = assert(io.open(pipe))
  os.remove(pipe)
  self:read() -- "ready"
  return self
end

function System:read()
  local line = self.output:read "l"
  if line then return line end
  local log = io.open(self.log)
  local text = log and log:read "a" or ""
  if log then log:close() end
  return error(("%s has ended:\n%s"):format(self.name, text:sub(-2000)), 0)
end

-- The number, or nil and why there is none.
function System:ask(request)
  assert(self.input:write(request, "\n") and self.input:flush())
  local line = self:read()
  return tonumber(line), line:match "^none (.*)"
end

function System:close()
  self.input:close() -- whose end the program waits for
  self.output:close()
end

return System
