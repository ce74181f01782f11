--- gpt.write_tokens: files of token ids, as training tools write and read them.
-- @submodule gpt
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local token_source = require "gpt.token_source"

local FIELDS = {
  { "dtype", token_source.dtype, optional = true },
  { "tokenizer", token_source.tokenizer, optional = true },
  { "special", validate.boolean, optional = true },
}

--- Writes a token file: raw little-endian numbers, 2 bytes each (`u16`, the form of nanoGPT's .bin files) or 4 (`u32`).
-- The source is read and written piece by piece, so it may be larger than memory; the file appears whole or not at all.
-- @function write_tokens
-- @string file the file to write; its name decides the dtype: .bin and .u16, or .u32
-- @param source a text, the name of a text file, `{ text = "..." }` (see `gpt.dataset`), an array or i64 tensor of ids,
-- or a function that returns the next piece, text or ids, at every call, and nil at the end
-- @tparam[opt] table options `tokenizer` (for texts), `special` (true: special tokens in a text, such as
-- `<|endoftext|>`, become their ids), `dtype` ("u16" or "u32")
-- @treturn integer how many tokens were written
-- @raise if an id does not fit the dtype, or if the file cannot be written
-- @usage gpt.write_tokens("train.bin", "book.txt", { tokenizer = gpt.tokenizer "gpt2" })
return function(file, source, options)
  local what = "gpt.write_tokens"
  validate.file_name(what, file)
  local settings, problems = validate.read(validate.options(what, options), FIELDS)
  validate.raise(what, problems)
  local dtype = token_source.file_dtype(file, settings.dtype)
  if not dtype then
    core._raise(('%s: %s: a name that ends in .bin, .u16 or .u32, or the option dtype ("u16" or "u32") expected')
      :format(what, file))
  end
  local width, count = token_source.width(dtype), 0
  local read = token_source.read(what, source)
  local writer <close> = core._file_writer(file)
  token_source.put_all(what, read, settings, function(ids)
    local bytes = core._pack_ids(ids, width)
    writer:write(bytes)
    count = count + #bytes // width
  end)
  writer:commit()
  return count
end
