-- Where token ids come from: a text, an array, a tensor, a file of text, a file of tokens. Texts are encoded slice by
-- slice, so that a text may be larger than its ids would be as one Lua table.
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local raise = require "gpt.support.raise"

local token_source = {}

local SLICE = 2 ^ 20 // 1
local LONGEST_NAME = 4096
local WIDTHS = { u16 = 2, u32 = 4 }
local EXTENSIONS = { bin = "u16", u16 = "u16", u32 = "u32" }

--- The rule of the option dtype.
token_source.dtype = validate.one_of { "u16", "u32" }

--- The rule of the option tokenizer.
token_source.tokenizer = validate.tokenizer

--- The dtype of a token file: the one that was asked for, or what its name says (.bin and .u16, or .u32); else nil.
function token_source.file_dtype(name, asked)
  return asked or EXTENSIONS[name:match "%.(%w+)$"]
end

--- Bytes of one id of that dtype.
function token_source.width(dtype)
  return WIDTHS[dtype]
end

local function could_be_name(text)
  return #text <= LONGEST_NAME and #text > 0 and not text:find "[\0-\31\127]"
end

-- A path from a root, here or home; or one word with a slash, or with an extension that has a letter in it.
local function looks_like_name(text)
  if text:find "^%.?%.?/" or text:find "^~/" then return true end
  if text:find " " then return false end
  local extension = text:match "[^/]%.(%w+)$"
  return text:find("/", 1, true) ~= nil or extension ~= nil and #extension <= 8 and extension:find "%a" ~= nil
end

local function refuse_name(what, name)
  local quoted = validate.show(name)
  if core._files_forbidden() then
    raise("%s: %s: files are forbidden in this Lua state (gpt.forbid_files)", what, name)
  end
  raise("%s: no file is called %s; a text that reads like a name is given as { text = %s }", what, quoted, quoted)
end

-- A string: the name of a token file or of a text file, or a text.
local function read_string(what, text, asked)
  if not could_be_name(text) then
    if asked then raise("%s: dtype is for token files, and this is a text of %d bytes", what, #text) end
    return { kind = "text", text = text }
  end
  if asked then return { kind = "tokens", name = text, dtype = asked } end
  if core._file_exists(text) then
    local dtype = token_source.file_dtype(text)
    return { kind = dtype and "tokens" or "file", name = text, dtype = dtype }
  end
  if looks_like_name(text) then refuse_name(what, text) end
  return { kind = "text", text = text }
end

local function read_text_table(what, given, asked)
  local values, problems = validate.read(given, { { "text", function(value)
    if type(value) == "string" then return value end
    return nil, "a string"
  end } })
  validate.raise(what, problems)
  if asked then raise("%s: dtype is for token files, and this is a text of %d bytes", what, #values.text) end
  return { kind = "text", text = values.text }
end

--- What a source is: a table with its `kind`: "text" (`text`), "file" (of text: `name`), "tokens" (a token file:
-- `name`, `dtype`), "pieces" (`next`, a function) or "ids" (`ids`, an array or a tensor).
-- @string what begins messages
-- @param source as users give it: a string that could be a file's name and is one is that file; one that looks like a
-- name and is none is an error; `{ text = ... }` is a text for sure
-- @string[opt] asked the dtype that makes any file a token file
function token_source.read(what, source, asked)
  if type(source) == "string" then return read_string(what, source, asked) end
  if type(source) == "function" then return { kind = "pieces", next = source } end
  if core.is_tensor(source) then return { kind = "ids", ids = source } end
  if type(source) ~= "table" then
    raise("%s: a text, token ids, or a file's name expected, got %s", what, validate.show(source))
  end
  if source.text ~= nil then return read_text_table(what, source, asked) end
  return { kind = "ids", ids = source }
end

-- Where a text may be cut between words, for tokenizers that are not ours: amid letters or digits and the white space
-- behind them a new word begins, whatever follows. 0 where there is no such place.
local function between_words(text)
  local tail = text:match "^.*[0-9A-Za-z]()[ \n]"
  return tail and tail - 1 or 0
end

-- Where a text may be cut so that the ids of its slices are those of the whole.
local function cutter(tokenizer, special)
  if core._typename(tokenizer) ~= "gpt.Tokenizer" then return between_words end
  return function(text) return core._tokenizer_cut(tokenizer, text, special) end
end

local function slices_of(text)
  local at = 1
  return function()
    if at > #text then return nil end
    at = at + SLICE
    return text:sub(at - SLICE, at - 1)
  end
end

local function slices_of_file(file)
  local at, size = 0, file.size
  return function()
    if at >= size then return nil end
    local piece = file:bytes(at, math.min(SLICE, size - at))
    at = at + #piece
    return piece
  end
end

-- Joins pieces to slices and gives these to put, each cut where `cut` allows it. Where it allows none, twice as much is
-- gathered, so that a text without a cut is not searched again for every piece.
local function put_slices(next_piece, cut, put)
  local parts, size, wanted = {}, 0, SLICE
  for piece in next_piece do
    parts[#parts + 1], size = piece, size + #piece
    if size >= wanted then
      local text = table.concat(parts)
      local at = cut(text)
      if at > 0 then put(text:sub(1, at)) end
      parts, size = { text:sub(at + 1) }, #text - at
      wanted = at > 0 and SLICE or 2 * size
    end
  end
  if size > 0 then put(table.concat(parts)) end
end

-- What a function of pieces returns, in slices; every piece has to be a string.
local function slices_of_pieces(what, next_piece)
  local number, rest = 0, nil
  return function()
    local slice = rest and rest()
    while not slice do
      local piece = next_piece()
      if piece == nil then return nil end
      number = number + 1
      if type(piece) ~= "string" then
        raise("%s: piece %d: a string expected, got %s", what, number, validate.show(piece))
      end
      rest = slices_of(piece)
      slice = rest()
    end
    return slice
  end
end

local function put_file(name, cut, put)
  local file <close> = core._map_file(name) -- read, not mapped; a FIFO or a device is an error, not a wait
  put_slices(slices_of_file(file), cut, put)
end

local function put_texts(what, source, cut, put)
  if source.kind == "pieces" then return put_slices(slices_of_pieces(what, source.next), cut, put) end
  if source.kind == "file" then return put_file(source.name, cut, put) end
  if source.kind == "tokens" then
    raise("%s: %s is a file of token ids, by its name, and a text is expected", what, validate.show(source.name))
  end
  put_slices(slices_of(source.text), cut, put)
end

--- Gives a text, what a text file holds, or what a function returns until it is nil, to put, a slice at a time, cut
-- between words.
function token_source.put_slices(what, source, put)
  local read = token_source.read(what, source)
  if read.kind == "ids" then
    raise("%s: a text or a text file's name expected, got %s", what, validate.show(source))
  end
  put_texts(what, read, between_words, put)
end

local function need_tokenizer(what, text, settings)
  if settings.tokenizer then return settings.tokenizer end
  local hint = text and could_be_name(text) and #text < 200
    and (", or was %s meant as a file? There is none of that name"):format(validate.show(text)) or ""
  return raise("%s: a text needs the option tokenizer (gpt.tokenizer(dir) or gpt.train_tokenizer(text) makes one)%s",
    what, hint)
end

local function put_encoded(what, source, settings, put)
  local tokenizer, special = need_tokenizer(what, source.text, settings), settings.special ~= false
  local options = { special = special }
  put_texts(what, source, cutter(tokenizer, special), function(text) put(tokenizer:encode(text, options), #text) end)
end

local function preceded(first, next_piece)
  return function()
    local piece = first or next_piece()
    first = nil
    return piece
  end
end

-- Pieces are all texts, or all ids.
local function put_pieces(what, next_piece, settings, put)
  local piece = next_piece()
  if type(piece) == "string" then
    return put_encoded(what, { kind = "pieces", next = preceded(piece, next_piece) }, settings, put)
  end
  local number = 1
  while piece ~= nil do
    if type(piece) ~= "table" and not core.is_tensor(piece) then
      raise("%s: piece %d: %s expected, got %s", what, number, number == 1 and "a text or token ids" or "token ids",
        validate.show(piece))
    end
    put(piece)
    piece, number = next_piece(), number + 1
  end
end

local IDS = 65536 -- of a token file at a time

--- Gives all ids of a token file to put, as tensors.
function token_source.put_tokens(source, put)
  local tokens <close> = core._tokens(source.name, WIDTHS[source.dtype], true)
  local at = 0
  while at < tokens.count - 1 do
    local ids, targets = tokens:windows({ at }, math.min(IDS, tokens.count - 1 - at))
    put(ids[1])
    at = at + #ids[1]
    if at == tokens.count - 1 then put(targets[1]:narrow(1, -1, 1)) end -- a window has a target behind it
    ids:free()
    targets:free()
  end
end

--- Gives all ids of a source to put, an array or a tensor at a time, of a text also the bytes that they stand for. The
-- ids of a text are those of the whole, however it is cut into slices.
-- @string what begins messages
-- @tparam table source as `token_source.read` returns it; a function's pieces may be texts or ids
-- @tparam table settings `tokenizer`, `special` (true)
-- @func put
function token_source.put_all(what, source, settings, put)
  if source.kind == "ids" then return put(source.ids) end
  if source.kind == "pieces" then return put_pieces(what, source.next, settings, put) end
  return put_encoded(what, source, settings, put)
end

return token_source
