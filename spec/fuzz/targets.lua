-- The fuzzer's targets in Lua, by name. Each has `make`, called once with the directory that inputs are put into, which
-- returns the function that is called with each input: with the path where `file` or `parts` (files of a directory) is
-- given, otherwise with the bytes. An error with a message is an input refused; one with a table { found = text } is a
-- finding, as is every error that is Lua's own about a line of the package.
local targets = {}

for _, part in ipairs { "models", "texts", "server" } do
  for name, target in pairs(require("spec.fuzz.targets." .. part)) do targets[name] = target end
end

return targets
