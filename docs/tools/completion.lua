-- A definition file for the Lua language server: classes, functions and their types, with their comments.
local help_texts = require "help_texts"
local server_types = require "server_types"

local completion = {}

local KEYWORDS = { ["function"] = true, ["end"] = true, ["repeat"] = true, ["in"] = true }
local OPERATORS = { add = "add", sub = "sub", mul = "mul", div = "div", pow = "pow", neg = "unm" }

local function write_comment(out, text)
  for line in (text .. "\n"):gmatch("(.-)\n") do out:write("---", line, "\n") end
end

local function write_tags(out, lines)
  for _, line in ipairs(lines) do out:write("---@", line, "\n") end
end

-- In Markdown, as the server shows it. What has a line of its own below it is not repeated here.
local function describe(entry, written)
  local parts, items = { entry.text }, {}
  for _, param in ipairs(entry.params) do
    local item = ("- `%s`: %s"):format(param.name, help_texts.describe_param(param))
    if not written[param] then table.insert(items, item) end
  end
  if #items > 0 then table.insert(parts, table.concat(items, "\n")) end
  if entry.raise then table.insert(parts, "Raises " .. entry.raise) end
  if entry.usage then table.insert(parts, "```lua\n" .. entry.usage .. "\n```") end
  return table.concat(parts, "\n\n")
end

local function parameter_name(name)
  return KEYWORDS[name] and name .. "_" or name
end

-- `type # text`, where the text may be empty.
local function typed(kind, text)
  return text == "" and kind or kind .. " # " .. text
end

-- The lines for the parameters that Lua can name, up to `...`; their names; and which they are.
local function parameters(entry)
  local lines, names, written = {}, {}, {}
  if server_types.answers_self[entry.name] then lines = { "generic T", "param self T" } end
  for _, param in ipairs(entry.params) do
    local name = parameter_name(param.name)
    if name:find("^[%a_][%w_]*$") or name == "..." then
      local optional = param.optional and name ~= "..."
      local text = param.default and ("[%s] %s"):format(param.default, param.text) or param.text
      table.insert(lines, ("param %s%s %s"):format(name, optional and "?" or "",
        typed(server_types.convert(param.type), text)))
      table.insert(names, name)
      written[param] = true
      if name == "..." then break end
    end
  end
  return lines, names, written
end

local function write_function(out, entry)
  local lines, names, written = parameters(entry)
  local answers = server_types.answers[entry.name] or { server_types.answer(entry.name) }
  for i, value in ipairs(entry.returns) do
    table.insert(lines, "return " .. typed(answers[i] or server_types.given(value.type), value.text))
  end
  for _, kind in ipairs(server_types.overloads[entry.name] or {}) do table.insert(lines, "overload " .. kind) end
  write_comment(out, describe(entry, written))
  write_tags(out, lines)
  local where = entry.owner:find("^%l") and "gpt." or ""
  out:write(("function %s%s(%s) end\n\n"):format(where, entry.name, table.concat(names, ", ")))
end

local function add_fields(lines, owner, entries)
  for _, entry in ipairs(entries) do
    if entry.owner == owner and entry.kind == "field" then
      local field, text = entry.name:match("([%w_]+)$"), entry.text:gsub("\n", " ")
      table.insert(lines, ("field %s %s"):format(field, typed(server_types.given(entry.type), text)))
    end
  end
end

local function add_operators(lines, owner, entries)
  for _, entry in ipairs(entries) do
    local operator = entry.owner == owner and owner == "Tensor" and OPERATORS[entry.name:match("(%w+)$")]
    local operand = operator == "unm" and "" or "(gpt.Tensor|number)"
    if operator then table.insert(lines, ("operator %s%s: gpt.Tensor"):format(operator, operand)) end
  end
end

local function write_class(out, name, entries)
  local lines = server_types.class(name)
  add_fields(lines, name, entries)
  add_operators(lines, name, entries)
  write_tags(out, lines)
  out:write(("local %s = {}\n\n"):format(name))
end

local function write_module(out, name, entries)
  local lines = { "class " .. name }
  add_fields(lines, name, entries)
  write_tags(out, lines)
  out:write(("%s%s = {}\n\n"):format(name == "gpt" and "local " or "", name))
end

--- Writes the file.
function completion.write(entries, out)
  out:write("---@meta gpt\n-- Made by docs/tools/make.lua from the comments of the sources; do not edit.\n\n")
  write_module(out, "gpt", entries)
  for _, name in ipairs(server_types.layers) do write_class(out, name, entries) end
  local seen = { gpt = true }
  for _, entry in ipairs(entries) do
    local owner = entry.owner
    if not seen[owner] and owner:find("^%u") then write_class(out, owner, entries)
    elseif not seen[owner] then write_module(out, "gpt." .. owner, entries) end
    seen[owner] = true
  end
  for _, entry in ipairs(entries) do
    if entry.kind == "function" and not entry.name:find("__") then write_function(out, entry) end
  end
  out:write("return gpt\n")
end

return completion
