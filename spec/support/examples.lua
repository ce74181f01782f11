-- The examples of the help texts, and the values that they take as there. They run in a directory of their own, which
-- `prepare` fills.
local files = require "spec.support.files"
local process = require "spec.support.process"
local gpt = require "gpt"
local texts = require "gpt.help_texts"

local examples = {}

--- The names of all entries with an example, in order.
function examples.names()
  local names = {}
  for name, entry in pairs(texts) do
    if entry.usage then table.insert(names, name) end
  end
  table.sort(names)
  return names
end

-- The values that are there, each made when it is first asked for.
local MAKERS = {
  tokenizer = function() return gpt.tokenizer "tokenizer" end,
  model = function(env)
    local model = gpt.Model { vocab_size = 400, context_length = 64, emb_dim = 8, n_heads = 2, n_layers = 2,
      drop_rate = 0, qkv_bias = false }
    model.tokenizer = env.tokenizer
    return model
  end,
  optimizer = function(env) return gpt.optim.AdamW(env.model) end,
  session = function(env)
    local session = env.model:session()
    session:feed { 3, 1, 2 }
    return session
  end,
  layer = function(env) return env.model.blocks[1] end,
  t = function() return gpt.randn(2, 3) end,
  chat = function(env) return env.model:chat { template = "{{ messages[-1].content }}", max_new_tokens = 3 } end,
  data = function(env)
    return gpt.dataset("book.txt", { tokenizer = env.tokenizer, context_length = 32, batch_size = 2 })
  end,
  training = function(env) return (env.data:split(0.8)) end,
  validation = function(env) return select(2, env.data:split(0.8)) end,
  logits = function() return gpt.randn(400) end,
}

local function print_nothing(...)
  for i = 1, select("#", ...) do tostring((select(i, ...))) end
end

--- A fresh environment for one example.
function examples.environment()
  local env = { gpt = gpt, nn = gpt.nn, print = print_nothing,
    io = setmetatable({ write = function() end }, { __index = io }) }
  return setmetatable(env, { __index = function(_, name)
    local make = MAKERS[name]
    if not make then return _G[name] end
    local value = make(env)
    rawset(env, name, value)
    return value
  end })
end

-- As the prompt does: lines are gathered until they are a chunk, expressions are printed.
local function run_lines(code, env)
  local chunk = ""
  for line in (code .. "\n"):gmatch("(.-)\n") do
    chunk = chunk .. line .. "\n"
    local whole, problem = load("print(" .. chunk .. ")", "=example", "t", env), nil
    if not whole then whole, problem = load(chunk, "=example", "t", env) end
    if whole then
      whole()
      chunk = ""
    elseif not problem:find("<eof>", 1, true) then
      error(problem, 0)
    end
  end
  if chunk:find("%S") then error("unfinished: " .. chunk, 0) end
end

--- Runs an example, whose chunks are called "=example": whole, or a line at a time where it is no chunk.
function examples.run(code, env)
  local fn = load(code, "=example", "t", env) or load("print(" .. code .. ")", "=example", "t", env)
  if fn then fn() else run_lines(code, env) end
end

local HEADER = [[
local gpt, examples, texts = require "gpt", require "spec.support.examples", require "gpt.help_texts"
gpt.set_threads(1)
examples.environment().model:save "gpt2"
]]

local function working_directory()
  local pipe <close> = assert(io.popen "pwd")
  return pipe:read "l"
end

--- Runs Lua code in a process of its own, whose working directory has the files that examples read, and is removed
--- afterwards. `gpt`, `examples` (this) and `texts` are there. Returns what it wrote (both streams), and whether it ended well.
-- @param environment as in process.lua
function examples.in_directory(code, environment)
  local directory, root = files.directory(), working_directory()
  files.copy("spec/fixtures/tokenizer", directory .. "/tokenizer")
  files.write(directory .. "/book.txt", ("A book has many lines, and this is one of them.\n"):rep(100))
  files.write(directory .. "/run.lua", HEADER .. code)
  local command = ("cd '%s' && unset LUA_PATH_5_4 LUA_CPATH_5_4 && %s LUA_PATH='%s' LUA_CPATH='%s' %s run.lua 2>&1"):format(
    directory, environment or "", (package.path:gsub("%f[^;\0]%./", root .. "/")),
    (package.cpath:gsub("%f[^;\0]%./", root .. "/")), process.interpreter)
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  local ok = pipe:close()
  files.remove(directory)
  return output, ok == true
end

return examples
