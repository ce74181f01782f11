--- The bytes of a layer's parameters, by path.
return function(layer)
  local list = {}
  for path, tensor in layer:parameters() do list[#list + 1] = path .. tensor:bytes() end
  return table.concat(list)
end
