-- Values that are wrong in most places: each a name and what makes it. What a value of ours raises has MARK in it.
local core = require "gpt.core"
local gpt = require "gpt"

local wrong_values = { MARK = "raised by a wrong value" }

local HUGE = ("x"):rep(1 << 20)
local CONTROL = "a\27[31m\0b\r\n\t\127" .. ("y"):rep(200)

local function raise() error(wrong_values.MARK) end

local function raising(...)
  local meta = {}
  for _, event in ipairs { ... } do meta[event] = raise end
  return function() return setmetatable({}, meta) end
end

local function cyclic()
  local t = { 1 }
  t[1], t.self = t, t
  return t
end

local function nested()
  local t = {}
  for _ = 1, 500 do t = { t } end
  return t
end

local function freed()
  local t = gpt.ones(2)
  t:free()
  return t
end

local function closed_session(env)
  local session <close> = env.model:session()
  return session
end

-- A pass whose call is over.
local function past_pass()
  local kept
  gpt.nn.layer("Keeps", { forward = function(_, x, pass) kept = pass return x end })()(gpt.ones(1, 1))
  return kept
end

local function constant(value) return function() return value end end
local function field(name) return function(env) return env[name] end end

-- The same for all calls.
local function once(make)
  local value
  return function()
    if value == nil then value = make(wrong_values.kept) end
    return value
  end
end

--- The list: { name, make }; make is given the environment of the example.
wrong_values.list = {
  { "nil", constant(nil) }, { "true", constant(true) }, { "false", constant(false) },
  { "-1", constant(-1) }, { "0", constant(0) }, { "1", constant(1) }, { "2^31", constant(1 << 31) },
  { "2^53 + 2", constant(2.0 ^ 53 + 2) }, { "maxinteger", constant(math.maxinteger) },
  { "mininteger", constant(math.mininteger) }, { "nan", constant(0 / 0) }, { "inf", constant(math.huge) },
  { "-inf", constant(-math.huge) }, { "1.5", constant(1.5) }, { "-2.0", constant(-2.0) },
  { "an empty string", constant "" }, { "a word", constant "word" }, { "a number in a string", constant "3" },
  { "control characters", constant(CONTROL) }, { "1 MiB of x", constant(HUGE) },
  { "an empty table", function() return {} end }, { "a list of a list", function() return { {} } end },
  { "a list of words", function() return { "a", "b" } end }, { "a list of huge integers", function() return { 1 << 62, -5 } end },
  { "a list of fractions", function() return { 1.5, 0 / 0 } end }, { "a list with a hole", function() return { 1, nil, 3 } end },
  { "a deep table", nested }, { "a cyclic table", cyclic },
  { "a table with a key of 1 MiB", function() return { [HUGE] = 1 } end },
  { "a table with a key of control characters", function() return { [CONTROL] = 1 } end },
  { "a table with a fraction as key", function() return { [1.5] = 1 } end },
  { "a table whose __index raises", raising "__index" },
  { "a table whose metamethods raise", raising("__index", "__newindex", "__len", "__pairs", "__call", "__tostring", "__eq",
    "__lt", "__le", "__concat", "__unm") },
  { "a table whose name has control characters", function() return setmetatable({}, { __name = CONTROL }) end },
  { "a function that raises", constant(raise) }, { "a function that raises a table", constant(function() error { wrong_values.MARK } end) },
  { "a function that yields", function() return function() coroutine.yield() end end },
  { "a function that returns nonsense", constant(function() return CONTROL, 0 / 0 end) },
  { "a C function", constant(os.clock) },
  { "a coroutine", function() return coroutine.create(raise) end },
  { "a light userdata", constant((debug.upvalueid(once, 1))) },
  { "a file", constant(io.stdout) }, { "a closed file", once(function() local f = io.tmpfile() f:close() return f end) },
  { "a tensor", function() return gpt.ones(2, 3) end }, { "an empty tensor", function() return gpt.zeros(0) end },
  { "a tensor of integers", function() return gpt.tensor { 1, -2 } end },
  { "a tensor of q8_0", once(function() return gpt.ones(1, 32):to "q8_0" end) },
  { "a tensor of nan", function() return gpt.full({ 2 }, 0 / 0) end },
  { "a freed tensor", freed }, { "a layer", once(function() return gpt.nn.Linear(2, 2) end) }, { "a model", field "model" },
  { "a session", field "session" }, { "a closed session", once(closed_session) }, { "a tokenizer", field "tokenizer" },
  { "an optimizer", field "optimizer" }, { "a random state", function() return gpt.random_state() end },
  { "a grammar", once(function() return gpt.grammar { regex = "a" } end) }, { "a pass that is over", once(past_pass) },
  { "a chat", field "chat" }, { "a dataset", field "data" }, { "a mapped file", once(function() return core._map_file "book.txt" end) },
  { "the module", constant(gpt) },
}

-- What is made once comes from an environment of its own.
wrong_values.kept = require("spec.support.examples").environment()
for _, value in ipairs(wrong_values.list) do value[2](wrong_values.kept) end

return wrong_values
