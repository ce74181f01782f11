-- The inputs of the corpus through the targets in Lua, without the fuzzer: what specs run.
local files = require "spec.support.files"
local targets = require "spec.fuzz.targets"

local replay = {}

local CORPUS = "spec/fuzz/corpus/"

-- The parts of an input that belongs into several files, as place.c cuts it.
local function write_parts(dir, names, bytes)
  local known = {}
  for _, name in ipairs(names) do
    known[name] = true
    os.remove(dir .. "/" .. name)
  end
  local at, name = 1, nil
  repeat
    local first, last, next_name = ("\n" .. bytes):find("\n==== ([^\n]*)\n", at)
    if known[name] then files.write(dir .. "/" .. name, bytes:sub(at, (first or #bytes + 1) - 1)) end
    at, name = last, next_name
  until not first
end

local function place(target, dir, bytes)
  if target.parts then
    write_parts(dir, target.parts, bytes)
    return dir
  end
  if not target.file then return bytes end
  files.write(dir .. "/" .. target.file, bytes)
  return dir .. "/" .. target.file
end

--- Calls visit(target's name, input's name, ok, error) for each.
function replay.all(visit)
  for name, target in pairs(targets) do
    local dir = files.directory "/dev/shm"
    local run = target.make(dir)
    for _, input in ipairs(files.list(CORPUS .. name)) do
      visit(name, input, pcall(run, place(target, dir, files.read(CORPUS .. name .. "/" .. input))))
    end
    files.remove(dir)
  end
end

return replay
