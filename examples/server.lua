-- A server for one model, with the HTTP interface of OpenAI, and a page to chat with it:
--
--   lua5.4 examples/server.lua MODEL [--port 8080] [--host 127.0.0.1] [--sessions 8] [--max-tokens 4096] ...
--
-- MODEL is a directory or a .gguf file. An option is one of gpt.server's, with dashes: --api-key, --kept-tokens,
-- --reuse-port; one that may be a list, such as --api-key, may come again. Beside these: --threads N, --template FILE
-- (a chat template), --dtype TYPE of the weights, --pack, and --quiet. SIGTERM and Ctrl-C end it after the answers in
-- flight. docs/server.md has more.
local gpt = require "gpt"
local server = require "gpt.server"
local signals = require "gpt.server.signals"

local here = (arg and arg[0] or ""):match "^.*/" or ""
local read_options = dofile(here .. "support/options.lua")

local OPTIONS = { -- gpt.server's, and our own
  host = "text", port = "number", reuse_port = "flag", name = "text", sessions = "number", queue = "number",
  slice = "number", max_tokens = "number", prompt_tokens = "number", kept_tokens = "number", cache_dtype = "text",
  seconds = "number", body_bytes = "number", connections = "number", request_seconds = "number",
  idle_seconds = "number", write_seconds = "number", finish_seconds = "number", api_key = "list", origins = "list",
  host_names = "list",
  threads = "number", template = "text", dtype = "text", pack = "flag", quiet = "flag", help = "flag",
}
local OWN = { "threads", "template", "dtype", "pack", "quiet" }

local USAGE = [[
usage: lua5.4 examples/server.lua MODEL [--OPTION VALUE ...]

MODEL is a .gguf file, or a directory as Hugging Face's tools write it. Options, all of them in docs/server.md:

  --port N            8080; 0: the system chooses
  --host H            127.0.0.1
  --api-key KEY       which requests have to bring; may come again, as --origins and --host-names may
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

local function read_arguments(words)
  local models, options = read_options(words, OPTIONS)
  if not models then usage(options) end
  if options.help then
    io.write(USAGE)
    os.exit(0)
  end
  if #models > 1 then usage(("one model expected, got %s and %s"):format(models[1], models[2])) end
  return models[1] or usage "a model expected", options
end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function split_own(options)
  local own = {}
  for _, name in ipairs(OWN) do own[name], options[name] = options[name], nil end
  return own
end

-- What is wrong with a template is wrong with its file.
local function open_server(model, options, template_file)
  local ok, opened = pcall(server.new, model, options)
  if ok then return opened end
  opened = tostring(opened):gsub("^[^\n]-:%d+: ", "", 1)
  error(template_file and opened:find "template" and template_file .. ": " .. opened or opened, 0)
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
  local running <close> = open_server(model, options, own.template)
  print(("%s: %s"):format(running.subject.name, running.url))
  io.stdout:flush()
  running:run(stop)
end

local ok, problem = pcall(main, arg)
if not ok then
  io.stderr:write(tostring(problem), "\n")
  os.exit(1)
end
