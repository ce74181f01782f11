-- Holds lua/gpt to errors that are not lost: what a pcall has caught may be an interrupt, or too little memory, and is
-- raised again in the same file, or caught by gpt.support.attempt. Prints the calls where it is not, and fails.
local FORMS = { "settle%(pcall%(", "table%.pack%(pcall%(" } -- whose results the same function looks at

local calls, raised, bad = {}, {}, false

local function note(path, line, number)
  for name in line:gmatch "error%((%w+)" do raised[path .. " " .. name] = true end
  if line:find "^%s*%-%-" or not line:find "%f[%w]x?pcall%(" then return end
  for _, form in ipairs(FORMS) do
    if line:find(form) then return end
  end
  calls[#calls + 1] = { path = path, number = number, problem = line:match "local %w+, (%w+) = x?pcall%(" or "?" }
end

local MADE = { ["lua/gpt/help_texts.lua"] = true, ["lua/gpt/library/gpt.lua"] = true }
dofile ".ci/each_line.lua"("find lua/gpt -name '*.lua'", function(path, line, number)
  if not MADE[path] then note(path, line, number) end
end)
for _, call in ipairs(calls) do
  if not raised[call.path .. " " .. call.problem] then
    print(("%s:%d: what pcall catches is lost: gpt.support.attempt raises what says nothing of the value"):format(
      call.path, call.number))
    bad = true
  end
end
os.exit(not bad)
