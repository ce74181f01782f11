-- A static function's name stands in one C file only: a debugger, a profile and a sanitizer show names without files.
local files = {} -- by name
local problems = {}

local function read(file)
  for line in io.lines(file) do
    local name = line:match "^static%s[%w_%s%*]-([%a_][%w_]*)%s*%("
    if name and name ~= "__attribute__" then
      local known = files[name]
      if not known then
        files[name] = file
      elseif known ~= file then
        problems[#problems + 1] = ("%s: a static function in %s and in %s"):format(name, known, file)
      end
    end
  end
end

local list = assert(io.popen "find csrc -name '*.c' | LC_ALL=C sort")
for file in list:lines() do read(file) end
list:close()

if #problems > 0 then
  print(table.concat(problems, "\n"))
  os.exit(false)
end
