-- A pattern together with a length: an automaton over characters, times a count of them. Only what can still come to an
-- end is kept, so that no text is led astray. `left` counts the edges that all patterns of a schema may still make.
local nodes = require "gpt.grammar.nodes"

local MOST_STATES, MOST_PAIRS = 20000, 60000

-- The automaton of a node: edges by the state they leave, { to, leaf }; a leaf is a node for one character, or false.
local Automaton = {}
Automaton.__index = Automaton

local function new_state(self)
  self.count = self.count + 1
  self.edges[self.count] = {}
  return self.count
end

local function edge(self, from, to, leaf)
  self.left.edges = self.left.edges - 1
  table.insert(self.edges[from], { to, leaf or false })
end

local function too_large(self) return self.count > MOST_STATES or self.left.edges < 0 end

local add = {}

local function place(self, node, from, to)
  if not too_large(self) then add[node.kind](self, node, from, to) end
end

add.set = function(self, node, from, to) edge(self, from, to, node) end

function add.text(self, node, from, to)
  for _, code in utf8.codes(node.text) do
    local after = new_state(self)
    edge(self, from, after, nodes.set { { code, code } })
    from = after
  end
  edge(self, from, to)
end

function add.sequence(self, node, from, to)
  for _, each in ipairs(node) do
    local after = new_state(self)
    place(self, each, from, after)
    from = after
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
    local after = new_state(self)
    place(self, node.node, from, after)
    from = after
    if too_large(self) then return end
  end
  if not node.most then
    local loop = new_state(self)
    edge(self, from, loop)
    place(self, node.node, loop, loop)
    from = loop
  end
  edge(self, from, to)
end

-- Pairs of a state and a count that can be reached from the first one; by number, with their edges: a pair and a leaf,
-- one after the other. nil: too many.
local function reach(automaton, least, most)
  local cap, left = most or least, automaton.left
  local numbers, list = {}, {}
  local function number_of(state, count)
    local key = state * (cap + 1) + count
    if not numbers[key] then
      list[#list + 1] = { state = state, count = count, edges = {} }
      numbers[key] = #list
    end
    return numbers[key]
  end
  number_of(1, 0)
  local at = 0
  while at < #list do
    at = at + 1
    local pair = list[at]
    for _, each in ipairs(automaton.edges[pair.state]) do
      local count = pair.count + (each[2] and 1 or 0)
      if not most then count = math.min(count, cap) end
      if count <= cap then
        local n = #pair.edges
        pair.edges[n + 1], pair.edges[n + 2] = number_of(each[1], count), each[2]
        left.edges = left.edges - 1
      end
    end
    if #list > MOST_PAIRS or left.edges < 0 then return nil end
  end
  return list
end

-- Marks the pairs from which one of those given can be reached.
local function mark(list, waiting)
  local before = {}
  for i, pair in ipairs(list) do
    for at = 1, #pair.edges, 2 do
      local to = pair.edges[at]
      before[to] = before[to] or {}
      table.insert(before[to], i)
    end
  end
  for _, i in ipairs(waiting) do list[i].useful = true end
  while #waiting > 0 do
    for _, i in ipairs(before[table.remove(waiting)] or {}) do
      if not list[i].useful then
        list[i].useful = true
        waiting[#waiting + 1] = i
      end
    end
  end
end

-- The graph of the useful pairs: their numbers are its states, and the end is one more.
local function graph_of(list, finals, leaf_node)
  local last, edges = #list + 1, {}
  for i, pair in ipairs(list) do
    for at = 1, pair.useful and #pair.edges or 0, 2 do
      local to, leaf = pair.edges[at], pair.edges[at + 1]
      if list[to].useful then edges[#edges + 1] = { i, to, leaf and leaf_node(leaf) or nodes.nothing } end
    end
  end
  for _, i in ipairs(finals) do edges[#edges + 1] = { i, last, nodes.nothing } end
  return { kind = "graph", states = last, edges = edges }
end

-- Without the edges of characters that have no place.
local function possible(edges, leaf_node)
  local list = {}
  for _, each in ipairs(edges) do
    if not each[2] or leaf_node(each[2]).kind ~= "never" then list[#list + 1] = each end
  end
  return list
end

-- The texts of a node with `least` characters at least, and `most` (or nil) at most; nil where that takes too many
-- states or edges. leaf_node(leaf): the node of one character in its place, nodes.never where it has none.
return function(node, least, most, leaf_node, left)
  local automaton = setmetatable({ count = 0, edges = {}, left = left }, Automaton)
  local first, last = new_state(automaton), new_state(automaton)
  place(automaton, node, first, last)
  if too_large(automaton) then return nil end
  for state, edges in ipairs(automaton.edges) do automaton.edges[state] = possible(edges, leaf_node) end
  local list = reach(automaton, least, most)
  if not list then return nil end
  local finals = {}
  for i, pair in ipairs(list) do
    if pair.state == last and pair.count >= least then finals[#finals + 1] = i end
  end
  mark(list, table.move(finals, 1, #finals, 1, {}))
  if not list[1].useful then return nodes.never "no text of the pattern has that length" end
  return graph_of(list, finals, leaf_node)
end
