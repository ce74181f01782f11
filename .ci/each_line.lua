-- Calls fn(path, line, number) for every line of the files that a command of the shell lists.
return function(command, fn)
  for path in io.popen(command .. " | LC_ALL=C sort"):lines() do
    local number = 0
    for line in io.lines(path) do
      number = number + 1
      fn(path, line, number)
    end
  end
end
