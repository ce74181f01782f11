--- Datasets of examples: a prompt and its response, a conversation, or a text and its label.
-- @classmod Examples
local batches = require "gpt.support.batches"
local core = require "gpt.core"
local encode = require "gpt.examples.encode"
local known_fields = require "gpt.support.known_fields"
local methods = require "gpt.support.methods"
local raise = require "gpt.support.raise"
local read = require "gpt.examples.read"
local token_source = require "gpt.token_source"
local validate = require "gpt.support.validate"

local Examples = {}
local NIL_FIELDS = { "classes", "context_length", "windows", "stride", "drop_last" }
local metatable = { __name = "gpt.Examples", __index = known_fields.index("a gpt.Examples", Examples, NIL_FIELDS) }

local FIELDS = {
  { "tokenizer", token_source.tokenizer }, { "context_length", validate.whole(1), optional = true },
  { "batch_size", validate.whole(1), optional = true }, { "seed", validate.whole(0), optional = true },
  { "shuffle", validate.boolean, optional = true },
  { "format", validate.a_function "from an example to another", optional = true },
  { "pack", validate.boolean, optional = true },
}
-- Four bytes a token: a list of integers would take sixteen.
local function packed(list)
  local parts = {}
  for i = 1, #list, 200 do
    local n = math.min(200, #list - i + 1)
    parts[#parts + 1] = string.pack("<" .. ("i4"):rep(n), table.unpack(list, i, i + n - 1))
  end
  return table.concat(parts)
end

local function unpacked(bytes)
  local list, n = {}, #bytes // 4
  for i = 1, n do list[i] = string.unpack("<i4", bytes, 4 * i - 3) end
  return list
end

-- Numbers come first, so that the order is one whatever kinds there are together.
local function comes_before(a, b)
  local kind, other = type(a), type(b)
  if kind ~= other and (kind == "number" or other == "number") then return kind == "number" end
  if kind == "number" then return a < b end
  if kind ~= other and tostring(a) == tostring(b) then return kind == "boolean" end
  return core._before(tostring(a), tostring(b))
end

-- Labels count from 0, in the order of their names; numbers in theirs.
local function number_labels(items, places)
  local classes, index = {}, {}
  for i, item in ipairs(items) do
    local label = item.label
    if type(label) ~= "string" and math.type(label) ~= "integer" and type(label) ~= "boolean" then
      raise("gpt.examples: %s: label: a string or a whole number expected, got %s", places[i], validate.show(label))
    end
    if index[label] == nil then classes[#classes + 1], index[label] = label, true end
  end
  table.sort(classes, comes_before)
  for i, class in ipairs(classes) do index[class] = i - 1 end
  for _, item in ipairs(items) do item.label = index[item.label] end
  return classes
end

-- Several examples behind each other in one row, as many as fit, in their order.
local function pack_rows(items, length)
  local rows = {}
  local row = { ids = {}, targets = {} }
  for _, item in ipairs(items) do
    if #row.ids + #item.ids > length and #row.ids > 0 then
      rows[#rows + 1], row = row, { ids = {}, targets = {} }
    end
    table.move(item.ids, 1, #item.ids, #row.ids + 1, row.ids)
    table.move(item.targets, 1, #item.targets, #row.targets + 1, row.targets)
  end
  rows[#rows + 1] = row
  return rows
end

local function encode_all(examples, places, settings)
  local items, form = {}, nil
  for i, example in ipairs(examples) do
    local item, own = encode.example(example, settings, places[i])
    form = form or own
    if own ~= form then
      raise("gpt.examples: %s: this one has %s, and those before have %s: one form for all", places[i], own, form)
    end
    items[i] = item
  end
  return items, form
end

local function count_tokens(items)
  local tokens = 0
  for _, item in ipairs(items) do tokens = tokens + #item.ids // 4 end
  return tokens
end

local function new(items, classes, settings)
  local size = settings.batch_size
  return setmetatable({
    items = items, classes = classes, count = #items, n_batches = (#items + size - 1) // size, batch_size = size,
    seed = settings.seed, shuffle = settings.shuffle, context_length = settings.context_length, epoch = 0,
    tokens = count_tokens(items), settings = settings,
  }, metatable)
end

local function read_settings(options)
  if type(options) ~= "table" then
    raise("gpt.examples: a table of options expected, got %s", validate.show(options))
  end
  local settings, problems = validate.read(options, FIELDS)
  if settings.pack and not settings.context_length then
    problems[#problems + 1] = "pack: needs the option context_length, which rows are filled up to"
  end
  validate.raise("gpt.examples", problems)
  settings.batch_size, settings.seed = settings.batch_size or 8, settings.seed or 0
  if settings.shuffle == nil then settings.shuffle = true end
  return settings
end

--- A dataset of examples, for `gpt.train`, `gpt.evaluate` and loops of one's own.
--
-- An example is a table: `{ prompt = , response = }`: the response, and the end of text, are learned; `{ messages = }`,
-- a conversation through the tokenizer's chat template: what the assistant says is learned; `{ text = , label = }`, for
-- classification. Rows of a batch are padded to the longest; prompts and padding have the target -1, which no loss
-- counts. The order depends on seed and epoch alone, so that `gpt.train` resumes as with `gpt.dataset`.
-- @function gpt.examples
-- @param source a list of examples, or a file: JSON lines (.jsonl), or comma-separated values (.csv) whose first line
-- names the columns
-- @tparam table options `tokenizer`; `batch_size` (8), `seed` (0), `shuffle` (true); `context_length`: what is longer
-- is cut at its end (without it nothing is); `format`: a function from what the source has to an example, as above;
-- `pack` (false): rows of several examples, up to context_length
-- @treturn Examples with the fields `count`, `n_batches`, `tokens`, and `classes`, the labels in order
-- @raise if an example is not of a form, names its file and line; if nothing of it is left to learn; if a conversation
-- has more than about 700 messages, of which every second is the assistant's (each of those is rendered with all before
-- it), or its template writes earlier messages otherwise once others follow
-- @usage local data = gpt.examples({ { prompt = "Cat: ", response = "meow" } }, { tokenizer = tokenizer })
-- for ids, targets in data:batches() do print(ids, targets) end
local function examples(source, options)
  local settings = read_settings(options)
  local list, places = read(source)
  if #list == 0 then
    raise("gpt.examples: %sthere is no example", type(source) == "string" and source .. ": " or "")
  end
  local items, form = encode_all(list, places, settings)
  local classes = form == "label" and number_labels(items, places) or nil
  if settings.pack then
    if classes then raise("gpt.examples: pack: examples with labels are not packed") end
    items = pack_rows(items, settings.context_length)
  end
  for i, item in ipairs(items) do
    items[i] = { ids = packed(item.ids), targets = item.targets and packed(item.targets), label = item.label }
  end
  return new(items, classes, settings)
end

--- Returns one batch of an epoch.
-- @tparam integer epoch from 1
-- @tparam integer i from 1 to n_batches
-- @treturn Tensor ids, i64 [examples, tokens], padded with 0 behind the shorter ones
-- @treturn Tensor targets of the same shape, -1 where nothing is learned; with labels: i64 [examples], from 0
-- @treturn {integer,...} how many tokens each example has
-- @usage local ids, targets, lengths = data:batch(1, 1)
function Examples:batch(epoch, i)
  local ids, targets, lengths, labels = {}, {}, {}, {}
  for n, place in ipairs(batches.places(self, self.count, epoch, i)) do
    local item = self.items[place + 1]
    ids[n] = unpacked(item.ids)
    targets[n], labels[n] = item.targets and unpacked(item.targets), item.label
    lengths[n] = #ids[n]
  end
  local learned = self.classes and core.tensor(labels, { dtype = "i64" }) or core._ids_tensor(targets, -1)
  return core._ids_tensor(ids, 0), learned, lengths
end

--- The batches of one epoch, for `for ... in`. Every call begins the next epoch, in a different order.
-- @function Examples:batches
-- @tparam[opt] table position `epoch`: that epoch instead; `first`: begin with that batch
-- @treturn function iterator of what `batch` returns
-- @usage for ids, targets in data:batches() do print(model:loss(ids, targets)) end
Examples.batches = batches.iterate

--- Two datasets: a share of the examples for training, drawn by the seed, the rest for validation.
-- @tparam[opt=0.9] number share above 0 and below 1
-- @treturn Examples training
-- @treturn Examples validation
-- @usage local training, validation = data:split(0.5)
function Examples:split(share)
  local parts, cut = { {}, {} }, math.floor(self.count * batches.share(share))
  for at = 0, self.count - 1 do
    local part = parts[at < cut and 1 or 2]
    part[#part + 1] = self.items[core._shuffled(at, self.count, self.seed, 1) + 1]
  end
  for i, name in ipairs { "training", "validation" } do
    if #parts[i] == 0 then raise("split: %s: no example of %d is left for it", name, self.count) end
  end
  return new(parts[1], self.classes, self.settings), new(parts[2], self.classes, self.settings)
end

function metatable:__len() return self.n_batches end

function metatable:__tostring()
  local classes = self.classes and ", " .. validate.counted(#self.classes, "class", "classes") or ""
  return ("Examples { %s, %s%s, %s of %d }"):format(validate.counted(self.count, "example", "examples"),
    validate.counted(self.tokens, "token", "tokens"), classes, validate.counted(self.n_batches, "batch", "batches"),
    self.batch_size)
end

methods.check("a gpt.Examples", Examples, metatable)

return examples
