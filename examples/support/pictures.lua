-- Where the chapters leave their pictures: the directory given as argument, or build/pictures.
local directory = arg and arg[1] or "build/pictures"

return function(name)
  assert(os.execute("mkdir -p '" .. directory:gsub("'", "'\\''") .. "'"))
  local file = directory .. "/" .. name
  print("picture: " .. file)
  return file
end
