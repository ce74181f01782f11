-- A copy of a table with the entries of another in place of its own, or beside them.
return function(base, with)
  local copy = {}
  for key, value in pairs(base) do copy[key] = value end
  for key, value in pairs(with) do copy[key] = value end
  return copy
end
