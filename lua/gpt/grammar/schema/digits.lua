-- Ranges of numbers as nodes over their digits. Numbers are texts of digits here, without sign or leading zeros.
local fractions = require "gpt.grammar.schema.fractions"
local nodes = require "gpt.grammar.nodes"

local digits = {}

local MOST = 15 -- digits of a number with a fraction; and of a whole number, unless a bound has more

local sequence, choice, times, text = nodes.sequence, nodes.choice, nodes.times, nodes.text

-- One digit between two, or nodes.never.
local function digit(low, high)
  if low > high then return nodes.never "no digit" end
  return fractions.digit(low, high)
end

local any = digit(0, 9)

local function several(least, most) return most == 0 and nodes.nothing or times(any, least, most) end

local function first(s) return s:byte() - 48 end

-- As many digits as s, at least (or at most) s.
local function at_least(s)
  if not s:find "[^0]" then return several(#s, #s) end
  local d, rest = first(s), s:sub(2)
  return choice { sequence { text(s:sub(1, 1)), at_least(rest) }, sequence { digit(d + 1, 9), several(#rest, #rest) } }
end

local function at_most(s)
  if not s:find "[^9]" then return several(#s, #s) end
  local d, rest = first(s), s:sub(2)
  return choice { sequence { text(s:sub(1, 1)), at_most(rest) }, sequence { digit(0, d - 1), several(#rest, #rest) } }
end

-- From a to b, both of one length.
local function alike(a, b)
  if a == b then return text(a) end
  local x, y, n = first(a), first(b), #a - 1
  if x == y then return sequence { text(a:sub(1, 1)), alike(a:sub(2), b:sub(2)) } end
  if not a:find("[^0]", 2) and not b:find("[^9]", 2) then return sequence { digit(x, y), several(n, n) } end
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

-- Numbers from a to b, each { whole, fraction without 0s at its end, open = not itself }; b may be nil. Beside closed
-- bounds there may be more digits than 15, as many as they have.
function digits.decimal(a, b)
  if b and less(b.whole, a.whole) then return nodes.never "no number between the bounds" end
  local extra = (a.open or b and b.open) and 0 or math.max(#a.fraction, b and #b.fraction or 0)
  local function behind(whole, low, high)
    local zero = whole == "0"
    local most = math.max(MOST - (zero and 0 or #whole), extra)
    return sequence { text(whole), fractions.between(low, high, most, zero) }
  end
  if b and a.whole == b.whole then return behind(a.whole, a, b) end
  local from, to = neighbour(a.whole, 1), b and neighbour(b.whole, -1)
  local inner = to and less(to, from) and nodes.never "no number between the bounds" or digits.whole(from, to)
  local most = math.max(MOST - #(b and b.open and b or a).whole, 0)
  return choice {
    behind(a.whole, a, nil), sequence { inner, fractions.between(nil, nil, most) }, b and behind(b.whole, nil, b),
  }
end

-- Any number, within a double's range.
digits.number = sequence {
  nodes.optional(text "-"), digits.whole "0", fractions.between(nil, nil, MOST),
  nodes.optional(sequence {
    nodes.set { { 69, 69 }, { 101, 101 } }, nodes.optional(nodes.set { { 43, 43 }, { 45, 45 } }), several(1, 2),
  }),
}

return digits
