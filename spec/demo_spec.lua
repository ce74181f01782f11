-- The demo on texts of the user's own.
local files = require "spec.support.files"
local process = require "spec.support.process"

describe("the demo on a text of one's own", function()
  local dir
  before_each(function() dir = files.directory() end)
  after_each(function() files.remove(dir) end)

  local function demo(file, steps)
    return process.lua(([[
      local variables = { DEMO_DIR = %q, DEMO_STEPS = %q }
      os.getenv = function(name) return variables[name] end
      arg = { [0] = "examples/demo.lua", %q }
      dofile "examples/demo.lua"
    ]]):format(dir .. "/made", steps or "1", file))
  end

  -- What it says last, having failed.
  local function refusal(file)
    local output, ok = demo(file)
    assert.is_false(ok)
    return output:match "([^\n]+)\n$"
  end

  it("says that there is no such file, or that it is none", function()
    local advice = ". Give the name of a text file: make demo TEXT=file"
    assert.equal(dir .. "/none.txt: No such file or directory" .. advice, refusal(dir .. "/none.txt"))
    assert.equal(dir .. ": Is a directory" .. advice, refusal(dir))
  end)

  it("ends where a text does not", function()
    assert.equal("/dev/zero has over 100 MB, too much for a demo", refusal "/dev/zero")
  end)

  it("says that a text is too short", function()
    local path = dir .. "/text"
    for text, shown in pairs {
      [""] = "0 bytes that are 0 tokens", ["hello you\n"] = "10 bytes that are 3 tokens",
      [("\0"):rep(65536)] = "65,536 bytes that are 1 tokens",
      [("A line, and another one.\n"):rep(40)] = "1,000 bytes that are ",
    } do
      files.write(path, text)
      local message = refusal(path)
      assert.equal(1, (message:find(path .. ": " .. shown, 1, true)), message)
      assert.is_truthy(message:find(" tokens are too little to train on. Give a text of 4,000 tokens or more, some "
        .. "10,000 bytes that are not the same over and over: make demo TEXT=file", 1, true), message)
    end
  end)

  it("trains on any other, whatever its letters and line ends", function()
    local letters, lines = { "天", "地", "玄", "黄", "宇", "宙", "洪", "荒", "\xFF", "\r\n" }, {}
    local at = 1
    for i = 1, 9000 do
      at = (at * 16807) % 2147483647
      lines[i] = i < 30 and letters[1] or letters[at % #letters + 1]
    end
    files.write(dir .. "/it's a text", table.concat(lines))
    local output, ok = demo(dir .. "/it's a text")
    assert.is_true(ok, output)
    assert.is_truthy(output:find("/made/model is what Hugging Face's tools load too", 1, true), output)
    assert.same({ "loss.svg", "model" }, files.list(dir .. "/made"))
  end)
end)
