-- What may stand behind a number's whole part: fractions between bounds, as a graph. Its states are how far a text is
-- still on the digits of the lower bound, of the upper one, or of both, and how many digits it may still have. What
-- cannot come to an end is left out.
--
-- Decimals of up to 15 digits are different doubles, and in the same order. So none that is written beside an open
-- bound is read as the bound, as long as it has no more digits than that: `left` counts those on a bound as well.
local nodes = require "gpt.grammar.nodes"

local fractions = {}

-- sets of digits, each made once
local sets = {}

local function digit(low, high)
  local key = low * 10 + high
  sets[key] = sets[key] or nodes.set { { 48 + low, 48 + high } }
  return sets[key]
end

fractions.digit = digit

local point = nodes.text "."

-- A bound is nil where a text is off it, otherwise { fraction: digits that follow, no 0 at their end; open }.
local function rest(bound)
  return bound and { fraction = bound.fraction:sub(2), open = bound.open }
end

local function first(bound) return tonumber(bound.fraction:sub(1, 1)) or 0 end

-- All numbers are at least a closed bound without digits.
local function needed(low)
  return low and (low.fraction ~= "" or low.open) and low or nil
end

-- Whether a text can end here: nothing but zeros would be left of it.
local function can_end(low, high)
  return not low and not (high and high.open and high.fraction == "")
end

local Graph = {}
Graph.__index = Graph

function Graph:new_state()
  self.states = self.states + 1
  return self.states
end

function Graph:edge(from, to, node)
  self.edges[#self.edges + 1] = { from, to, node }
  return true
end

-- An edge for digits from low to high to the state behind them, if that can come to an end. Zeros at the beginning do
-- not count where a bound has them as well.
function Graph:step(from, low, high, bounds, left, leading)
  if low > high then return false end
  leading = leading and high == 0
  local on_bound = bounds.low and bounds.low.fraction ~= "" or bounds.high and bounds.high.fraction ~= ""
  local to = self:state(rest(bounds.low), rest(bounds.high), leading and on_bound and left or left - 1, leading)
  return to and self:edge(from, to, digit(low, high)) or false
end

-- Edges for each digit that may follow; whether there are any.
function Graph:steps(from, low, high, left, leading)
  if left == 0 then return false end
  local least, most = low and first(low) or -1, high and first(high) or 10
  if least >= most then
    return least == most and self:step(from, least, least, { low = low, high = high }, left, leading)
  end
  local on_low = low and self:step(from, least, least, { low = low }, left, leading)
  local between = self:step(from, least + 1, most - 1, {}, left, false)
  local on_high = high and self:step(from, most, most, { high = high }, left, leading)
  return on_low or between or on_high or false
end

-- The state of what may follow; nil where nothing can.
function Graph:state(low, high, left, leading)
  low = needed(low)
  local key = ("%d %d %d %s"):format(low and #low.fraction or -1, high and #high.fraction or -1, left, leading)
  if self.known[key] == nil then
    local number = self:new_state()
    if can_end(low, high) then self.ends[#self.ends + 1] = number end
    local goes_on = self:steps(number, low, high, left, leading)
    self.known[key] = (goes_on or can_end(low, high)) and number
  end
  return self.known[key] or nil
end

-- Nothing, or a point and digits: `most`, behind leading zeros of a bound where the whole part is 0. low, high: bounds
-- of the same whole part, { fraction, open }, or nil.
function fractions.between(low, high, most, leading)
  local self = setmetatable({ states = 2, edges = {}, ends = {}, known = {} }, Graph)
  low = needed(low)
  if can_end(low, high) then self.ends[1] = 1 end
  if self:steps(2, low, high, most, leading) then self:edge(1, 2, point) end
  if #self.ends == 0 then return nodes.never "no number between the bounds" end
  local last = self:new_state()
  for _, number in ipairs(self.ends) do self:edge(number, last, nodes.nothing) end
  return { kind = "graph", states = last, edges = self.edges }
end

return fractions
