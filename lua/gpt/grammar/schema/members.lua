-- What the schemas of a flat say together of one member of an object, or one item of an array: a list of schemas, all
-- of which it has to match.
local members = {}

-- Of the member of that name.
function members.named(context, flat, name)
  local list = {}
  for _, part in ipairs(flat.parts) do
    if part.properties[name] ~= nil then
      list[#list + 1] = { schema = part.properties[name], path = context.below(part.path, "properties", name) }
    elseif part.additional ~= nil then
      list[#list + 1] = { schema = part.additional, path = context.below(part.path, "additionalProperties") }
    end
  end
  return list
end

-- Of members of other names; nil where none are made: no schema asks for them.
function members.others(context, flat)
  local list, asked = {}, #flat.order == 0
  for _, part in ipairs(flat.parts) do
    if part.additional ~= nil then
      list[#list + 1] = { schema = part.additional, path = context.below(part.path, "additionalProperties") }
      asked = true
    end
  end
  return asked and list or nil
end

-- Of the item at i; of those behind all that have a schema of their own where i is nil.
function members.item(context, flat, i)
  local list = {}
  for _, part in ipairs(flat.lists) do
    if i and part.prefix[i] ~= nil then
      list[#list + 1] = { schema = part.prefix[i], path = context.below(part.path, "prefixItems", i - 1) }
    elseif part.items ~= nil then
      list[#list + 1] = { schema = part.items, path = context.below(part.path, "items") }
    end
  end
  return list
end

return members
