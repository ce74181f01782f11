-- A conversation in the terminal with a chat model: a GGUF file, or a directory as Hugging Face's tools write it.
--
--   lua5.4 examples/chat.lua MODEL [--system TEXT] [--temperature 0.7] [--help]
--   make chat                     gets a small model first; make chat MODEL=file.gguf: with your own
--   rlwrap lua5.4 examples/chat.lua MODEL    with the arrow keys and a history of lines
local gpt = require "gpt"

local USAGE = [[
lua5.4 examples/chat.lua MODEL [options]

MODEL is a chat model: a .gguf file, or a directory with config.json, model.safetensors and a tokenizer. "make chat"
gets a small one (SmolLM2-135M-Instruct, 93 MB) and starts. Options:

  --system TEXT       instructions to the model
  --template FILE     a chat template (Jinja), where the model has none or another one is wanted
  --load FILE         continues a conversation that /save wrote
  --temperature T     0.7; 0 is greedy
  --top-p P           0.95
  --seed N            the same answers again
  --max-tokens N      of an answer, 1024
  --dtype NAME        converts the weights: q8_0, q4_0, bf16, ..]]

local COMMANDS = [[
/undo          takes the last question and answer back
/again         another answer to the last question
/reset         begins again; the instructions stay
/system TEXT   new instructions, or without TEXT none
/save FILE     writes the conversation as JSON; /load FILE continues one
/show          the conversation
/quit          ends, as Ctrl-D does
Ctrl-C ends an answer; what came of it stays. A line that ends in \ goes on in the next one; // begins a line with /.
Arrow keys and a history of lines: start with "rlwrap lua5.4 examples/chat.lua ..." (Debian's package rlwrap).]]

local here = (arg and arg[0] or ""):match "^.*/" or ""
local read_options = dofile(here .. "support/options.lua")

local OPTIONS = {
  system = "text", template = "text", load = "text", temperature = "number", top_p = "number", seed = "number",
  max_tokens = "number", dtype = "text", help = "flag",
}

-- Ends with a message instead of a traceback.
local function stop(...)
  io.stderr:write(string.format(...), "\n")
  os.exit(1)
end

local function read_arguments()
  local models, given = read_options(arg, OPTIONS)
  if not models then stop("%s\n\n%s", given, USAGE) end
  if given.help then print(USAGE) os.exit(0) end
  if #models > 1 then stop("One model expected, got %s and %s.\n\n%s", models[1], models[2], USAGE) end
  given.model = models[1] or stop("Which model?\n\n%s", USAGE)
  given.temperature, given.top_p = given.temperature or 0.7, given.top_p or 0.95
  return given
end

local function read_file(path)
  local file, problem = io.open(path, "rb")
  if not file then stop("%s", problem) end
  local content = file:read "a"
  file:close()
  return content
end

local function without_place(problem) return (tostring(problem):gsub("^[^:]+:%d+: ", "", 1)) end

-- fn(...), or the end with what went wrong.
local function try(fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then return result end
  return stop("%s", without_place(result))
end

local function open_chat(given)
  local model = try(gpt.load, given.model, { dtype = given.dtype })
  local options = { cache_dtype = "f16", max_new_tokens = given.max_tokens }
  for _, name in ipairs { "system", "temperature", "top_p", "seed" } do
    options[name] = given[name]
  end
  if given.template then options.template = read_file(given.template) end
  local chat = try(model.chat, model, options)
  if given.load then try(chat.load, chat, given.load) end
  return chat
end

local function say_size(chat)
  local usage = chat.usage
  local rate = usage.seconds > 0 and (", %.1f tokens/s"):format(usage.completion_tokens / usage.seconds) or ""
  local why = usage.finish_reason == "length" and ", cut short" or ""
  print(("[%d tokens%s%s; %d of %d in the context]"):format(usage.completion_tokens, rate, why, chat.session.length,
    chat.context_length))
end

-- Writes the answer while it comes, without what would control the terminal.
local function answer(chat, text)
  local before = chat.usage
  local ok, problem = gpt.interruptible(function()
    for piece in chat:stream(text) do
      io.write((piece:gsub("[%z\1-\8\11-\31\127]", "")))
      io.flush()
    end
  end)
  print()
  if not ok then print(("[%s]"):format(without_place(problem))) end
  if chat.usage ~= before then say_size(chat) end
end

local commands = {}

commands["/help"] = function() print(COMMANDS) end

commands["/undo"] = function(chat)
  local said = chat:undo()
  print(said and ("Taken back: " .. said) or "There is nothing to take back.")
end

commands["/again"] = function(chat)
  local said = chat:undo()
  if said then answer(chat, said) else print "There is no question yet." end
end

commands["/reset"] = function(chat)
  chat:reset()
  print "A new conversation."
end

commands["/system"] = function(chat, text)
  chat.system = text ~= "" and text or nil
  print(text ~= "" and "The instructions are new." or "No instructions.")
end

commands["/show"] = function(chat) print(chat) end

-- /save and /load: what they do with a file may fail.
local function with_file(method, done)
  return function(chat, file)
    if file == "" then return print "Which file?" end
    local ok, problem = pcall(chat[method], chat, file)
    print(ok and done:format(file) or without_place(problem))
  end
end

commands["/save"] = with_file("save", "Saved to %s.")
commands["/load"] = with_file("load", "Continued from %s.")

-- The next line, "" after Ctrl-C, or nil at the end. A \ at a line's end joins the next one to it.
local function read_line(mark)
  io.write(mark)
  io.flush()
  local ok, line = gpt.interruptible(function() return io.read "l" end)
  if not ok then print() return "" end
  if line and line:sub(-1) == "\\" then return line:sub(1, -2) .. "\n" .. (read_line "... " or "") end
  return line
end

-- Does what a line says; returns false at the end of the conversation.
local function obey(chat, line)
  local name, rest = line:match "^(/%a+)%s*(.-)%s*$"
  if name == "/quit" then return false end
  if name and not commands[name] then print(("There is no command %s; /help lists them."):format(name))
  elseif name then commands[name](chat, rest)
  elseif line:find "%S" then answer(chat, (line:gsub("^//", "/"))) end
  return true
end

local given = read_arguments()
local chat = open_chat(given)
print(("%s. /help lists the commands, Ctrl-D ends."):format(given.model))
repeat
  local line = read_line "> "
until not line or not obey(chat, line)
print()
