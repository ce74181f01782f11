-- What no host may do: put values into a state that did not make them, or let two threads use one state at once. Where it
-- can be noticed it is an error; nothing is used that is not the state's own, and nothing is freed twice.
local files = require "spec.support.files"
local process = require "spec.support.process"

local library = package.searchpath("misuse", package.cpath)

-- Runs a script in a process of its own, which has `values`, one of each type, and a directory.
local function run(code)
  if not library then pending "build/misuse.so is not built; make test builds it" end
  local dir = files.directory "/dev/shm"
  local output, ok = process.lua(([[
    local gpt = require "gpt"
    local misuse = package.loadlib(%q, "luaopen_misuse")()
    local one_of_each = require "spec.support.one_of_each"
    local dir = %q
    local values = one_of_each.values(dir)
  ]]):format(library, dir) .. code)
  files.remove(dir)
  assert.is_true(ok, output)
  return output
end

local COPY = "this gpt.%s is a copy of another userdata: a value belongs to the Lua state that made it, and cannot be put "
  .. "into one from outside"

describe("a copy of a userdata", function()
  it("of any type but a tensor's is refused, and frees nothing", function()
    local output = run [[
      -- How many methods there are, how many refuse a copy, and what one of them says.
      local function try(name)
        local copy, methods, refused, problem = misuse.copy(values[name]), 0, 0, nil
        for _, method in pairs(debug.getmetatable(copy).methods or {}) do
          local ok, said = pcall(method, copy, 1, 2, 3)
          methods = methods + 1
          if not ok and said:find "is a copy" then refused, problem = refused + 1, said:match "this.*outside" end
        end
        return methods, refused, problem
      end
      for _, name in ipairs(one_of_each.types()) do
        if name ~= "gpt.Tensor" then print(name, try(name)) end
        collectgarbage() -- the copy
      end
      print(pcall(function() return misuse.copy(values["gpt.Layer"]) { 1, 2 } end))
      print(gpt.ones(2):sum():item(), #values["gpt.Layer"]:generate({ 1 }, { max_new_tokens = 1 }))
    ]]
    local types = 0
    for name, methods, refused, said in output:gmatch "gpt%.(%a+)\t(%d+)\t(%d+)\t([^\n]*)\n" do
      types = types + 1
      methods, refused = tonumber(methods), tonumber(refused)
      if methods > 0 then
        assert.equal(COPY:format(name), said)
        assert.is_true(methods - refused <= 3, name) -- close and free do nothing, and some look at what follows first
      end
    end
    assert.equal(18, types, output) -- and layers
    assert.matches("\nfalse\t[^\n]*" .. COPY:format("Layer"):gsub("%p", "%%%0") .. "%)\n2%.0\t2\n$", output)
  end)

  it("in another state is refused there, and frees nothing when that is closed", function()
    local output = run [[
      print(misuse.copied(values["gpt.Layer"], "return gpt.perplexity(..., { 1, 2 })"))
      print(misuse.copied(values["gpt.Session"], "return gpt.feed({ ... }, { { 1 } })"))
      print(misuse.copied(values["gpt.Tokenizer"], "return (...).vocab_size"))
      print(values["gpt.Tokenizer"].vocab_size, #values["gpt.Layer"]:generate({ 1 }, { max_new_tokens = 1 }))
    ]]
    for _, name in ipairs { "Layer", "Session", "Tokenizer" } do
      assert.matches("false\t[^\n]*" .. COPY:format(name):gsub("%p", "%%%0"), output)
    end
    assert.matches("\n%d+\t2\n$", output)
  end)
end)

describe("what a host moves into another state", function()
  it("is refused there: values, which are of no type of that state's, and functions", function()
    local output = run [[
      print(misuse.moved(values["gpt.Tensor"], "return gpt.ones(2) + ..."))
      print(misuse.moved(values["gpt.Layer"], "return gpt.perplexity(..., { 1, 2 })"))
      print(misuse.moved(gpt.zeros, "return (...)(2)"))
      print(values["gpt.Tensor"]:sum():item())
    ]]
    assert.matches("^false\t[^\n]*a tensor or a number expected, got userdata%)\nfalse\t[^\n]*expected, got a userdata[^\n]*\n"
      .. "false\t[^\n]*this function is another Lua state's: each state has to require gpt for itself\n2%.0\n$", output)
  end)
end)

describe("a second thread", function()
  it("is refused while the first is in a pass, and welcome between two", function()
    local output = run [[
      local function zeros() return gpt.zeros(2):numel() end
      local function try() print(misuse.in_thread(zeros)) end
      local Waiting = gpt.nn.layer("Waiting", { forward = function(_, x) try() return x end })
      local layer = gpt.nn.Sequential { gpt.nn.Linear(2, 2), Waiting() }
      try()
      layer(gpt.ones(1, 2)):sum():backward()
      try()
      pcall(gpt.nn.Sequential { layer, function() error "fails" end }, gpt.ones(1, 2))
      try()
      print(coroutine.wrap(function() return layer(gpt.ones(1, 2)):numel() end)())
    ]]
    local refused = "false\tanother thread is in an operation of this Lua state's: a state is used by one thread at a time\n"
    assert.equal("true\t2\n" .. refused .. "true\t2\n" .. refused .. "true\t2\n" .. refused .. "2\n",
      (output:gsub("false\t[^\n]-%d: ", "false\t")))
  end)
end)
