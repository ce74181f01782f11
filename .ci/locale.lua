-- Holds the sources to numbers that do not depend on the host's locale: what prints or reads a float goes through
-- csrc/core/base/numbers.h, in Lua through gpt.support.neutral. Prints what does not, and fails.
local FLOAT = "%%[-+ #]*%d*%.?%d*[gfeGE]"

-- Where each thing is allowed: the file that wraps it.
local RULES = {
  { "csrc", function(line) return line:find "%f[%w]v?s?n?printf%(" and line:find(FLOAT) end,
    "csrc/core/base/numbers.c" },
  { "csrc", function(line) return line:find "%f[%w]strto[df]%(" or line:find "scanf%(" and line:find(FLOAT) end, "" },
  { "csrc", function(line) return line:find "luaL_tolstring%(" end, "csrc/binding/binding.c" },
  { "lua/gpt", function(line) return line:find(FLOAT .. "[^\"']*[\"']%):format%(") end, "lua/gpt/support/neutral.lua" },
  { "lua/gpt", function(line) return line:find "string%.format%(" end, "lua/gpt/support/neutral.lua" },
}

local bad = 0
local function check(path, line, number)
  for _, rule in ipairs(RULES) do
    local comment = line:find "^%s*%-%-" or line:find "^%s*/?%*"
    if path:find(rule[1], 1, true) == 1 and path ~= rule[3] and not comment and rule[2](line) then
      print(("%s:%d: depends on the locale: %s"):format(path, number, line))
      bad = bad + 1
    end
  end
end

local MADE = { ["lua/gpt/help_texts.lua"] = true, ["lua/gpt/library/gpt.lua"] = true }
dofile ".ci/each_line.lua"("find csrc lua -name '*.[ch]' -o -name '*.lua'", function(path, line, number)
  if not MADE[path] then check(path, line, number) end
end)
os.exit(bad == 0)
