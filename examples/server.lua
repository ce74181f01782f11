-- A server for one model, with the HTTP interface of OpenAI, and a page to chat with it:
--
--   lua5.4 examples/server.lua MODEL [--port 8080] [--host 127.0.0.1] [--sessions 8] [--max-tokens 4096] ...
--
-- MODEL is a directory or a .gguf file. An option is one of gpt.server's, with dashes: --api-key, --kept-tokens,
-- --reuse-port. Beside these: --threads N, --template FILE (a chat template), --dtype TYPE of the weights, --pack, and
-- --quiet. SIGTERM and Ctrl-C end it after the answers in flight. docs/server.md has more.
local gpt = require "gpt"
local server = require "gpt.server"
local signals = require "gpt.server.signals"

local FLAGS = { reuse_port = true, quiet = true, pack = true }
local TEXTS = { api_key = true, host = true, name = true } -- also where they look like numbers
local OWN = { threads = true, template = true, dtype = true, pack = true, quiet = true }

local USAGE = [[
usage: lua5.4 examples/server.lua MODEL [--OPTION VALUE ...]

MODEL is a .gguf file, or a directory as Hugging Face's tools write it. Options, all of them in docs/server.md:

  --port N            8080; 0: the system chooses
  --host H            127.0.0.1
  --api-key KEY       which requests have to bring
  --sessions N        8 conversations that advance together
  --max-tokens N      4096 of an answer
  --template FILE     a chat template (Jinja), where the model has none or another one is wanted
  --dtype TYPE        converts the weights: q8_0, q4_0, bf16, ..
  --pack              keeps the weights in a second form, faster for five conversations and more
  --threads N         which compute
  --quiet             no line for each request
]]

local function usage(problem)
  io.stderr:write(problem, "\n", USAGE)
  os.exit(2)
end

-- "--max-tokens 50" and "--max-tokens=50" -> { max_tokens = 50 }; a word that is no option is the model.
local function read_arguments(words)
  local options, model, i = {}, nil, 1
  while i <= #words do
    local name, value = words[i]:match "^%-%-([%a-]+)=?(.*)$"
    if not name then
      if model then usage(("one model expected, got %s and %s"):format(model, words[i])) end
      model = words[i]
    else
      name = name:gsub("-", "_")
      if name == "help" then
        io.write(USAGE)
        os.exit(0)
      end
      if FLAGS[name] then
        value = true
      elseif value == "" then
        i = i + 1
        value = words[i] or usage(("--%s: a value expected"):format(name))
      end
      options[name] = not TEXTS[name] and tonumber(value) or value
    end
    i = i + 1
  end
  return model or usage "a model expected", options
end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function split_own(options)
  local own = {}
  for name in pairs(OWN) do own[name], options[name] = options[name], nil end
  return own
end

local function main(words)
  local path, options = read_arguments(words)
  local own = split_own(options)
  if own.threads then gpt.set_threads(own.threads) end
  local model = gpt.load(path, { dtype = own.dtype, pack = own.pack })
  options.name = options.name or path:gsub("/+$", ""):match "[^/]+$":gsub("%.gguf$", "")
  options.template = own.template and read_file(own.template)
  if not own.quiet then options.log = function(line) io.stderr:write(os.date "%H:%M:%S ", line, "\n") end end

  local stop <close> = signals.watch()
  local running <close> = server.new(model, options)
  print(("%s: http://%s:%d/"):format(running.subject.name, running.host, running.port))
  io.stdout:flush()
  running:run(stop)
end

local ok, problem = pcall(main, arg)
if not ok then
  io.stderr:write(tostring(problem), "\n")
  os.exit(1)
end
