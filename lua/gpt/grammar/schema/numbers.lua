-- JSON's numbers within bounds.
local digits = require "gpt.grammar.schema.digits"
local json = require "gpt.support.json"
local neutral = require "gpt.support.neutral"
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
  return nodes.choice(list)
end

-- A number's amount as digits, or nil where it has too many.
function numbers.decimal(value)
  local shown = json.encode(math.abs(value))
  if shown:find "e" then shown = neutral.format("%.20f", math.abs(value)) end
  if tonumber(shown) ~= math.abs(value) then return nil end
  local whole, fraction = shown:match "^(%d+)%.?(%d*)$"
  fraction = fraction and fraction:gsub("0+$", "")
  if not whole or #whole > 15 or #fraction > 20 then return nil end
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
