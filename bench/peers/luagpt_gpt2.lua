-- Times luagpt on a GPT-2 directory: luagpt_gpt2.lua DIR THREADS REPEATS. Prints lines of a name and a value.
local socket = require "socket"
local gpt = require "gpt"

local dir, threads, repeats = arg[1], tonumber(arg[2]), tonumber(arg[3])
local now = socket.gettime
gpt.set_threads(threads)

local function tell(name, value) print(("%s %.6f"):format(name, value)) end

local function status(field)
  for line in io.lines("/proc/self/status") do
    local kilobytes = line:match("^" .. field .. ":%s*(%d+)")
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
end

local function prompt(length)
  local ids = {}
  for i = 1, length do ids[i] = i * 7 % 50000 end
  return ids
end

local function time_prompt(model, length)
  local ids, session <close> = prompt(length), model:session()
  local begin = now()
  session:feed(ids)
  tell("prompt_" .. length, length / (now() - begin))
end

local function time_decoding(model, tokens)
  local session <close> = model:session()
  session:reserve(8 + 2 * tokens)
  session:feed(prompt(4))
  session:generate { max_new_tokens = tokens } -- makes the buffers that later tokens use again
  local calls, begin = gpt.memory().system_calls, now()
  session:generate { max_new_tokens = tokens }
  tell("decode", tokens / (now() - begin))
  tell("decode_system_calls", gpt.memory().system_calls - calls)
end

local begin = now()
local model = gpt.load(dir)
tell("load", now() - begin)
for _ = 1, repeats do time_decoding(model, 64) end
tell("peak_decoding", status "VmHWM")
time_prompt(model, 1000)
tell("peak", status "VmHWM")
for _ = 2, repeats do time_prompt(model, 1000) end
for _ = 1, repeats do time_prompt(model, 512) end
