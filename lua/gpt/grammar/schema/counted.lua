-- A pattern together with a length: its automaton, once for each count of characters, which is a layer. Only what can
-- still come to an end is kept, so that no text is led astray. Layers soon are the same as the ones before them.
local automaton = require "gpt.grammar.schema.automaton"
local nodes = require "gpt.grammar.nodes"

-- The states that edges from those of a layer lead to, in order.
local function behind(states, layer, left)
  local list, known = {}, {}
  for _, state in ipairs(layer) do
    local edges = states[state]
    left.edges = left.edges - #edges // 2
    for i = 1, #edges, 2 do
      local to = edges[i]
      if not known[to] then list[#list + 1], known[to] = to, true end
    end
  end
  table.sort(list)
  return list
end

local function equal(a, b)
  if not b or #a ~= #b then return false end
  for i, state in ipairs(a) do
    if b[i] ~= state then return false end
  end
  return true
end

-- By count: the states that texts of so many characters lead to.
local function reach(states, count, left)
  local layers = { [0] = { 1 } }
  for i = 1, count do
    left.edges = left.edges - 1
    if left.edges < 0 then break end
    local before = layers[i - 1]
    local layer = before == layers[i - 2] and before or behind(states, before, left)
    layers[i] = equal(layer, before) and before or layer
  end
  return layers
end

-- Those of a layer that may be final and are, or lead to some of the next layer.
local function useful(states, layer, may_end, following, left)
  local list = { index = {} }
  for _, state in ipairs(layer) do
    local edges, found = states[state], may_end and states[state].final
    left.edges = left.edges - #edges // 2
    for i = 1, following and not found and #edges or 0, 2 do found = found or following.index[edges[i]] end
    if found then
      list[#list + 1] = state
      list.index[state] = #list
    end
  end
  return list
end

-- Leaves in each layer what is useful. following: the layer behind the last one, or nil
local function prune(states, layers, last, least, following, left)
  local known = {} -- the layer done last, and what it was made of
  for i = last, 0, -1 do
    if left.edges < 0 then return end
    local layer, may_end = layers[i], i >= least
    if not (known.layer == layer and known.following == following and known.may_end == may_end) then
      local kept = useful(states, layer, may_end, following, left)
      if equal(kept, following) then kept = following end
      known = { layer = layer, following = following, may_end = may_end, kept = kept }
    end
    layers[i], following = known.kept, known.kept
  end
end

-- All states within reach of a layer.
local function rest_of(states, layer, left)
  local list, index = table.move(layer, 1, #layer, 1, {}), {}
  for i, state in ipairs(list) do index[state] = i end
  local at = 0
  while at < #list do
    at = at + 1
    local edges = states[list[at]]
    left.edges = left.edges - #edges // 2
    for i = 1, #edges, 2 do
      if not index[edges[i]] then
        list[#list + 1] = edges[i]
        index[edges[i]] = #list
      end
    end
  end
  list.index = index
  return list
end

-- Puts the edges of a layer, whose states' numbers begin behind `before`, to those behind `to` of the next one.
local function put_layer(states, layer, before, following, to, end_state, put)
  for i, state in ipairs(layer) do
    local edges = states[state]
    for at = 1, following and #edges or 0, 2 do
      local place = following.index[edges[at]]
      if place then put(before + i, to + place, edges[at + 1]) end
    end
    if end_state and edges.final then put(before + i, end_state, nodes.nothing) end
  end
end

-- The graph of layers 0 to last. round: edges from the last one lead into itself.
local function graph_of(states, layers, last, least, round)
  local before, count = {}, 0
  for i = 0, last do before[i], count = count, count + #layers[i] end
  local end_state = count + 1
  return { kind = "graph", states = end_state, each = function(put)
    for i = 0, last do
      local following = i < last and i + 1 or round and last
      put_layer(states, layers[i], before[i], following and layers[following], following and before[following],
        i >= least and end_state, put)
    end
  end }
end

-- The texts of a node with `least` characters at least, and `most` (or nil) at most; nil where that takes too much.
-- leaf, left: see automaton.lua
return function(node, least, most, leaf, left)
  local states, none = automaton(node, leaf, left)
  if none then return nodes.never "the pattern has no text" end
  if not states then return nil end
  local last = most or least
  local layers = reach(states, last, left)
  if left.edges < 0 then return nil end
  if most then
    prune(states, layers, last, least, nil, left)
  else
    layers[last] = rest_of(states, layers[last], left)
    prune(states, layers, last - 1, least, layers[last], left)
  end
  if left.edges < 0 then return nil end
  if #layers[0] == 0 then return nodes.never "no text of the pattern has that length" end
  return graph_of(states, layers, last, least, not most)
end
