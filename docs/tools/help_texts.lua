-- Help texts for gpt.help, one screen for each entry.
local help_texts = {}

local WIDTH = 79

-- Lines of at most WIDTH; all but the first are indented.
local function wrap(text, indent)
  local lines, line = {}, nil
  for word in text:gmatch("%S+") do
    if line and #line + 1 + #word > WIDTH then
      table.insert(lines, line)
      line = indent .. word
    else
      line = line and line .. " " .. word or word
    end
  end
  table.insert(lines, line)
  return table.concat(lines, "\n")
end

-- Paragraphs, which a blank line ends, and the items of lists, which begin with a dash.
local function wrap_paragraphs(text)
  local wrapped = {}
  for paragraph in (text .. "\n\n"):gmatch("(.-)\n%s*\n") do
    local items = {}
    for item in (paragraph:gsub("\n(%- )", "\0%1") .. "\0"):gmatch("(.-)\0") do
      if item:find("%S") then table.insert(items, wrap(item, item:find("^%- ") and "  " or "")) end
    end
    if #items > 0 then table.insert(wrapped, table.concat(items, "\n")) end
  end
  return table.concat(wrapped, "\n\n")
end

local function show_type(name)
  return (name:gsub("|", " or "))
end

--- `gpt.full(shape, value [, options])`, as one calls it.
function help_texts.signature(entry)
  local name = entry.owner:find("^%l") and "gpt." .. entry.name or entry.name
  if entry.kind ~= "function" then return entry.type and name .. ": " .. show_type(entry.type) or name end
  local words = ""
  for _, param in ipairs(entry.params) do
    if not param.name:find("%.%a") then
      local comma = words == "" and "" or ", "
      local blank = comma ~= "" and " " or ""
      words = words .. (param.optional and ("%s[%s%s]"):format(blank, comma, param.name) or comma .. param.name)
    end
  end
  local types = {}
  for i, value in ipairs(entry.returns) do types[i] = value.type or "a value" end
  return ("%s(%s)%s"):format(name, words, #types > 0 and " -> " .. show_type(table.concat(types, ", ")) or "")
end

--- `(integer) [1] what it is`.
function help_texts.describe_param(param)
  local words = {}
  if param.type then table.insert(words, "(" .. show_type(param.type) .. ")") end
  if param.default then table.insert(words, "[" .. param.default .. "]") end
  table.insert(words, param.text)
  return table.concat(words, " ")
end

-- A name, and what it is, hanging behind it.
local function hang(name, text)
  return "  " .. wrap(name .. "  " .. text, (" "):rep(6)):gsub("^(%S+) ", "%1  ")
end

local function add_params(parts, entry)
  local lines = {}
  for _, param in ipairs(entry.params) do table.insert(lines, hang(param.name, help_texts.describe_param(param))) end
  for _, value in ipairs(entry.returns) do
    if value.text ~= "" then
      table.insert(lines, hang("->", value.text))
    end
  end
  if entry.raise then table.insert(lines, hang("raises", entry.raise)) end
  if #lines > 0 then table.insert(parts, table.concat(lines, "\n")) end
end

--- The whole screen.
function help_texts.screen(entry)
  local parts = {}
  if entry.kind == "function" or entry.kind == "field" then table.insert(parts, help_texts.signature(entry)) end
  table.insert(parts, wrap_paragraphs(entry.text))
  add_params(parts, entry)
  if entry.usage then table.insert(parts, "For example:\n  " .. entry.usage:gsub("\n", "\n  ")) end
  return (table.concat(parts, "\n\n"):gsub("[ \t]+\n", "\n"))
end

--- The first sentence.
function help_texts.summary(entry)
  local text = entry.text:gsub("%s+", " ")
  return text:match("^(.-)[.:;]%s") or text:match("^(.-)[.:;]?$")
end

--- A Lua file that answers `{ [name] = { kind, owner, summary, text, usage } }`; the page of a class or module has a
-- colon before its name, because gpt.Model makes a Model.
function help_texts.write(entries, out)
  out:write("-- Made by docs/tools/make.lua from the comments of the sources; do not edit.\nreturn {\n")
  for _, entry in ipairs(entries) do
    local page = entry.kind == "module" or entry.kind == "classmod"
    local key = (page and ":" or "") .. entry.name
    out:write(("  [%q] = {\n    kind = %q, owner = %q,\n"):format(key, entry.kind, entry.owner))
    out:write(("    summary = %q,\n    text = %q,\n"):format(help_texts.summary(entry), help_texts.screen(entry)))
    if entry.usage then out:write(("    usage = %q,\n"):format(entry.usage)) end
    out:write("  },\n")
  end
  out:write("}\n")
end

return help_texts
