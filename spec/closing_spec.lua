local files = require "spec.support.files"
local process = require "spec.support.process"

-- Finalizers that use the module while the Lua state is being closed.

-- A script that makes a finalizer before the module is opened, which runs after all of the module's, and one after it.
local SCRIPT = [[
  local older, younger
  OLDER = setmetatable({}, { __gc = function() older() end })
  local gpt = require "gpt"
  local core = require "gpt.core"
  YOUNGER = setmetatable({}, { __gc = function() younger() end })
  local config = gpt.config("gpt2-small", { vocab_size = 7, context_length = 6, emb_dim = 4, n_heads = 2, n_layers = 1 })
  local model = gpt.Model(config):eval()
  local t, session, tokenizer = gpt.ones(2, 3), model:session(), gpt.tokenizer "spec/fixtures/tokenizer"
  local optimizer = gpt.optim.AdamW(model)
  local made = {}
  local uses = {
    function() return t + 1 end, function() return gpt.zeros(2) end, function() return #t end,
    function() return tostring(model) end, function() return model { 1, 2 } end, function() return gpt.Model(config) end,
    function() return session:feed { 1 } end, function() return model:session() end, function() return session:fork() end,
    function() return model:generate { 1 } end, function() return optimizer:step() end,
    function() return gpt.optim.AdamW(model) end, function() return tokenizer:encode "the mouse" end,
    function() return gpt.tokenizer "spec/fixtures/tokenizer" end, function() return gpt.nn.Linear(2, 2) end,
    function() return core._map_file "spec/fixtures/tokenizer/merges.txt" end, function() return gpt.memory() end,
    function() return core._tokens() end, function() gpt.seed(1) end, function() gpt.no_grad(type, 1) end,
    function() return made[1]:numel() end, function() made[1]:free() end, function() t:free() end,
    function() gpt.trim() end, function() local _ <close> = t end, function() model:train() end,
  }
  younger = function()
    for i = 1, 20 do
      local ok, value = pcall(uses[i])
      if ok then made[#made + 1] = value end
    end
  end
  older = function()
    for i, use in ipairs(uses) do
      local ok, message = pcall(use)
      if ok then io.write(i, " went well; ") end
      if not ok and not tostring(message):find "was freed" and not tostring(message):find "gpt is closed" then
        io.write(i, ": ", tostring(message), "; ")
      end
    end
    io.write "closed"
  end
]]

describe("a finalizer that runs while the state is closed", function()
  it("gets an error where it is older than the module, and loses nothing where it is younger", function()
    assert.same({ "closed", true }, { process.lua(SCRIPT) })
    assert.same({ "closed", true }, { process.lua(SCRIPT .. "os.exit(0, true)") })
  end)

  it("gets an error from values of every type, by every method, and from what is written in Lua", function()
    local dir = files.directory "/dev/shm"
    local output, ok = process.lua(([[
      local older, count, told = nil, 0, 0
      OLDER = setmetatable({}, { __gc = function() older() end })
      local gpt, core, one_of_each = require "gpt", require "gpt.core", require "spec.support.one_of_each"
      local values, calls = one_of_each.values(%q), {}
      local function add(name, fn, ...)
        local given = table.pack(...)
        calls[name] = function() return fn(table.unpack(given)) end
      end
      for _, type in ipairs(one_of_each.types()) do
        for name, method in pairs(debug.getmetatable(values[type]).methods or {}) do
          add(type .. ":" .. name, method, values[type], 1, 2)
        end
      end
      local model, tokenizer = values["gpt.Layer"], values["gpt.Tokenizer"]
      for name, method in pairs(core._layer_methods) do add("Layer:" .. name, method, model, { 1 }) end
      for _, name in ipairs { "gpt.Tensor", "gpt.Layer", "gpt.Session", "gpt.Tokenizer", "gpt.Optimizer", "gpt.World" } do
        add(name .. " as text", tostring, values[name])
      end
      add("a call", model, { 1 })
      add("a field", function() return model.head.weight end)
      local data, stream = gpt.dataset({ 1, 2, 3 }, { context_length = 2 }), model:stream { 1 }
      add("a dataset", data.batch, data, 1, 1)
      add("a stream", stream)
      older = function()
        for name, call in pairs(calls) do
          local done, problem = pcall(call)
          count = count + 1
          if done and not tostring(problem):find "^%%a+ %%(freed%%)$" then print(name, "went well") end
          told = told + ((tostring(problem):find "was freed" or tostring(problem):find "gpt is closed") and 1 or 0)
        end
        print(count > 150, count - told < 15) -- some look at their other arguments first
      end
    ]]):format(dir))
    files.remove(dir)
    assert.same({ "true\ttrue\n", true }, { output, ok })
  end)

  it("may be one among several states", function()
    if not process.host() then pending "build/states is not built; make test builds it" end
    assert.same({ "closedclosed", true }, { process.states(SCRIPT, SCRIPT) })
  end)

  it("cannot open the module", function()
    local output, ok = process.lua [[
      OLDER = setmetatable({}, { __gc = function()
        io.write(tostring(select(2, pcall(require, "gpt"))):match "gpt cannot be opened by a finalizer" or "?")
      end })
    ]]
    assert.same({ "gpt cannot be opened by a finalizer", true }, { output, ok })
  end)

  it("says what it is, in full", function()
    assert.same({ "gpt is closed: so is its Lua state, and this finalizer is older than the module", true },
      { process.lua [[
        local gpt
        OLDER = setmetatable({}, { __gc = function() io.write((select(2, pcall(gpt.zeros, 2)))) end })
        gpt = require "gpt"
      ]] })
  end)
end)
