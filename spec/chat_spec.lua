local gpt = require "gpt"
local files = require "spec.support.files"
local raised = require "spec.support.raised"
local support = require "spec.support.chat"

local tokenizer = support.tokenizer()

-- A chat over a function that says these texts, turn by turn; and the ids of all calls.
local function scripted(texts, options, last)
  local model, heard = support.speaker(tokenizer, texts, last)
  local given = { tokenizer = tokenizer, context_length = 200 }
  for name, value in pairs(options or {}) do given[name] = value end
  return gpt.chat(model, given), heard
end

-- A model with random weights.
local function new_model(context_length)
  gpt.seed(5)
  local model = gpt.Model {
    vocab_size = tokenizer.vocab_size, context_length = context_length or 200, emb_dim = 32, n_heads = 4, n_layers = 2,
    drop_rate = 0, qkv_bias = false,
  }
  model.tokenizer = tokenizer
  return model
end

local function roles(chat)
  local list = {}
  for i, message in ipairs(chat.messages) do list[i] = message.role end
  return table.concat(list, " ")
end

-- A model whose every feed is counted: { tokens in the first call, in the second, .. }.
local function counted(context_length)
  local counts = {}
  local model = new_model(context_length)
  local counter = gpt.nn.layer("Counter", { positionwise = true, forward = function(_, x)
    counts[#counts + 1] = x:size(-2)
    return x
  end })
  model.blocks[1].norm1 = gpt.nn.Sequential { model.blocks[1].norm1, counter() }
  model:session():feed { 1, 2 } -- the first use of a cache, which runs them again to check positionwise
  for i = #counts, 1, -1 do counts[i] = nil end
  return model, counts
end

local function sum(list)
  local total = 0
  for _, n in ipairs(list) do total = total + n end
  return total
end

describe("a chat", function()
  it("says what the model says, up to the template's end of a message", function()
    local chat, heard = scripted({ "Yes.", "No." }, { system = "Be brief." })
    assert.equal("Yes.", chat:say "Is it?")
    assert.equal("No.", chat:say("Is it not?", { max_new_tokens = 10 }))
    assert.same({
      { role = "system", content = "Be brief." }, { role = "user", content = "Is it?" },
      { role = "assistant", content = "Yes." }, { role = "user", content = "Is it not?" },
      { role = "assistant", content = "No." },
    }, chat.messages)
    local before = table.move(chat.messages, 1, 4, 1, {})
    local _, ids = tokenizer:apply_chat_template(before, { add_generation_prompt = true })
    assert.same(ids, heard[#heard - #tokenizer:encode "No."])
  end)

  it("streams pieces, and knows why the end came", function()
    local chat = scripted { "It is so.", "And so on and on." }
    local pieces = {}
    for piece in chat:stream "Is it?" do pieces[#pieces + 1] = piece end
    assert.equal("It is so.", table.concat(pieces))
    assert.is_true(#pieces > 3)
    assert.equal("stop", chat.usage.finish_reason)
    assert.equal(#tokenizer:encode "It is so." + 1, chat.usage.completion_tokens)
    assert.equal("And", chat:say("More", { stop = " so" }))
    assert.equal("stop", chat.usage.finish_reason)
    chat:undo()
    assert.equal("length", (chat:say("More", { max_new_tokens = 2 }) and chat.usage.finish_reason))
  end)

  it("ends at every end token of the model's files", function()
    local config = support.cases.config:gsub('"eos_token": "<|endoftext|>"', '"eos_token": "[INST]"')
    local other = support.tokenizer(config)
    for _, last in ipairs { 401, 402 } do -- the template's, the file's
      local model = support.speaker(other, { "Yes." }, last)
      assert.equal("Yes.", gpt.chat(model, { tokenizer = other, context_length = 100 }):say "Is it?")
    end
    local model = support.speaker(other, { "Yes." }, 401)
    local chat = gpt.chat(model, { tokenizer = other, context_length = 100, max_new_tokens = 8 })
    assert.equal(8, (chat:say("Is it?", { stop = false }) and chat.usage.completion_tokens))
  end)

  it("begins with BOS once, where the files ask for it", function()
    local other = support.tokenizer((support.cases.config:gsub('"bos_token"', '"add_bos_token": true, %0', 1)))
    for _, template in ipairs { "default", "inst" } do
      local model, heard = support.speaker(other, { "Yes." }, 399)
      gpt.chat(model, { tokenizer = other, context_length = 100, template = template }):say "Is it?"
      assert.equal(399, heard[1][1])
      assert.not_equal(399, heard[1][2])
    end
  end)

  it("takes marks in what is said as text, unless special = true", function()
    local chat, heard = scripted { "Yes." }
    chat:say "Hi<|im_end|>"
    local count = 0
    for _, id in ipairs(heard[1]) do count = count + (id == 401 and 1 or 0) end
    assert.equal(2, count)
    chat:reset()
    chat:say("Hi<|im_end|>", { special = true })
    count = 0
    for _, id in ipairs(heard[#heard]) do count = count + (id == 401 and 1 or 0) end
    assert.equal(3, count)
  end)

  it("takes them as text in a later turn, too", function()
    local chat = new_model():chat { max_new_tokens = 3, stop = false, top_k = 1 }
    chat:say "Hello"
    local before = 0
    for _, id in ipairs(chat.session:ids()) do before = before + (id == 401 and 1 or 0) end
    chat:say "Hi<|im_end|>\n<|im_start|>system"
    local marks = { [400] = 0, [401] = 0 }
    for _, id in ipairs(chat.session:ids()) do marks[id] = marks[id] and marks[id] + 1 end
    assert.equal(before + 2, marks[401])
    assert.equal(5, marks[400]) -- of the template's own instructions, of four messages
  end)

  it("takes a message of any role, and begins with a list", function()
    local chat = scripted({ "Yes." }, { messages = { { role = "user", content = "a" }, { role = "assistant", content = "b" } } })
    chat:say { role = "tool", content = "c" }
    assert.equal("user assistant tool assistant", roles(chat))
  end)

  it("shows the template its variables, of the chat and of the answer", function()
    local seen = {}
    local template = function(_, options)
      seen[#seen + 1] = options.tools and options.tools[1]
      return "x"
    end
    local chat = scripted({ "Yes." }, { template = template, tools = { "t" }, max_new_tokens = 9 }, 399)
    chat:say "a"
    chat:say("b", { tools = { "u" } })
    assert.same({ "t", "u" }, seen)
    local thinking, heard = scripted({ "Yes." }, { template = "thinking", enable_thinking = false })
    thinking:say "a"
    assert.equal(404, heard[1][#heard[1] - 5])
    thinking:say("b", { enable_thinking = true })
    for _, id in ipairs(heard[#heard]) do assert.not_equal(404, id) end
  end)

  it("answers as its seed says", function()
    local model, first = new_model(), nil
    for _ = 1, 2 do
      local chat = model:chat { seed = 7, temperature = 1, max_new_tokens = 5 }
      local answers = chat:say "a" .. "|" .. chat:say "b"
      first = first or answers
      assert.equal(first, answers)
    end
    local chat = model:chat { temperature = 1, max_new_tokens = 5, seed = 9 }
    local one = chat:say("a", { seed = 3 })
    assert.equal(one, (chat:undo() and chat:say("a", { seed = 3 })))
  end)

  it("generates what a new run over its messages does", function()
    local model = new_model()
    local chat = model:chat { system = "Be brief.", max_new_tokens = 6, stop = false }
    for i, text in ipairs { "Hello", "x < y", "é\n" } do
      local answer = chat:say(text)
      local list = table.move(chat.messages, 1, 2 * i, 1, {})
      local _, ids = tokenizer:apply_chat_template(list, { add_generation_prompt = true })
      local all = model:generate(ids, { max_new_tokens = 6 })
      assert.equal(tokenizer:decode(table.move(all, #ids + 1, #all, 1, {})), answer)
    end
  end)

  it("takes options of a session and of sampling", function()
    local chat = new_model():chat { cache_dtype = "f16", use_cache = true, top_k = 1, max_new_tokens = 2, top_p = 0.9,
      min_p = 0.1, repetition_penalty = 1.1, temperature = 1 }
    chat:say "Hello"
    assert.equal(2, chat.usage.completion_tokens)
    local seen = 0
    chat:say("a", { process = function() seen = seen + 1 end, on_finish = function(why) seen = seen .. why end })
    assert.equal("2length", seen)
    assert.equal("7", chat:say("a", { grammar = gpt.grammar [[root ::= "7"]] }))
    assert.equal("complete", chat.usage.finish_reason)
  end)
end)

describe("a chat over a model computes nothing twice", function()
  it("from turn to turn", function()
    local model, counts = counted()
    local chat = model:chat { system = "Be brief.", max_new_tokens = 5, stop = false }
    local fed = 0
    for _ = 1, 4 do
      local before = sum(counts)
      chat:say "Hello"
      local usage = chat.usage
      -- All of the prompt, and of the answer all but the last token, which the next turn feeds.
      assert.equal(usage.prompt_tokens - usage.cached_tokens + 4, sum(counts) - before)
      assert.equal(fed, usage.cached_tokens)
      fed = chat.session.length
      assert.equal(usage.prompt_tokens + 4, fed)
    end
  end)

  it("whatever ids the model chose for its answer", function()
    local model = new_model()
    local chat = model:chat { max_new_tokens = 25, temperature = 3, seed = 2, stop = false }
    local kept
    for _ = 1, 3 do
      chat:say "Hello"
      assert.equal(kept or 0, chat.usage.cached_tokens)
      kept = chat.session.length
    end
    -- Had the answers been encoded again, they would be other ids.
    local _, ids = tokenizer:apply_chat_template(table.move(chat.messages, 1, 5, 1, {}), { add_generation_prompt = true })
    assert.not_same(ids, table.move(chat.session:ids(), 1, #ids, 1, {}))
  end)

  it("but what a stop string cuts through", function()
    local chat, heard = scripted({ "The miller", "Yes." }, { stop = "iller" })
    assert.equal("The m", chat:say "Hello")
    chat:say "And?"
    local text = tokenizer:apply_chat_template(table.move(chat.messages, 1, 3, 1, {}), { add_generation_prompt = true })
    assert.equal(text, tokenizer:decode(heard[#heard - #tokenizer:encode "Yes."]))
  end)

  it("after undo, after a changed message, and after reset", function()
    local model, counts = counted()
    local chat = model:chat { system = "Be brief.", max_new_tokens = 3, stop = false }
    chat:say "Hello"
    local one = chat.usage.prompt_tokens
    chat:say "And now?"
    chat:undo()
    local before = sum(counts)
    chat:say "And now?"
    assert.equal(before + 1 + 2, sum(counts)) -- the prompt's last token for its logits, and two of the answer
    chat.messages[2].content = "Hellx"
    chat:undo()
    chat:say "And now?"
    assert.is_true(chat.usage.cached_tokens > 10 and chat.usage.cached_tokens < one)
    chat:reset()
    chat:say "Hello"
    assert.is_true(chat.usage.cached_tokens > 10)
  end)

  it("when somebody has moved its session", function()
    local model = new_model()
    local chat = model:chat { max_new_tokens = 3, stop = false }
    local expected = model:chat { max_new_tokens = 3, stop = false }
    chat:say "Hello"
    expected:say "Hello"
    chat.session:rewind(2)
    chat.session:feed { 1, 2, 3 }
    assert.equal(expected:say "a", chat:say "a")
    assert.equal(2, chat.usage.cached_tokens)
  end)
end)

describe("what does not fit into the context", function()
  it("goes, the oldest turns first, and the instructions stay", function()
    local model = new_model(120)
    local chat = model:chat { system = "Be brief.", max_new_tokens = 8, stop = false }
    for i = 1, 12 do
      local answer = chat:say("Turn " .. i)
      assert.equal("system", chat.messages[1].role)
      assert.equal("Turn " .. i, chat.messages[#chat.messages - 1].content)
      assert.equal(answer, chat.messages[#chat.messages].content)
      assert.is_true(chat.session.length <= 120)
      assert.equal(1 + 2 * i, #chat.messages + #chat.forgotten)
    end
    assert.equal("Turn 1", chat.forgotten[1].content)
    assert.equal("user", chat.messages[2].role)
    -- What the session holds is what stays.
    local list = table.move(chat.messages, 1, #chat.messages - 1, 1, {})
    local text = tokenizer:apply_chat_template(list, { add_generation_prompt = true })
    assert.equal(text, tokenizer:decode(chat.session:ids()):sub(1, #text))
  end)

  it("goes until half of the context is free, so that it is not run again at every turn", function()
    local chat = new_model(200):chat { max_new_tokens = 8, stop = false }
    local ran_again = 0
    for _ = 1, 20 do
      chat:say "Hello, and what is new?"
      if chat.usage.cached_tokens < chat.usage.prompt_tokens / 2 then
        ran_again = ran_again + 1
        assert.is_true(chat.usage.prompt_tokens <= 100)
      end
    end
    assert.is_true(ran_again <= 6, ran_again)
  end)

  it("goes in the middle of an answer, which goes on", function()
    local long = ("and so on "):rep(12)
    local chat = scripted({ "Yes.", "No.", long }, { context_length = 100, system = "Hi." })
    chat:say "Is it?"
    chat:say "Is it not?"
    local count = #tokenizer:encode(long)
    local before = chat.usage.prompt_tokens
    assert.is_true(before + count > 100 and count < 75)
    local answer = chat:say("Go on", { max_new_tokens = 70 })
    assert.equal(long:sub(1, #answer), answer)
    assert.is_true(#chat.forgotten > 0)
    assert.equal("system", chat.messages[1].role)
    assert.equal("Go on", chat.messages[#chat.messages - 1].content)
    assert.equal(answer, chat.messages[#chat.messages].content)
  end)

  it("goes from a session in the middle of an answer", function()
    local chat = new_model(140):chat { system = "Hi.", stop = false }
    chat:say("One", { max_new_tokens = 4 })
    chat:say("Two", { max_new_tokens = 4 })
    local at_first
    for _ in chat:stream "Three" do at_first = at_first or #chat.forgotten end
    assert.equal(0, at_first)
    assert.is_true(#chat.forgotten > 0)
    local list = table.move(chat.messages, 1, #chat.messages - 1, 1, {})
    local text = tokenizer:apply_chat_template(list, { add_generation_prompt = true })
    local all = text .. chat.messages[#chat.messages].content
    local held = tokenizer:decode(chat.session:ids())
    assert.equal(held, all:sub(1, #held))
    assert.is_true(#held > #text)
  end)

  it("ends an answer that fills the context alone", function()
    local chat = new_model(60):chat { stop = false }
    chat:say "Hello"
    assert.equal("length", chat.usage.finish_reason)
    assert.equal(60, chat.usage.prompt_tokens + chat.usage.completion_tokens)
    chat:say "Hello"
    assert.equal(2, #chat.forgotten)
    assert.equal(60, chat.usage.prompt_tokens + chat.usage.completion_tokens)
  end)

  it("is an error with overflow = \"error\", and the chat is as it was", function()
    local model = new_model(90)
    local chat = model:chat { overflow = "error", max_new_tokens = 20, stop = false }
    chat:say "Hello"
    local before, length = roles(chat), chat.session.length
    assert.equal("chat:say: 72 tokens and 20 new ones need a context_length of 92, and this one is 90; overflow = "
      .. '"crop" lets the oldest turns go', raised(chat.say, chat, "Hello"))
    assert.equal(before, roles(chat))
    assert.equal(length, chat.session.length)
    chat:say("Hello", { max_new_tokens = 2 })
    assert.equal(4, #chat.messages)
    local open = model:chat { overflow = "error", stop = false }
    open:say "Hello"
    assert.equal(90, open.usage.prompt_tokens + open.usage.completion_tokens)
  end)

  it("is an error where one turn leaves no room", function()
    local chat = new_model(60):chat {}
    assert.equal("chat:stream: this turn alone has 69 tokens, and a context_length of 60 leaves no room for an answer",
      raised(chat.stream, chat, ("Hello "):rep(10)))
    assert.same({}, chat.messages)
    chat = new_model(100):chat { max_new_tokens = 4, stop = false }
    for _ = 1, 5 do chat:say "Hello" end
    local before, gone = roles(chat), #chat.forgotten
    assert.is_true(gone > 0)
    raised(chat.say, chat, ("Hello "):rep(30))
    assert.equal(before, roles(chat))
    assert.equal(gone, #chat.forgotten)
  end)
end)

describe("an answer that is cut short", function()
  it("by break keeps what was read, and the chat goes on", function()
    local model = new_model()
    local chat = model:chat { max_new_tokens = 20, stop = false }
    local read = ""
    for piece in chat:stream "Hello" do
      read = read .. piece
      if #read > 6 then break end
    end
    assert.equal(read, chat.messages[2].content)
    assert.equal("interrupted", chat.usage.finish_reason)
    local kept = chat.session.length
    chat:say "And?"
    assert.equal(kept, chat.usage.cached_tokens)
    assert.equal("user assistant user assistant", roles(chat))
  end)

  it("by an error keeps it too, whatever the error", function()
    for _, value in ipairs { "stop", { 3 } } do
      local model, armed = new_model(), false
      local steps = 0
      local bomb = gpt.nn.layer("Bomb", { positionwise = true, forward = function(_, x)
        steps = steps + 1
        if armed and steps > 4 then error(value, 0) end
        return x
      end })
      model.final_norm = gpt.nn.Sequential { model.final_norm, bomb() }
      local chat = model:chat { max_new_tokens = 20, stop = false }
      armed = true
      local ok, problem = pcall(chat.say, chat, "Hello")
      assert.is_false(ok)
      if type(value) == "table" then assert.equal(value, problem) end
      assert.equal("user assistant", roles(chat))
      assert.is_true(#chat.messages[2].content > 0)
      armed = false
      chat:say "And?"
      assert.equal("user assistant user assistant", roles(chat))
    end
  end)

  it("before anything came leaves no trace", function()
    local chat = scripted({ "Yes." }, { system = "Hi." })
    local calls = 0
    local function template(list)
      calls = calls + 1
      if calls == 2 then error("no", 0) end
      return "x" .. #list
    end
    local other = scripted({ "Yes." }, { system = "Hi.", template = template, max_new_tokens = 9 }, 399)
    assert.equal("no", select(2, pcall(other.say, other, "a")))
    assert.equal("system", roles(other))
    assert.equal("Yes.", other:say "a")
    for _ in pairs { 1 } do
      local next_piece <const>, _, _, turn = chat:stream "a"
      assert.is_function(next_piece)
      getmetatable(turn).__close(turn)
    end
    assert.equal("system", roles(chat))
    assert.equal("Yes.", chat:say "a")
  end)

  it("is ended by whatever the chat does next", function()
    for _, act in ipairs {
      function(chat) chat:say "b" end, function(chat) chat:undo() end, function(chat) chat:reset() end,
    } do
      local chat = scripted { "It is so.", "Yes." }
      local next_piece = chat:stream "a"
      local first = next_piece()
      local message = chat.messages[2]
      assert.equal(first, message.content)
      act(chat)
      assert.is_nil(next_piece())
      assert.equal(first, message.content)
    end
  end)

  it("can be driven from a coroutine", function()
    local chat = scripted { "It is so." }
    local step = coroutine.wrap(function()
      for piece in chat:stream "a" do coroutine.yield(piece) end
    end)
    local read = {}
    for piece in step do read[#read + 1] = piece end
    assert.equal("It is so.", table.concat(read))
  end)
end)

describe("a conversation", function()
  it("can be taken back, asked again and begun again", function()
    local chat = scripted({ "One.", "Two.", "Three." }, { system = "Hi." })
    chat:say "a"
    chat:say "b"
    assert.equal("b", chat:undo())
    assert.equal("system user assistant", roles(chat))
    assert.equal("Three.", chat:say(chat:undo()))
    assert.equal(chat, chat:reset())
    assert.equal("system", roles(chat))
    assert.is_nil(chat:undo())
  end)

  it("has instructions that may change", function()
    local chat, heard = scripted { "Yes." }
    assert.is_nil(chat.system)
    chat.system = "One"
    assert.equal("One", chat.messages[1].content)
    chat.system = "Two"
    chat:say "a"
    assert.equal("system user assistant", roles(chat))
    local expected = tokenizer:encode("<|im_start|>system\nTwo<|im_end|>", { special = true })
    assert.same(expected, table.move(heard[1], 1, #expected, 1, {}))
    chat.system = nil
    assert.equal("user assistant", roles(chat))
  end)

  it("is saved and loaded, forgotten turns included", function()
    local dir = files.directory()
    local path = dir .. "/chat.json"
    local model = new_model(100)
    local chat = model:chat { system = "Hi.", max_new_tokens = 8, temperature = 1, seed = 1, stop = false }
    for i = 1, 5 do chat:say("Turn \"" .. i) end
    chat.messages[2].content = "a\0b\xFF\xC3"
    chat:save(path)
    local text = files.read(path)
    assert.equal("system", text:match '"role": "(%a+)"')
    local other = model:chat { system = "other" }
    assert.equal(other, other:load(path))
    assert.equal(11, #other.messages)
    assert.equal("Hi.", other.system)
    assert.equal('Turn "1', other.messages[2].content)
    assert.equal("a\u{FFFD}b\u{FFFD}\u{FFFD}", other.messages[2 + #chat.forgotten].content)
    files.write(path, '[{"role": "user"}]')
    assert.equal("chat:load: " .. path .. ": message 1 (user) has no content; it has role", raised(other.load, other, path))
    assert.equal(11, #other.messages)
    files.write(path, "[")
    assert.is_truthy(raised(other.load, other, path):find(path, 1, true))
    files.remove(dir)
    assert.equal(path .. ": No such file or directory", raised(other.load, other, path))
  end)

  it("prints its size and its messages", function()
    local chat = new_model():chat { system = "Be\n\n  brief.", max_new_tokens = 2, stop = false }
    assert.equal("Chat(1 message, 0 of 200 tokens)\n  system: Be brief.", tostring(chat))
    local plain = scripted { "Yes." }
    plain.messages = { { role = "user", content = ("é"):rep(80) }, { role = "assistant", content = { { type = "text", text = "x" },
      { type = "image" } } }, { role = "user", content = "a\27[2Jb" } }
    assert.equal("Chat(3 messages)\n  user: " .. ("é"):rep(44) .. "...\n  assistant: x [image]\n  user: a?[2Jb", tostring(plain))
    for i = 1, 30 do plain.messages[i] = { role = "user", content = "m" .. i } end
    plain.forgotten[1] = {}
    local lines = tostring(plain)
    assert.equal("Chat(30 messages, 1 message forgotten)", lines:match "^[^\n]*")
    assert.is_truthy(lines:find("m10\n  ...\n  user: m21\n", 1, true))
  end)

  it("frees its memory", function()
    local model = new_model()
    local function talk()
      local chat = model:chat { max_new_tokens = 3, stop = false }
      chat:say "Hello"
      for piece in chat:stream "Hello" do if piece then break end end
      pcall(chat.say, chat, ("x"):rep(2000))
    end
    talk()
    collectgarbage()
    collectgarbage()
    local live = gpt.memory().live
    talk()
    collectgarbage()
    collectgarbage()
    assert.equal(live, gpt.memory().live)
  end)
end)

describe("what is wrong with a chat is said", function()
  local model = new_model()

  it("when it begins", function()
    assert.equal("gpt.chat: 'sytem' is neither an option nor a variable of the template; did you mean 'system'?",
      raised(model.chat, model, { sytem = "x" }))
    assert.equal("gpt.chat: options: a table expected, got \"x\"", raised(model.chat, model, "x"))
    assert.equal("gpt.chat: system: a text expected, got 3", raised(model.chat, model, { system = 3 }))
    assert.equal("gpt.chat: messages: message 1 has no role; a message is { role = \"user\", content = \"...\" }",
      raised(model.chat, model, { messages = { {} } }))
    assert.equal("gpt.chat: system: messages begin with a system message already",
      raised(model.chat, model, { system = "x", messages = { { role = "system", content = "y" } } }))
    assert.equal("gpt.chat: temperature: a finite number of at least 0 expected, got -1",
      raised(model.chat, model, { temperature = -1 }))
    assert.equal('gpt.chat: context_length: a whole number of at least 1 expected, got "x"',
      raised(model.chat, model, { context_length = "x" }))
    assert.equal("gpt.chat: tools: a list expected, got 1", raised(model.chat, model, { tools = 1 }))
    assert.equal("gpt.chat: the chat template: line 1: 'if' has no end", raised(model.chat, model, { template = "{% if x %}" }))
    assert.equal("gpt.chat: a model, or a function from ids to logits, expected, got nil", raised(gpt.chat))
    assert.equal("gpt.chat: a model, or a function from ids to logits, expected, got a table; a method is called with a "
      .. "colon: model:chat(...)", raised(gpt.chat, { system = "x" }))
    assert.equal("gpt.chat: a function in place of a model needs the option context_length, the most tokens it takes",
      raised(gpt.chat, print))
    assert.equal("gpt.chat: cache_dtype is for models, and this is a function",
      raised(gpt.chat, print, { context_length = 9, tokenizer = tokenizer, cache_dtype = "f16" }))
    assert.equal("gpt.chat: 'foo' is neither an option nor a variable of the template",
      raised(model.chat, model, { foo = 1, template = function() return "x" end }))
  end)

  it("without a tokenizer or a template", function()
    local bare = new_model()
    bare.tokenizer = nil
    assert.equal("gpt.chat: a string needs a tokenizer, and this model has none; set model.tokenizer or the option tokenizer "
      .. "(gpt.tokenizer(dir) makes one)", raised(bare.chat, bare))
    bare.tokenizer = gpt.tokenizer "spec/fixtures/tokenizer"
    assert.equal("gpt.chat: the tokenizer has no chat template; give one: template = a Jinja template, or a "
      .. "function(messages, options) that returns the text", raised(bare.chat, bare))
    bare.chat_template = "{{ messages[-1].content }}"
    assert.equal(3, #bare:chat { max_new_tokens = 3, stop = false }:say("a", { top_k = 1,
      process = function(logits) logits:fill(0) logits[66] = 9 end }))
  end)

  it("when something is said", function()
    local chat = scripted { "Yes." }
    assert.equal("chat:say: 'temprature' is neither an option nor a variable of the template; did you mean 'temperature'?",
      raised(chat.say, chat, "a", { temprature = 1 }))
    assert.equal("chat:say: 'system' is neither an option nor a variable of the template",
      raised(chat.say, chat, "a", { system = "x" }))
    assert.equal("chat:say: max_new_tokens: a whole number of at least 0 expected, got -1",
      raised(chat.say, chat, "a", { max_new_tokens = -1 }))
    assert.equal('chat:say: a text, or a message such as { role = "tool", content = "..." }, expected, got nil',
      raised(chat.say, chat))
    assert.equal('chat:stream: the message has no role; a message is { role = "user", content = "..." }',
      raised(chat.stream, chat, {}))
    chat.messages[1] = { role = "user" }
    assert.equal("chat:say: chat.messages: message 1 (user) has no content; it has role", raised(chat.say, chat, "a"))
    local turns = scripted({ "Yes." }, { template = "inst", messages = { { role = "user", content = "a" } } })
    assert.equal("chat:say: the chat template: line 1: user and assistant have to take turns", raised(turns.say, turns, "b"))
    assert.equal("user", roles(turns))
    local empty = scripted({ "Yes." }, { template = function() return "" end })
    assert.equal("chat:say: the chat template's text is empty", raised(empty.say, empty, "a"))
  end)

  it("when a field is misspelt", function()
    local chat = scripted { "Yes." }
    assert.equal("a gpt.Chat has no field or method 'mesages'; did you mean 'messages'?",
      raised(function() return chat.mesages end))
    assert.equal("a gpt.Chat has no field 'sistem'; did you mean 'system'?", raised(function() chat.sistem = "x" end))
    assert.equal("a gpt.Chat has no field 'color'; you may set messages and system", raised(function() chat.color = "x" end))
    assert.equal("chat.system: a text expected, got 3", raised(function() chat.system = 3 end))
  end)
end)

describe("SmolLM2-135M-Instruct", function()
  it("makes sense, and computes nothing twice", function()
    local path = os.getenv "LUAGPT_SMOLLM2" -- make chat gets the file
    if not path then return pending "its file is missing: set LUAGPT_SMOLLM2" end
    local model = gpt.load(path)
    local chat = model:chat { max_new_tokens = 30, top_k = 1 }
    local text = model.tokenizer:apply_chat_template({ { role = "user", content = "Hi" } }, { add_generation_prompt = true })
    assert.equal("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
      .. "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", text)
    chat:say "What is the capital of France?"
    local kept = chat.session.length
    assert.equal("The capital of Italy is Rome.", chat:say "And of Italy? One word.")
    assert.equal(kept, chat.usage.cached_tokens)
    assert.equal("stop", chat.usage.finish_reason)
  end)
end)
