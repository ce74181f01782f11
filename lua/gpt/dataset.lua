--- Datasets: token ids as windows for training.
-- @classmod Dataset
local batches = require "gpt.support.batches"
local core = require "gpt.core"
local validate = require "gpt.support.validate"
local known_fields = require "gpt.support.known_fields"
local methods = require "gpt.support.methods"
local token_source = require "gpt.token_source"
local raise = require "gpt.support.raise"

local Dataset = {}
local metatable = { __name = "gpt.Dataset", __index = known_fields.index("a gpt.Dataset", Dataset, { "drop_last" }) }

local FIELDS = {
  { "context_length", validate.whole(1) },
  { "stride", validate.whole(1), optional = true },
  { "batch_size", validate.whole(1), optional = true },
  { "seed", validate.whole(0), optional = true },
  { "shuffle", validate.boolean, optional = true },
  { "drop_last", validate.boolean, optional = true },
  { "tokenizer", token_source.tokenizer, optional = true },
  { "special", validate.boolean, optional = true },
  { "dtype", token_source.dtype, optional = true },
  { "map", validate.boolean, optional = true },
}

local function read_tokens(source, settings)
  local read = token_source.read("gpt.dataset", source, settings.dtype)
  if read.kind == "tokens" then
    return core._tokens(read.name, token_source.width(read.dtype), settings.map ~= false)
  end
  for _, name in ipairs { "dtype", "map" } do
    if settings[name] ~= nil then raise("gpt.dataset: %s is for token files", name) end
  end
  local tokens = core._tokens()
  token_source.put_all("gpt.dataset", read, settings, function(ids) tokens:append(ids) end)
  return tokens
end

-- The windows of tokens first .. first + count - 1 (from 0).
local function new(what, tokens, first, count, settings)
  local length = settings.context_length
  if count <= length then
    raise("%s: %s tokens are shorter than one window: context_length %s takes %s, the last one as a target", what,
      validate.grouped(count), validate.grouped(length), validate.grouped(length + 1))
  end
  local windows = (count - length - 1) // settings.stride + 1
  local size = settings.batch_size
  if settings.drop_last and windows < size then
    raise("%s: %s windows are less than one batch of %s, and drop_last leaves that out", what,
      validate.grouped(windows),
      validate.grouped(size))
  end
  return setmetatable({
    tokens = count, windows = windows,
    n_batches = settings.drop_last and windows // size or (windows + size - 1) // size,
    context_length = length, stride = settings.stride, batch_size = size,
    seed = settings.seed, shuffle = settings.shuffle, drop_last = settings.drop_last,
    epoch = 0, store = tokens, first = first, settings = settings,
  }, metatable)
end

--- Token ids cut into windows: window i is the `context_length` tokens from token (i - 1) * stride + 1 on, and its
-- targets are the same, shifted by one token.
--
-- A string that names a file means that file: a token file if its name ends in .bin or .u16 (2 bytes an id) or .u32
-- (4), or if `dtype` is given, else text. A token file is mapped, so it may be larger than memory (`gpt.write_tokens`
-- makes one). Do not truncate it while it is used: reading a page that no longer exists ends the process. `map = false`
-- reads it into memory. If it begins with the header of llm.c's files, the header decides the size of an id. Any other
-- string is the text itself, unless it looks like a file name: a path that begins with `/`, `./`, `../` or `~/`, or one
-- word with a slash or an extension. That is an error; `{ text = "..." }` is always text. A text is encoded in slices,
-- with the same ids as in one piece.
-- @function gpt.dataset
-- @param source a text, a file's name, `{ text = "..." }`, or ids: an array or an i64 tensor [n]
-- @tparam table options `context_length`; `stride` (context_length: windows that do not overlap), `batch_size` (8),
-- `seed` (0) and `shuffle` (true) for the order, `drop_last` (false: a last batch may have fewer windows), `tokenizer`
-- (for texts), `special` (true: special tokens in a text, such as `<|endoftext|>`, become their ids), `dtype` ("u16"
-- or "u32") and `map` (true), for token files
-- @treturn Dataset with the fields `tokens`, `windows`, `n_batches`, and the options
-- @raise if there are fewer tokens than one window takes, or if a string looks like a file name and there is no such
-- file
-- @usage local data = gpt.dataset("book.txt", { tokenizer = tokenizer, context_length = 64 })
-- for ids, targets in data:batches() do print(ids, targets) break end
local function dataset(source, options)
  if type(options) ~= "table" then
    raise("gpt.dataset: a table of options expected, got %s", validate.show(options))
  end
  local settings, problems = validate.read(options, FIELDS)
  validate.raise("gpt.dataset", problems)
  settings.stride = settings.stride or settings.context_length
  settings.batch_size = settings.batch_size or 8
  settings.seed = settings.seed or 0
  if settings.shuffle == nil then settings.shuffle = true end
  local tokens = read_tokens(source, settings)
  return new("gpt.dataset", tokens, 0, tokens.count, settings)
end

--- Returns one batch of an epoch. The order depends on seed and epoch alone, so you can ask for any batch at any time.
-- @tparam integer epoch from 1
-- @tparam integer i from 1 to n_batches
-- @treturn Tensor ids, i64 [windows, context_length]
-- @treturn Tensor targets, of the same shape: the token that follows each
-- @usage local ids, targets = data:batch(1, 3)   -- epoch 1, the third batch
function Dataset:batch(epoch, i)
  local starts = {}
  for k, window in ipairs(batches.places(self, self.windows, epoch, i)) do
    starts[k] = self.first + window * self.stride
  end
  return self.store:windows(starts, self.context_length)
end

--- The batches of one epoch, for `for ... in`. Every call begins the next epoch, in a different order.
-- @function Dataset:batches
-- @tparam[opt] table position `epoch`: that epoch instead; `first`: begin with that batch
-- @treturn function iterator of ids and targets, see `batch`
-- @usage for ids, targets in data:batches() do print(model:loss(ids, targets)) end
Dataset.batches = batches.iterate

--- Two datasets over the same tokens: the first share for training, the rest for validation.
-- @tparam[opt=0.9] number share above 0 and below 1
-- @treturn Dataset training
-- @treturn Dataset validation
-- @usage local training, validation = data:split(0.9)
function Dataset:split(share)
  local cut = math.floor(self.tokens * batches.share(share))
  return new("split: training", self.store, self.first, cut, self.settings),
    new("split: validation", self.store, self.first + cut, self.tokens - cut, self.settings)
end

function metatable:__len()
  return self.n_batches
end

local counted = validate.counted

function metatable:__tostring()
  return ("Dataset { %s tokens, %s of %d, stride %d, %s of %d }"):format(validate.grouped(self.tokens),
    counted(self.windows, "window", "windows"), self.context_length, self.stride,
    counted(self.n_batches, "batch", "batches"), self.batch_size)
end

methods.check("a gpt.Dataset", Dataset, metatable)

return dataset
