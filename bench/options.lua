-- Words and `--name value` pairs of a command line.
-- @tparam {string,...} arguments
-- @tparam table defaults by name: its type decides that of the value; a table is a list, given with commas
-- @treturn {string,...} the words
-- @treturn table the values
return function(arguments, defaults)
  local words, values = {}, {}
  for name, value in pairs(defaults) do values[name] = value end
  local i = 1
  while i <= #arguments do
    local name = arguments[i]:match "^%-%-(%l+)$"
    if not name then
      words[#words + 1] = arguments[i]
    else
      local given, default = arguments[i + 1], defaults[name]
      if default == nil then error(("there is no option --%s"):format(name), 0) end
      if not given then error(("--%s needs a value"):format(name), 0) end
      if type(default) == "table" then
        values[name] = {}
        for item in given:gmatch "[^,]+" do table.insert(values[name], item) end
      else
        local whole, any = math.tointeger(given), tonumber(given)
        values[name] = math.type(default) == "float" and any or math.type(default) and whole or given
        if type(values[name]) ~= type(default) then error(("--%s needs a number, got %s"):format(name, given), 0) end
      end
      i = i + 1
    end
    i = i + 1
  end
  return words, values
end
