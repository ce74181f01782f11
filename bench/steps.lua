-- How long one step of a host's loop takes: slices of a prompt, a token of a stream, and steps of a server, on one
-- thread, with up to 1,024 tokens before them:
--
--   lua5.4 bench/steps.lua MODEL.gguf
--
-- The processor's time counts, so other work on the machine does not, but for the memory it takes the turn on.
local gpt = require "gpt"
local json = require "gpt.support.json"
local server = require "gpt.server"
local socket = require "socket"

local CONTEXT, TOKENS, SLICES = 1024, 256, { 8, 16, 32, 64 }

gpt.set_threads(1)
local model, tokenizer = gpt.load(arg[1] or error "usage: lua5.4 bench/steps.lua MODEL.gguf")

local function timed(times, step, ...)
  local begun = os.clock()
  local result = step(...)
  times[#times + 1] = os.clock() - begun
  return result
end

local function show(what, times)
  table.sort(times)
  print(("%-44s %6.1f ms; at most %6.1f ms"):format(what, 1e3 * times[(#times + 1) // 2], 1e3 * times[#times]))
end

local function ids(count)
  local list = {}
  for i = 1, count do list[i] = (i * 7919) % tokenizer.vocab_size end
  return list
end

local function time_slices(length)
  local session <close>, times, prompt = model:session(), {}, ids(CONTEXT)
  for first = 1, CONTEXT, length do
    timed(times, session.feed, session, table.move(prompt, first, first + length - 1, 1, {}))
  end
  show(("session:feed of %d tokens"):format(length), times)
end

local function time_stream()
  local times, next_token = {}, model:stream(ids(CONTEXT - TOKENS), { max_new_tokens = TOKENS, temperature = 0 })
  next_token() -- reads the prompt
  for _ = 2, TOKENS do
    if not timed(times, next_token) then break end
  end
  show("one token of model:stream", times)
end

-- A conversation on its way, and one whose long prompt joins it.
local function request(port, words, tokens)
  local client = assert(socket.connect("127.0.0.1", port))
  local body = json.encode { prompt = ("word "):rep(words), max_tokens = tokens, temperature = 0 }
  assert(client:send(("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"):format(#body,
    body)))
  return client
end

local function time_server(slice)
  local running, times = server.new(model, { port = 0, slice = slice }), {}
  local first = request(running.port, 4, TOKENS)
  for _ = 1, 8 do running:step(0.01) end
  local second = request(running.port, CONTEXT - 2 * TOKENS, 8)
  while running:step(0.01) do timed(times, running.step, running, 0) end
  first:close()
  second:close()
  running:close()
  show(("server:step, slice = %d, two conversations"):format(slice), times)
end

for _, length in ipairs(SLICES) do time_slices(length) end
time_stream()
for _, slice in ipairs { 16, 64 } do time_server(slice) end
