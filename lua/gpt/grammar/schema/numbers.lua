-- JSON's numbers within bounds.
local digits = require "gpt.grammar.schema.digits"
local json = require "gpt.support.json"
local nodes = require "gpt.grammar.nodes"

local numbers = {}

local function negative(node) return nodes.sequence { nodes.text "-", node } end

-- The digits of a whole number's amount.
local function amount(n) return (("%d"):format(n):gsub("^-", "")) end

-- Whole numbers from low to high, integers or nil.
function numbers.whole(low, high)
  local list = {}
  if not high or high >= 0 then
    list[1] = digits.whole(low and low > 0 and amount(low) or "0", high and amount(high))
  end
  if not low or low < 0 then
    list[#list + 1] = negative(digits.whole(high and high < 0 and amount(high) or "1", low and amount(low)))
  end
  if #list == 0 then return nodes.never "no whole number between the bounds" end
  return nodes.choice(list)
end

-- Digits before and behind the point, where it moves to the right by an exponent.
local function shifted(whole, fraction, exponent)
  local all, at = whole .. fraction, #whole + exponent
  if at < 1 then all, at = ("0"):rep(1 - at) .. all, 1 end
  all = all .. ("0"):rep(at - #all)
  return all:sub(1, at), all:sub(at + 1)
end

-- A number's amount as digits, the fewest that are read as it; or nil where they are too many.
function numbers.decimal(value)
  local whole, fraction, exponent = json.encode(math.abs(value)):match "^(%d+)%.?(%d*)e?([+-]?%d*)$"
  if not whole then return nil end -- the least integer has no amount
  whole, fraction = shifted(whole, fraction, math.tointeger(tonumber(exponent)) or 0)
  whole, fraction = whole:gsub("^0+(%d)", "%1"), fraction:gsub("0+$", "")
  if #whole > 15 or #fraction > 20 then return nil end
  return whole, fraction
end

local function bound(value, open)
  local whole, fraction = numbers.decimal(value)
  return { whole = whole, fraction = fraction, open = open }
end

local zero = { whole = "0", fraction = "", open = false }
local above_zero = { whole = "0", fraction = "", open = true }

-- Numbers between two (nil: no bound); `open`: not these themselves.
function numbers.between(low, high, low_open, high_open)
  if not low and not high then return digits.number end
  local list = {}
  if not high or high > 0 or high == 0 and not high_open then
    local from = low and (low > 0 or low == 0 and low_open) and bound(low, low_open) or zero
    list[1] = digits.decimal(from, high and bound(high, high_open))
  end
  if not low or low < 0 then
    local from = high and high < 0 and bound(high, high_open) or above_zero
    list[#list + 1] = negative(digits.decimal(from, low and bound(low, low_open)))
  end
  if #list == 0 then return nodes.never "no number between the bounds" end
  return nodes.choice(list)
end

return numbers
