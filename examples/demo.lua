-- What there is: the version, and the memory in use.
local gpt = require "gpt"

print(gpt._VERSION)
print(("%d bytes live"):format(gpt.memory().live))
