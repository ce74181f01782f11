-- The automaton of a pattern, over characters: a list of states, { to, leaf, to, leaf ..., final }. A leaf is the node
-- of the characters that an edge takes; texts that lead to a final state are whole. The first state is the start. From
-- each an end can be reached, and states that mean the same are one, where that is soon seen.
local MOST_ROUNDS = 8

-- What is placed: states with edges { to, leaf }, where a leaf may be false, for nothing.
local Builder = {}
Builder.__index = Builder

local function new_state(self)
  self.left.edges = self.left.edges - 3
  self[#self + 1] = {}
  return #self
end

local function edge(self, from, to, leaf)
  self.left.edges = self.left.edges - 1
  local edges = self[from]
  edges[#edges + 1], edges[#edges + 2] = to, leaf or false
end

local add = {}

local function place(self, node, from, to)
  if self.left.edges >= 0 then add[node.kind](self, node, from, to) end
end

add.set = function(self, node, from, to)
  self.left.edges = self.left.edges - 3
  local leaf = self.leaf(node)
  if leaf.kind ~= "never" then edge(self, from, to, leaf) end
end

function add.text(self, node, from, to)
  for _, code in utf8.codes(node.text) do
    local behind = new_state(self)
    add.set(self, { kind = "set", { code, code } }, from, behind)
    from = behind
  end
  edge(self, from, to)
end

function add.sequence(self, node, from, to)
  for _, each in ipairs(node) do
    local behind = new_state(self)
    place(self, each, from, behind)
    from = behind
  end
  edge(self, from, to)
end

function add.choice(self, node, from, to)
  for _, each in ipairs(node) do place(self, each, from, to) end
end

function add.never() end

function add.times(self, node, from, to)
  for i = 1, node.most or node.least do
    if i > node.least then edge(self, from, to) end
    local behind = new_state(self)
    place(self, node.node, from, behind)
    from = behind
    if self.left.edges < 0 then return end
  end
  if not node.most then
    local loop = new_state(self)
    edge(self, from, loop)
    place(self, node.node, loop, loop)
    from = loop
  end
  edge(self, from, to)
end

-- The edges of characters that leave a state, also by ways that take nothing.
local function closed(builder, start, last)
  local edges, seen, waiting = { final = start == last }, { [start] = true }, { start }
  while #waiting > 0 and builder.left.edges >= 0 do
    local ways = builder[table.remove(waiting)]
    builder.left.edges = builder.left.edges - #ways // 2
    for i = 1, #ways, 2 do
      local to, leaf = ways[i], ways[i + 1]
      if leaf then
        edges[#edges + 1], edges[#edges + 2] = to, leaf
      elseif not seen[to] then
        edges.final, seen[to] = edges.final or to == last, true
        waiting[#waiting + 1] = to
      end
    end
  end
  return edges
end

-- The states within reach of the first one, with edges of characters alone.
local function without_skips(builder, last)
  local states, numbers, found = {}, { 1 }, { 1 }
  local function number_of(state)
    if not numbers[state] then
      found[#found + 1] = state
      numbers[state] = #found
    end
    return numbers[state]
  end
  while #states < #found and builder.left.edges >= 0 do
    local edges = closed(builder, found[#states + 1], last)
    for i = 1, #edges, 2 do edges[i] = number_of(edges[i]) end
    states[#states + 1] = edges
  end
  return states
end

-- By state: whether an end can be reached.
local function find_live(states)
  local before, live, waiting = {}, {}, {}
  for number, edges in ipairs(states) do
    if edges.final then live[number], waiting[#waiting + 1] = true, number end
    for i = 1, #edges, 2 do
      before[edges[i]] = before[edges[i]] or {}
      table.insert(before[edges[i]], number)
    end
  end
  while #waiting > 0 do
    for _, number in ipairs(before[table.remove(waiting)] or {}) do
      if not live[number] then live[number], waiting[#waiting + 1] = true, number end
    end
  end
  return live
end

-- What a state does, by the classes that states are in.
local function signature(edges, class, own, ids)
  local list, known = {}, {}
  for i = 1, #edges, 2 do
    local way = ids[edges[i + 1]] .. ">" .. class[edges[i]]
    if not known[way] then list[#list + 1], known[way] = way, true end
  end
  table.sort(list)
  return own .. ":" .. table.concat(list, " ")
end

-- Numbers for things, as they come.
local function numbering()
  local count = 0
  return setmetatable({}, { __index = function(self, key)
    count = count + 1
    rawset(self, key, count)
    return count
  end }), function() return count end
end

-- By state: the class of those that mean the same; nil where it takes too long to find.
local function find_classes(states, left)
  local class, ids, before = {}, numbering(), 0
  for number, edges in ipairs(states) do class[number] = edges.final and 1 or 2 end
  for _ = 1, MOST_ROUNDS do
    local names, count = numbering()
    local next_class = {}
    for number, edges in ipairs(states) do
      left.edges = left.edges - #edges // 2
      next_class[number] = names[signature(edges, class, class[number], ids)]
    end
    if left.edges < 0 then return nil end
    if count() == before then return next_class end
    class, before = next_class, count()
  end
end

-- Of each class its first state, with the edges to states that are left.
local function joined(states, class, live)
  local list = {}
  for number, edges in ipairs(states) do
    if not list[class[number]] then
      local kept, known = { final = edges.final }, {}
      for i = 1, #edges, 2 do
        local to, leaf = class[edges[i]], edges[i + 1]
        local way = live[edges[i]] and ("%d %p"):format(to, leaf)
        if way and not known[way] then
          known[way] = true
          kept[#kept + 1], kept[#kept + 2] = to, leaf
        end
      end
      list[class[number]] = kept
    end
  end
  return list
end

-- leaf(set): the node of its characters in their place, nodes.never where they have none; the same for equal sets.
-- left: what may be done, { edges }. nil where that is too little, or, and true then, where the pattern has no text.
return function(node, leaf, left)
  local builder = setmetatable({ left = left, leaf = leaf }, Builder)
  local first, last = new_state(builder), new_state(builder)
  place(builder, node, first, last)
  local states = left.edges >= 0 and without_skips(builder, last)
  if left.edges < 0 then return nil end
  local live = find_live(states)
  if not live[1] then return nil, true end
  local class = find_classes(states, left)
  if left.edges < 0 then return nil end
  return joined(states, class or numbering(), live)
end
