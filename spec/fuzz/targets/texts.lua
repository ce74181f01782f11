-- Texts that are read: templates, grammars, schemas, examples, conversations.
local gpt = require "gpt"
local core = require "gpt.core"
local jinja = require "gpt.jinja"
local tiny = require "spec.fuzz.tiny"

local texts = {}

local MESSAGES = {
  { role = "system", content = "Be brief." }, { role = "user", content = "Hello <|im_end|>\n{{ 7 * 6 }}" },
  { role = "assistant", content = "Hi!", tool_calls = { { id = "a1", type = "function",
    ["function"] = { name = "add", arguments = { a = 1, b = 2.5 } } } } },
  { role = "user", content = { { type = "text", text = "And?" } } },
}

texts.jinja = {
  make = function()
    local variables = { messages = MESSAGES, add_generation_prompt = true, bos_token = "<s>", eos_token = "</s>",
      tools = { { type = "function", ["function"] = { name = "add", parameters = { type = "object" } } } } }
    return function(text)
      local template, problem = jinja.compile(text)
      local out
      if template then
        jinja.names(template)
        out, problem = jinja.render(template, variables, { now = 1e9 })
      end
      if not out then core._raise("the template: " .. problem) end
    end
  end,
}

-- What a grammar allows is begun, and goes on for some tokens.
local function use(grammar)
  tostring(grammar)
  for _, text in ipairs { "", "yes", '{"a": 1}', "[1, 2]", "\u{e9}\xff", "aaaaaaaaaa" } do grammar:matches(text) end
end

local function grammar_of(kind)
  return {
    make = function()
      return function(text) use(gpt.grammar { [kind] = text }) end
    end,
  }
end

texts.gbnf = grammar_of "gbnf"
texts.json_schema = grammar_of "json_schema"
texts.grammar_regex = grammar_of "regex"

texts.examples_jsonl = {
  file = "input.jsonl",
  make = function()
    local tokenizer = tiny.tokenizer()
    local template = "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
    tokenizer.chat_template = template
    return function(path)
      local data = gpt.examples(path, { tokenizer = tokenizer, context_length = 16, batch_size = 2 })
      for ids, targets in data:batches() do ids:bytes(targets:bytes()) end
    end
  end,
}

texts.examples_csv = {
  file = "input.csv",
  make = function()
    local tokenizer = tiny.tokenizer()
    return function(path)
      local data = gpt.examples(path, { tokenizer = tokenizer, context_length = 16, batch_size = 2 })
      for ids in data:batches() do ids:bytes() end
    end
  end,
}

-- Any bytes become ids that stand for the same bytes; and a text may be cut where the tokenizer says so.
texts.text = {
  make = function()
    local tokenizer = tiny.tokenizer()
    return function(text)
      local ids = tokenizer:encode(text, { special = true })
      if tokenizer:decode(ids) ~= text then error { found = "another text" } end
      local cut = core._tokenizer_cut(tokenizer, text, true)
      local head = tokenizer:encode(text:sub(1, cut), { special = true })
      table.move(tokenizer:encode(text:sub(cut + 1), { special = true }), 1, #ids, #head + 1, head)
      if table.concat(head, " ") ~= table.concat(ids, " ") then error { found = "cut at " .. cut } end
    end
  end,
}

texts.chat_file = {
  file = "input.json",
  make = function()
    local read = require("gpt.chat.file").read
    return function(path) read("chat:load", path) end
  end,
}

return texts
