-- The process's peak of memory in bytes, mapped files included.
return function()
  local file <close> = assert(io.open "/proc/self/status")
  return math.tointeger(file:read("a"):match "VmHWM:%s*(%d+)") * 1024
end
