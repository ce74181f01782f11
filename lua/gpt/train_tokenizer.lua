--- gpt.train_tokenizer: a tokenizer learned from text.
-- @submodule gpt
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local token_source = require "gpt.token_source"

local FIELDS = { { "vocab_size", validate.whole(257) }, { "min_frequency", validate.whole(1), optional = true } }

--- Trains a byte-level BPE tokenizer (Sennrich et al. 2016, arXiv:1508.07909) on text.
--
-- Ids 0 to 255 are the bytes in GPT-2's order, then come the merges in the order in which they were learned, and last
-- `<|endoftext|>`; in the text this mark separates documents, and no merges are learned from it. The same text always
-- gives the same tokenizer: of equally frequent pairs the one of the lowest ids is merged first, as by Hugging Face's
-- trainer. `tokenizer:save(dir)` writes files that Hugging Face's tools read.
-- @function train_tokenizer
-- @param text the text, the name of a text file, `{ text = "..." }` (see `gpt.dataset`), or a function that returns the
-- next piece of text at every call, and nil at the end
-- @tparam table options `vocab_size`, `<|endoftext|>` included (257 or more; if the text has too few pairs, the
-- tokenizer has fewer tokens); `min_frequency` (1): rarer pairs are not merged
-- @treturn Tokenizer
-- @usage local tokenizer = gpt.train_tokenizer("book.txt", { vocab_size = 8000 })
return function(text, options)
  local what = "gpt.train_tokenizer"
  if type(options) ~= "table" then
    core._raise(("%s: a table of options expected, got %s"):format(what, validate.show(options)))
  end
  local given, problems = validate.read(options, FIELDS)
  validate.raise(what, problems)
  local trainer <close> = core._tokenizer_trainer()
  token_source.put_slices(what, text, function(slice) trainer:add(slice) end)
  local tokenizer = trainer:finish(given.vocab_size, given.min_frequency or 1)
  return tokenizer
end
