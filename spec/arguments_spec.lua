local examples = require "spec.support.examples"
local gpt = require "gpt"
local raised = require "spec.support.raised"

-- One in so many combinations; `make arguments` tries all.
local STRIDE = os.getenv "LUAGPT_ARGUMENTS" and 1 or 97

-- In a process of its own, whose working directory the wrong calls may fill with files.
local SWEEP = [[
  local arguments = require "spec.support.arguments"
  local found = 0
  local log = os.getenv "LUAGPT_ARGUMENTS_LOG" and io.open(os.getenv "LUAGPT_ARGUMENTS_LOG", "w")
  if log then log:setvbuf "no" end
  local swept = arguments.sweep {
    stride = %d,
    report = function(fault)
      found = found + 1
      if found <= 200 then print("fault", fault) end
    end,
    log = log and function(id) log:seek("set", 0) log:write(id, (" "):rep(100), "\n") end,
  }
  local operators = { neg = "unm", __len = "len" } -- as Lua calls them; print calls __tostring
  for name, fn in pairs(arguments.public()) do
    local plain = name:match "[^.:]+$"
    local seen = swept.seen[fn] or swept.seen[operators[plain] or plain] or plain == "__tostring"
    if not seen then print("missed", name) end
  end
  print("swept", swept.count, swept.errors)
]]

describe("messages of wrong arguments", function()
  local CONTROL = "a\27[31m\u{9b}\r\255"
  local SHOWN = [[a\x1B[31m\xC2\x9B\x0D\xFF]]

  it("escape what moves a terminal's cursor, and what is no UTF-8", function()
    assert.equal("zeros: unknown option '" .. SHOWN .. "'", raised(gpt.zeros, 2, { [CONTROL] = 1 }))
    assert.equal("a gpt.Tensor has no field or method '" .. SHOWN .. "'", raised(function() return gpt.zeros(1)[CONTROL] end))
    local named = setmetatable({}, { __name = CONTROL })
    assert.equal("bad argument #1 to 'narrow' (number expected, got " .. SHOWN .. ")",
      raised(function() gpt.zeros(2):narrow(named, 1, 1) end))
    assert.equal("nn.layer: " .. SHOWN .. ": a table with forward = function(self, x) ... end expected",
      raised(gpt.nn.layer, CONTROL, {}))
  end)

  it("cut words, and stay under 2,000 bytes", function()
    local word = ("x"):rep(1 << 20)
    assert.equal("zeros: unknown option '" .. ("x"):rep(116) .. "...'", raised(gpt.zeros, 2, { [word] = 1 }))
    local message = raised(gpt.nn.layer, word, {})
    assert.equal(1999, #message)
    assert.equal("xxx...", message:sub(-6))
  end)

  it("say which number is not whole", function()
    local t = gpt.zeros(2, 3)
    assert.equal("bad argument #1 to 'sum' (a whole number expected, got 1.5)", raised(function() t:sum(1.5) end))
    assert.equal("bad argument #1 to 'sum' (a whole number expected, got nan)", raised(function() t:sum(0 / 0) end))
  end)

  it("say that a method is called with a colon", function()
    local data = gpt.dataset({ 1, 2, 3, 4, 5 }, { context_length = 2 })
    assert.equal("batch: a gpt.Dataset expected, got 1; a method is called with a colon: value:batch(...)",
      raised(function() data.batch(1, 1) end))
    local model = gpt.Model { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0,
      qkv_bias = false }
    assert.equal('save: a layer expected, got "m"; a method is called with a colon: value:save(...)',
      raised(function() model.save "m" end))
    assert.equal('load_parameters: a layer expected, got "p"; a method is called with a colon: value:load_parameters(...)',
      raised(function() model.load_parameters "p" end))
  end)

  it("come before anything is closed that is not ours", function()
    local file <close> = assert(io.tmpfile())
    local session = gpt.Model({ vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0,
      qkv_bias = false }):session()
    assert.equal("bad argument #1 to 'free' (gpt.Session expected, got FILE*)", raised(function() session.free(file) end))
    assert.equal("file", io.type(file))
  end)

  it("speak of tokenizers, losses, models and schedules that are none", function()
    local model = gpt.Model { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0,
      qkv_bias = false }
    assert.equal("gpt.generate: tokenizer: a tokenizer (gpt.tokenizer(dir) makes one) expected, got 5",
      raised(gpt.generate, model, "text", { tokenizer = 5 }))
    local data = gpt.dataset({ 1, 2, 3, 4, 5 }, { context_length = 2 })
    assert.equal("gpt.evaluate: a model, or a layer or function from ids to logits, expected, got a gpt.Tensor",
      raised(gpt.evaluate, gpt.ones(1), data))
    assert.equal("gpt.train: loss: the function has to return a tensor of one number, got nil",
      raised(gpt.train, { model = model, data = data, steps = 1, progress = false, loss = function() end }))
    assert.equal('gpt.lr_schedule: the schedule takes a step, a number; got "1"',
      raised(gpt.lr_schedule { lr = 1, steps = 2 }, "1"))
  end)

  it("come at once for a text of a megabyte", function()
    local message = raised(gpt.grammar, ("x"):rep(1 << 20))
    assert.equal("gpt.grammar: line 1, column 1048577: ::= expected after the rule's name xx", message:sub(1, 74))
  end)
end)

describe("wrong arguments of everything that is public", function()
  it("are legal, or an error at the caller's line that can be shown, after which all goes on", function()
    local output, ok = examples.in_directory(SWEEP:format(STRIDE))
    assert.is_true(ok, output)
    local faults = {}
    for fault in output:gmatch "fault\t([^\n]*)" do faults[#faults + 1] = fault end
    assert.same({}, faults)
    local missed = {}
    for name in output:gmatch "missed\t([^\n]*)" do missed[#missed + 1] = name end
    table.sort(missed)
    assert.same({ "forbid_files", "read_npz" }, missed) -- their examples are comments: no way back, and no file
    local count = math.tointeger(tonumber(output:match "swept\t(%d+)"))
    assert.is_true(count * STRIDE > 100000, count)
    if STRIDE == 1 then print(output:match "swept[^\n]*") end
  end)
end)
