-- Scripts of strangers, which may use a model and nothing else: no files, no other modules, a bound on memory and time.
--
--   local sandbox = dofile "examples/hosts/sandbox/sandbox.lua"
--   local done, result = sandbox.run(text, { model = model, seconds = 5 })
--
-- It is for a Lua state of its own: gpt.forbid_files and the limit of memory hold for the whole state. A C call, such
-- as the pass of a large model or string.find with a pattern made to take long, is not interrupted: the time is looked
-- at between Lua's instructions. A script may change the model it is given, so give each one a model that it may keep.
local gpt = require "gpt"

local sandbox = {}

-- What of luagpt a script gets: all but what is the host's to set.
local HOSTS = {
  memory = true, set_threads = true, trim = true, forbid_files = true, set_precision = true, interruptible = true,
  family = true, world = true,
}

-- A library in a library, gpt.nn for instance, which is the host's too: a script may look at it, and not change it.
local function guarded(library)
  return setmetatable({}, {
    __index = library, __metatable = false,
    __newindex = function() error("a script cannot change luagpt", 2) end,
    __call = function(_, ...) return library(...) end,
    __tostring = function() return tostring(library) end,
    __pairs = function()
      local names = {}
      for name, value in next, library do names[name] = value end
      return next, names
    end,
  })
end

local function copy(library, left_out)
  local names = {}
  for name, value in pairs(library) do
    if not left_out[name] then names[name] = type(value) == "table" and guarded(value) or value end
  end
  return names
end

-- Lua without files, modules and binary chunks. What string.rep and tables take is bounded by the host's allocator.
local function environment(values)
  local env = {
    assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, pcall = pcall, select = select,
    tonumber = tonumber, tostring = tostring, type = type, math = copy(math, {}), table = copy(table, {}),
    string = copy(string, { dump = true }), utf8 = copy(utf8, {}), gpt = copy(gpt, HOSTS),
  }
  for name, value in pairs(values) do env[name] = value end
  return env
end

local INSTRUCTIONS = 1000 -- between looks at the clock

-- @string text a script, which may use `print` (collected), `gpt`, `model` and Lua's own functions
-- @tparam table options `model`; `seconds` (5) of processor time; `bytes` (1 GiB) that tensors may take on top of what
-- there is
-- @treturn boolean whether it ended well
-- @treturn string what it printed, or why it did not
function sandbox.run(text, options)
  gpt.forbid_files()
  gpt.memory { limit = gpt.memory().live + (options.bytes or 1 << 30) }
  local lines = {}
  local env = environment { model = options.model }
  function env.print(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    lines[#lines + 1] = table.concat(words, "\t")
  end
  local chunk, problem = load(text, "=script", "t", env)
  if not chunk then return false, problem end
  local last = os.clock() + (options.seconds or 5)
  local thread = coroutine.create(function()
    local ok, result = pcall(chunk)
    if not ok then error(tostring(result), 0) end -- here, because a value may have a function that shows it
  end)
  local function look()
    if os.clock() <= last then return end
    debug.sethook(thread, look, "", 1) -- from now on at every instruction, so that no pcall keeps it
    error("the script takes too long", 0)
  end
  debug.sethook(thread, look, "", INSTRUCTIONS)
  local done, result = coroutine.resume(thread)
  if done and coroutine.status(thread) == "suspended" then done, result = false, "the script yields" end
  if not done then return false, result end
  return true, table.concat(lines, "\n")
end

return sandbox
