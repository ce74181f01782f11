-- Values that enum and const give word for word, as a set: a list of texts (same.lua), and by text a list of the forms
-- of its value, { value, written }: `written` as the grammar has it. 1 and 1.0 are one value in two forms.
local json = require "gpt.support.json"
local same = require "gpt.grammar.schema.same"

local values = {}

local function write(context, value)
  if type(value) ~= "table" then return json.encode(value) end
  local parts, style = {}, context.style
  if json.is_array(value) then
    for i, item in ipairs(value) do parts[i] = write(context, item) end
    return "[" .. table.concat(parts, style.comma) .. "]"
  end
  for i, name in ipairs(context.keys(value)) do
    parts[i] = json.quote(name) .. style.colon .. write(context, value[name])
  end
  return "{" .. table.concat(parts, style.comma) .. "}"
end

-- The values of a list; raises what JSON does not have.
function values.new(context, list)
  local set, known = { by = {} }, {}
  for _, value in ipairs(list) do
    local text, written = same(value), write(context, value)
    if not set.by[text] then set[#set + 1], set.by[text] = text, {} end
    if not known[written] then table.insert(set.by[text], { value = value, written = written }) end
    known[written] = true
  end
  return set
end

-- Those of a that are in b as well, as a writes them: as many steps as the smaller one has values.
function values.common(a, b)
  local set = { by = {} }
  for _, text in ipairs(#b < #a and b or a) do
    if a.by[text] and b.by[text] then set[#set + 1], set.by[text] = text, a.by[text] end
  end
  return set
end

return values
