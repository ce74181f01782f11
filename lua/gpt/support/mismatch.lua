-- What a file has against what is wanted of it: names and shapes, and all that differs in one text.
local name_list = require "gpt.support.name_list"
local neutral = require "gpt.support.neutral"

local mismatch = {}

--- Compares a list of `{ name = , shape = }` with tables by name that have a `shape`. Returns `missing`, `unexpected`
-- and `misshaped`, lists of names (the last with their shapes behind them).
function mismatch.compare(wanted, by_name)
  local found, known = { missing = {}, unexpected = {}, misshaped = {} }, {}
  for _, item in ipairs(wanted) do
    local entry = by_name[item.name]
    known[item.name] = true
    if not entry then
      table.insert(found.missing, item.name)
    elseif name_list.shape(entry.shape) ~= name_list.shape(item.shape) then
      table.insert(found.misshaped,
        ("%s is %s, not %s"):format(item.name, name_list.shape(entry.shape), name_list.shape(item.shape)))
    end
  end
  for name in pairs(by_name) do
    if not known[name] then table.insert(found.unexpected, name) end
  end
  neutral.sort(found.unexpected)
  return found
end

--- What does not fit, a line for each kind, each after a line break; nil where all fits.
function mismatch.text(found)
  local lines = {}
  local function tell(what, names)
    if #names > 0 then lines[#lines + 1] = ("\n  %s: %s"):format(what, name_list.line(names)) end
  end
  tell("missing", found.missing)
  tell("unexpected", found.unexpected)
  tell("of another shape", found.misshaped)
  return lines[1] and table.concat(lines)
end

return mismatch
