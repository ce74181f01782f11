-- The functions that every template knows.
local attempt = require "gpt.support.attempt"
local bounds = require "gpt.jinja.bounds"
local fault = require "gpt.jinja.fault"
local values = require "gpt.jinja.values"
local neutral = require "gpt.support.neutral"

local MOST_ITEMS = 100000
local LONGEST_DATE = 1000 -- bytes of a date's format, of which each two may become a hundred

local function namespace(positional, named)
  local space = values.namespace()
  bounds.list(4)
  for _, given in ipairs(positional) do
    local kind = values.kind(given)
    if kind ~= "dict" then fault.raise(nil, "namespace: a dict expected, got a %s", kind) end
    bounds.list(2 * #given.keys)
    for _, key in ipairs(given.keys) do values.set(space, key, values.get(given, key)) end
  end
  for name, value in pairs(named) do values.set(space, name, value) end
  return space
end

local function dict(_, named)
  local made, names = values.dict(), {}
  for name in pairs(named) do names[#names + 1] = name end
  bounds.list(4 + 2 * #names)
  neutral.sort(names)
  for _, name in ipairs(names) do values.set(made, name, named[name]) end
  return made
end

local function range(positional)
  local first, last, step = positional[1], positional[2], positional[3] or 1
  if last == nil then first, last = 0, first end
  if math.type(first) ~= "integer" or math.type(last) ~= "integer" or math.type(step) ~= "integer" or step == 0 then
    fault.raise(nil, "range: whole numbers expected, and a step that is not 0")
  end
  if math.abs((last - (first + 0.0)) / step) > MOST_ITEMS then fault.raise(nil, "range: over %d items", MOST_ITEMS) end
  local items = {}
  bounds.list(math.max(0, (last - first) // step))
  for i = first, step > 0 and last - 1 or last + 1, step do items[#items + 1] = i end
  return values.list(items)
end

-- Says the separator at every call but the first.
local function joiner(positional)
  local separator, used = positional[1] or ", ", false
  bounds.list(4)
  return values.callable("joiner", function()
    local text = used and separator or ""
    used = true
    return text
  end)
end

local function cycler(positional)
  local made, at = values.namespace(), 1
  bounds.list(8)
  values.set(made, "next", values.callable("next", function()
    local item = positional[at]
    at = at % #positional + 1
    return item
  end))
  return made
end

local function raise_exception(positional)
  fault.raise(nil, "%s", values.text(positional[1] == nil and "" or positional[1]))
end

-- `now` (seconds since 1970) makes the date the same every time.
local function strftime(now)
  return function(positional)
    if not os then fault.raise(nil, "strftime_now: needs Lua's library os, which this host leaves out") end
    local format = values.text(positional[1])
    if #format > LONGEST_DATE then fault.raise(nil, "strftime_now: a format of over %d bytes", LONGEST_DATE) end
    local ok, text = attempt(os.date, format, now)
    if not ok then fault.raise(nil, "strftime_now: '%s' is no format of a date", format) end
    return text
  end
end

--- A fresh table of them by name.
return function(now)
  local functions = {
    namespace = namespace, dict = dict, range = range, joiner = joiner, cycler = cycler,
    raise_exception = raise_exception, strftime_now = strftime(now),
  }
  local globals = {}
  for name, fn in pairs(functions) do globals[name] = values.callable(name, fn) end
  return globals
end
