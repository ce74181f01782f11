-- A tokenizer with marks and chat templates, and models that say in a chat what they are told.
local files = require "spec.support.files"
local fixture = require "spec.fixtures.chat"
local gpt = require "gpt"

local chat = { cases = fixture }

--- The tokenizer of the fixture: 400 and 401 are "<|im_start|>" and "<|im_end|>", 404 and 405 "<think>" and "</think>",
--- which are no marks.
function chat.tokenizer(config)
  local dir = files.directory()
  files.copy("spec/fixtures/tokenizer/vocab.json", dir .. "/vocab.json")
  files.copy("spec/fixtures/tokenizer/merges.txt", dir .. "/merges.txt")
  files.write(dir .. "/tokenizer_config.json", config or fixture.config)
  local tokenizer = gpt.tokenizer(dir)
  files.remove(dir)
  return tokenizer
end

--- A function from ids to logits that answers every prompt of the default template with the next of the texts, and then
--- says "<|im_end|>" (or `last`). `heard` has the ids of its calls.
function chat.speaker(tokenizer, texts, last)
  local heard, turn, answer = {}, 0, nil
  local function logits(ids)
    heard[#heard + 1] = table.move(ids, 1, #ids, 1, {})
    if not answer or #ids <= answer.start or #ids - answer.start >= #answer.ids then
      turn = turn % #texts + 1
      answer = { start = #ids, ids = tokenizer:encode(texts[turn]) }
      table.insert(answer.ids, last or 401)
    end
    local row = gpt.full({ 1, tokenizer.vocab_size }, 0.0)
    row[1][answer.ids[#ids - answer.start + 1] + 1] = 9
    return row
  end
  return logits, heard
end

return chat
