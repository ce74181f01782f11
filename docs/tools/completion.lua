-- A definition file for the Lua language server: classes, functions and their types, with their comments.
local help_texts = require "help_texts"

local completion = {}

local KEYWORDS = { ["function"] = true, ["end"] = true, ["repeat"] = true, ["in"] = true }
local OPERATORS = { add = "add", sub = "sub", mul = "mul", div = "div", pow = "pow", neg = "unm" }
local PLAIN = { integer = true, number = true, string = true, boolean = true, table = true, ["function"] = true,
  ["nil"] = true, any = true }

-- {integer,...} -> integer[]; Tensor|number -> gpt.Tensor|number; ?Tensor -> gpt.Tensor|nil
local function convert(kind)
  if not kind then return "any" end
  if kind:find("^%?") then return convert(kind:sub(2)) .. "|nil" end
  if kind:find("^%b{}$") then
    local inner = convert(kind:sub(2, -2):gsub(",%s*%.%.%.$", ""))
    return inner:find("|") and ("(%s)[]"):format(inner) or inner .. "[]"
  end
  local words, depth, word = {}, 0, ""
  for c in (kind .. "|"):gmatch(".") do
    depth = depth + (c == "{" and 1 or c == "}" and -1 or 0)
    if c == "|" and depth == 0 then
      table.insert(words, PLAIN[word] and word or word:find("^{") and convert(word) or "gpt." .. word)
      word = ""
    else
      word = word .. c
    end
  end
  return table.concat(words, "|")
end

local function write_comment(out, text)
  for line in (text .. "\n"):gmatch("(.-)\n") do out:write("---", line, "\n") end
end

local function parameter_name(name)
  return KEYWORDS[name] and name .. "_" or name
end

local function write_function(out, entry)
  local names = {}
  write_comment(out, help_texts.screen(entry))
  for _, param in ipairs(entry.params) do
    local name = parameter_name(param.name)
    if name:find("^[%a_][%w_]*$") or name == "..." then
      table.insert(names, name)
      local mark = param.optional and name ~= "..." and "?" or ""
      out:write(("---@param %s%s %s\n"):format(name, mark, convert(param.type)))
      if name == "..." then break end
    end
  end
  for _, value in ipairs(entry.returns) do out:write("---@return ", convert(value.type), "\n") end
  local where = entry.owner:find("^%l") and "gpt." or ""
  out:write(("function %s%s(%s) end\n\n"):format(where, entry.name, table.concat(names, ", ")))
end

-- What no comment has a tag for: parts are fields of any name, positions are indexes, a layer is called.
local MORE = {
  Layer = { "field [string] any", "field [integer] gpt.Layer", "operator len: integer",
    "operator call(any): gpt.Tensor", "overload fun(x: any): gpt.Tensor" },
  Tensor = { "field [integer] gpt.Tensor", "operator len: integer" },
  Dataset = { "field [string] any", "operator len: integer" },
  Size = { "field [string] any" },
}

local function write_class(out, name, entries)
  out:write(("---@class gpt.%s%s\n"):format(name, name == "Model" and ": gpt.Layer" or ""))
  for _, line in ipairs(MORE[name] or {}) do out:write("---@", line, "\n") end
  for _, entry in ipairs(entries) do
    local field = entry.name:match("[.:]([%w_]+)$")
    if entry.owner == name and entry.kind == "field" then
      out:write(("---@field %s any %s\n"):format(field, help_texts.summary(entry)))
    elseif entry.owner == name and name == "Tensor" and OPERATORS[field] then
      local operand = field == "neg" and "" or "(gpt.Tensor|number)"
      out:write(("---@operator %s%s: gpt.Tensor\n"):format(OPERATORS[field], operand))
    end
  end
  out:write(("local %s = {}\n\n"):format(name))
end

--- Writes the file.
function completion.write(entries, out)
  out:write("---@meta gpt\n-- Made by docs/tools/make.lua from the comments of the sources; do not edit.\n\n")
  out:write("---@class gpt\nlocal gpt = {}\n")
  local seen = { gpt = true }
  for _, entry in ipairs(entries) do
    local owner = entry.owner
    if not seen[owner] then out:write("\n") end
    if not seen[owner] and owner:find("^%u") then write_class(out, owner, entries)
    elseif not seen[owner] then out:write(("---@class gpt.%s\ngpt.%s = {}\n"):format(owner, owner)) end
    seen[owner] = true
  end
  out:write("\n")
  for _, entry in ipairs(entries) do
    if entry.kind == "function" and not entry.name:find("__") then write_function(out, entry) end
  end
  out:write("return gpt\n")
end

return completion
