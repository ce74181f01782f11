-- A config by a recipe's list of keys, from the description in a model's files and back into one.
--
-- An entry is `{ key, names, kind, default }`: the config's key; what the files call it, one name or a list of which
-- the first is written; one of gpt.model_files.kinds; and the value where the file says nothing, or a function of the
-- config so far (without one, the key has to be there; `optional = true`: then the config does not have it). With
-- `null = true` a null is not as if there were no key, but false, for none. `write` is a function of the config that
-- returns what is written (nil: nothing), or false for a key that is only read. An entry with `read` and `write` alone
-- handles keys that belong together: `read(source, config)`, `write(config, sink)`.
--
-- A source is where the values are: `path`; `find(names)` returns a value and the name that it goes by, or nil and the
-- first name (a null is none, and `is_null(name)` tells); `refuse(name, expected, value)` raises; `tensor(name)`
-- returns the numbers of a tensor that is part of the description, or nil. A sink is where they go: `put(name, value,
-- kind)`; and `put_tensor(name, numbers, key)`, which says all about that key of the config.
local core = require "gpt.core"
local kinds = require "gpt.model_files.kinds"

local keys = {}

local function default_of(source, entry, config, name)
  local default = entry[4]
  if type(default) == "function" then default = default(config) end
  if default == nil and not entry.optional then core._raise(("%s: %s is missing"):format(source.path, name)) end
  return default
end

-- A value as a config has it; raises what a kind does not take.
function keys.checked(source, kind, value, name, entry)
  local result, expected = kinds[kind].rule(value, entry)
  if result == nil then source:refuse(name, expected, value) end
  return result
end

local function read_entry(source, entry, config)
  local value, name = source:find(entry[2])
  if value == nil and entry.null and source:is_null(name) then return false end
  if value == nil then return default_of(source, entry, config, name) end
  return keys.checked(source, entry[3], value, name, entry)
end

-- Reads into a config what a source says.
function keys.read(source, list, config)
  for _, entry in ipairs(list) do
    if entry.read then entry.read(source, config)
    else config[entry[1]] = read_entry(source, entry, config) end
  end
end

local function value_of(entry, config)
  if entry.write then return entry.write(config) end
  local value = config[entry[1]]
  return entry.written and entry.written[value] or value
end

-- Writes into a sink all that a file says of a config.
function keys.write(sink, list, config)
  for _, entry in ipairs(list) do
    if entry.read then
      entry.write(config, sink)
    elseif entry.write ~= false then
      local value = value_of(entry, config)
      local names = entry[2]
      if value ~= nil then sink:put(type(names) == "table" and names[1] or names, value, kinds[entry[3]]) end
    end
  end
end

return keys
