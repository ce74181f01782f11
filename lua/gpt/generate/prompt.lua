-- The forms a prompt may have, and results of the same form.
--
-- A prompt becomes { rows = { { ids = {...}, text = string or nil }, ... }, form = ... }, form being "ids", "text" or
-- "tensor" for one prompt, "list" or "tensors" for several (a list's rows each have a form of their own).
local core = require "gpt.core"
local printed = require "gpt.support.printed"
local validate = require "gpt.support.validate"
local raise = require "gpt.support.raise"

local tokenizers = require "gpt.generate.tokenizers"
local items = require "gpt.support.items"

local prompt = {}

-- name: how messages call this prompt, "gpt.generate: prompt" or "gpt.generate: prompt 2"
local function check_ids(name, list, vocab)
  local ids = {}
  for i, value in items(list) do
    local id = type(value) == "number" and math.tointeger(value)
    if not id then raise("%s: a token id expected at position %d, got %s", name, i, validate.show(value)) end
    if id < 0 or vocab and id >= vocab then
      local of = vocab and (" of %d (0 to %d)"):format(vocab, vocab - 1) or ": ids start at 0"
      raise("%s: id %d at position %d is not in the vocabulary%s", name, id, i, of)
    end
    ids[i] = id
  end
  if #ids == 0 then raise("%s is empty: at least one token is needed to go on from", name) end
  return ids
end

local function read_text(name, text, model)
  if not model.tokenizer then
    raise("%s: %s", name, tokenizers.missing(model.model, nil, "give token ids"))
  end
  local ids = model.tokenizer:encode(text, { special = model.special, bos = true })
  return { form = "text", text = text, ids = check_ids(name, ids, model.vocab_size) }
end

local function read_tensor(name, tensor, model)
  local dtype, shape = tensor:dtype(), tensor:shape()
  if dtype ~= "i64" or #shape < 1 or #shape > 2 then
    raise("%s: an i64 tensor of shape [tokens] or [batch, tokens] expected, got %s of shape [%s]", name, dtype,
      table.concat(shape, ", "))
  end
  local lists = tensor:totable()
  if #shape == 1 then return { form = "tensor", ids = check_ids(name, lists, model.vocab_size) } end
  local rows = {}
  for i, list in ipairs(lists) do
    rows[i] = { form = "tensor", ids = check_ids(("%s %d"):format(name, i), list, model.vocab_size) }
  end
  if #rows == 0 then raise("%s is empty: at least one token is needed to go on from", name) end
  return { form = "tensors", rows = rows }
end

local function read_one(name, value, model)
  if type(value) == "string" then return read_text(name, value, model) end
  if core.is_tensor(value) then return read_tensor(name, value, model) end
  if type(value) == "table" then return { form = "ids", ids = check_ids(name, value, model.vocab_size) } end
  return raise("%s: token ids, a string, or a list of either expected, got %s", name, validate.show(value))
end

local function is_list(value)
  local first = type(value) == "table" and value[1]
  return type(first) == "table" or type(first) == "string" or core.is_tensor(first)
end

-- model: { model, tokenizer, vocab_size, special }; all but the first may be nil. role: what messages call it.
function prompt.read(what, value, model, role)
  local name = what .. ": " .. (role or "prompt")
  if not is_list(value) then
    local one = read_one(name, value, model)
    return one.rows and one or { form = one.form, rows = { one } }
  end
  local rows = {}
  for i, each in items(value) do
    rows[i] = read_one(("%s %d"):format(name, i), each, model)
    if rows[i].rows then raise("%s %d: one prompt expected, got a tensor of several", name, i) end
  end
  return { form = "list", rows = rows }
end

local function joined(row, output)
  if row.form == "text" then return row.text .. output:text() end
  local ids = table.move(output.ids, 1, #output.ids, #row.ids + 1, table.move(row.ids, 1, #row.ids, 1, {}))
  if row.form == "tensor" then return core.tensor(ids, { dtype = "i64" }) end
  return printed(ids)
end

-- Rows of one length make one tensor; others stay a list of tensors.
local function stacked(results)
  for i = 2, #results do
    if #results[i] ~= #results[1] then return results end
  end
  return core.stack(results, 1)
end

-- The prompt followed by what its rows' outputs hold, in the prompt's form; and the log probabilities likewise.
function prompt.joined(read, outputs)
  local results, logprobs = {}, {}
  for i, row in ipairs(read.rows) do
    results[i], logprobs[i] = joined(row, outputs[i]), outputs[i].logprobs
  end
  if read.form == "list" then return printed(results), printed(logprobs) end
  if read.form == "tensors" then return stacked(results), logprobs end
  return results[1], logprobs[1] and printed(logprobs[1])
end

return prompt
