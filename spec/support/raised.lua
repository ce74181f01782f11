local own = debug.getinfo(1, "S").short_src

--- The message that fn(...) raises, without its place, which has to be in the file that calls this (or this one, where
-- fn is a function of the package).
return function(fn, ...)
  local function call(...)
    local answer = fn(...)
    return answer
  end
  local ok, message = pcall(call, ...)
  if ok then error("no error was raised", 2) end
  local here = debug.getinfo(2, "S").short_src
  local place, text = message:match("^(.-):%d+: (.*)$")
  if place ~= here and place ~= own then error(("an error in %s expected, got: %s"):format(here, message), 2) end
  return text
end
