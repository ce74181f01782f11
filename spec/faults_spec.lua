-- A sample of what `make faults` does whole (spec/faults), and one spec for each kind of fault that it found.
local bytes_of = require "spec.support.bytes_of"
local core = require "gpt.core"
local files = require "spec.support.files"
local gpt = require "gpt"
local process = require "spec.support.process"
local raised = require "spec.support.raised"

local library = package.searchpath("faults", package.cpath)

local function need_library()
  if not library then pending "build/faults.so is not built; make test builds it" end
end

local function run(words)
  need_library()
  local code = ("arg = { %s, [0] = 'spec/faults/run.lua', [-1] = %q } dofile 'spec/faults/run.lua'"):format(words,
    process.interpreter)
  local output, ok = process.lua(code, ("LUAGPT_FAULTS='%s'"):format(library))
  assert.is_true(ok, output)
  return output
end

describe("a sample of faults:", function()
  it("requests for memory fail", function()
    assert.matches("memory: %d+ scenarios, %d+ requests failed, %d+ errors", run "'--sample', 'memory'")
  end)

  it("calls on files fail", function()
    assert.matches("files: %d+ scenarios, %d+ calls failed, %d+ errors", run "'--sample', 'files'")
  end)

  it("saves are killed", function()
    assert.matches("kills: 4 scenarios, 12 kills", run "'--sample', 'kills'")
  end)

  it("work is interrupted", function()
    assert.matches("interrupts: %d+ scenarios, %d+ interrupts came", run "'--sample', 'interrupts'")
  end)

  it("one case is run alone, as a failure prints it", function()
    assert.equal("it failed as it should\n", run "'memory', 'training', 'core', '7', 'stays'")
    assert.equal("it failed as it should\n", run "'files', 'a tokenizer is loaded', '2', 'stays'")
    assert.equal("it failed as it should\n", run "'interrupts', 'training', '500'")
  end)
end)

local CONFIG = { vocab_size = 9, context_length = 8, emb_dim = 8, n_heads = 2, n_layers = 1, drop_rate = 0, qkv_bias = true }

local function new_model(seed)
  gpt.seed(seed)
  return gpt.Model(CONFIG):eval()
end

-- Lets every request of the core's for memory fail, one after the other, until work comes through; `state` has to be as
-- before each time.
local function short_of_memory(state, work)
  local before, n = state(), 0
  repeat
    n = n + 1
    core._memory_faults(n, true)
    local done, problem = pcall(work)
    core._memory_faults()
    if not done then
      assert.matches("not enough memory", problem, 1, true)
      assert.is_true(before == state(), "request " .. n)
    end
  until done
  assert.is_true(n > 3)
end

describe("without memory", function()
  local dir, model
  before_each(function() dir, model = files.directory "/dev/shm", new_model(1) end)
  after_each(function() files.remove(dir) end)
  local function all() return tostring(model) .. bytes_of(model) end

  it("parameters are put back all or none", function()
    new_model(2):save_parameters(dir .. "/other.safetensors")
    short_of_memory(all, function() model:load_parameters(dir .. "/other.safetensors") end)
    assert.equal(bytes_of(new_model(2)), bytes_of(model))
  end)

  it("an adapter is loaded all or nothing", function()
    gpt.lora(new_model(1), { rank = 2 }):save_adapter(dir .. "/adapter")
    short_of_memory(all, function() gpt.load_adapter(model, dir .. "/adapter") end)
    assert.same({ "default" }, model:adapters())
    model { 1, 2 }
  end)

  it("an adapter is attached all or nothing, also beside another one", function()
    short_of_memory(all, function() gpt.lora(model, { rank = 2 }) end)
    short_of_memory(all, function() gpt.lora(model, { rank = 2, name = "second" }) end)
    assert.same({ "default", "second" }, model:adapters())
  end)

  it("adapters are merged all or none", function()
    gpt.lora(model, { rank = 2 })
    short_of_memory(all, function() model:merge_lora() end)
    assert.equal(tostring(new_model(1)), tostring(model))
  end)

  it("weights are converted all or none, with the paths of those that do not fit", function()
    local unfit
    short_of_memory(all, function() unfit = select(2, model:to "q8_0") end)
    assert.equal(8, #unfit)
  end)

  it("a session is fed all or nothing", function()
    local session = model:session()
    session:feed { 1, 2 }
    short_of_memory(function() return table.concat(session:ids(), " ") end, function() session:feed { 3 } end)
  end)

  it("a step begins no moments that it does not make", function()
    local optimizer = gpt.optim.AdamW(model)
    model:loss({ 1, 2 }, { 2, 3 }):backward()
    short_of_memory(function()
      collectgarbage()
      return gpt.memory().live
    end, function() optimizer:step() end)
  end)

  it("the end of a save says so, and not that a file could not be removed", function()
    for n = 1, 1000 do
      core._memory_faults(n)
      local done, problem = pcall(model.save, model, dir .. "/model")
      core._memory_faults()
      if done then return end
      assert.matches("not enough memory", problem, 1, true)
    end
  end)

  it("layers nested in each other leave no pass behind", function()
    need_library()
    local faults = require "faults"
    local Twice = gpt.nn.layer("Twice", {
      init = function(self, inner) self.inner = inner end,
      forward = function(self, x) return self.inner(x) + x end,
    })
    local x, layer = gpt.ones(2, 4), Twice(Twice(gpt.nn.Linear(4, 4)))
    for _ = 1, 250 do -- more than layers may be nested deep
      local ok, _, refused = faults.lua_memory(3, true, layer, x)
      assert.is_true(refused and not ok)
    end
    layer(x)
  end)
end)

describe("an adapter that is saved over another", function()
  it("is loaded whole where its save was killed amid its files", function()
    local dir, old, new = files.directory "/dev/shm", gpt.lora(new_model(1), { rank = 2 }), gpt.lora(new_model(1), { rank = 3 })
    old:save_adapter(dir)
    core._file_faults(3, "rename", "kills") -- the list's, that of the weights, then that of the config
    pcall(new.save_adapter, new, dir)
    core._file_faults()
    local model = gpt.load_adapter(new_model(1), dir)
    assert.equal(6, model.blocks[1].attention.query.default.a:size(1)) -- query's and value's, as PEFT has them
    files.remove(dir)
  end)

  it("merges once where one layer stands in two places", function()
    gpt.seed(1)
    local linear, x = gpt.nn.Linear(4, 4), gpt.ones(1, 4)
    local layer = gpt.lora(gpt.nn.Sequential { linear, linear }, { rank = 2, targets = { "1", "2" } })
    for path, tensor in layer:parameters() do
      if path:find "%.b$" then gpt.no_grad(tensor.fill, tensor, 0.1) end
    end
    local before = layer(x)
    layer:merge_lora()
    assert.is_true((layer(x) - before):abs():max():item() < 1e-5)
  end)
end)

describe("metrics of a run that goes on", function()
  it("stay as they were where they cannot be read", function()
    local dir = files.directory "/dev/shm"
    local function train(place, steps)
      local data = gpt.dataset({ 1, 2, 3, 4, 5, 6, 7, 8 }, { context_length = 4, batch_size = 1 })
      gpt.train { model = new_model(1), data = data, steps = steps, progress = false, checkpoints = place .. "/c", resume = true,
        metrics = place .. "/metrics.csv" }
    end
    assert(os.execute("mkdir " .. dir .. "/old"))
    train(dir .. "/old", 2)
    local before, failures, place, n = files.read(dir .. "/old/metrics.csv"), 0, dir .. "/new", 0
    repeat
      n = n + 1
      files.remove(place)
      files.copy(dir .. "/old", place)
      core._file_faults(n, "read")
      local done, problem = pcall(train, place, 3)
      local calls = core._file_faults()
      if not done and problem:find("metrics.csv", 1, true) then
        failures = failures + 1
        assert.matches("Input/output error", problem, 1, true)
        assert.equal(before, files.read(place .. "/metrics.csv"))
      end
    until calls < n
    assert.is_true(failures > 0)
    files.remove(dir)
  end)
end)

describe("an error of the moment is not taken for one of what was looked at:", function()
  local interrupt = function() error("interrupted!", 0) end

  it("an interrupt, wherever luagpt looks whether a value will do", function()
    local value = setmetatable({}, { __index = interrupt })
    for _, fn in ipairs {
      function() gpt.evaluate(new_model(1), value) end,
      function() gpt.dataset({ text = "a" }, { tokenizer = value, context_length = 2 }) end,
      function() gpt.train { model = value, data = value } end,
      function() require "gpt.train.rates".of(value) end,
    } do
      assert.same({ false, "interrupted!" }, { pcall(fn) })
    end
  end)

  it("and words of a stranger are no interrupt, which would end a server", function()
    local DIGITS = "[string \"local x: number = 1\"]:1: "
    for _, text in ipairs { "interrupted!", "a.lua:12: interrupted!", DIGITS .. "interrupted!", "=x:1: interrupted!",
      "a.lua:1: interrupted!\nstack traceback:\n  x" } do
      assert.is_true(core._is_interrupt(text), text)
    end
    for _, text in ipairs { "interrupted! once", "no #/interrupted!", "a.lua:1: role: interrupted!", "uninterrupted!",
      "role: interrupted!", "role: a:1: interrupted!", "a:1: b:1: interrupted!", "a: interrupted!", "a:x: interrupted!",
      ":: interrupted!", "interrupted!\nx", ("x"):rep(100) .. ":1: interrupted!" } do
      assert.is_false(core._is_interrupt(text), text)
    end
    local tokenizer = gpt.train_tokenizer({ text = "a mouse" }, { vocab_size = 257 })
    tokenizer.chat_template = "{{ raise_exception('Unexpected role: ' + messages[0].role) }}"
    local said = raised(tokenizer.apply_chat_template, tokenizer, { { role = "interrupted!", content = "a" } })
    assert.matches("Unexpected role: interrupted!$", said)
    assert.is_false(core._is_interrupt(said))
    said = raised(gpt.grammar, { json_schema = { ["$ref"] = "#/interrupted!" } })
    assert.matches("there is no #/interrupted!$", said)
    assert.is_false(core._is_interrupt(said))
  end)

  it("an interrupt while a model is made for a file's weights leaves new layers their own", function()
    need_library()
    local faults, build = require "faults", require "gpt.model_files.build"
    local config = new_model(1).config
    local function weights()
      gpt.seed(1)
      return gpt.nn.Linear(2, 3).weight:bytes()
    end
    local expected, n = weights(), 0
    repeat
      n = n + 1
      local _, _, came = faults.interrupted(n, function() build.empty(config) end)
      assert.equal(expected, weights())
    until not came
    assert.is_true(n > 500)
  end)

  it("and quoted words are no lack of memory", function()
    for _, text in ipairs { "not enough memory", "a:1: b: not enough memory: 9 bytes", [["a\": b": not enough memory]],
      "it's here: not enough memory", "'a': not enough memory" } do
      assert.is_true(core._is_memory_error(text), text)
    end
    for _, text in ipairs { 'unknown keyword ": not enough memory"', [["a\": not enough memory"]],
      "unknown option 'a: not enough memory'", "unknown option 'it's: not enough memory'" } do
      assert.is_false(core._is_memory_error(text), text)
    end
    local said = raised(gpt.zeros, 2, { [": not enough memory"] = 1 })
    assert.matches("zeros: unknown option ': not enough memory'", said, 1, true)
    assert.is_false(core._is_memory_error(said))
  end)

  it("an interrupt in layers inside each other is one with their paths", function()
    local Failing = gpt.nn.layer("Failing", { forward = interrupt })
    local Calling = gpt.nn.layer("Calling", {
      init = function(self) self.inner = Failing() end,
      forward = function(self, x) return self.inner(x) end,
    })
    local layer = gpt.nn.Sequential { Calling() }
    local _, said = pcall(layer, gpt.zeros(1, 2))
    assert.matches("^1[.]inner: interrupted!\nstack traceback:", said)
    assert.is_true(core._is_interrupt(said))
  end)

  it("an interrupt while a plot looks for a terminal, and white space is cut off", function()
    need_library()
    local faults = require "faults"
    local device, pair = require "gpt.plot.terminal.device", require "gpt.scoring.pair"
    for _, fn in ipairs { device.describe, function() return pair.space_at_end "a b \u{3000}\n" end } do
      fn()
      local n = 0
      repeat
        n = n + 1
        local ok, _, came = faults.interrupted(n, fn)
        assert.equal(not came, ok)
      until not came
      assert.is_true(n > 20)
    end
  end)

  it("an interrupt while a session looks whether a layer mixes positions", function()
    local calls, after = 0, 0
    local Silent = gpt.nn.layer("Silent", {
      forward = function(_, x, pass)
        calls = calls + 1
        if calls == after then interrupt() end
        local heads = x:view(1, x:size(2), 2, 4)
        return pass:attention(heads, heads, heads):reshape(x:shape())
      end,
    })
    for n = 1, 4 do -- the whole, all but the last token, the last one, and then in earnest
      gpt.seed(1)
      local model = gpt.Model(CONFIG, { block = function() return Silent() end }):eval()
      model { 1, 2 } -- it attends: so it may be cacheable
      calls, after = 0, n
      local ok, problem = pcall(function() model:session():feed { 1, 2, 3 } end)
      assert.is_false(ok)
      assert.matches("interrupted!", problem, 1, true)
    end
  end)

  it("a file of a tokenizer that the system cannot read fails the load, and is no warning", function()
    local dir, model = files.directory "/dev/shm", new_model(1)
    model.tokenizer = gpt.train_tokenizer({ text = ("a mouse "):rep(9) }, { vocab_size = 260 })
    model:save(dir)
    local count = 0
    for n = 1, 1000 do
      core._file_faults(n, "read")
      local done, problem = pcall(gpt.load, dir)
      local calls = core._file_faults()
      if calls < n then break end
      if done then assert.is_truthy(problem.tokenizer) -- a look that is not needed
      else
        assert.matches(dir .. ".*: .*Input/output error", problem)
        count = count + 1
      end
    end
    assert.is_true(count > 4)
    files.remove(dir)
  end)
end)
