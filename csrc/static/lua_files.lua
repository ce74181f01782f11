-- Writes lua_files.c to standard output: lua5.4 csrc/static/lua_files.lua lua/gpt/init.lua lua/gpt/...
local function literal(text)
  local lines = {}
  for line in text:gmatch "[^\n]*\n?" do
    if line ~= "" then
      -- three digits, so that a digit behind them is none of theirs; "??" would begin a trigraph
      lines[#lines + 1] = '"' .. line:gsub('[%c"\\?\x80-\xff]', function(c) return ("\\%03o"):format(c:byte()) end) .. '"'
    end
  end
  return #lines == 0 and '""' or table.concat(lines, "\n")
end

print '#include "static/lua_files.h"\n\nconst GptLuaFile gpt_lua_files[] = {'
for _, path in ipairs(arg) do
  local file <close> = assert(io.open(path, "rb"))
  local name = path:match "^lua/(.*)%.lua$"
  local module = name:gsub("/init$", ""):gsub("/", ".")
  print(("{%q, \"@luagpt/%s.lua\",\n%s, %d},"):format(module, name, literal(file:read "a"), file:seek "end"))
end
print "{NULL, NULL, NULL, 0}};"
