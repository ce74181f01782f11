-- Every call on files fails in turn, in every load and save: alone, or with all behind it; reads and writes also move half
-- of the bytes, are interrupted, or find the end of the file or of the disk.
local cases = require "spec.faults.cases"
local core = require "gpt.core"
local files = require "spec.support.files"
local sample = require "spec.faults.sample"

local file_faults = {}

local ALWAYS = { "fails", "stays", "kills" }
local OF_BYTES = { "halves", "halves stays", "EINTR" }
-- What cannot be removed stays; what another process holds, to remove it, is left to that one.
local LEAVES = { ["unlink"] = true, ["try"] = true }
local RECOVERS = { ["halves"] = true, ["EINTR"] = true } -- what is only a detour

-- Runs work while the n-th call on files fails so. Returns whether it ended well, its value or error, how many calls there
-- were, and which of them it was.
local function inject(n, how, work)
  core._file_faults(n, nil, how)
  local ok, value = pcall(work)
  local calls, _, hit = core._file_faults()
  return ok, value, calls, hit
end

local function fail(case, place, text, ...)
  error(("%s: %s\n%s"):format(case.name, place, text:format(...)), 0)
end

-- The temporaries of saves in a directory and those below.
local function temporaries(place)
  local list = {}
  local pipe <close> = assert(io.popen(("find '%s' -name '.*.gpt-*' -o -name .gpt-save 2>/dev/null"):format(place)))
  for name in pipe:lines() do
    list[#list + 1] = name
    if name:find "/%.gpt%-save$" then list.listed = true end
  end
  return list
end

local function check_held(case, place)
  local now = cases.held(case.held)
  for name, before in pairs(case.held) do
    if now[name] ~= before then fail(case, place, "%s: %d before, %d after", name, before, now[name]) end
  end
end

local function prepare(scenario)
  local dir = files.directory "/dev/shm"
  local case = scenario[2](dir)
  case.name, case.dir = scenario[1], dir
  if case.content then
    case.restore()
    case.old = cases.digest(case.content())
    case.work()
    case.new = cases.digest(case.content())
    case.restore()
  else
    case.expected = cases.digest(case.work())
  end
  case.held = cases.held()
  return case
end

-- What a save left: the old content or the new one, and nothing besides that the next one does not take away.
local function check_save(case, place, ok, how, hit)
  local left = temporaries(case.place)
  if how == "fails" and not LEAVES[hit] and #left > 0 and not left.listed then
    fail(case, place, "it left %s", table.concat(left, ", "))
  end
  local there, content = pcall(case.content)
  if not there then fail(case, place, "cannot be read: %s", tostring(content)) end
  content = cases.digest(content)
  if content ~= case.new and (ok or content ~= case.old) then fail(case, place, "neither the old content nor the new one") end
  case.work()
  if cases.digest(case.content()) ~= case.new then fail(case, place, "the next save came to something else") end
  left = temporaries(case.place)
  if #left > 0 then fail(case, place, "the next save left %s", table.concat(left, ", ")) end
end

local function check_load(case, place, ok, value)
  if ok and cases.digest(value) ~= case.expected then fail(case, place, "it succeeded, and came to something else") end
  value = nil -- luacheck: ignore
  local again, outcome = pcall(case.work)
  if not again then fail(case, place, "the next load failed: %s", tostring(outcome)) end
  outcome = again and cases.digest(outcome)
  if outcome ~= case.expected then fail(case, place, "the next load came to something else") end
end

-- Lets the n-th call fail so. Returns whether the work failed, and the call's name.
local function try(case, n, how)
  if case.restore then case.restore() end
  local ok, value, _, hit = inject(n, how, case.work)
  local place = ("files %q %d %s (%s)"):format(case.name, n, how, hit)
  if not ok and RECOVERS[how] then fail(case, place, "it failed: %s", tostring(value)) end
  if not ok and how ~= "kills" and not tostring(value):find(case.dir, 1, true) then
    fail(case, place, "the error names no file: %s", tostring(value))
  end
  if case.content then check_save(case, place, ok, how, hit)
  else check_load(case, place, ok, value) end
  value = nil -- luacheck: ignore
  check_held(case, place)
  return not ok, hit
end

local function try_all(case, n, tally)
  local function once(how)
    local failed, hit = try(case, n, how)
    tally.tries = tally.tries + 1
    if failed then tally.errors = tally.errors + 1 end
    return hit
  end
  local hit
  for _, how in ipairs(ALWAYS) do
    if how ~= "kills" or case.content then hit = once(how) end
  end
  tally.calls[hit] = (tally.calls[hit] or 0) + 1
  if hit ~= "read" and hit ~= "write" then return end
  for _, how in ipairs(OF_BYTES) do once(how) end
  if hit == "read" then once "end" end
end

local function count(case)
  local _, _, calls = inject(0, "", case.work)
  return calls
end

--- Lets the calls of a scenario fail: all, or at most so many.
-- @return a table of `tries`, `errors` and `calls` by name
function file_faults.run(scenario, most)
  local case, tally = prepare(scenario), { tries = 0, errors = 0, calls = {} }
  for n in sample(count(case), most) do try_all(case, n, tally) end
  files.remove(case.dir)
  return tally
end

--- One case alone.
function file_faults.one(scenario, n, how)
  local case = prepare(scenario)
  local failed = try(case, math.tointeger(tonumber(n)), how)
  files.remove(case.dir)
  return failed
end

return file_faults
