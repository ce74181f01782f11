-- Tokens per second that clients of a server get, one of them and eight at once, beside llama.cpp's server; and with
-- two worker processes of one thread beside one of two:
--
--   lua5.4 bench/server.lua MODEL.gguf [--python venv/bin/python] [--tokens 64] [--clients 8]
--
-- The peer is llama-cpp-python[server] in that Python. Every client sends a prompt of its own and waits for its answer.
local json = require "gpt.support.json"
local socket = require "socket"

local PORT = 18080
local PATIENCE = 60 -- seconds for a server to start

local function read_arguments(words)
  local options, i = { tokens = 64, clients = 8 }, 1
  while i <= #words do
    local name = words[i]:match "^%-%-(%a+)$"
    if name then
      options[name], i = tonumber(words[i + 1]) or words[i + 1], i + 1
    else
      options.model = words[i]
    end
    i = i + 1
  end
  assert(options.model, "usage: lua5.4 bench/server.lua MODEL.gguf [--python PATH] [--tokens N] [--clients N]")
  return options
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Starts a program in the background; returns its process's number.
local function start(command)
  local pipe <close> = assert(io.popen(command .. " >/dev/null 2>&1 & echo $!"))
  return pipe:read "l"
end

local function stop(processes)
  for _, number in ipairs(processes) do os.execute("kill " .. number) end
  socket.sleep(1)
end

local function wait_for(port)
  for _ = 1, PATIENCE * 10 do
    local client = socket.connect("127.0.0.1", port)
    if client then return client:close() end
    socket.sleep(0.1)
  end
  error "the server did not start"
end

local function body_of(i, tokens)
  return json.encode {
    prompt = ("Here is the story of traveller number %d, who went to see the world:"):format(i), max_tokens = tokens,
    temperature = 0, stop = json.array {},
  }
end

local function connect(port, body)
  local client = assert(socket.connect("127.0.0.1", port))
  client:settimeout(0)
  assert(client:send(("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    .. "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body)))
  return client
end

-- Reads from all clients until each has its answer; returns their texts.
local function collect(clients)
  local texts, open = {}, table.move(clients, 1, #clients, 1, {})
  while #open > 0 do
    for _, client in ipairs((socket.select(open, nil, 1))) do
      local data, problem, partial = client:receive(65536)
      texts[client] = (texts[client] or "") .. (data or partial)
      if problem == "closed" then
        for i, other in ipairs(open) do if other == client then table.remove(open, i) end end
        client:close()
      end
    end
  end
  return texts
end

-- Tokens per second of n clients at once.
local function measure(port, n, tokens, first)
  local clients, began, count = {}, socket.gettime(), 0
  for i = 1, n do clients[i] = connect(port, body_of(first + i, tokens)) end
  for _, text in pairs(collect(clients)) do
    local new = text:match '"completion_tokens": ?(%d+)'
    assert(new, "no answer: " .. text:sub(1, 500))
    count = count + tonumber(new)
  end
  return count / (socket.gettime() - began)
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function report(name, port, options)
  wait_for(port)
  measure(port, 1, 8, 0) -- warm
  local one, many = {}, {}
  for round = 1, 3 do
    one[round] = measure(port, 1, options.tokens, 100 * round)
    many[round] = measure(port, options.clients, options.tokens, 100 * round + 10)
  end
  local alone, together = median(one), median(many)
  print(("%-34s %8.1f %8.1f %8.2f"):format(name, alone, together, together / alone))
end

-- Servers of ours: a command for each.
local function ours(options, workers, threads, port, more)
  local list, base = {}, ("lua5.4 examples/server.lua %s --quiet --port %d --threads %d%s%s"):format(
    quote(options.model), port, threads, workers > 1 and " --reuse-port" or "", more or "")
  for i = 1, workers do list[i] = base end
  return list
end

local function run(name, commands, port, options)
  local processes = {}
  for i, command in ipairs(commands) do processes[i] = start(command) end
  local ok, problem = pcall(report, name, port, options)
  stop(processes)
  if not ok then print(("%-34s %s"):format(name, problem)) end
end

local options = read_arguments(arg)
print(("%-34s %8s %8s %8s"):format("tokens per second", "1 client", options.clients .. " clients", "ratio"))
run("luagpt, 2 threads", ours(options, 1, 2, PORT), PORT, options)
run("luagpt, 2 threads, packed", ours(options, 1, 2, PORT + 4, " --pack"), PORT + 4, options)
run("luagpt, 1 thread", ours(options, 1, 1, PORT + 1), PORT + 1, options)
run("luagpt, 2 workers of 1 thread", ours(options, 2, 1, PORT + 2), PORT + 2, options)
if options.python then
  local command = ("env -u OPENBLAS_CORETYPE %s -m llama_cpp.server --model %s --port %d --n_threads 2 --n_ctx 2048 "
    .. "--n_threads_batch 2"):format(quote(options.python), quote(options.model), PORT + 3)
  run("llama-cpp-python's server, 2 threads", { command }, PORT + 3, options)
end
