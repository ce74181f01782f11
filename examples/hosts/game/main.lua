-- lua5.4 examples/hosts/game/main.lua MODEL [PROMPT]: a loop of frames, without a window, and how long they took.
local folder = arg[0]:match "^(.*/)" or ""
local Speech = dofile(folder .. "speech.lua")
local gpt = require "gpt"

if not arg[1] then
  io.stderr:write("usage: lua5.4 ", arg[0], " MODEL [PROMPT]\n")
  os.exit(2)
end
gpt.set_threads(1) -- the other processors are the game's; and os.clock counts the time of all threads
local speech = Speech.new(gpt.load(arg[1]), arg[2] or "Once upon a time", { max_new_tokens = 40, temperature = 0.8 })

local frames, longest, more = 0, 0, true
while more do
  local start = os.clock()
  local text
  text, more = speech:advance(0.005)
  io.write(text)
  io.flush()
  frames, longest = frames + 1, math.max(longest, os.clock() - start)
end
print(("\n%d frames; the longest took %.1f ms"):format(frames, 1000 * longest))
