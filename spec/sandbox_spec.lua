local files = require "spec.support.files"
local process = require "spec.support.process"

-- A host that opened the module for a guest without these libraries; `out` is what it lets the guest write with.
local GUEST = [==[
local dir = %q
local function run()
  local gpt = require "gpt"
  gpt.seed(1)
  local tokenizer = gpt.train_tokenizer({ text = ("the cat sat "):rep(9) }, { vocab_size = 260 })
  local model = gpt.Model { vocab_size = 260, context_length = 8, emb_dim = 8, n_heads = 2, n_layers = 1, drop_rate = 0,
    qkv_bias = false }
  local data = gpt.dataset({ text = ("the cat sat "):rep(9) }, { tokenizer = tokenizer, context_length = 8 })
  model.tokenizer = tokenizer
  local result = gpt.train { model = model, data = data, steps = 2, lr = 0.01, warmup = 1, checkpoints = dir .. "/points" }
  out(#result.losses, #tostring(result) > 0)
  model:save(dir .. "/model")
  out(#gpt.load(dir .. "/model"):generate("the", { max_new_tokens = 2 }) >= 3)
  gpt.plot.line(dir .. "/line.svg", { y = { 1, 2 } })
  gpt.write_tokens(dir .. "/t.bin", { 1, 2 })
  for _, x in ipairs { "cat", gpt.cat, gpt, gpt.nn, gpt.zeros(1), model, data, result, tokenizer } do gpt.help(x) end
  local tell = function(fn, ...) out((select(2, pcall(fn, ...)))) end
  tell(function() return gpt.zeros(2) + gpt.zeros(3) end)
  tell(function() gpt.train { model = model, data = data, steps = 1, metrics = dir .. "/m.csv" } end)
  tell(function() gpt.train { model = model, data = data, steps = 1, progress = 5 } end)
end
]==]

local EXPECTED = [==[
2	true
true
guest:18: add: shapes [2] and [3] do not fit: sizes 2 and 3 in dimension -1; counted from the last dimension, ]==] .. [==[
sizes must be equal or one of them 1
guest:19: gpt.train: metrics: needs Lua's library io, which this host leaves out
guest:20: gpt.train: progress: true, false or an open file expected, got 5
]==]

describe("the module", function()
  it("says which library it cannot do without", function()
    for _, library in ipairs { "table", "math", "utf8" } do
      local output, ok = process.lua(([[
        %s = nil
        print(select(2, pcall(require, "gpt")))
      ]]):format(library))
      assert.is_true(ok, output)
      assert.matches(("gpt: needs Lua's library %s, which this host leaves out"):format(library), output, 1, true)
    end
  end)

  it("says of names of texts that files are forbidden", function()
    local output = process.lua [[
      local gpt = require "gpt"
      gpt.forbid_files()
      local function tell(...) print((select(2, pcall(...)):gsub("^.-: ", "", 1))) end
      tell(gpt.dataset, "README.md", { context_length = 2 })
      tell(gpt.train_tokenizer, "spec/none.txt", { vocab_size = 260 })
    ]]
    assert.equal("gpt.dataset: README.md: files are forbidden in this Lua state (gpt.forbid_files)\n"
      .. "gpt.train_tokenizer: spec/none.txt: files are forbidden in this Lua state (gpt.forbid_files)\n", output)
  end)
end)

describe("the module without the libraries debug, io and os", function()
  local dir
  before_each(function() dir = files.directory() end)
  after_each(function() files.remove(dir) end)

  local function check(host)
    local guest = ("%q"):format(GUEST:format(dir) .. "\nrun()")
    local output, ok = process.lua((host:gsub("GUEST", function() return guest end)))
    assert.is_true(ok, output)
    assert.equal(EXPECTED, output)
  end

  it("does all but what needs them, which says so", function()
    check [[
      out = print
      debug, io, os = nil, nil, nil
      package.loaded.debug, package.loaded.io, package.loaded.os = nil, nil, nil
      assert(load(GUEST, "=guest"))()
    ]]
  end)

  it("does so for a guest with an environment of its own", function()
    check [[
      out = print
      debug, io, os, warn = nil, nil, nil, nil
      package.loaded.debug, package.loaded.io, package.loaded.os = nil, nil, nil
      local env = { out = print, require = require, pcall = pcall, ipairs = ipairs, select = select, tostring = tostring }
      assert(load(GUEST, "=guest", "t", env))()
    ]]
  end)
end)
