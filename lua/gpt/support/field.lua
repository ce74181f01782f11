-- A value's field or method, or nil where it has none: misspelt fields of our own values are errors.
return function(value, name)
  local ok, found = pcall(function() return value[name] end)
  return ok and found or nil
end
