-- Files that are written together and appear together: each is whole on the disk before the first one takes its name.
local core = require "gpt.core"

local Group = {}
Group.__index = Group

-- Begins a file.
-- @string path
-- @return what to `:write(string or tensor)` to
function Group:add(path)
  local file = core._file_writer(path)
  self[#self + 1] = file
  return file
end

-- Brings all files to the disk, under their temporary names; only now is it certain that they fit.
function Group:finish()
  if self.finished then return end
  for _, file in ipairs(self) do file:finish() end
  self.finished = true
end

-- All files take their names, in the order they were begun.
function Group:commit()
  self:finish()
  for _, file in ipairs(self) do file:commit() end
end

-- Removes what was not committed.
function Group:__close()
  for _, file in ipairs(self) do file:close() end
end

-- A new group, to be held in a `<close>` variable.
return function()
  return setmetatable({}, Group)
end
