-- Ranges of numbers as nodes over their digits. Numbers are texts of digits here, without sign or leading zeros.
local nodes = require "gpt.grammar.nodes"

local digits = {}

local MOST = 15 -- digits of a fraction; and of a whole number, unless a bound has more

local sequence, choice, times, text = nodes.sequence, nodes.choice, nodes.times, nodes.text

-- One digit between two, or nodes.never.
local function digit(low, high)
  if low > high then return nodes.never "no digit" end
  return nodes.set { { 48 + low, 48 + high } }
end

local any = digit(0, 9)

local function several(least, most) return times(any, least, most) end

local function first(s) return s:byte() - 48 end

-- As many digits as s, at least (or at most) s.
local function at_least(s)
  if s == "" then return nodes.nothing end
  local d, rest = first(s), s:sub(2)
  return choice { sequence { text(s:sub(1, 1)), at_least(rest) }, sequence { digit(d + 1, 9), several(#rest, #rest) } }
end

local function at_most(s)
  if s == "" then return nodes.nothing end
  local d, rest = first(s), s:sub(2)
  return choice { sequence { text(s:sub(1, 1)), at_most(rest) }, sequence { digit(0, d - 1), several(#rest, #rest) } }
end

-- From a to b, both of one length.
local function alike(a, b)
  if a == "" then return nodes.nothing end
  local x, y, n = first(a), first(b), #a - 1
  if x == y then return sequence { text(a:sub(1, 1)), alike(a:sub(2), b:sub(2)) } end
  return choice {
    sequence { text(a:sub(1, 1)), at_least(a:sub(2)) },
    sequence { digit(x + 1, y - 1), several(n, n) },
    sequence { text(b:sub(1, 1)), at_most(b:sub(2)) },
  }
end

local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

-- Whole numbers from a to b (nil: as far as digits go).
function digits.whole(a, b)
  b = b or ("9"):rep(math.max(MOST, #a))
  if less(b, a) then return nodes.never "no whole number between the bounds" end
  if #a == #b then return alike(a, b) end
  local list = { alike(a, ("9"):rep(#a)), alike("1" .. ("0"):rep(#b - 1), b) }
  if #b - #a > 1 then list[3] = sequence { digit(1, 9), several(#a, #b - 2) } end
  return choice(list)
end

-- A number's neighbour: s plus 1, or minus 1 (s above 0).
local function neighbour(s, step)
  local carry, out = step, {}
  for i = #s, 1, -1 do
    local d = s:byte(i) - 48 + carry
    carry = d > 9 and 1 or d < 0 and -1 or 0
    out[i] = d % 10
  end
  local result = (carry == 1 and "1" or "") .. table.concat(out)
  return (result:gsub("^0+(%d)", "%1"))
end

local function point(node) return sequence { text ".", node } end

-- Numbers of up to 15 digits are different doubles: so none that is written above an open bound is read as the bound.
local Fractions = {}
Fractions.__index = Fractions

local function fractions(most)
  return setmetatable({ most = math.max(most, 0), some = several(0, math.max(most, 0)) }, Fractions)
end

-- Any fraction, or none.
function Fractions:any()
  return self.most == 0 and nodes.nothing or nodes.optional(point(several(1, self.most)))
end

-- Digits from f on; `open`: not f itself.
function Fractions:from(f, open)
  if f == "" then return open and sequence { several(0, math.max(self.most - 1, 0)), digit(1, 9) } or self.some end
  return choice {
    sequence { text(f:sub(1, 1)), self:from(f:sub(2), open) }, sequence { digit(first(f) + 1, 9), self.some },
  }
end

-- Digits up to f, which ends with no 0.
function Fractions:to(f, open)
  if f == "" then return open and nodes.never "no number between the bounds" or times(text "0", 0, self.most) end
  local rest = self:to(f:sub(2), open)
  if #f > 1 then rest = choice { nodes.nothing, rest } end
  return choice { sequence { text(f:sub(1, 1)), rest }, sequence { digit(0, first(f) - 1), self.some } }
end

-- What follows the whole part of the least (or the greatest) number.
function Fractions:behind_least(bound)
  if bound.fraction == "" and not bound.open then return self:any() end
  if self.most <= #bound.fraction and bound.open then return nodes.never "no number between the bounds" end
  return point(self:from(bound.fraction, bound.open))
end

function Fractions:behind_most(bound)
  local f, open = bound.fraction, bound.open
  if f == "" then return open and nodes.never "no number between the bounds" or nodes.nothing end
  return choice { nodes.nothing, point(self:to(f, open)) }
end

-- Between two with the same whole part: of as many digits as tell them apart.
function Fractions:between(a, b)
  local length = math.max(#a.fraction, #b.fraction) + 1
  local f, g = a.fraction .. ("0"):rep(length - #a.fraction), b.fraction .. ("0"):rep(length - #b.fraction)
  local function padded(s) return ("0"):rep(length - #s) .. s end
  if a.open then f = padded(neighbour(f, 1)) end
  if b.open then g = g:find "[1-9]" and padded(neighbour(g, -1)) or "" end
  local lost = (a.open or b.open) and length > self.most
  if g == "" or f > g or lost then return nodes.never "no number between the bounds" end
  return point(alike(f, g))
end

-- Numbers from a to b, each { whole, fraction without 0s at its end, open = not itself }; b may be nil.
function digits.decimal(a, b)
  local known = fractions(MOST - math.max(#a.whole, b and #b.whole or 1))
  if b and less(b.whole, a.whole) then return nodes.never "no number between the bounds" end
  if b and a.whole == b.whole then return sequence { text(a.whole), known:between(a, b) } end
  local from, to = neighbour(a.whole, 1), b and neighbour(b.whole, -1)
  local inner = to and less(to, from) and nodes.never "no number between the bounds" or digits.whole(from, to)
  return choice {
    sequence { text(a.whole), known:behind_least(a) }, sequence { inner, known:any() },
    b and sequence { text(b.whole), known:behind_most(b) },
  }
end

-- Any number, within a double's range.
digits.number = sequence {
  nodes.optional(text "-"), digits.whole "0", fractions(MOST):any(),
  nodes.optional(sequence {
    nodes.set { { 69, 69 }, { 101, 101 } }, nodes.optional(nodes.set { { 43, 43 }, { 45, 45 } }), several(1, 2),
  }),
}

return digits
