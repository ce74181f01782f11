-- The names that a template mentions anywhere, a set: what is not in it cannot matter to the template.
-- A node of kind name is a name; all tables in a node are looked at later, since a tree may be deeper than Lua's stack.
local function look_at(node, names, waiting, seen)
  if node.kind == "name" then names[node.name] = true end
  for _, part in pairs(node) do
    if type(part) == "table" and not seen[part] then
      seen[part], waiting[#waiting + 1] = true, part
    end
  end
end

return function(tree)
  local names, waiting = {}, { tree }
  local seen = { [tree] = true }
  while #waiting > 0 do look_at(table.remove(waiting), names, waiting, seen) end
  return names
end
