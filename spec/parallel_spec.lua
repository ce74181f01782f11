local gpt = require "gpt"
local process = require "spec.support.process"

describe("threads", function()
  after_each(function() gpt.set_threads() end)

  it("are as many as was asked for, from 1", function()
    gpt.set_threads(3)
    assert.equal(3, gpt.threads())
    gpt.set_threads(2.0)
    assert.equal(2, gpt.threads())
    gpt.set_threads(1)
    assert.equal(1, gpt.threads())
  end)

  it("are by default as many as the process may use", function()
    local default = gpt.threads()
    assert.is_true(default >= 1)
    for _, way in ipairs { function() gpt.set_threads() end, function() gpt.set_threads(0) end } do
      gpt.set_threads(default + 1)
      way()
      assert.equal(default, gpt.threads())
    end
  end)

  it("are at most 256", function()
    gpt.set_threads(math.maxinteger)
    assert.equal(256, gpt.threads())
  end)

  it("are a whole number", function()
    local expected = "gpt.set_threads: a number of threads expected (0 or nil for the default), got "
    for text, value in pairs { ["-1"] = -1, ["1.5"] = 1.5, inf = 1 / 0, string = "2" } do
      local ok, message = pcall(gpt.set_threads, value)
      assert.is_false(ok)
      assert.equal(expected .. text, (message:gsub("^[^ ]*parallel_spec.lua:%d+: ", "")))
    end
  end)

  it("change no bit of a product, whatever their number", function()
    local function products()
      gpt.seed(1)
      local many, few, weight = gpt.randn(300, 200), gpt.randn(3, 200), gpt.randn(200, 900)
      local rows = weight:transpose(1, 2):contiguous():transpose(1, 2)
      return many:matmul(weight):bytes() .. few:matmul(weight):bytes() .. few:matmul(rows):bytes()
    end
    gpt.set_threads(1)
    local expected = products()
    for _, threads in ipairs { 2, 3, 7 } do
      gpt.set_threads(threads)
      assert.is_true(expected == products(), threads .. " threads")
    end
  end)

  it("are named, and block every signal", function()
    local output, ok = process.lua [[
      local gpt = require "gpt"
      gpt.set_threads(3)
      local a = gpt.ones(400, 400)
      a:matmul(a)
      local id = io.open("/proc/self/stat"):read("n")
      local caught = {}
      for file in io.popen("ls -d /proc/" .. id .. "/task/*"):lines() do
        local status = io.open(file .. "/status"):read("a")
        if status:match("Name:%s*luagpt\n") then
          local blocked = tonumber(status:match("SigBlk:%s*(%x+)"), 16)
          for _, signal in ipairs { 1, 2, 15 } do -- HUP, INT, TERM
            assert(blocked & 1 << (signal - 1) ~= 0)
          end
          caught[#caught + 1] = "blocked"
        end
      end
      io.write(table.concat(caught, " "))
    ]]
    assert.same({ "blocked blocked", true }, { output, ok })
  end)

  it("start anew in the child of a fork", function()
    if not process.host() then
      pending("build/states is not built; make test builds it")
    end
    local output, ok = process.states [[
      local gpt = require "gpt"
      gpt.set_threads(2)
      local a = gpt.ones(400, 400)
      local function product()
        assert(a:matmul(a):sum():item() == 400 ^ 3)
      end
      local function threads()
        return tonumber(io.open("/proc/self/status"):read("a"):match("Threads:%s*(%d+)"))
      end
      product()
      for _ = 1, 3 do
        assert(in_child(function()
          assert(threads() == 1)
          product()
          assert(threads() == 2)
          gpt.set_threads(3)
          product()
          assert(threads() == 3)
        end), "the child failed")
        product()
      end
      io.write("both")
    ]]
    assert.same({ "both", true }, { output, ok })
  end)
end)
