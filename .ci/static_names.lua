-- A static function's name stands in one C file only: a debugger, a profile and a sanitizer show names without files.
local files = {} -- by name
local problems = {}

dofile ".ci/each_line.lua"("find csrc -name '*.c'", function(file, line)
  local name = line:match "^static%s[%w_%s%*]-([%a_][%w_]*)%s*%("
  if not name or name == "__attribute__" then return end
  local known = files[name]
  if not known then
    files[name] = file
  elseif known ~= file then
    problems[#problems + 1] = ("%s: a static function in %s and in %s"):format(name, known, file)
  end
end)

if #problems > 0 then
  print(table.concat(problems, "\n"))
  os.exit(false)
end
