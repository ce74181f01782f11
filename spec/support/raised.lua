--- The message that fn(...) raises, without its place, which has to be in the file that calls this.
return function(fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then error("no error was raised", 2) end
  local here = debug.getinfo(2, "S").short_src
  local place, text = message:match("^(.-):%d+: (.*)$")
  if place ~= here then error(("an error in %s expected, got: %s"):format(here, message), 2) end
  return text
end
