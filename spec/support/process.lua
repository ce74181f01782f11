-- Scripts in a process of their own, which finds the same luagpt as the specs.
local process = {}

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Runs Lua code by a fresh lua5.4; answers what it wrote (both streams) and whether it ended well.
function process.lua(code)
  local script = os.tmpname()
  local file <close> = assert(io.open(script, "w"))
  assert(file:write(code))
  assert(file:close())
  local command = ("LUA_PATH=%s LUA_CPATH=%s lua5.4 %s 2>&1"):format(
    quote(package.path), quote(package.cpath), quote(script))
  local pipe <close> = assert(io.popen("unset LUA_PATH_5_4 LUA_CPATH_5_4; " .. command))
  local output = pipe:read("a")
  local ok = pipe:close()
  os.remove(script)
  return output, ok == true
end

return process
