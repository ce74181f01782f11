-- What a template may take: steps, the size of a text or list, and the bytes of all that it makes. One template runs at
-- a time, to its end; so one count of each is enough.
--
-- A step is about a microsecond's work. Whatever reads, makes or compares more than that says so here, before it does;
-- what makes a text or a table says that before it does, too: bounds.text, bounds.list, or one of those that build on
-- them, bounds.join and bounds.replaced. What has become garbage counts as well: so memory is bounded whatever the
-- collector does.
local fault = require "gpt.jinja.fault"

local bounds = {}

local MOST_STEPS = 400000
local MOST_BYTES = 16 << 20 -- of a text, and of the whole output
local MOST_ITEMS = 1 << 20  -- of a list
local MOST_MADE = 128 << 20 -- bytes, of all texts and tables together

local TEXT, TABLE, ENTRY = 40, 100, 48 -- bytes of Lua's, about, beside those of a text

local CALLS = 8 -- of a function for a part of a text, a step

local left, made, at_line = 0, 0, nil

--- Before a template runs.
function bounds.start() left, made, at_line = MOST_STEPS, 0, nil end

--- Counts n steps (1). The faults of all of these name the line that they are given, or else the last one given.
function bounds.step(n, line)
  left, at_line = left - (n or 1), line or at_line
  if left < 0 then fault.raise(at_line, "the template does not end: over %d steps", MOST_STEPS) end
end

local function make(bytes)
  made = made + bytes
  if made > MOST_MADE then fault.raise(at_line, "the template makes over %d bytes of texts and lists", MOST_MADE) end
end

--- Counts what it takes to read a value once: a step for 256 bytes of text or 64 items.
function bounds.work(value, line)
  if type(value) == "string" then
    bounds.step(#value >> 8, line)
  elseif type(value) == "table" then
    bounds.step((rawlen(value) + #(rawget(value, "keys") or "")) >> 6, line)
  end
end

--- Counts a search for a part in a text: at worst all of it is compared at every place.
function bounds.search(text, part, line) bounds.step((#text * #part) >> 16, line) end

--- A text of so many bytes may be too long, and a list of so many items.
function bounds.bytes(n, line)
  if n > MOST_BYTES then fault.raise(line or at_line, "a text of over %d bytes", MOST_BYTES) end
end

function bounds.items(n)
  if n > MOST_ITEMS then fault.raise(at_line, "a list of over %d items", MOST_ITEMS) end
end

--- Counts a text of n bytes that is made.
function bounds.text(n, line)
  bounds.bytes(n, line)
  bounds.step(n >> 8, line)
  make(n + TEXT)
end

--- Counts a table of n entries that is made.
function bounds.list(n, line)
  bounds.items(n)
  bounds.step(n >> 6, line)
  make(TABLE + ENTRY * n)
end

--- Counts part n of those that come of a text or a list, each with a table or text of its own.
function bounds.part(n, bytes)
  bounds.items(n)
  if n % CALLS == 0 then bounds.step() end
  make(ENTRY + TEXT + bytes)
end

--- table.concat, of what may be too long: make_part(i) is part i of n.
function bounds.join(n, make_part, separator)
  local parts, total, between = {}, 0, #(separator or "")
  bounds.list(n)
  for i = 1, n do
    parts[i] = make_part(i)
    total = total + #parts[i] + between
    bounds.bytes(total)
    bounds.step(1 + (#parts[i] >> 8))
  end
  bounds.text(total)
  return table.concat(parts, separator)
end

--- text:gsub(pattern, make_part), of what may become too long.
function bounds.replaced(text, pattern, make_part)
  local total, calls = #text, 0
  local result = text:gsub(pattern, function(...)
    local part = make_part(...)
    calls, total = calls + 1, total + #(part or "")
    bounds.bytes(total)
    if calls % CALLS == 0 then bounds.step() end
    return part
  end)
  bounds.text(#result)
  return result
end

return bounds
