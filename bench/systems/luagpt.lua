-- luagpt, measured: luagpt.lua MODEL THREADS [pack|f16]. A MODEL is a directory or a GGUF file; pack: its weights are
-- packed; f16: sessions keep keys and values so. Requests: bench/talk.lua.
local gpt = require "gpt"
local peak = require "systems.peak"
local talk = require "talk"
local now = require("gpt.core")._now

local STREAM_PROMPT = 4 -- tokens before each of many streams

gpt.set_threads(math.tointeger(arg[2]))
local begin = now()
local model = gpt.load(arg[1], { pack = arg[3] == "pack" })
local loading = now() - begin
local SESSION = { cache_dtype = arg[3] == "f16" and "f16" or nil }

local function ids(length, other)
  local list = {}
  for i = 1, length do list[i] = (i * 7 + (other or 0) * 13) % 50000 end
  return list
end

-- A session after that many tokens of context: made once, then rewound.
local sessions = {}
local function session_at(context, room)
  local session = sessions[context]
  if not session then
    session = model:session(SESSION):reserve(context + room)
    session:feed(ids(context))
    sessions[context] = session
  end
  return session:rewind(context)
end

local requests = { peak = peak }

function requests.load() return loading end

-- Tokens a second, one stream, so many after a context.
function requests.decode(tokens, context)
  local session = session_at(context, tokens)
  local start = now()
  session:generate { max_new_tokens = tokens }
  return tokens / (now() - start)
end

function requests.prompt(length)
  local tokens, session <close> = ids(length), model:session(SESSION)
  local start = now()
  session:feed(tokens)
  return length / (now() - start)
end

local streams = {}
local function streams_of(count, room)
  if not streams[count] then
    local list, prompts = {}, {}
    for i = 1, count do
      list[i], prompts[i] = model:session(SESSION):reserve(STREAM_PROMPT + room), ids(STREAM_PROMPT, i)
    end
    streams[count] = list
    gpt.feed(list, prompts)
  end
  for _, session in ipairs(streams[count]) do session:rewind(STREAM_PROMPT) end
  return streams[count]
end

-- Tokens a second of all streams together, so many steps.
function requests.streams(count, steps)
  local list, next_ids = streams_of(count, steps), {}
  for i = 1, count do next_ids[i] = { i } end
  local start = now()
  for _ = 1, steps do
    for i, id in ipairs(gpt.sample(gpt.feed(list, next_ids))) do next_ids[i][1] = id end
  end
  return count * steps / (now() - start)
end

talk(requests)
