-- Wrong arguments for everything that is public. The examples of the help texts call each function as it should be; here
-- every such call is stopped at its beginning, and made first with each of its arguments, of the entries of its tables,
-- and of the options that it reads, exchanged for each wrong value. A new name is swept as soon as it has an example.
local core = require "gpt.core"
local examples = require "spec.support.examples"
local families = require "gpt.families"
local gpt = require "gpt"
local texts = require "gpt.help_texts"
local wrong_values = require "spec.support.wrong_values"

local arguments = {}

local MOST_MESSAGE = 2000
local MOST_INSTRUCTIONS, MOST_SECONDS = 3000000, 1 -- of one call; of the processor's time: others may be using it
local MOST_PASSES = 4
local MOST_ENTRIES, MOST_DEPTH = 8, 3 -- of tables, that are exchanged
local MOST_LEFT = 65536 -- bytes that may be held when all is over
local ROOM = 512 << 20 -- bytes that a call may take

local MARK = wrong_values.MARK
local ENDLESS = "the call runs long"

-- What must not be in a message: the sign of an unchecked value, whoever raises it.
local UNCHECKED = { "attempt to index", "attempt to call", "attempt to compare", "attempt to perform", "attempt to concat",
  "attempt to get length", "attempt to convert", "has no integer representation", "bad 'for'", "invalid value %(",
  "lua/gpt/", "gpt/[%w_/]+%.lua", "invalid option '", "invalid order function", "invalid conversion" }

--- What is wrong with the error of a call, or nil.
function arguments.fault(message)
  if type(message) == "table" and message[1] == MARK then return nil end
  if type(message) ~= "string" then return "no string is raised, but a " .. type(message) end
  if message:find(MARK, 1, true) or message:find(ENDLESS, 1, true) then return nil end
  if message:find("attempt to yield", 1, true) then return nil end
  for _, pattern in ipairs(UNCHECKED) do
    if message:find(pattern) then return "an unchecked value" end
  end
  local text = message:match "^caller:%d+: (.*)$" or message:match "^example:%d+: (.*)$" -- of a function in the example
  if not text then return "not at the caller's line" end
  text = text:match "^(.-)\nstack traceback:" or text -- of a function of the example's
  if #text > MOST_MESSAGE then return #text .. " bytes" end
  if text:find "[\0-\8\11-\31\127]" then return "a control character" end
  if not utf8.len(text) then return "no UTF-8" end
end

-- A call of a function under its name, as scripts write it.
local function caller(name, method)
  if method == "call" then
    return load("return function(_, self, ...) local n = select('#', self(...)) return n end", "=caller")()
  end
  local word = name and name:find "^[%a_][%w_]*$" and not load(name .. " = 1") == false and name or "f"
  local code = method and ("local f, self = ... return (function(_, self, ...) local n = select('#', self:%s(...)) return n end)"):format(word)
    or ("return function(f, ...) local t = { %s = f } local n = select('#', t.%s(...)) return n end"):format(word, word)
  return assert(load(code, "=caller"))()
end

-- A plain table, or one that only prints.
local function is_plain(value)
  if type(value) ~= "table" then return false end
  local meta = debug.getmetatable(value)
  return meta == nil or meta == core._printed
end

local function sorted_keys(t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" or math.type(key) == "integer" and key <= 2 then table.insert(keys, key) end
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return table.move(keys, 1, math.min(#keys, MOST_ENTRIES * 4), 1, {})
end

-- Calls found(path) for every entry of tables in the arguments.
local function find_entries(value, path, found)
  if not is_plain(value) or #path > MOST_DEPTH then return end
  for i, key in ipairs(sorted_keys(value)) do
    if i > MOST_ENTRIES and #path > 1 then break end
    local inner = table.move(path, 1, #path, 1, {})
    inner[#inner + 1] = key
    found(inner)
    find_entries(value[key], inner, found)
  end
end

local function with(value, path, i, new)
  if i > #path then return new end
  local copy = setmetatable({}, type(value) == "table" and debug.getmetatable(value) or nil)
  if type(value) == "table" then
    for key, item in next, value do rawset(copy, key, item) end
  end
  rawset(copy, path[i], with(copy[path[i]], path, i + 1, new))
  return copy
end

-- The arguments with one exchanged: path[1] is its number, the rest lead to an entry of it.
local function exchanged(given, path, new)
  local copy = table.move(given, 1, given.n, 1, { n = math.max(given.n, path[1]) })
  local index = path[1]
  if #path == 1 then copy[index] = new else copy[index] = with(copy[index], path, 2, new) end
  return copy
end

-- A table of options that notes which are asked for.
local function recorder(value, names)
  local inner = is_plain(value) and value or {}
  return setmetatable({}, {
    __index = function(_, key)
      if type(key) == "string" then names[key] = true end
      return inner[key]
    end,
    __pairs = function() return next, inner, nil end,
  })
end

-- A server waits for sockets as long as it is told to; here for a moment.
local has_sockets, socket = pcall(require, "socket")
local select_sockets = has_sockets and socket.select
if has_sockets then
  function socket.select(reads, writes, seconds)
    return select_sockets(reads, writes, math.min(seconds or 0, 0.001))
  end
end

-- How many arguments the metamethods have that Lua calls with a value of ours first, and always so.
local EVENTS = { index = 2, newindex = 3, len = 1, unm = 1, tostring = 1 }

local Sweep = {}
Sweep.__index = Sweep

-- One call that is not to end the process: a time, a memory, a thread of its own.
local function call_once(call, fn, given)
  local thread = coroutine.create(function() return call(fn, table.unpack(given, 1, given.n)) end)
  local slices, deadline = 0, os.clock() + MOST_SECONDS
  debug.sethook(thread, function()
    slices = slices + 1
    if slices == 1000 or os.clock() > deadline then error(ENDLESS, 0) end
  end, "", MOST_INSTRUCTIONS // 1000)
  local ok, message = coroutine.resume(thread)
  debug.sethook(thread)
  if coroutine.status(thread) == "suspended" then coroutine.close(thread) end
  return ok, message
end

local function upvalue(fn, wanted)
  for i = 1, math.huge do
    local name, value = debug.getupvalue(fn, i)
    if name == wanted or name == nil then return value end
  end
end

-- What a legal call may have changed of the whole.
local function restore(base)
  gpt.memory { limit = base.limit }
  gpt.set_threads(1)
  gpt.set_precision "f32"
  local recipes = upvalue(families.each, "ALL")
  for i = #recipes, base.families + 1, -1 do recipes[i], families.NAMES[i] = nil, nil end
end

local function path_name(path)
  local parts = { "argument " .. path[1] }
  for i = 2, #path do parts[i] = tostring(path[i]) end
  return table.concat(parts, ".")
end

-- An error behind which values are not as they were: a call that did a part of what it was asked to.
local function has_effect(message)
  local text = tostring(message)
  return text:find(ENDLESS, 1, true) or text:find("training stops", 1, true) or text:find(MARK, 1, true)
    or type(message) ~= "string"
end

-- Tries one combination, unless it is not in the sample or known as legal.
function Sweep:try(site, label, given)
  local id = site.id .. ", " .. label
  self.tried = self.tried + 1
  if self.legal[id] or self.hash(id) % self.stride ~= 0 then return end
  if self.last and not self.refused[id] or not self.last and self.refused[id] then return end
  if self.log then self.log(id) end
  local ok, message = call_once(site.call, site.fn, given())
  if not self.known[id] then
    self.known[id] = true
    self.count = self.count + 1
  end
  if ok or has_effect(message) then
    local endless = tostring(message):find(ENDLESS, 1, true) -- which depends on the machine
    if self.last and not self.tainted and not endless then self.report(id .. ": was refused first, and is legal later") end
    self.legal[id], self.tainted = true, true
    restore(self.base)
    return
  end
  if self.tainted then self.unsure = true else self.refused[id] = true end
  self.errors = self.errors + 1
  local fault = arguments.fault(message)
  if fault and not self.reported[id] then
    self.reported[id] = true
    self.report(("%s: %s: %s"):format(id, fault, self.shown(message)))
  end
  if self.messages then self.messages(id, message) end
end

function Sweep:try_values(site, path, given)
  for _, value in ipairs(wrong_values.list) do
    self:try(site, ("%s = %s"):format(path_name(path), value[1]), function()
      return exchanged(given, path, value[2](self.env))
    end)
  end
end

-- The options that the argument of that number is asked for.
function Sweep:options(site, index, given)
  local id = site.id .. " options of " .. index
  if not self.found[id] then
    local names = {}
    call_once(site.call, site.fn, exchanged(given, { index }, recorder(given[index], names)))
    restore(self.base)
    self.tainted = true
    self.found[id] = sorted_keys(names)
  end
  return self.found[id]
end

function Sweep:try_counts(site, given)
  for count = site.method and 1 or 0, given.n - 1 do
    self:try(site, ("only %d arguments"):format(count), function() return table.move(given, 1, count, 1, { n = count }) end)
  end
end

-- The first argument of a method is itself, but where it was called with a dot by mistake.
function Sweep:try_self(site, given)
  local plain = { id = site.id .. ", with a dot", fn = site.fn, call = caller(site.name) }
  self:try_values(plain, { 1 }, given)
end

function Sweep:try_inside(site, index, given)
  local tried = {}
  find_entries(given[index], { index }, function(path)
    if #path == 2 then tried[path[2]] = true end
    self:try_values(site, path, given)
  end)
  if given[index] ~= nil and not is_plain(given[index]) then return end
  for _, name in ipairs(self:options(site, index, given)) do
    if not tried[name] then self:try_values(site, { index, name }, given) end
  end
end

function Sweep:try_all(site, given)
  local first, last = site.method and 2 or 1, given.n + 1
  if site.event then first, last = 2, given.n else self:try_counts(site, given) end
  if site.method == true then self:try_self(site, given) end
  for index = first, last do self:try_values(site, { index }, given) end
  for index = first, last do self:try_inside(site, index, given) end
end

-- The arguments of the function that has just been called.
local function arguments_at(level, info)
  local given, n = {}, 0
  local function add(name, value)
    n = n + 1
    given[n] = value
    return name
  end
  if info.what == "C" then
    while true do
      local name, value = debug.getlocal(level + 1, n + 1)
      if not name then break end
      add(name, value)
    end
  else
    for i = 1, info.nparams do add(debug.getlocal(level + 1, i)) end
    local i = 1
    while info.isvararg do
      local name, value = debug.getlocal(level + 1, -i)
      if not name then break end
      add(name, value)
      i = i + 1
    end
  end
  given.n = n
  return given
end

-- Standard functions, and what the environment of examples has.
local function not_ours()
  local seen = {}
  local function add(t)
    for _, value in next, t do
      if type(value) == "function" then seen[value] = true end
    end
  end
  for name, library in next, package.loaded do
    if not name:find "^gpt" and type(library) == "table" then add(library) end
  end
  add(getmetatable(io.stdout).__index)
  return seen
end

-- Called at the beginning of every function.
function Sweep:hook()
  local above = debug.getinfo(4, "S")
  if not above or above.source ~= "=example" then return end
  local info = debug.getinfo(3, "fSnut")
  if self.foreign[info.func] or info.source == "=example" or info.namewhat == "for iterator" then return end
  if info.istailcall or info.source:find("spec/support/", 1, true) then return end
  local name = self.names[info.func] or info.name or "?"
  self.calls = self.calls + 1
  self.seen[info.func], self.seen[info.name or ""] = true, true
  local done = (self.per_name[name] or 0)
  self.per_name[name] = done + 1
  if done >= self.most_sites then return end
  local method, event = info.namewhat == "method", info.namewhat == "metamethod" and info.name
  if event == "close" then return end
  local site = { id = ("%s (call %d)"):format(name, self.calls), fn = info.func, name = info.name, method = method, event = EVENTS[event] }
  local given = arguments_at(3, info)
  local meta = debug.getmetatable(given[1])
  if meta and rawget(meta, "__call") == info.func then site.method = "call" end -- nobody can exchange the first argument
  if site.event then given.n = site.event end
  site.call = caller(info.name, site.method)
  self:try_all(site, given)
end

-- Runs the example once, and tries what is not known yet: what is legal may change values, and what is refused behind
-- that is tried again. In the last pass all that was refused before: the example has to end well in spite of it.
function Sweep:pass(usage)
  self.calls, self.tainted, self.unsure, self.per_name = 0, false, false, {}
  collectgarbage()
  self.env = examples.environment()
  debug.sethook(function() self:hook() end, "c")
  local ok, problem = pcall(examples.run, usage, self.env)
  debug.sethook()
  self.env = nil
  restore(self.base)
  if self.last and not self.tainted and not ok then self.report(("%s: fails after its wrong calls: %s"):format(self.example, self.shown(problem))) end
end

-- A finalizer's value may hold others with finalizers, each of which takes a cycle.
local function live()
  for _ = 1, 6 do collectgarbage() end
  return gpt.memory().live
end

--- Sweeps one example.
function Sweep:sweep(name, usage)
  self.example, self.legal, self.refused, self.found, self.reported, self.known = name, {}, {}, {}, {}, {}
  local passes = 0
  self.last = false
  repeat
    passes = passes + 1
    self:pass(usage)
  until not self.unsure or passes == (self.stride > 1 and 1 or MOST_PASSES)
  self.last = true
  self:pass(usage)
end

-- FNV-1a: samples are the same everywhere.
local function hash(text)
  local h = 0x811c9dc5
  for i = 1, #text do h = ((h ~ text:byte(i)) * 0x01000193) & 0xffffffff end
  return h >> 7
end

local function shown(message)
  local text = tostring(message)
  text = #text > 400 and text:sub(1, 400) .. "..." or text
  return (text:gsub("[%c]", function(c) return ("\\x%02x"):format(c:byte()) end))
end

-- The functions that are public, by what help calls them: "Tensor:sum", "nn.Linear". Those of classes written in Lua have
-- no other name than that of the call.
function arguments.public()
  local functions = {}
  for name, entry in pairs(texts) do
    local owner, plain = entry.owner, name:match "[^.:]+$"
    local module = owner == "gpt" and gpt or owner:find "^%l" and gpt[owner]
    local class = (owner == "Layer" or owner == "Model") and core._layer_methods or core._methods("gpt." .. owner)
    local found = module and rawget(module, plain) or class and class[plain]
    if entry.kind == "function" then functions[name] = found or plain end
  end
  return functions
end

-- What to call each in reports.
local function names_of(functions)
  local names = {}
  for name, fn in pairs(functions) do
    if not names[fn] or name < names[fn] then names[fn] = name end
  end
  return names
end

--- Sweeps all examples, or those whose names match.
-- @param options `stride`: one combination of so many; `match`; `report` of a fault; `log` of what is tried, `messages`
-- @return a table: `count` of combinations tried, `errors`, `seen`: the functions that were called, and their names
function arguments.sweep(options)
  local base = { limit = gpt.memory().limit, families = #families.NAMES }
  local self = setmetatable({
    stride = options.stride or 1, report = options.report, log = options.log, messages = options.messages,
    most_sites = options.most_sites or 2, hash = hash, shown = shown, names = names_of(arguments.public()),
    foreign = not_ours(), seen = setmetatable({}, { __mode = "k" }), count = 0, tried = 0, errors = 0, base = base,
  }, Sweep)
  local at_first = live()
  base.limit = at_first + ROOM
  local function check_live(name)
    local now = live()
    if now <= at_first + MOST_LEFT then return end
    self.report(("%s: %d bytes are left"):format(name, now - at_first))
    at_first = now
  end
  for _, name in ipairs(examples.names()) do
    if name:find(options.match or "") then
      self:sweep(name, texts[name].usage)
      if self.stride == 1 then check_live(name) end
    end
  end
  check_live "all"
  return self
end

return arguments
