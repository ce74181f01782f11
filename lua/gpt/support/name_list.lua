-- Long lists of names, made short for messages, or set in lines.
local name_list = {}

local MOST_NAME = 150 -- bytes of one name
local MOST_LIST = 450 -- bytes of one list
local WIDTH = 79      -- of lines

local function cut(name)
  return #name <= MOST_NAME and name or name:sub(1, MOST_NAME - 3) .. "..."
end

-- A place in a document, "#/properties/name": of a long one the beginning and the end.
function name_list.path(path)
  return #path <= MOST_NAME and path or path:sub(1, MOST_NAME // 3) .. "..." .. path:sub(-MOST_NAME // 2)
end

-- As much of a path or of a name in it as `path` shows of any that is made of it.
function name_list.ends(path)
  if #path <= MOST_NAME + 3 then return path end
  return path:sub(1, MOST_NAME // 2) .. "..." .. path:sub(-MOST_NAME // 2)
end

-- A shape: `[2, 3]`.
function name_list.shape(shape)
  return "[" .. table.concat(shape, ", ") .. "]"
end

-- A name in three parts: up to its first number, the number, the rest.
local function split(name)
  local head, number, tail = name:match("^(.-%f[%w])(%d%d?%d?%d?%d?%d?)(%f[^%w].*)$")
  if head then return head, tonumber(number), tail end
  return name, nil, ""
end

-- Runs of numbers that follow each other, each as {first, last}.
local function runs(numbers)
  local list = {}
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local run = list[#list]
    if run and number <= run[2] + 1 then run[2] = number else list[#list + 1] = { number, number } end
  end
  return list
end

-- Names that differ only in their first number, in the order in which they first came.
local function groups(names)
  local list, by_key = {}, {}
  for _, name in ipairs(names) do
    local head, number, tail = split(name)
    local key = number and head .. "\0" .. tail or name
    local group = by_key[key]
    if not group then
      group = { head = head, tail = tail, numbers = {} }
      list[#list + 1], by_key[key] = group, group
    end
    group.numbers[#group.numbers + 1] = number
  end
  return list
end

-- Folds names that differ in their first number only: `h.2..h.8.attn.c_attn.weight`.
-- @tparam {string,...} names what belongs to a name may follow it after a space
-- @treturn {string,...}
function name_list.names(names)
  local folded = {}
  for _, group in ipairs(groups(names)) do
    for _, run in ipairs(runs(group.numbers)) do
      local first, last = group.head .. run[1], group.head .. run[2]
      folded[#folded + 1] = (first == last and first or first .. ".." .. last) .. group.tail
    end
    if #group.numbers == 0 then folded[#folded + 1] = group.head end
  end
  return folded
end

-- One line of a message: the folded names, and how many more there are where the line would grow too long.
-- @tparam {string,...} names
-- @treturn string
function name_list.line(names)
  local parts, length = {}, 0
  local folded = name_list.names(names)
  for i, name in ipairs(folded) do
    name = cut(name)
    length = length + #name + 2
    if i > 1 and length > MOST_LIST then
      return table.concat(parts, ", ") .. (", and %d more"):format(#folded - i + 1)
    end
    parts[i] = name
  end
  return table.concat(parts, ", ")
end

-- Names side by side, in lines of a terminal's width: the first begins with `first`, the others with two blanks.
function name_list.flow(names, first)
  local lines, line = {}, first or " "
  for _, name in ipairs(names) do
    if #line + 1 + #name > WIDTH then
      table.insert(lines, line)
      line = " "
    end
    line = line .. " " .. name
  end
  table.insert(lines, line)
  return table.concat(lines, "\n")
end

return name_list
