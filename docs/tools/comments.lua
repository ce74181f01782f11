-- Reads the documentation comments of the sources: `/*** ... */` in C, `---` and the `--` lines below it in Lua.
-- A comment counts where it names what it is about: @function, @field, @tfield, @module or @classmod.
local comments = {}

local NAMING = { ["function"] = "function", field = "field", tfield = "field", module = "module",
  classmod = "classmod" }

local function read_lines(path)
  local lines = {}
  for line in io.lines(path) do table.insert(lines, line) end
  return lines
end

-- The lines of each comment of a C file.
local function c_blocks(lines)
  local blocks, block = {}, nil
  for _, line in ipairs(lines) do
    if block and line:find("%*/") then
      table.insert(blocks, block)
      block = nil
    elseif block then
      table.insert(block, line)
    elseif line:find("^/%*%*%*%s*$") then
      block = {}
    end
  end
  return blocks
end

local function lua_blocks(lines)
  local blocks, block = {}, nil
  for _, line in ipairs(lines) do
    local first, more = line:match("^%s*%-%-%-%f[^-]%s?(.*)"), line:match("^%s*%-%-%s?(.*)")
    if first then
      block = { first }
      table.insert(blocks, block)
    elseif block and more then
      table.insert(block, more)
    else
      if block then block.next = line end
      block = nil
    end
  end
  return blocks
end

-- The parts of a comment: what stands before the first tag, then each tag with the lines below it.
local function cut_at_tags(block)
  local parts = { { tag = "text" } }
  for _, line in ipairs(block) do
    local tag, rest = line:match("^@(%w+)(.*)")
    if tag then table.insert(parts, { tag = tag }) end
    table.insert(parts[#parts], tag and rest or line)
  end
  return parts
end

local function joined(part, with)
  return (table.concat(part, with):gsub("^%s+", ""):gsub("%s+$", ""))
end

-- `[opt=5] integer n how many` -> its pieces. A type may hold spaces within braces: {integer, ...}.
local function read_param(text, typed)
  local param, modifier = {}, text:match("^%[([^%]]*)%]")
  if modifier then text = text:gsub("^%[[^%]]*%]%s*", "") end
  param.optional = modifier ~= nil and modifier:find("^opt") ~= nil
  param.default = modifier and modifier:match("^opt=(.*)")
  if typed then
    param.type = text:match("^%b{}[%w|]*") or text:match("^%S+")
    text = text:sub(#param.type + 1):gsub("^%s+", "")
  end
  param.name, param.text = text:match("^(%S+)%s*(.*)")
  return param
end

local function read_return(text, typed)
  if not typed then return { text = text } end
  local kind = text:match("^%b{}[%w|]*") or text:match("^%S+")
  return { type = kind, text = text:sub(#kind + 1):gsub("^%s+", "") }
end

-- LDoc's short forms: @string name is @tparam string name.
local SHORT = { string = "string", number = "number", int = "integer", bool = "boolean", tab = "table",
  func = "function" }

local readers = {
  text = function(entry, part) entry.text = joined(part, "\n") end,
  param = function(entry, part) table.insert(entry.params, read_param(joined(part, " "), false)) end,
  tparam = function(entry, part) table.insert(entry.params, read_param(joined(part, " "), true)) end,
  ["return"] = function(entry, part) table.insert(entry.returns, read_return(joined(part, " "), false)) end,
  treturn = function(entry, part) table.insert(entry.returns, read_return(joined(part, " "), true)) end,
  raise = function(entry, part) entry.raise = joined(part, " ") end,
  usage = function(entry, part) entry.usage = table.concat(part, "\n"):gsub("^%s*\n", ""):gsub("%s+$", "") end,
}

-- A method of the file's class is named by its own first line.
local function name_method(block, class)
  local method = class and (block.next or ""):match("^function (" .. class .. "[:.]%a[%w_]*)%(")
  if method then table.insert(block, "@function " .. method) end
  return method ~= nil
end

for tag, kind in pairs(SHORT) do
  readers[tag] = function(entry, part)
    local param = read_param(joined(part, " "), false)
    param.type = kind
    table.insert(entry.params, param)
  end
end

local function read_entry(block)
  local entry = { params = {}, returns = {}, block = block }
  for _, part in ipairs(cut_at_tags(block)) do
    if NAMING[part.tag] then
      entry.kind, entry.name = NAMING[part.tag], joined(part, " "):gsub("^gpt%.", "")
      if part.tag == "tfield" then entry.type, entry.name = entry.name:match("^(%S+)%s+(%S+)") end
    elseif readers[part.tag] then
      readers[part.tag](entry, part)
    end
  end
  if entry.usage then entry.usage = entry.usage:gsub("^ ", "") end
  entry.owner = entry.name and (entry.name:match("^(.*)[.:]") or "gpt")
  return entry
end

--- The entries of a list of files, in their order:
-- `{ kind, name = "Tensor:add", owner = "Tensor", text, params, returns, raise, usage, block = lines }`.
function comments.read(paths)
  local entries = {}
  for _, path in ipairs(paths) do
    local blocks = (path:find("%.c$") and c_blocks or lua_blocks)(read_lines(path))
    local class
    for _, block in ipairs(blocks) do
      local entry = read_entry(block)
      if entry.kind == "classmod" then class = entry.name end
      if not entry.kind and name_method(block, class) then entry = read_entry(block) end
      if entry.kind then table.insert(entries, entry) end
    end
  end
  return entries
end

return comments
