-- Nodes to a grammar of the core's: states and edges.
local core = require "gpt.core"
local raise = require "gpt.support.raise"

local Build = {}
Build.__index = Build

local emit = {}

local MOST_DEPTH = 2000

local function place(self, node, from, to)
  self.depth = self.depth + 1
  if self.depth > MOST_DEPTH then
    raise("%s: %s: parts nested more than %d deep", self.what, self.label, MOST_DEPTH)
  end
  emit[node.kind](self, node, from, to)
  self.depth = self.depth - 1
end

function emit.text(self, node, from, to)
  self.builder:text(from, node.text, to)
end

function emit.set(self, node, from, to)
  for _, range in ipairs(node) do self.builder:characters(from, range[1], range[2], to) end
end

function emit.sequence(self, node, from, to)
  for i = 1, #node - 1 do
    local next_state = self.builder:state()
    place(self, node[i], from, next_state)
    from = next_state
  end
  if #node == 0 then self.builder:skip(from, to) else place(self, node[#node], from, to) end
end

function emit.choice(self, node, from, to)
  for _, each in ipairs(node) do place(self, each, from, to) end
end

-- No way from one to the other.
function emit.never() end

function emit.rule(self, node, from, to)
  self.builder:call(from, self.numbers[node.name], to)
end

function emit.graph(self, node, from, to)
  local first, last = self.builder:states(node.states - 2), node.states
  local function state(number)
    return number == 1 and from or number == last and to or first + number - 2
  end
  local function put(a, b, inner) place(self, inner, state(a), state(b)) end
  if node.each then return node.each(put) end
  for _, edge in ipairs(node.edges) do put(edge[1], edge[2], edge[3]) end
end

-- A node as a rule of its own.
local function as_rule(self, node)
  if node.kind == "rule" then return node end
  local rule = self.copies[node]
  if not rule then
    rule = { kind = "rule", name = {} }
    self.copies[node] = rule
    self:rule(rule.name, self.label:find("^a repetition in ") and self.label or "a repetition in " .. self.label, node)
  end
  return rule
end

-- What is repeated lies in a rule of its own, unless it is small: each copy is one edge then.
local function repeated(self, node)
  local small = node.kind == "text" and #node.text == 1 or node.kind == "set" and node[#node][2] < 128 and #node < 4
  return small and node or as_rule(self, node)
end

-- Copies behind each other; the optional ones may each be the last.
local function copies(self, node, from, to, least, most)
  if least > 1 or most > 1 then node = repeated(self, node) end
  for i = 1, most do
    if i > least then self.builder:skip(from, to) end
    local next_state = i == most and to or self.builder:state()
    place(self, node, from, next_state)
    from = next_state
  end
  if most == 0 then self.builder:skip(from, to) end
end

-- More of them are counted while a text is read.
local MOST_COPIES = 16
local MOST_TIMES = 1 << 30 -- no text is as long

local function times_counted(self, node, from, to, least, most)
  local rule = self.numbers[as_rule(self, node).name]
  most = most and most <= MOST_TIMES and most or 0
  self.builder:repetition(from, rule, math.min(least, MOST_TIMES), most, to)
end

-- States of their own on both sides: what lies around must not be entered by a way round. What is repeated is placed
-- once, so that loops inside each other do not double with each.
function emit.times(self, node, from, to)
  local builder, inner, least = self.builder, node.node, node.least
  local counts = math.max(least, node.most or 0) > MOST_COPIES
  if counts then return times_counted(self, inner, from, to, least, node.most) end
  if node.most then return copies(self, inner, from, to, least, node.most) end
  if least > 1 then inner = repeated(self, inner) end
  local before = builder:state()
  local behind = least == 0 and before or builder:state()
  copies(self, inner, from, before, math.max(least - 1, 0), math.max(least - 1, 0))
  place(self, inner, before, behind)
  if least > 0 then builder:skip(behind, before) end
  builder:skip(behind, to)
end

-- Adds a rule; rules that it names must be known before finish.
function Build:rule(name, label, node)
  local number, first, last = self.builder:rule(label)
  self.numbers[name] = number
  self.waiting[#self.waiting + 1] = { label = label, node = node, first = first, last = last }
end

-- Places a rule between its states. What goes wrong there is said to be its part.
local function place_rule(self, rule)
  self.label = rule.label
  self.builder:at(self.what .. ": " .. rule.label)
  place(self, rule.node, rule.first, rule.last)
end

-- rules: a list of { name, label = as messages show it, node }, the root first. what: begins the messages. share: of
-- the bounds on its size, up to 1
return function(what, rules, share)
  local self = setmetatable({
    what = what, builder = core._grammar_builder(what, share), numbers = {}, waiting = {}, copies = {}, depth = 0,
  }, Build)
  for _, rule in ipairs(rules) do self:rule(rule.name, rule.label, rule.node) end
  local done = 0
  while done < #self.waiting do
    done = done + 1
    place_rule(self, self.waiting[done])
  end
  self.builder:at(what)
  return self.builder:finish(self.numbers[rules[1].name])
end
