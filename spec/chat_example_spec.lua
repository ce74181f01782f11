-- examples/chat.lua, with its input from a file.
local files = require "spec.support.files"
local gpt = require "gpt"
local process = require "spec.support.process"
local support = require "spec.support.chat"

-- A model file whose answers are short: its end of a message is likely after any token.
local function save_model(path)
  gpt.seed(3)
  local tokenizer = support.tokenizer()
  local model = gpt.Model {
    vocab_size = tokenizer.vocab_size, context_length = 100, emb_dim = 16, n_heads = 2, n_layers = 1, drop_rate = 0,
    qkv_bias = true,
  }
  model.tokenizer = tokenizer
  model:save(path)
end

describe("examples/chat.lua", function()
  local dir, model
  setup(function()
    dir = files.directory()
    model = dir .. "/model.gguf"
    save_model(model)
  end)
  teardown(function() files.remove(dir) end)

  -- What it prints, DIR being the directory; and whether it ended well.
  local function run(arguments, input)
    files.write(dir .. "/input", input or "")
    local words = {}
    for i, word in ipairs(arguments) do words[i] = ("%q"):format(word) end
    local output, ok = process.lua(([[
      arg = { [0] = "examples/chat.lua", %s }
      io.input(%q)
      io.read = function(...) return io.input():read(...) end
      dofile "examples/chat.lua"
    ]]):format(table.concat(words, ", "), dir .. "/input"))
    return output:gsub(dir:gsub("%p", "%%%0"), "DIR"), ok
  end

  it("answers, and does what the commands say", function()
    local output, ok = run({ model, "--seed", "1", "--max-tokens", "5" }, table.concat({
      "Hello", "/undo", "/undo", "/again", "/system Be brief.", "Hello\\", "there", "/again", "/show", "/save " .. dir .. "/c.json",
      "/reset", "/load " .. dir .. "/c.json", "/show", "/save", "/load DIR/none", "/system", "/nonsense", "/help", "", "/quit",
      "never read",
    }, "\n"))
    assert.is_true(ok, output)
    local lines = {}
    for _, line in ipairs {
      "^DIR/model.gguf%. /help lists the commands, Ctrl%-D ends%.\n",
      "\n%[5 tokens, [%d.]+ tokens/s, cut short; %d+ of 100 in the context%]\n",
      "> Taken back: Hello\n> There is nothing to take back.\n> There is no question yet.\n> The instructions are new.\n> %.%.%. ",
      "\n> Chat%(3 messages, %d+ of 100 tokens%)\n  system: Be brief%.\n  user: Hello there\n  assistant: ",
      "\n> Saved to DIR/c%.json%.\n> A new conversation%.\n> Continued from DIR/c.json%.\n> Chat%(3 messages",
      "\n> Which file%?\n> DIR/none: No such file or directory\n> No instructions%.\n> There is no command /nonsense; "
        .. "/help lists them%.\n> /undo ",
      '"rlwrap lua5%.4 examples/chat%.lua %.%.%." %(Debian\'s package rlwrap%)%.\n> > \n$',
    } do
      local first, last = output:find(line, (lines[#lines] or 0) + 1)
      assert.is_truthy(first, line .. "\n" .. output)
      lines[#lines + 1] = last - 1
    end
  end)

  it("ends where its input ends, and goes on with a saved conversation", function()
    files.write(dir .. "/saved.json", '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]')
    local output, ok = run({ model, "--load", dir .. "/saved.json", "--system", "x", "--max-tokens", "2" }, "/show\nHello")
    assert.is_true(ok, output)
    assert.is_truthy(output:find("user: Hi\n  assistant: Ho\n", 1, true), output)
    assert.is_truthy(output:find("%[2 tokens"), output)
  end)

  it("takes a template of its user's", function()
    files.write(dir .. "/template", "{% for m in messages %}{{ m.role }}{% endfor %}{{ raise_exception('no') }}")
    local output, ok = run({ model, "--template", dir .. "/template" }, "Hello\nHello\n")
    assert.is_true(ok, output)
    assert.is_truthy(output:find("> \n[chat:stream: the chat template: line 1: no]\n> \n[chat", 1, true), output)
  end)

  it("says what is wrong with its arguments", function()
    for message, arguments in pairs {
      ["Which model?\n\nlua5.4 examples/chat.lua MODEL [options]\n"] = {},
      ["there is no option --tempature; did you mean --temperature?\n\nlua5.4 "] = { model, "--tempature", "1" },
      ["--seed: a value expected\n\nlua5.4 "] = { model, "--seed" },
      ["--seed: a number expected, got x\n"] = { model, "--seed", "x" },
      ["One model expected, got a and b.\n\nlua5.4 "] = { "a", "b" },
      ["DIR/none.gguf: No such file or directory\n"] = { dir .. "/none.gguf" },
      ["gpt.chat: temperature: "] = { model, "--temperature", "-1" },
      ["DIR/none: No such file or directory\n"] = { model, "--template", dir .. "/none" },
    } do
      local output, ok = run(arguments)
      assert.is_false(ok)
      assert.equal(1, (output:find(message, 1, true)), message .. "\n" .. output)
    end
    local output, ok = run { "--help" }
    assert.is_true(ok)
    assert.equal(1, (output:find("lua5.4 examples/chat.lua MODEL [options]\n", 1, true)))
  end)
end)
