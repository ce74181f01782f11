-- llama.cpp's GBNF: rules of the form `name ::= alternatives`, the first of which is called root.
local Reader = require "gpt.grammar.reader"
local name_list = require "gpt.support.name_list"
local nodes = require "gpt.grammar.nodes"

local NAME = "[%a_][%w_-]*"

local plain_escapes = { n = 10, r = 13, t = 9, ["\\"] = 92, ['"'] = 34, ["["] = 91, ["]"] = 93, ["-"] = 45, ["^"] = 94 }
local hex_escapes = { x = 2, u = 4, U = 8 }

-- One character of a literal or class: itself, or an escape.
local function read_character(reader)
  local start = reader.at
  if not reader:accept "\\" then return reader:character() end
  local letter = reader:match "."
  if plain_escapes[letter] then return plain_escapes[letter] end
  if hex_escapes[letter] then return reader:hex(hex_escapes[letter], start) end
  reader:fail(start, [[unknown escape \%s; known are \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH]], letter or "")
end

local function read_literal(reader, start)
  local parts = {}
  while not reader:accept '"' do
    if reader:done() or reader:peek() == "\n" then reader:fail(start, "the string that begins here has no end") end
    parts[#parts + 1] = utf8.char(read_character(reader))
  end
  return nodes.text(table.concat(parts))
end

local function read_range(reader, start)
  local low = read_character(reader)
  if reader:peek() ~= "-" or reader:peek(2) == "-]" then return { low, low } end
  reader:accept "-"
  if reader:done() then reader:fail(start, "the class that begins here has no end") end
  local high = read_character(reader)
  if high < low then reader:fail(start, "a range that goes down: %s-%s", utf8.char(low), utf8.char(high)) end
  return { low, high }
end

local function read_class(reader, start)
  local negated, ranges = reader:accept "^", {}
  while not reader:accept "]" do
    if reader:done() or reader:peek() == "\n" then reader:fail(start, "the class that begins here has no end") end
    ranges[#ranges + 1] = read_range(reader, reader.at)
  end
  local set = nodes.set(negated and nodes.others(ranges) or ranges)
  if set.kind == "never" then reader:fail(start, "a class without characters cannot be met") end
  return set
end

-- Goes on behind blanks and comments; over the ends of lines too where `lines`.
local function skip_blanks(reader, lines)
  repeat
    local before = reader.at
    reader:match(lines and "[ \t\r\n]+" or "[ \t]+")
    if reader:peek() == "#" then reader:match "[^\n]*" end
  until reader.at == before
end

local read_alternatives

local function read_group(reader, start)
  local group = reader:deeper(start, function() return read_alternatives(reader, true) end)
  if not reader:accept ")" then
    reader:fail(nil, ") expected, for the ( at %s", reader:place(start))
  end
  return group
end

local function read_name(reader, start)
  local name = reader:match(NAME)
  if not name then return nil end
  reader.used[#reader.used + 1] = { name = name, at = start }
  return nodes.rule(name)
end

-- An item without its repetition; nil where none begins here.
local function read_item(reader)
  local start = reader.at
  if reader:accept '"' then return read_literal(reader, start) end
  if reader:accept "[" then return read_class(reader, start) end
  if reader:accept "(" then return read_group(reader, start) end
  if reader:accept "." then return nodes.any end
  if reader:peek() == "<" or reader:peek(2) == "!<" then
    reader:fail(start, "tokens by name or id are not supported; write their text as a string")
  end
  return read_name(reader, start)
end

local function read_repetitions(reader, node)
  for count = 1, math.huge do
    local start = reader.at
    if reader:accept "*" then node = nodes.times(node, 0)
    elseif reader:accept "+" then node = nodes.times(node, 1)
    elseif reader:accept "?" then node = nodes.times(node, 0, 1)
    elseif reader:accept "{" then node = nodes.times(node, reader:bounds(start))
    else return node end
    if count > Reader.MOST_DEPTH and node.kind == "times" and node.node.kind == "times" then
      reader:fail(start, "nested more than %d deep", Reader.MOST_DEPTH)
    end
  end
end

-- A name with ::= behind it begins the next rule.
local function begins_rule(reader)
  return reader.text:find("^" .. NAME .. "[ \t]*::=", reader.at)
end

local function read_sequence(reader, nested)
  local list = {}
  while true do
    skip_blanks(reader, nested)
    local node = not begins_rule(reader) and read_item(reader)
    if not node then break end
    list[#list + 1] = read_repetitions(reader, node)
  end
  return nodes.sequence(list)
end

-- A line may also begin with the | before an alternative.
local function accept_bar(reader)
  local before = reader.at
  skip_blanks(reader, true)
  if reader:accept "|" then return true end
  reader.at = before
  return false
end

function read_alternatives(reader, nested)
  local list = {}
  repeat
    skip_blanks(reader, true)
    list[#list + 1] = read_sequence(reader, nested)
  until not accept_bar(reader)
  return nodes.choice(list)
end

local function read_rule(reader)
  local start = reader.at
  local name = reader:match(NAME)
  if not name then reader:fail(start, "the name of a rule expected, got %s", reader:shown()) end
  skip_blanks(reader)
  if not reader:accept "::=" then reader:fail(nil, "::= expected after the rule's name %s", name) end
  local node = read_alternatives(reader, false)
  skip_blanks(reader)
  if not reader:done() and not reader:match "\r?\n" then
    reader:fail(nil, "unexpected %s in rule %s", reader:shown(), name)
  end
  local label = ("rule %s (%s)"):format(name_list.path(name), reader:place(start))
  return { name = name, at = start, label = label, node = node }
end

local function check_names(reader, rules, by_name)
  for _, rule in ipairs(rules) do
    local other = by_name[rule.name]
    if other then reader:fail(rule.at, "the rule %s is there already, at %s", rule.name, reader:place(other.at)) end
    by_name[rule.name] = rule
  end
  for _, use in ipairs(reader.used) do
    if not by_name[use.name] then reader:fail(use.at, "there is no rule %s", use.name) end
  end
end

-- The rules of a grammar's text, for build; root first.
return function(what, text)
  local reader, rules, by_name = Reader.new(what, text), {}, {}
  reader.used = {}
  skip_blanks(reader, true)
  while not reader:done() do
    rules[#rules + 1] = read_rule(reader)
    skip_blanks(reader, true)
  end
  check_names(reader, rules, by_name)
  if not by_name.root then reader:fail(#text + 1, "there is no rule root, with which a grammar begins") end
  local ordered = { by_name.root }
  for _, rule in ipairs(rules) do
    if rule ~= by_name.root then ordered[#ordered + 1] = rule end
  end
  return ordered
end
