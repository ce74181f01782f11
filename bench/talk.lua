-- The other end of bench/system.lua: a program that is measured reads requests, one a line, and writes one number for
-- each, or "none" and the reason.
local function numbers(text)
  local list = {}
  for number in text:gmatch "%S+" do list[#list + 1] = math.tointeger(number) or tonumber(number) or number end
  return table.unpack(list)
end

-- @tparam {[string]=function} requests what to do, by the line's first word; the other words are the arguments
return function(requests)
  print "ready"
  io.stdout:flush()
  for line in io.lines() do
    local name, rest = line:match "^(%S+)(.*)$"
    local done, value = pcall(requests[name] or error, numbers(rest))
    print(done and ("%.9g"):format(value) or "none " .. tostring(value):gsub("\n.*", ""))
    io.stdout:flush()
  end
end
