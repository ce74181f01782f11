--- Sizes on paper: what a config's model takes and costs, without allocating it.
-- @submodule gpt
local count_activations = require "gpt.size.activations"
local format_bytes = require "gpt.support.bytes"
local printed = require "gpt.support.printed"
local config = require "gpt.config"
local core = require "gpt.core"
local families = require "gpt.families"
local validate = require "gpt.support.validate"
local known_fields = require "gpt.support.known_fields"
local neutral = require "gpt.support.neutral"
local of_config = require "gpt.size.of_config"
local of_model = require "gpt.size.of_model"
local part_of = require "gpt.size.part"

local total = part_of.total

local SHOWN = { "f32", "bf16", "f16", "q8_0", "q4_0" }

--- What `gpt.size` returns: `parameters`, `parameters_tied`, `bytes`, `kv_cache_bytes`, `flops` and `parts`; it prints
-- as a table.
-- @classmod Size
-- @usage print(gpt.size("gpt2-small"))

local size = {}

local Parts = { __index = known_fields.index "size.parts" }

local function name_parts(parts)
  for _, part in ipairs(parts) do parts[part.name] = part end
  return setmetatable(parts, Parts)
end

-- The first block, alone.
local function measure_block(c)
  local parts = of_config.block_parts(c, 1)
  local block = total(parts)
  for _, part in ipairs(parts) do block[part.name] = part end
  return block
end

local methods, metatable = {}, nil

-- Sizes of models with parts of their own, whose activations no config tells.
local unknown_activations = setmetatable({}, { __mode = "k" })

local function read_options(who, options, fields)
  if type(options) ~= "table" then
    core._raise(("%s: a table of options expected, got %s"):format(who, validate.show(options)))
  end
  local values, problems = validate.read(options, fields)
  validate.raise(who, problems)
  return values
end

local function check_self(who, self)
  if getmetatable(self) == metatable then return end
  local method = who:match("[^:]+$")
  core._raise(("%s: call it with a colon, as in gpt.size(config):%s{...}"):format(who, method))
end

local TIME_FIELDS = { { "tokens", validate.positive() }, { "flops_per_second", validate.positive() } }

--- Seconds that training takes: 6 x parameters x tokens / flops_per_second, the estimate of Kaplan et al., "Scaling
-- Laws for Neural Language Models", 2020 (2 operations per parameter forward, 4 backward). A token embedding that is
-- not tied to the head is looked up, not multiplied, so the parameters are those of the tied model; for gpt3 that gives
-- the 3.14e23 operations of Brown et al. 2020, table D.1.
-- @function Size:training_time
-- @tparam table options `tokens`: how many to train on; `flops_per_second`: operations per second that the machine
-- really reaches
-- @treturn number seconds
-- @usage local seconds = gpt.size("gpt3"):training_time { tokens = 300e9, flops_per_second = 28e12 }
-- print(seconds // (365.25 * 24 * 3600))  --> 355.0
function methods.training_time(self, options)
  local who = "size:training_time"
  check_self(who, self)
  local values = read_options(who, options, TIME_FIELDS)
  return 6.0 * self.parameters_tied * values.tokens / values.flops_per_second
end

local MEMORY_FIELDS = {
  { "batch_size", validate.whole(1), optional = true },
  { "tokens", validate.whole(1), optional = true },
  { "recompute", validate.boolean, optional = true },
  { "moment_dtype", validate.one_of { "f32", "bf16", "q8" }, optional = true },
}

-- Bytes of a moment of a parameter: in q8 64 numbers share a scale, in blocks of its own.
local function moment_bytes(self, dtype)
  if dtype == "q8" then return self.parameters + self.parameters // 16 end
  return (dtype == "bf16" and 2 or 4) * self.parameters
end

--- Bytes of a training step in float32 with AdamW: weights, a gradient and two moments for each, and the activations:
-- what the forward pass of `model:loss` keeps for the backward pass. These grow with the number of tokens;
-- lua/gpt/size/activations.lua lists them tensor by tensor. `total` is the sum of all four. If most of it is weights,
-- the real peak of a step on one batch is lower, because activations are freed as gradients are made. If most of it is
-- activations (a tiny model, many tokens), the peak is higher, by what the backward pass of one layer needs: by 4% for
-- 4 layers of emb_dim 128, by 9% for 2 layers of 64.
-- @function Size:training_memory
-- @tparam[opt] table options `batch_size` (1) sequences of `tokens` (context_length); `recompute` (false), as
-- `model:recompute` has it; `moment_dtype` ("f32"), as `gpt.optim.AdamW` has it
-- @treturn table `activations`, `parameters`, `gradients`, `moments` and `total`, in bytes
-- @usage print(gpt.size("gpt2-small"):training_memory({ batch_size = 4 }).total / 2^30)
function methods.training_memory(self, options)
  local who = "size:training_memory"
  check_self(who, self)
  local values, c = read_options(who, options == nil and {} or options, MEMORY_FIELDS), self.config
  if unknown_activations[self] then
    core._raise(("%s: this model has parts of its own, and no config says what they keep for the backward pass; "
      .. "gpt.memory().peak has it after a step"):format(who))
  end
  local tokens = values.tokens or c.context_length
  if tokens > c.context_length then
    core._raise(("%s: tokens: at most context_length (%d) expected, got %d"):format(who, c.context_length, tokens))
  end
  local activations = 4.0 * count_activations(c, values.batch_size or 1, tokens, values.recompute)
  activations = math.tointeger(activations) or activations
  local weights, moments = 4 * self.parameters, 2 * moment_bytes(self, values.moment_dtype)
  return printed {
    activations = activations, parameters = weights, gradients = weights, moments = moments,
    total = activations + 2 * weights + moments,
  }
end

local PREFIXES = { "k", "M", "G", "T", "P" }

local function format_operations(operations)
  local prefix = 0
  while prefix < #PREFIXES and operations >= 1000 do operations, prefix = operations / 1000, prefix + 1 end
  if prefix == 0 then return ("%d FLOPs"):format(operations) end
  return neutral.format("%.2f %sFLOPs", operations, PREFIXES[prefix])
end

--- Rows of cells as lines: the first column to the left, the others to the right.
local function align(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  for r, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local padding = (" "):rep(widths[i] - #cell)
      cells[i] = i == 1 and cell .. padding or padding .. cell
    end
    lines[r] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return lines
end

local function part_row(part, name)
  local operations = part.flops and part.flops.forward > 0 and format_operations(part.flops.forward) or ""
  return { name, validate.grouped(part.parameters), "", format_bytes(part.bytes.f32), operations }
end

local function occurrences(part)
  return part.count > 1 and ("%s x %d"):format(part.name, part.count) or part.name
end

function Parts:__tostring()
  local rows = { { "part", "parameters", "", "f32", "forward/token" } }
  for i, part in ipairs(self) do rows[i + 1] = part_row(part, occurrences(part)) end
  return table.concat(align(rows), "\n")
end

local function part_rows(self)
  local rows = { { "part", "parameters", "share", "f32", "forward/token" } }
  local function add(part, name)
    local row = part_row(part, name)
    row[3] = neutral.format("%.1f%%", 100 * part.parameters / self.parameters)
    table.insert(rows, row)
  end
  for _, part in ipairs(self.parts) do
    add(part, part.name == "head" and self.config.tie_weights and "head, tied" or occurrences(part))
  end
  add(self, "total")
  if self.parameters_tied < self.parameters then
    local tied = { parameters = self.parameters_tied, bytes = { f32 = 4 * self.parameters_tied } }
    table.insert(rows, part_row(tied, "total with a tied head"))
  end
  return rows
end

local function summary_rows(self)
  local c, weights = self.config, {}
  for i, dtype in ipairs(SHOWN) do weights[i] = ("%s %s"):format(dtype, format_bytes(self.bytes[dtype])) end
  local tokens = validate.grouped(c.context_length)
  local rows = {
    "weights    " .. table.concat(weights, ", "),
    ("KV cache   %s for %s tokens in f32"):format(format_bytes(self.kv_cache_bytes), tokens),
    ("per token  %s forward, %s in training"):format(
      format_operations(self.flops.forward), format_operations(self.flops.training)),
  }
  if unknown_activations[self] then return rows end
  local step = self:training_memory()
  table.insert(rows, ("training   %s: activations %s, weights, gradients and moments %s, for %s tokens"):format(
    format_bytes(step.total), format_bytes(step.activations), format_bytes(step.total - step.activations), tokens))
  return rows
end

local function format_size(self)
  local c = self.config
  local lines = align(part_rows(self))
  table.insert(lines, 1, ("GPT, n_layers %d, n_heads %d, emb_dim %s, context_length %s, vocab_size %s"):format(
    c.n_layers, c.n_heads, validate.grouped(c.emb_dim), validate.grouped(c.context_length),
    validate.grouped(c.vocab_size)))
  table.insert(lines, 2, "")
  table.insert(lines, "")
  for _, line in ipairs(summary_rows(self)) do table.insert(lines, line) end
  return table.concat(lines, "\n")
end

metatable = { __name = "gpt.Size", __index = known_fields.index("a gpt.Size", methods), __tostring = format_size }

-- Layers of a family's own are known once they are made.
local function check_parts(c)
  local family = families.of(c)
  if not family.parts then return end
  core._raise(("gpt.size: a model of the family %s has layers of its own, which no config describes; "
    .. "gpt.size(model) measures one"):format(validate.show(family.name)))
end

local function size_of_config(given)
  local c = config.check(given, "gpt.size")
  check_parts(c)
  local parts = name_parts(of_config.parts(c))
  local self = total(parts)
  self.parameters_tied = c.tie_weights and self.parameters or self.parameters - parts.head.parameters
  self.parts, self.block, self.config = parts, measure_block(c), c
  return self
end

local function size_of_model(model)
  local c = config.check(model.config, "gpt.size: model.config")
  local parts = name_parts(of_model.parts(model, c))
  local self, block = total(parts), of_model.block_parts(model, c)
  self.parameters_tied = self.parameters - of_model.untied_head(model)
  c.tie_weights = of_model.is_tied(model)
  self.parts, self.config, self.block = parts, c, total(block)
  for _, part in ipairs(block) do self.block[part.name] = part end
  local plain = of_model.is_plain(model, c) and self.parameters == total(of_config.parts(c)).parameters
  if not plain then unknown_activations[self] = true end
  return self
end

--- The size of a config's model, without allocating anything; or of an existing model, with the parts that it has.
-- Prints as a table.
--
-- - `.parameters`, and `.parameters_tied`: with a head that shares the token embedding's matrix
-- - `.bytes`: of the weights, by dtype: `f32`, `f16`, `bf16`, `q8_0`, `q4_0`, `q4_1`, `q5_0`, `q5_1`. Matrices are in
-- that dtype; biases and norms stay f32. Those with a q keep each row in blocks of 32 numbers, from 34 (q8_0) to 18
--   bytes (q4_0) each; a matrix whose rows do not divide into blocks counts as f16, as `model:to` converts it.
-- - `.kv_cache_bytes`: keys and values of one sequence of context_length tokens, in f32: all of them are kept, in
--   layers with a window too
-- - `.flops`: floating-point operations per token, `forward` and `training`. Matrix products alone, a multiplication
--   and an addition counted as two, attention over the whole context, or a layer's window, included (4 x
--   context_length x n_heads x head_dim per layer), and twice the forward pass for the backward pass: Chowdhery et al.,
--   "PaLM", 2022, appendix B.
-- - `.parts`: a list with the same for each part (also by name): `token_embedding`, `position_embedding`,
--   `attention`, `feed_forward` and `norms` (of all layers), `final_norm`, `head`; `.block`: the same for the first
--   transformer block, with its `attention`, `feed_forward` and `norms`. A model whose blocks are not all
-- TransformerBlocks has the part `blocks` instead; matrices of your own layers count as multiplied once per token
-- - `.config`: the config with its defaults filled in
-- - `:training_time{...}`, `:training_memory{...}`
-- @function size
-- @tparam table|string|Model config a config table, the name of a preset, or a model
-- @treturn Size
-- @raise what `gpt.config` raises; for a config of a family with layers of its own (`gpt.family`), whose models have a
-- size
-- @usage print(gpt.size("gpt2-small"))
-- print(gpt.size("gpt2-small").bytes.f32 / 2^20)  --> 621.830...
function size.size(given)
  local self = core._is_model(given) and size_of_model(given) or size_of_config(given)
  return setmetatable(self, metatable)
end

return size
