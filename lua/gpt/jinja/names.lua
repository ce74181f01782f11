-- The names that a template mentions anywhere, a set: what is not in it cannot matter to the template.
local function collect(node, names, seen)
  if type(node) ~= "table" or seen[node] then return names end
  seen[node] = true
  if node.kind == "name" then names[node.name] = true end
  for _, part in pairs(node) do collect(part, names, seen) end
  return names
end

return function(tree) return collect(tree, {}, {}) end
