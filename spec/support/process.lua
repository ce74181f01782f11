-- Scripts in a process of their own, which finds the same luagpt as the specs.
local process = {}

--- The command that starts Lua: another one where the specs run for another processor.
process.interpreter = os.getenv "LUAGPT_LUA" or "lua5.4"

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function write_script(code)
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "w"))
  assert(file:write(code))
  return name
end

-- Returns what the program wrote (both streams) and whether it ended well.
local function run(program, scripts, environment)
  local words = { program }
  for i, name in ipairs(scripts) do
    words[i + 1] = quote(name)
  end
  local command = ("unset LUA_PATH_5_4 LUA_CPATH_5_4; %s LUA_PATH=%s LUA_CPATH=%s %s 2>&1"):format(
    environment or "", quote(package.path), quote(package.cpath), table.concat(words, " "))
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  local ok = pipe:close()
  for _, name in ipairs(scripts) do
    os.remove(name)
  end
  return output, ok == true
end

--- Runs Lua code by a fresh interpreter, with more in its environment if wanted ("NAME=value"); returns what it wrote (both
--- streams) and whether it ended well.
function process.lua(code, environment)
  return run(process.interpreter, { write_script(code) }, environment)
end

--- The host program that runs several Lua states in threads, or nil where only the module was built.
function process.host()
  local core = package.searchpath("gpt.core", package.cpath)
  local program = core and core:gsub("gpt/core%.so$", "states")
  local file <close> = program and io.open(program) or nil
  return file and program
end

--- Runs each of a list of pieces of Lua code in a state and a thread of its own, in one process, all at once.
function process.all_at_once(codes, environment)
  local scripts = {}
  for i, code in ipairs(codes) do
    scripts[i] = write_script(code)
  end
  return run(quote(process.host()), scripts, environment)
end

--- The same for its arguments.
function process.states(...)
  return process.all_at_once { ... }
end

return process
