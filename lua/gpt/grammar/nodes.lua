-- What the front ends make of a grammar: nodes, each a text pattern. A name for every kind, and its parts:
--
--   text      text            these bytes
--   set       [i] = {low, high}  one character of these ranges, which rise and do not touch
--   sequence  [i] = node      one after the other
--   choice    [i] = node      one of them
--   times     node, least, most (nil: any number)
--   rule      name            a rule by name
--   graph     states, edges   {from, to, node}; from state 1 to the last
--             or, for edges, each: a function that calls what it is given with from, to, node, for one after the other
--   never     reason          nothing; a front end says why
local raise = require "gpt.support.raise"

local nodes = {}

local LAST = 0x10FFFF
local MOST_NODES = 300000 -- of a grammar, some 250 bytes each

-- Of the grammar that is being read: the beginning of messages, the place, its nodes so far, and the bound on these.
local what, place, made, limit = "", nil, 0, MOST_NODES

-- Begins to count the nodes of a grammar: a short text may ask for many. name: begins the message of too many. share:
-- of the bound, up to 1
function nodes.begin(name, share) what, place, made, limit = name, nil, 0, math.floor(MOST_NODES * share) end

-- Tells the place whose nodes are made from now on; returns the one before.
function nodes.at(new_place)
  local before = place
  place = new_place
  return before
end

local function new(node)
  made = made + 1
  if made > limit then
    raise("%s: %sit takes more than %d parts: fewer would do", what, place and place .. ": " or "", limit)
  end
  return node
end

function nodes.text(text) return new { kind = "text", text = text } end

function nodes.rule(name) return new { kind = "rule", name = name } end

function nodes.never(reason) return new { kind = "never", reason = reason } end

nodes.nothing = nodes.text ""

-- A sequence; one that cannot be met in one place cannot be met.
function nodes.sequence(list)
  for _, node in ipairs(list) do
    if node.kind == "never" then return node end
  end
  if #list == 1 then return list[1] end
  return new(table.move(list, 1, #list, 1, { kind = "sequence" }))
end

-- A choice among those that can be met.
function nodes.choice(list)
  local left = { kind = "choice" }
  for _, node in ipairs(list) do
    if node.kind ~= "never" then left[#left + 1] = node end
  end
  if #left == 0 then return list[1] or nodes.never "a choice of nothing" end
  return #left == 1 and left[1] or new(left)
end

-- ?, * or +, as a repetition's bounds
local function is_plain(least, most) return least <= 1 and (not most or most == 1) end

-- A plain repetition of a plain one is one itself.
function nodes.times(node, least, most)
  if node.kind == "never" then return least == 0 and nodes.nothing or node end
  if least == 1 and most == 1 then return node end
  if node.kind == "times" and is_plain(least, most) and is_plain(node.least, node.most) then
    return nodes.times(node.node, least * node.least, most and node.most and 1 or nil)
  end
  return new { kind = "times", node = node, least = least, most = most }
end

function nodes.optional(node) return nodes.times(node, 0, 1) end

-- Ranges in order, without overlaps: a set's parts.
local function united(ranges)
  table.sort(ranges, function(a, b) return a[1] < b[1] end)
  local list = {}
  for _, range in ipairs(ranges) do
    local last = list[#list]
    if last and range[1] <= last[2] + 1 then last[2] = math.max(last[2], range[2])
    else list[#list + 1] = { range[1], range[2] } end
  end
  return list
end

-- UTF-8 has no halves of surrogate pairs: they are no characters, in no set.
local CHARACTERS = { { 0, 0xD7FF }, { 0xE000, LAST } }

-- The set of the characters in these ranges; nodes.never where there are none.
function nodes.set(ranges)
  local set = nodes.common(ranges, CHARACTERS)
  if #set == 0 then return nodes.never "a class without characters" end
  set.kind = "set"
  return new(set)
end

-- The ranges of all other characters.
function nodes.others(ranges)
  local list, from = {}, 0
  for _, range in ipairs(united(ranges)) do
    if range[1] > from then list[#list + 1] = { from, range[1] - 1 } end
    from = range[2] + 1
  end
  if from <= LAST then list[#list + 1] = { from, LAST } end
  return list
end

-- The ranges that both lists have.
function nodes.common(a, b)
  a, b = united(a), united(b)
  local list, i, j = {}, 1, 1
  while a[i] and b[j] do
    local low, high = math.max(a[i][1], b[j][1]), math.min(a[i][2], b[j][2])
    if low <= high then list[#list + 1] = { low, high } end
    if a[i][2] < b[j][2] then i = i + 1 else j = j + 1 end
  end
  return list
end

nodes.any = nodes.set { { 0, LAST } }

return nodes
