-- What the front ends make of a grammar: nodes, each a text pattern. A name for every kind, and its parts:
--
--   text      text            these bytes
--   set       [i] = {low, high}  one character of these ranges, which rise and do not touch
--   sequence  [i] = node      one after the other
--   choice    [i] = node      one of them
--   times     node, least, most (nil: any number)
--   rule      name            a rule by name
--   graph     states, edges   {from, to, node}; from state 1 to the last
--   never     reason          nothing; a front end says why
local nodes = {}

local LAST = 0x10FFFF

function nodes.text(text) return { kind = "text", text = text } end

function nodes.rule(name) return { kind = "rule", name = name } end

function nodes.never(reason) return { kind = "never", reason = reason } end

nodes.nothing = nodes.text ""

-- A sequence; one that cannot be met in one place cannot be met.
function nodes.sequence(list)
  for _, node in ipairs(list) do
    if node.kind == "never" then return node end
  end
  if #list == 1 then return list[1] end
  return { kind = "sequence", table.unpack(list) }
end

-- A choice among those that can be met.
function nodes.choice(list)
  local left = { kind = "choice" }
  for _, node in ipairs(list) do
    if node.kind ~= "never" then left[#left + 1] = node end
  end
  if #left == 0 then return list[1] or nodes.never "a choice of nothing" end
  return #left == 1 and left[1] or left
end

function nodes.times(node, least, most)
  if node.kind == "never" then return least == 0 and nodes.nothing or node end
  if least == 1 and most == 1 then return node end
  return { kind = "times", node = node, least = least, most = most }
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

-- The set of these ranges; nodes.never where they are none.
function nodes.set(ranges)
  local set = united(ranges)
  if #set == 0 then return nodes.never "a class without characters" end
  set.kind = "set"
  return set
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
  local out = nodes.others(a)
  table.move(nodes.others(b), 1, #nodes.others(b), #out + 1, out)
  return nodes.others(out)
end

nodes.any = nodes.set { { 0, LAST } }

return nodes
