local gpt = require "gpt"
local files = require "spec.support.files"
local gguf = require "spec.support.gguf"
local raised = require "spec.support.raised"
local replay = require "spec.fuzz.replay"

local ESCAPE, CSI = "\27[2J", "\u{9B}2J"

describe("a message about a file", function()
  local dir

  before_each(function() dir = files.directory() end)
  after_each(function() files.remove(dir) end)

  it("shows control characters and bytes that are no text, which a terminal would obey", function()
    local path = dir .. "/a.gguf"
    files.write(path, gguf.file { pairs = { gguf.pair("general.architecture", "string", "a" .. ESCAPE) } })
    assert.matches([[general.architecture is "a\x1b[2J"; what is implemented: ]], raised(gpt.load, path), 1, true)
    files.write(path, gguf.file { tensors = { gguf.tensor("t" .. ESCAPE .. CSI .. "\xff", { 3 }, 8, 0) } })
    local message = raised(gpt.read_gguf, path)
    assert.matches([[\x1B[2J\xC2\x9B2J\xFF]], message, 1, true)
    assert.falsy(message:find "[\0-\8\11-\31\127-\255]")
  end)

  it("does so in templates, grammars and schemas, and keeps lines and tabs", function()
    local tokenizer = gpt.train_tokenizer("a", { vocab_size = 257 })
    assert.equal("apply_chat_template: the chat template: line 1: no\\x1B[2J\n\tcaf\u{e9} \\xE9",
      raised(function()
        tokenizer:apply_chat_template({ { role = "user", content = "a" } },
          { template = "{{ raise_exception('no" .. ESCAPE .. "\n\tcaf\u{e9} \xe9') }}" })
      end))
    assert.equal([[gpt.grammar: json_schema: #: a\x1Bb is no keyword that is known, so it cannot be enforced; leave it out, or call it x-a\x1Bb]],
      raised(function() gpt.grammar { json_schema = { ["a\27b"] = 1 } } end))
    assert.equal([[gpt.grammar: regex: line 1, column 1: unknown escape \\x1B]],
      raised(function() gpt.grammar { regex = "\\\27" } end))
  end)

  it("is not longer for it than messages are", function()
    files.write(dir .. "/a.gguf", gguf.file { tensors = { gguf.tensor(("\27"):rep(60), { 3 }, 8, 0) } })
    assert.is_true(#raised(gpt.read_gguf, dir .. "/a.gguf") < 2000)
    assert.is_true(#raised(function() gpt.grammar { json_schema = { [("\27"):rep(3000)] = 1 } } end) < 2000)
  end)
end)

describe("the fuzzer's inputs", function()
  it("are read or refused, and the seeds are read", function()
    local seen, read = 0, 0
    replay.all(function(target, input, ok, problem)
      seen, read = seen + 1, read + (ok and 1 or 0)
      local text = ok and "" or type(problem) == "table" and problem.found or tostring(problem)
      local fine = ok or type(problem) == "string" and not text:find "^lua/gpt/"
        and (not input:find "^seed" or text:find("does not fit", 1, true))
      if not fine then error(("%s/%s: %s"):format(target, input, text)) end
    end)
    assert.is_true(seen > 80 and read > 75, seen .. " inputs, " .. read .. " read")
  end)
end)
