--- Runs fn and returns what it warned of, a line each, and what it returned.
return function(fn)
  local heard, old = {}, _G.warn
  rawset(_G, "warn", function(...) heard[#heard + 1] = table.concat { ... } end)
  local done, answer = pcall(fn)
  rawset(_G, "warn", old)
  assert(done, answer)
  return heard, answer
end
