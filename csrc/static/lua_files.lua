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

-- Where what begins at `at` ends: a string, a comment, or one character; and whether it is a comment.
local function piece_end(text, at)
  local comment = text:sub(at, at + 1) == "--"
  local level = text:match(comment and "^%-%-%[(=*)%[" or "^%[(=*)%[", at)
  if level then return select(2, text:find("]" .. level .. "]", at, true)), comment end
  if comment then return (text:find("\n", at, true) or #text + 1) - 1, true end
  local quote = text:match("^[\"']", at)
  local last = at
  while quote do
    last = text:find("[\\" .. quote .. "]", last + 1)
    if text:sub(last, last) == quote then break end
    last = last + 1
  end
  return last, false
end

-- The same program, line by line, without its comments: they are a sixth of the text.
local function without_comments(text)
  local parts, at = {}, 1
  while true do
    local first = text:find("[-%[\"']", at)
    parts[#parts + 1] = text:sub(at, (first or 0) - 1)
    if not first then break end
    local last, comment = piece_end(text, first)
    local piece = text:sub(first, last)
    parts[#parts + 1] = comment and piece:gsub("[^\n]", "") or piece
    at = last + 1
  end
  local short = table.concat(parts)
  assert(string.dump(load(short, "=")) == string.dump(load(text, "=")), "a comment that is none")
  return short
end

print '#include "static/lua_files.h"\n\nconst GptLuaFile gpt_lua_files[] = {'
for _, path in ipairs(arg) do
  local file <close> = assert(io.open(path, "rb"))
  local name = path:match "^lua/(.*)%.lua$"
  local module = name:gsub("/init$", ""):gsub("/", ".")
  local text = without_comments(file:read "a")
  print(("{%q, \"@luagpt/%s.lua\",\n%s, %d},"):format(module, name, literal(text), #text))
end
print "{NULL, NULL, NULL, 0}};"
