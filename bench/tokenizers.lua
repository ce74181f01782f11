-- Encoding text: MB/s of each tokenizer beside Hugging Face's tokenizers and tiktoken, in one run, one thread.
--
--   eval "$(make -s env)"; lua5.4 bench/tokenizers.lua --python venv/bin/python TEXT DIRECTORY...
--
-- TEXT is a file; a directory has a tokenizer.json. The Python needs tokenizers, and tiktoken for tokenizers with
-- GPT-2's pattern.
local gpt = require "gpt"

local ROUNDS = 5

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- The best of some rounds, in MB/s.
local function rate_of(tokenizer, text)
  local best = math.huge
  for _ = 1, ROUNDS do
    local start = os.clock()
    tokenizer:encode(text)
    best = math.min(best, os.clock() - start)
  end
  return #text / best / 1e6
end

-- What the peers say of a directory: their rates, "-" where one cannot.
local function peers(python, path, dir)
  local command = ("%s bench/systems/tokenizers_rate.py %s %s %d"):format(python, path, dir, ROUNDS)
  local process <close> = assert(io.popen(command))
  return process:read "l" or "- -"
end

local python, arguments = nil, {}
do
  local i = 1
  while arg[i] do
    if arg[i] == "--python" then python, i = arg[i + 1], i + 1 else arguments[#arguments + 1] = arg[i] end
    i = i + 1
  end
end
if #arguments < 2 then error("bench/tokenizers.lua: a text and directories of tokenizers expected", 0) end

local path = table.remove(arguments, 1)
local text = read(path)
print("| tokenizer | luagpt | tokenizers | tiktoken |\n| --- | --- | --- | --- |")
for _, dir in ipairs(arguments) do
  local rate = rate_of(gpt.tokenizer(dir), text)
  local others = python and peers(python, path, dir) or "- -"
  print(("| %s | %.1f | %s | %s |"):format(dir:match "[^/]+$", rate, others:match "^(%S+) (%S+)$"))
end
