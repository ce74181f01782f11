-- Runs specs by busted, in the interpreter that runs this: the files that are named, or every file of spec. Several are
-- each a process of its own, as many at once as the environment's JOBS says (1): in one process, the collector would walk
-- the values of all files before it at every collection that a spec asks for.
local options, files = {}, {}
for _, word in ipairs(arg) do table.insert(word:sub(1, 1) == "-" and options or files, word) end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function list_files()
  local pipe = assert(io.popen "LC_ALL=C ls spec/*_spec.lua")
  for file in pipe:lines() do files[#files + 1] = file end
  pipe:close()
end

-- Begins the specs of a file, in a process with the same options.
local function start(file)
  local words = { os.getenv "LUAGPT_LUA" or quote(arg[-1]), quote(arg[0]) }
  for _, word in ipairs(options) do words[#words + 1] = quote(word) end
  words[#words + 1] = quote(file)
  return { file = file, pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1")) }
end

-- Waits for it, and adds up its counts. Shows what it wrote unless all passed.
local function finish(run, sums)
  local output = run.pipe:read "a"
  local ended_well = run.pipe:close()
  local rest, passed, failed, skipped = output:match "^(.*)\n(%d+) passed, (%d+) failed, (%d+) skipped\n$"
  if not passed then rest, passed, failed, skipped = output, 0, 1, 0 end
  if not ended_well and tonumber(failed) == 0 then failed = 1 end
  if tonumber(failed) + tonumber(skipped) > 0 then print(rest) end
  print(("%6d  %s"):format(passed, run.file))
  io.stdout:flush()
  for i, count in ipairs { passed, failed, skipped } do sums[i] = sums[i] + tonumber(count) end
end

local function run_all()
  local running, sums = {}, { 0, 0, 0 }
  local at_once = math.max(1, math.tointeger(tonumber(os.getenv "JOBS" or 1)) or 1)
  for i = 1, #files + at_once - 1 do
    if files[i] then table.insert(running, start(files[i])) end
    if i >= at_once then finish(table.remove(running, 1), sums) end
  end
  print(("%d passed, %d failed, %d skipped"):format(table.unpack(sums)))
  os.exit(sums[1] > 0 and sums[2] == 0)
end

if #files == 0 then list_files() end
if #files == 1 then require "busted.runner" { standalone = false } else run_all() end
