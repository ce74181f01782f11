-- A Model made of the tensors of files.
local attempt = require "gpt.support.attempt"
local configs = require "gpt.config"
local core = require "gpt.core"
local extended = require "gpt.support.extended"
local families = require "gpt.families"
local tokenizers = require "gpt.generate.tokenizers"
local warning = require "gpt.support.warning"

local build = {}

local EMBEDDING, HEAD = "token_embedding.weight", "head.weight"

-- The same config with false where it lacks what its family has a default for: checked again, it stays as it is.
local function with_none(config)
  local explicit = extended(config, {})
  for name in pairs(families.of(config).defaults or {}) do
    if explicit[name] == nil then explicit[name] = false end
  end
  return explicit
end

-- A Model whose weights are shapes without memory; those of parts of the family's own have memory that holds anything.
-- @tparam table config with every key
function build.empty(config)
  local explicit = with_none(config)
  local absent = configs.check(explicit, "gpt.load")
  absent.init = "absent"
  -- The parts need not draw weights, because they are set from files.
  return core._undrawn(core._model, absent, families.parts(absent), configs.config(explicit))
end

-- Raises where a model has parameters that its family's files do not have.
-- @string[opt] unplaced their paths
function build.check_places(path, family, unplaced)
  if unplaced then core._raise(("%s: the recipe of %s has no tensor for %s"):format(path, family.title, unplaced)) end
end

-- The parts of one of the files' tensors, as a Model has them: views, where that is possible.
-- @tparam table item of a layout
local function parts_of(item, tensor, config, shapes)
  local whole <close> = item.form and item.form.read(tensor, config) or tensor:detach()
  local parts, first = {}, 1
  for i, path in ipairs(item.paths) do
    local rows = shapes[path] and shapes[path][1] or 0
    parts[i] = whole:narrow(1, first, rows)
    first = first + rows
  end
  return parts
end

local function place_of(model, path)
  local parent, name = path:match("^(.*)%.([^.]+)$")
  return model:find(parent), name
end

local function set_parameter(model, path, tensor)
  local layer, name = place_of(model, path)
  if core._may_hold(layer, name, tensor:dtype()) then return core._set_parameter(layer, name, tensor) end
  local floats <close> = tensor:float()
  core._set_parameter(layer, name, floats)
end

-- Lets go of the handles: what no layer holds, such as a file that was converted, goes at once.
local function free_all(tensor, parts)
  for _, part in ipairs(parts) do part:free() end
  tensor:free()
end

-- Training leaves zeros alone that stand for parameters which the files' model does not have.
local function freeze(model, path)
  local layer, name = place_of(model, path)
  layer[name]:requires_grad(false)
end

-- Gives an empty model its weights.
-- @tparam Model model
-- @tparam {table,...} list the files' layout for it
-- @tparam {[string]={integer,...}} shapes of its parameters
-- @tparam table config the model's
-- @func read returns the tensor of an item of the list
function build.fill(model, list, shapes, config, read)
  for _, item in ipairs(list) do
    if shapes[item.paths[1]] then
      local tensor = read(item)
      local parts = parts_of(item, tensor, config, shapes)
      for i, path in ipairs(item.paths) do
        set_parameter(model, path, parts[i])
        if item.may_miss then freeze(model, path) end
      end
      if config.tie_weights and item.paths[1] == EMBEDDING then set_parameter(model, HEAD, parts[1]) end
      free_all(tensor, parts)
    end
  end
end

-- Whether a tensor is to be a view of its file. Matrices that will be converted are read from the mapping; what stays
-- is copied then, so that the file is let go of. What is copied in another form need not be copied before.
-- @tparam table item of a layout
-- @tparam table options of gpt.load
function build.wants_view(item, options)
  if item.form and item.form.copies then return true end
  return options.map and (options.dtype == nil or options.dtype == "f32" or #item.shape == 2)
end

-- A file's tokenizer; or nil, and why it could not be read.
-- @func read returns the tokenizer, or raises
-- @param source its argument
function build.tokenizer(read, source)
  local done, result = attempt(read, source)
  if done then return result end
  return nil, (tostring(result):gsub("^[^\n]-:%d+: ", "", 1))
end

-- A model takes its tokenizer along. One that could not be read is a warning, and the reason why string prompts fail.
function build.bring_tokenizer(model, tokenizer, problem)
  if problem then
    tokenizers.note(model, problem)
    warning("gpt.load: the model comes without its tokenizer: %s", problem)
  end
  model.tokenizer = tokenizer
end

-- A model takes its chat template along: the tokenizer's, or else what the file has.
function build.bring_template(model, template)
  local tokenizer = model.tokenizer
  model.chat_template = tokenizer and tokenizer.chat_template or template
end

return build
