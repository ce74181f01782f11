-- Models that say what they are told: functions from ids to logits, and a tokenizer whose tokens are easy to see.
local gpt = require "gpt"

local script = {}

--- A tokenizer: ids 0 to 255 are bytes, 256 is the end of text, and from 257 on come the words given.
function script.tokenizer(words)
  local tokenizer = { eos = 256, vocab_size = 257 + #words }
  function tokenizer.encode(_, text) return { text:byte(1, -1) } end
  function tokenizer.decode(_, ids)
    local out = {}
    for i, id in ipairs(ids) do
      out[i] = id < 256 and string.char(id) or id == 256 and "<|endoftext|>" or words[id - 256]
    end
    return table.concat(out)
  end
  return tokenizer
end

--- A function whose greedy continuation of a prompt of `start` tokens is the list of ids. It counts its calls.
function script.says(ids, start, vocab_size)
  local calls = { count = 0 }
  return function(seen)
    calls.count = calls.count + 1
    local logits = gpt.zeros(#seen, vocab_size)
    logits[#seen][ids[#seen - start + 1] + 1] = 5
    return logits
  end, calls
end

--- A function whose logits depend on every id it is given, and on where it stands.
function script.mixes(vocab_size)
  return function(seen)
    local rows, sum = {}, 0
    for t, id in ipairs(seen) do
      sum = sum + (id + 1) * t * 0.7
      rows[t] = {}
      for v = 1, vocab_size do rows[t][v] = 2 * math.sin(sum + v * v) end
    end
    return gpt.tensor({ rows })
  end
end

return script
