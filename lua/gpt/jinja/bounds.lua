-- What a template may take: steps, and the size of a text or list. One template runs at a time, to its end; so one
-- count of steps is enough.
local fault = require "gpt.jinja.fault"

local bounds = {}

local MOST_STEPS = 400000
local MOST_BYTES = 16 << 20 -- of a text, and of the whole output
local MOST_ITEMS = 1 << 20  -- of a list

local left = 0

--- Before a template runs.
function bounds.start() left = MOST_STEPS end

--- Counts n steps (1). All of these raise a fault without a line, unless they are given one.
function bounds.step(n, line)
  left = left - (n or 1)
  if left < 0 then fault.raise(line, "the template does not end: over %d steps", MOST_STEPS) end
end

--- Counts what it takes to read or write a value once: a step for 256 bytes of text or 64 items.
function bounds.work(value, line)
  if type(value) == "string" then
    bounds.step(#value >> 8, line)
  elseif type(value) == "table" then
    bounds.step(rawlen(value) >> 6, line)
  end
end

--- Counts a search for a part in a text: at worst all of it is compared at every place.
function bounds.search(text, part, line) bounds.step((#text * #part) >> 16, line) end

--- A text of so many bytes may be too long, and a list of so many items.
function bounds.bytes(n, line)
  if n > MOST_BYTES then fault.raise(line, "a text of over %d bytes", MOST_BYTES) end
end

function bounds.items(n)
  if n > MOST_ITEMS then fault.raise(nil, "a list of over %d items", MOST_ITEMS) end
end

--- table.concat, of what may be too long: make(i) is part i of n.
function bounds.join(n, make, separator)
  local parts, total = {}, 0
  for i = 1, n do
    parts[i] = make(i)
    total = total + #parts[i] + #(separator or "")
    bounds.bytes(total)
    bounds.step(1 + (#parts[i] >> 8))
  end
  return table.concat(parts, separator)
end

return bounds
