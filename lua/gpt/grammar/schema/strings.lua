-- JSON's strings: any, by length, by a pattern, by a format.
local counted = require "gpt.grammar.schema.counted"
local formats = require "gpt.grammar.schema.formats"
local json = require "gpt.support.json"
local name_list = require "gpt.support.name_list"
local nodes = require "gpt.grammar.nodes"
local regex = require "gpt.grammar.regex"

local strings = {}

local sequence, choice, text = nodes.sequence, nodes.choice, nodes.text

local quote = text '"'

-- Characters that stand for themselves, and those that need a backslash; a NUL is none of either.
local PLAIN = { { 0x20, 0x21 }, { 0x23, 0x5B }, { 0x5D, 0x10FFFF } }
local hex = nodes.set { { 48, 57 }, { 65, 70 }, { 97, 102 } }

local function one_of(characters)
  local ranges = {}
  for _, code in utf8.codes(characters) do ranges[#ranges + 1] = { code, code } end
  return nodes.set(ranges)
end

-- Four hex digits, but for a NUL and for halves of surrogate pairs.
local unicode = choice {
  sequence { one_of "123456789abcefABCEF", hex, hex, hex },
  sequence { one_of "dD", one_of "01234567", hex, hex },
  sequence { text "0", one_of "123456789abcdefABCDEF", hex, hex },
  sequence { text "00", one_of "123456789abcdefABCDEF", hex },
  sequence { text "000", one_of "123456789abcdefABCDEF" },
}

--- Any character of a string, as JSON may write it.
strings.character = choice {
  nodes.set { table.unpack(PLAIN) },
  sequence { text "\\", choice { one_of '"\\/bfnrt', sequence { text "u", unicode } } },
}

-- The characters of a set as JSON writes them in one way each.
local function written_set(set)
  local list = { nodes.set(nodes.common(set, PLAIN)) }
  for _, range in ipairs(set) do
    for code = math.max(range[1], 1), math.min(range[2], 0x5C) do
      if code < 0x20 or code == 0x22 or code == 0x5C then
        list[#list + 1] = text(json.quote(string.char(code)):sub(2, -2))
      end
    end
  end
  return choice(list)
end

local written = {}

--- A node over characters, as it is inside a string.
function strings.written(node) return written[node.kind](node) end

function written.text(node)
  if node.text:find "\0" then return nodes.never "a NUL cannot stand in a string" end
  return text(json.quote(node.text):sub(2, -2))
end

written.set = written_set

local function each(node)
  local list = {}
  for i, item in ipairs(node) do list[i] = strings.written(item) end
  return list
end

function written.sequence(node) return sequence(each(node)) end

function written.choice(node) return choice(each(node)) end

function written.times(node) return nodes.times(strings.written(node.node), node.least, node.most) end

function written.never(node) return node end

function strings.by_length(character, least, most)
  return sequence { quote, nodes.times(character, least or 0, most), quote }
end

-- A pattern says what a text has to contain, unless it is anchored.
local function searched(node, opened, closed)
  local anything = nodes.times(nodes.any, 0)
  return sequence { opened and nodes.nothing or anything, node, closed and nodes.nothing or anything }
end

local function whole(alternative) return alternative end

local function read_characters(context, flat)
  if flat.pattern then
    local what = ("%s: %s: pattern"):format(context.what, name_list.path(flat.pattern_path))
    return regex.read(what, flat.pattern, searched)
  end
  return regex.read("format", formats.strings[flat.format], whole)
end

-- What `make` makes of a flat's pattern or format: once for each, kept under a name.
local function once(name, make)
  return function(context, flat)
    local kept = context.texts[name] or { pattern = {}, format = {} }
    context.texts[name] = kept
    local known, key = flat.pattern and kept.pattern or kept.format, flat.pattern or flat.format
    known[key] = known[key] or make(context, flat)
    return known[key]
  end
end

local characters = once("characters", read_characters)

-- The same inside a string.
local inside = once("inside", function(context, flat) return strings.written(characters(context, flat)) end)

local function key_of(set)
  local parts = {}
  for i, range in ipairs(set) do parts[i] = range[1] .. "-" .. range[2] end
  return table.concat(parts, " ")
end

-- Characters are rules of their own: they stand in many places.
local function of_length(compiler, node, length, path)
  local made = compiler.context.leaves
  local function leaf(set)
    local key = key_of(set)
    if not made[key] then
      local inner = written_set(set)
      made[key] = inner.kind == "never" and inner or compiler:shared(inner, path)
    end
    return made[key]
  end
  return counted(node, length.least or 0, length.most, leaf, compiler.context.left)
    or compiler.context:fail(path, "minLength or maxLength beside a pattern or format of this size cannot be enforced")
end

-- A string by its pattern or its format, which a flat has.
function strings.special(compiler, flat)
  local context, path = compiler.context, flat.pattern_path or flat.format_path
  if flat.pattern and flat.format then context:fail(path, "pattern beside format cannot be enforced") end
  local inner = flat.length and of_length(compiler, characters(context, flat), flat.length, path)
    or inside(context, flat)
  return sequence { quote, inner, quote }
end

strings.any_written = nodes.times(written_set(nodes.any), 0)

-- The characters that most names do not have: all but those of ASCII that stand for themselves.
local SIMPLE = nodes.common(PLAIN, { { 0, 127 } })
strings.unusual = written_set(nodes.set(nodes.others(SIMPLE)))

-- A tree of names: states with `codes`, a list, and the state that each leads to; `whole` where a name ends.
local function tree_of(names)
  local root = { codes = {}, number = 1 }
  local states = { root }
  for _, name in ipairs(names) do
    local at = root
    for _, code in utf8.codes(name) do
      if not at[code] then
        at[code] = { codes = {}, number = #states + 1 }
        states[#states + 1] = at[code]
        table.insert(at.codes, code)
      end
      at = at[code]
    end
    at.whole = true
  end
  return states
end

-- Characters other than those of a list. unusual: the node of strings.unusual
local function other_than(codes, unusual)
  local known, simple = {}, true
  for i, code in ipairs(codes) do
    known[i] = { code, code }
    simple = simple and #nodes.common(SIMPLE, { { code, code } }) > 0
  end
  local others = nodes.others(known)
  if not simple then return written_set(nodes.set(others)) end
  return choice { nodes.set(nodes.common(SIMPLE, others)), unusual }
end

-- The key of a member that is none of the names: it ends in their tree, but not where a name does, or leaves it.
-- rest, unusual: nodes for strings.any_written and strings.unusual
function strings.other_key(names, rest, unusual)
  local states, edges, behind = tree_of(names), {}, {}
  local last = #states + 1
  local function edge(from, to, node) edges[#edges + 1] = { from.number, to, node } end
  for _, state in ipairs(states) do
    for _, code in ipairs(state.codes) do
      edge(state, state[code].number, strings.written(text(utf8.char(code))))
    end
    local code = #state.codes == 1 and state.codes[1] -- as in most states: made once
    local leaving = behind[code] or sequence { other_than(state.codes, unusual), rest }
    if code then behind[code] = leaving end
    edge(state, last, leaving)
    if not state.whole then edge(state, last, nodes.nothing) end
  end
  return sequence { quote, { kind = "graph", states = last, edges = edges }, quote }
end

return strings
