-- Scenarios as they are run: each prepared in a directory of its own, tried with a fault, and looked at afterwards.
local core = require "gpt.core"
local faults = require "faults"
local files = require "spec.support.files"
local gpt = require "gpt"

local cases = {}

-- A value as a text that tells it from any other: tensors by what is in them, tables by their keys.
local function digest(value)
  if core.is_tensor(value) then return table.concat({ value:dtype(), table.concat(value:shape(), ","), value:bytes() }, ":") end
  if math.type(value) == "float" then return ("%a"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, item in pairs(value) do parts[#parts + 1] = tostring(key) .. "=" .. digest(item) end
  table.sort(parts)
  return "{" .. table.concat(parts, ";") .. "}"
end
cases.digest = digest

-- Overwrites what calls that are over left on the stack, which the collector would take for values in use.
local function wipe(depth)
  local a, b, c, d = nil, nil, nil, nil
  if depth > 0 then wipe(depth - 1) end
  return a, b, c, d
end

local function same(now, before)
  for name, value in pairs(before) do
    if now[name] ~= value then return false end
  end
  return true
end

--- What the process holds: the core's live and mapped bytes, and open files. Collects once, and again where that is not
-- what it was (most of a try's time goes there).
-- @tparam[opt] table before
function cases.held(before)
  wipe(40)
  for pass = 1, 3 do
    collectgarbage()
    local memory = gpt.memory()
    local now = { live = memory.live, mapped = memory.mapped, files = faults.open_files() }
    if pass == 3 or before and same(now, before) then return now end
  end
end

local Case = {}
Case.__index = Case

--- A scenario, prepared: warmed up, and asked what it does when nothing fails.
function cases.prepare(scenario)
  local dir = files.directory "/dev/shm"
  local made = scenario[2](dir)
  local self = setmetatable(type(made) == "table" and made or { work = made }, Case)
  self.name, self.dir = scenario[1], dir
  self:reset()
  for _ = 1, 3 do self:run() end -- strings and stack that only the first calls ask for
  self.expected = self:run()
  self.before = self.kept and digest(self.kept())
  self.base = cases.held()
  return self
end

function Case:reset()
  if self.clear then self.clear() end
  if self.fresh then self.fresh() end
end

-- What the work comes to: its value, or what it changed.
function Case:outcome(value)
  return digest(self.kept and self.kept() or value)
end

--- Runs it without faults.
function Case:run()
  local outcome = self:outcome((self.work()))
  self:reset()
  return outcome
end

local function fail(self, place, text, ...)
  error(("%s: %s\n%s"):format(self.name, place, text:format(...)), 0)
end

function Case:check_held(place)
  local now = cases.held(self.base)
  for name, before in pairs(self.base) do
    if now[name] ~= before then fail(self, place, "%s: %d before, %d after", name, before, now[name]) end
  end
end

-- Whether nothing has changed; or all of it, where an error may come when all is done.
local function check_failure(self, place, problem, expected, late)
  if not tostring(problem):find(expected, 1, true) then fail(self, place, "another error: %s", tostring(problem)) end
  local now = self.kept and digest(self.kept())
  local done = late and now == self.expected
  if now and now ~= self.before and not done then fail(self, place, "it failed, and something has changed") end
  if self.clear then self.clear() end
  if not done then self:check_held(place) end
end

--- Tries it: inject(work) runs it with a fault. A failure has to be the expected error, which changes and holds nothing;
-- a success has to be the usual one; and then it has to work.
-- @string place the case, for messages
-- @string expected a part of the error
-- @func inject returns whether the work ended well, and its value or error
-- @bool late the error may also come when all is done
-- @return whether it failed
function Case:try(place, expected, inject, late)
  local ok, value = inject(self.work)
  if ok then
    if self:outcome(value) ~= self.expected then fail(self, place, "it succeeded, and came to something else") end
  else
    check_failure(self, place, value, expected, late)
  end
  value = nil -- luacheck: ignore
  self:reset()
  self:check_held(place)
  local again, outcome = pcall(self.run, self)
  if not again then fail(self, place, "the next call failed: %s", tostring(outcome)) end
  if outcome ~= self.expected then fail(self, place, "the next call came to something else") end
  return not ok
end

function Case:close()
  files.remove(self.dir)
end

return cases
