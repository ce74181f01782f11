-- Where token ids come from: a text, an array, a tensor, a file of text, a file of tokens. Texts are encoded slice by
-- slice, so that a text may be larger than its ids would be as one Lua table.
local core = require "gpt.core"
local validate = require "gpt.support.validate"

local token_source = {}

local SLICE = 2 ^ 20 // 1
local LONGEST_NAME = 4096
local WIDTHS = { u16 = 2, u32 = 4 }
local EXTENSIONS = { bin = "u16", u16 = "u16", u32 = "u32" }

local function raise(...)
  core._raise(string.format(...))
end

--- The rule of the option dtype.
token_source.dtype = validate.one_of { "u16", "u32" }

--- The rule of the option tokenizer.
function token_source.tokenizer(value)
  local ok, encode = pcall(function() return value.encode end)
  if ok and type(encode) == "function" then return value end
  return nil, "a tokenizer (gpt.tokenizer(dir) makes one)"
end

--- The dtype of a token file: the one that was asked for, or what its name says (.bin and .u16, or .u32); else nil.
function token_source.file_dtype(name, asked)
  return asked or EXTENSIONS[name:match "%.(%w+)$"]
end

--- Bytes of one id of that dtype.
function token_source.width(dtype)
  return WIDTHS[dtype]
end

local function could_be_name(text)
  return #text <= LONGEST_NAME and #text > 0 and not text:find "[%c]"
end

--- What a string is: "tokens" and the dtype, "file" (of text), or "text".
function token_source.kind(text, asked)
  if not could_be_name(text) then
    if asked then raise("dtype is for token files, and this is a text of %d bytes", #text) end
    return "text"
  end
  local dtype = token_source.file_dtype(text, asked)
  if dtype then return "tokens", dtype end
  return core._file_exists(text) and "file" or "text"
end

-- Where a slice may end so that its words are those of the whole text: amid letters or digits and the white space
-- behind them a new word begins, whatever follows.
local function last_cut(text)
  local tail = text:match "^.*%w()[ \n]"
  return tail and tail - 1 or nil
end

-- Passes on pieces of text as larger ones, cut between words.
local function cut_between_words(next_piece, put)
  local rest = ""
  for piece in next_piece do
    rest = rest .. piece
    local cut = #rest >= SLICE and last_cut(rest)
    if cut then
      put(rest:sub(1, cut))
      rest = rest:sub(cut + 1)
    end
  end
  if #rest > 0 then put(rest) end
end

local function encode_slices(next_piece, tokenizer, special, put)
  local options = special and { special = true } or nil
  cut_between_words(next_piece, function(text) put(tokenizer:encode(text, options)) end)
end

local function slices_of(text)
  local at = 1
  return function()
    if at > #text then return nil end
    at = at + SLICE
    return text:sub(at - SLICE, at - 1)
  end
end

local function slices_of_file(name, file)
  return function()
    local piece, problem = file:read(SLICE)
    if not piece and problem then raise("%s: %s", name, problem) end
    return piece
  end
end

local function need_tokenizer(what, source, settings)
  if settings.tokenizer then return settings.tokenizer end
  local hint = could_be_name(source) and #source < 200 and not core._file_exists(source)
    and (", or was %s to be a file? There is none of that name"):format(validate.show(source)) or ""
  return raise("%s: a text needs the option tokenizer (gpt.tokenizer(dir) or gpt.train_tokenizer(text) makes one)%s",
    what, hint)
end

--- Gives a text, what a text file holds, or what a function returns until it is nil, to put, a slice at a time, cut
-- between words.
function token_source.put_slices(what, source, put)
  if type(source) == "function" then return cut_between_words(source, put) end
  if token_source.kind(source) ~= "file" then return cut_between_words(slices_of(source), put) end
  local file <close> = io.open(source, "rb")
  if not file then raise("%s: %s: cannot be read", what, source) end
  cut_between_words(slices_of_file(source, file), put)
end

local function put_text(what, source, settings, put)
  local tokenizer, options = need_tokenizer(what, source, settings), settings.special and { special = true } or nil
  token_source.put_slices(what, source, function(text) put(tokenizer:encode(text, options)) end)
end

local function preceded(first, next_piece)
  return function()
    local piece = first or next_piece()
    first = nil
    return piece
  end
end

local function put_pieces(what, next_piece, settings, put)
  local piece = next_piece()
  if type(piece) == "string" then
    local tokenizer = need_tokenizer(what, "", settings)
    return encode_slices(preceded(piece, next_piece), tokenizer, settings.special, put)
  end
  while piece ~= nil do
    put(piece)
    piece = next_piece()
  end
end

--- Gives all ids of a source to put, an array or a tensor at a time.
-- @string what begins messages
-- @param source a text, the name of a text file, ids, or a function that returns one of these pieces a call, then nil
-- @tparam table settings `tokenizer`, `special`
-- @func put
function token_source.put_all(what, source, settings, put)
  if type(source) == "string" then return put_text(what, source, settings, put) end
  if type(source) == "function" then return put_pieces(what, source, settings, put) end
  if type(source) == "table" or core.is_tensor(source) then return put(source) end
  raise("%s: a text, token ids, or a file's name expected, got %s", what, validate.show(source))
end

return token_source
