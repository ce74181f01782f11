-- A context and what continues it, as token ids: white space at the context's end belongs to the continuation, whose
-- tokens are those that the text of both has behind the context's. (lm-evaluation-harness does the same, so that
-- numbers compare.)
local tokenizers = require "gpt.generate.tokenizers"

local pair = {}

-- Python's white space, beside ASCII's.
local SPACES = { [0x85] = true, [0xA0] = true, [0x1680] = true, [0x2028] = true, [0x2029] = true, [0x202F] = true,
  [0x205F] = true, [0x3000] = true }

local function is_space(code)
  return code == 32 or code >= 9 and code <= 13 or code >= 28 and code <= 31 or SPACES[code]
    or code >= 0x2000 and code <= 0x200A
end

--- Where the white space at the end of a text begins.
function pair.space_at_end(text)
  local at = #text + 1
  while at > 1 do
    local before = utf8.offset(text, -1, at)
    if not utf8.len(text, before, before) or not is_space(utf8.codepoint(text, before)) then break end
    at = before
  end
  return at
end

-- What a continuation of nothing follows: the token that begins texts, or else the one that ends them.
local function start_of(tokenizer)
  return { tokenizers.start(tokenizer) or tokenizer.eos }
end

--- @param tokenizer
--- @string context
--- @string continuation
--- @tparam table settings `special`, `bos`
--- @treturn {integer,...} ids of the context; at least one, if the tokenizer has one that begins or ends texts
--- @treturn {integer,...} ids of the continuation
function pair.encode(tokenizer, context, continuation, settings)
  local options = { special = settings.special ~= false, bos = settings.bos ~= false }
  local cut = pair.space_at_end(context)
  context, continuation = context:sub(1, cut - 1), context:sub(cut) .. continuation
  if context == "" then return start_of(tokenizer), tokenizer:encode(continuation, { special = options.special }) end
  local before, both = tokenizer:encode(context, options), tokenizer:encode(context .. continuation, options)
  return before, table.move(both, #before + 1, #both, 1, {})
end

return pair
