-- The inputs of the corpus through the targets in Lua, without the fuzzer: what specs run. Those of targets in C go through
-- the functions in Lua that come nearest.
local core = require "gpt.core"
local files = require "spec.support.files"
local targets = require "spec.fuzz.targets"

local replay = {}

local CORPUS = "spec/fuzz/corpus/"

local function directly(run) return function() return run end end

local function read_tokenizer(dir)
  local tokenizer = core.tokenizer(dir)
  tokenizer:decode(tokenizer:encode("Hello, caf\u{e9}\n \xff<|end|>", { special = true }))
end

local function read_gguf_tokenizer(path)
  local file <close> = core._gguf_open(path)
  file:tokenizer():encode "Hello, caf\u{e9}"
end

local TOKENIZER_PARTS = { "tokenizer.json", "vocab.json", "merges.txt", "encoder.json", "vocab.bpe", "added_tokens.json",
  "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja" }

local in_c = {
  json = { make = directly(function(text) core._json_decode(text, "text") end) },
  gguf = targets.gguf_values, gguf_tokenizer = { file = "input.gguf", make = directly(read_gguf_tokenizer) },
  tokenizer_json = { parts = TOKENIZER_PARTS, make = directly(read_tokenizer) },
  vocab_merges = { parts = TOKENIZER_PARTS, make = directly(read_tokenizer) },
}

-- The parts of an input that belongs into several files, as place.c cuts it.
local function write_parts(dir, names, bytes)
  local known = {}
  for _, name in ipairs(names) do
    known[name] = true
    os.remove(dir .. "/" .. name)
  end
  local at, name = 1, nil
  repeat
    local first, last, next_name = ("\n" .. bytes):find("\n==== ([^\n]*)\n", at)
    if known[name] then files.write(dir .. "/" .. name, bytes:sub(at, (first or #bytes + 1) - 1)) end
    at, name = last, next_name
  until not first
end

local function place(target, dir, bytes)
  if target.parts then
    write_parts(dir, target.parts, bytes)
    return dir
  end
  if not target.file then return bytes end
  files.write(dir .. "/" .. target.file, bytes)
  return dir .. "/" .. target.file
end

local function visit_all(name, target, visit)
  local dir = files.directory "/dev/shm"
  local run = target.make(dir)
  for _, input in ipairs(files.list(CORPUS .. name)) do
    visit(name, input, pcall(run, place(target, dir, files.read(CORPUS .. name .. "/" .. input))))
  end
  files.remove(dir)
end

--- Calls visit(target's name, input's name, ok, error) for each.
function replay.all(visit)
  for name, target in pairs(targets) do visit_all(name, target, visit) end
  for name, target in pairs(in_c) do visit_all(name, target, visit) end
end

return replay
