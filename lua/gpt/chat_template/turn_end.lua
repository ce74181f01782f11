-- The mark with which a template ends the assistant's message, an id or nil. Not all files name it among their end
-- tokens, and without it the model would go on and write the user's next message.
local Marks = require "gpt.chat_template.marks"
local attempt = require "gpt.support.attempt"
local chat_template = require "gpt.chat_template"
local render = require "gpt.chat_template.render"

local WORD = "Quetzalcoatlus" -- which no template has

--- @param template one that find.lua returns
--- @tparam table extra variables of the template
return function(tokenizer, template, extra)
  local marks = Marks.of(tokenizer)
  local request = {
    messages = { { role = "user", content = "Hi" }, { role = "assistant", content = WORD } },
    extra = extra, roles = chat_template.roles(tokenizer), special = true, add_generation_prompt = false,
  }
  local ok, text = attempt(render, "gpt.chat", template, request, marks)
  local behind = ok and text:match(WORD .. "%s*()")
  local mark = behind and marks:at(text, behind)
  return mark and chat_template.encode(tokenizer, mark, {}, false)[1]
end
