-- Regular expressions, as ECMA 262 writes them with the flag u, without what is not regular.
local Reader = require "gpt.grammar.reader"
local classes = require "gpt.grammar.classes"
local nodes = require "gpt.grammar.nodes"

local regex = {}

-- What stands for itself only behind a backslash (other programs read it in other ways), and why.
local reserved = {
  ["{"] = "{ begins no repetition, as {2}, {2,} and {2,5} do",
  ["}"] = "} closes nothing",
  ["]"] = "] closes nothing",
}

local controls = { n = 10, r = 13, t = 9, f = 12, v = 11, ["0"] = 0 }

-- The character behind \u: four hex digits, twice four of a surrogate pair, or any number in braces.
local function read_unicode(reader, start)
  if reader:accept "{" then
    local digits = reader:match "%x+"
    if not digits or not reader:accept "}" then reader:fail(start, [[\u{...} of hex digits expected]]) end
    return reader:checked(tonumber(digits:gsub("^0+(%x)", "%1"):sub(1, 7), 16), start)
  end
  local high, low = reader.text:match("^([Dd][89ABab]%x%x)\\u([Dd][C-Fc-f]%x%x)", reader.at)
  if not high then return reader:hex(4, start) end
  reader.at = reader.at + 10
  return 0x10000 + ((tonumber(high, 16) & 0x3FF) << 10 | tonumber(low, 16) & 0x3FF)
end

-- One character after a backslash at start; nil where it is none.
local function read_escape(reader, start)
  local letter = reader:match "."
  if controls[letter] then
    if letter == "0" and reader:peek():match "%d" then reader:fail(start, "octal escapes are not supported") end
    return controls[letter]
  end
  if letter == "x" then return reader:hex(2, start) end
  if letter == "u" then return read_unicode(reader, start) end
  if letter == "c" and reader:peek():match "%a" then return reader:match("%a"):byte() % 32 end
  if letter and letter:match "%p" then return letter:byte() end
  if letter and letter:byte() > 127 then
    reader.at = reader.at - 1
    return reader:character()
  end
  local reasons = {
    p = "classes of Unicode properties", P = "classes of Unicode properties", b = "borders of words",
    B = "borders of words", k = "back-references", A = "anchors inside", Z = "anchors inside", z = "anchors inside",
  }
  local reason = reasons[letter] or letter and letter:match "%d" and "back-references"
  if reason then reader:fail(start, [[\%s: %s are not supported]], letter, reason) end
  reader:fail(start, [[unknown escape \%s]], letter or "")
end

-- A member of a class: a list of ranges, and its character where it is one.
local function read_member(reader, start)
  if not reader:accept "\\" then
    local code = reader:character()
    return { { code, code } }, code
  end
  local named = classes.escapes[reader:peek()]
  if named then
    reader.at = reader.at + 1
    return named
  end
  if reader:accept "b" then return { { 8, 8 } }, 8 end
  local code = read_escape(reader, start)
  return { { code, code } }, code
end

local function read_class(reader, open)
  local negated, ranges = reader:accept "^", {}
  while not reader:accept "]" do
    local start = reader.at
    if reader:done() then reader:fail(open, "the class that begins here has no end") end
    local member, low = read_member(reader, start)
    if low and reader:peek() == "-" and reader:peek(2) ~= "-]" and #reader:peek(2) == 2 then
      reader:accept "-"
      local _, high = read_member(reader, reader.at)
      if not high or high < low then reader:fail(start, "a range that goes down, or ends with a class") end
      member = { { low, high } }
    end
    for _, range in ipairs(member) do ranges[#ranges + 1] = { range[1], range[2] } end
  end
  local set = nodes.set(negated and nodes.others(ranges) or ranges)
  if set.kind == "never" then reader:fail(open, "a class without characters cannot be met") end
  return set
end

local groups = {
  { "?:" }, { "?=", "lookahead" }, { "?!", "lookahead" }, { "?<=", "lookbehind" }, { "?<!", "lookbehind" },
  { "?>", "an atomic group" }, { "?P=", "a back-reference" }, { "?#", "a comment" }, { "?(", "a condition" },
}

-- What stands behind the parenthesis of a group and is not part of its text.
local function skip_group_kind(reader, start)
  for _, kind in ipairs(groups) do
    if kind[2] and reader:peek(#kind[1]) == kind[1] then reader:fail(start, "%s is not supported", kind[2]) end
    if reader:accept(kind[1]) then return end
  end
  if reader:match "%?P?<[%a_][%w_]*>" then return end
  if reader:peek() == "?" then reader:fail(start, "flags are not supported") end
end

local read_alternatives

local function read_group(reader, start)
  skip_group_kind(reader, start)
  local node = reader:deeper(start, function() return read_alternatives(reader) end)
  if not reader:accept ")" then reader:fail(start, "the group that begins here has no end") end
  return node
end

local function read_item(reader)
  local start = reader.at
  local char = reader:peek()
  if char == "" or char == "|" or char == ")" then return nil end
  if reader:accept "(" then return read_group(reader, start) end
  if reader:accept "[" then return read_class(reader, start) end
  if reader:accept "." then return nodes.set(classes.any) end
  if char:match "[*+?]" or reader:match "{%d+,?%d*}" then reader:fail(start, "there is nothing to repeat") end
  if reserved[char] then reader:fail(start, [[%s; write \%s for the character]], reserved[char], char) end
  if reader:accept "\\" then
    local named = classes.escapes[reader:peek()]
    if named then
      reader.at = reader.at + 1
      return nodes.set(named)
    end
    return nodes.text(utf8.char(read_escape(reader, start)))
  end
  return nodes.text(utf8.char(reader:character()))
end

local function read_repetition(reader, node)
  local start = reader.at
  if reader:accept "*" then node = nodes.times(node, 0)
  elseif reader:accept "+" then node = nodes.times(node, 1)
  elseif reader:accept "?" then node = nodes.times(node, 0, 1)
  elseif reader.text:find("^{%d+,?%d*}", reader.at) then
    reader:accept "{"
    node = nodes.times(node, reader:bounds(start))
  else return node end
  if reader:peek() == "+" then reader:fail(reader.at, "possessive repetitions are not supported") end
  reader:accept "?" -- the shortest first: the same texts match
  if reader:peek():match "[*+?]" then reader:fail(reader.at, "there is nothing to repeat") end
  return node
end

-- ^ and $ where they say nothing; elsewhere they are refused.
local function read_sequence(reader)
  local list, start, opened, closed = {}, reader.at, false, nil
  while true do
    local at = reader.at
    if reader:accept "^" then
      if at ~= start or reader.depth > 0 then
        reader:fail(at, "^ is supported at the beginning of an alternative alone")
      end
      opened = true
    elseif reader:accept "$" then
      closed = at
    else
      local item = read_item(reader)
      if not item then break end
      if closed then reader:fail(closed, "$ is supported at the end of an alternative alone") end
      list[#list + 1] = read_repetition(reader, item)
    end
  end
  if closed and reader.depth > 0 then reader:fail(closed, "$ is supported at the end of an alternative alone") end
  return nodes.sequence(list), opened, closed ~= nil
end

function read_alternatives(reader)
  local list = {}
  repeat
    local node, opened, closed = read_sequence(reader)
    list[#list + 1] = reader.depth == 0 and reader.around(node, opened, closed) or node
  until not reader:accept "|"
  return nodes.choice(list)
end

-- The node of an expression. around(node, opened, closed): what becomes of an alternative of the whole, which may have
-- begun with ^ and ended with $.
function regex.read(what, text, around)
  local reader = Reader.new(what, text)
  reader.around = around
  local node = read_alternatives(reader)
  if not reader:done() then reader:fail(nil, ") without (") end
  return node
end

-- The rules of an expression that matches as a whole, for build.
local function rules(what, text)
  local node = regex.read(what, text, function(alternative) return alternative end)
  return { { name = "root", label = "the expression", node = node } }
end

return setmetatable(regex, { __call = function(_, ...) return rules(...) end })
