local files = require "spec.support.files"
local gpt = require "gpt"
local process = require "spec.support.process"

describe("the module", function()
  it("has a version", function()
    assert.equal("luagpt 0.3.0", gpt._VERSION)
  end)

  it("leaves _G as it was", function()
    local output, ok = process.lua [[
      local before = {}
      for name, value in pairs(_G) do before[name] = value end
      local gpt = require "gpt"
      for name, value in pairs(_G) do assert(before[name] == value, name) end
      for name, value in pairs(before) do assert(_G[name] == value, name) end
      assert(string.gpt == nil and rawequal(package.loaded.gpt, gpt))
      for name in pairs(package.loaded) do
        assert(before[name] ~= nil or name == "_G" or name:match("^gpt"), name)
      end
      io.write("same")
    ]]
    assert.same({ "same", true }, { output, ok })
  end)

  it("starts no thread when required", function()
    for line in io.lines("/proc/self/maps") do
      if line:find("libopenblas", 1, true) then
        pending("OpenBLAS is the shared library here, which starts its threads itself")
      end
    end
    local output, ok = process.lua [[
      local function threads()
        for line in io.lines("/proc/self/status") do
          local count = line:match("^Threads:%s*(%d+)")
          if count then return tonumber(count) end
        end
      end
      local before = threads()
      require "gpt"
      io.write(before, " ", threads())
    ]]
    assert.same({ "1 1", true }, { output, ok })
  end)

  it("can be closed with its state, and told to forget", function()
    local output, ok = process.lua [[
      local first = require "gpt"
      for name in pairs(package.loaded) do
        if name:match("^gpt") then package.loaded[name] = nil end
      end
      local second = require "gpt"
      assert(first ~= second)
      second.memory { limit = 1000 }
      io.write(second.memory().limit, " ", first.memory().live)
      os.exit(0, true)
    ]]
    assert.same({ "1000 0", true }, { output, ok })
  end)

  it("shares one environment among all who open it in a state, so that values of the first live on", function()
    local output, ok = process.lua [[
      local value = require("gpt").tokenizer("spec/fixtures/tokenizer")
      for name in pairs(package.loaded) do
        if name:match("^gpt") then package.loaded[name] = nil end
      end
      local second = require "gpt"
      collectgarbage()
      assert(second.memory().live > 0 and value:decode(value:encode("mouse")) == "mouse")
      os.exit(0, true)
    ]]
    assert.same({ "", true }, { output, ok })
  end)

  it("serves two Lua states in two threads at once", function()
    if not process.host() then
      pending("build/states is not built; make test builds it")
    end
    local script = [[
      local gpt = require "gpt"
      local seed, limit = %d, %d
      gpt.memory { limit = limit }
      for _ = 1, 200 do
        gpt.seed(seed)
        io.write(gpt.randint(0, 1000, { 1 }):item() .. "\n")
        gpt.randn(20, 20)
        assert(gpt.memory().limit == limit)
        local ok, message = pcall(gpt.memory, { limt = limit })
        assert(not ok and message:match("did you mean 'limit'"))
      end
    ]]
    local output, ok = process.states(script:format(1, 1e9), script:format(2, 2e9))
    assert.is_true(ok, output)
    local counts = {}
    for number in output:gmatch("%d+") do
      counts[number] = (counts[number] or 0) + 1
    end
    local expected = {}
    for seed = 1, 2 do
      local state = gpt.random_state()
      gpt.seed(seed)
      expected[tostring(gpt.randint(0, 1000, { 1 }):item())] = 200
      gpt.random_state(state)
    end
    assert.same(expected, counts)
  end)

  it("does in two states at once what it does in one: products, training, generating, files", function()
    if not process.host() then
      pending("build/states is not built; make test builds it")
    end
    local dir = files.directory()
    local function run(count)
      local codes = {}
      for i = 1, count do codes[i] = 'dofile "spec/support/together.lua"' end
      local output, ok = process.all_at_once(codes, "LUAGPT_TOGETHER=" .. dir)
      assert.is_true(ok, output)
      return output
    end
    local alone = run(1)
    assert.is_true(run(2) == alone:rep(2))
    files.remove(dir)
  end)
end)
