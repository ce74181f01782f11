-- The mark with which a template ends the assistant's message, an id or nil. Not all files name it among their end
-- tokens, and without it the model would go on and write the user's next message.
local attempt = require "gpt.support.attempt"
local chat_template = require "gpt.chat_template"
local render = require "gpt.chat_template.render"

local WORD = "Quetzalcoatlus" -- which no template has

return function(chat)
  local request = {
    messages = { { role = "user", content = "Hi" }, { role = "assistant", content = WORD } },
    extra = chat._options.extra, roles = chat._roles, special = true, add_generation_prompt = false,
  }
  local ok, text = attempt(render, "gpt.chat", chat._template, request, chat._marks)
  local behind = ok and text:match(WORD .. "%s*()")
  local mark = behind and chat._marks:at(text, behind)
  return mark and chat_template.encode(chat.tokenizer, mark, {}, false)[1]
end
