-- A model directory as Hugging Face's tools write it.
local core = require "gpt.core"
local mismatch = require "gpt.support.mismatch"
local name_list = require "gpt.support.name_list"
local model_config = require "gpt.huggingface.config"
local families = require "gpt.families"
local build = require "gpt.model_files.build"
local json = require "gpt.support.json"
local validate = require "gpt.support.validate"
local safetensors = require "gpt.safetensors"
local tokenizers = require "gpt.generate.tokenizers"
local warning = require "gpt.support.warning"

local WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"

-- Files that a tokenizer consists of: one of these sets is enough.
local TOKENIZERS = { { "tokenizer.json" }, { "vocab.json", "merges.txt" }, { "encoder.json", "vocab.bpe" } }

local family = families.gpt2
local HEAD, EMBEDDING = family.head.huggingface, family.token_embedding.huggingface

local function exists(dir, name)
  return core._file_exists(dir .. "/" .. name)
end

-- The files that the index names, in order, and which of them holds each tensor.
local function read_index(dir)
  local path = dir .. "/" .. INDEX
  local index = json.read(path)
  local map = json.is_object(index) and index.weight_map
  if not json.is_object(map) then core._raise(path .. ": weight_map is not an object") end
  local names, seen = {}, {}
  for tensor, name in pairs(map) do
    if type(name) ~= "string" or name:find("[/\\%z]") or name:sub(1, 1) == "." then
      core._raise(("%s: weight_map: %s does not name a file of this directory"):format(path, validate.show(tensor)))
    end
    if not seen[name] then names[#names + 1], seen[name] = name, true end
  end
  table.sort(names)
  return names, map
end

local function missing_weights(dir)
  for _, name in ipairs { "pytorch_model.bin", "pytorch_model.bin.index.json" } do
    if exists(dir, name) then
      core._raise(("%s: only %s is there, which is read by running code in it; convert it once in Python: "
        .. "transformers.AutoModelForCausalLM.from_pretrained(dir).save_pretrained(dir)"):format(dir, name))
    end
  end
  core._raise(("%s: no %s and no %s there"):format(dir, WEIGHTS, INDEX))
end

local Weights = {}
Weights.__index = Weights

function Weights:__close()
  for _, file in ipairs(self.files) do file:close() end
end

-- The name that a tensor goes by here: without the family's prefix, and without what PyTorch's and PEFT's wrappers put
-- into names (torch.compile, DataParallel, a model with adapters), one within the other.
local function plain(name)
  local bare = ("." .. name):gsub("%._orig_mod%f[.]", ""):gsub("%.module%f[.]", ""):gsub("^%.base_model%.model%.", ".")
  local prefix = "." .. family.huggingface.prefix
  return bare:sub(1, #prefix) == prefix and bare:sub(#prefix + 1) or bare:sub(2)
end

local function add_entries(weights, file, map)
  for _, entry in ipairs(file.entries) do
    local name = plain(entry.name)
    if weights.entries[name] then
      core._raise(("%s: tensor %s comes twice"):format(file.path, name_list.line { name }))
    end
    if not map or map[entry.name] then weights.entries[name] = entry end
  end
end

-- Opens the directory's safetensors, one file or shards, and collects their tensors by name.
local function open_weights(dir)
  local weights = setmetatable({ files = {}, entries = {}, path = dir .. "/" .. WEIGHTS }, Weights)
  local names, map = { WEIGHTS }, nil
  if not exists(dir, WEIGHTS) then
    if not exists(dir, INDEX) then missing_weights(dir) end
    names, map = read_index(dir)
    weights.path = dir .. "/" .. INDEX
  end
  for i, name in ipairs(names) do
    weights.files[i] = safetensors.open(dir .. "/" .. name)
    add_entries(weights, weights.files[i], map)
  end
  return weights
end

local function is_bias(name)
  return name:find "%.bias$" ~= nil
end

-- The names that are no biases.
local function without_biases(names)
  local rest = {}
  for _, name in ipairs(names) do
    if not is_bias(name) then rest[#rest + 1] = name end
  end
  return rest
end

local LENIENT = "\n  strict = false leaves unexpected tensors out, and takes missing biases for zeros"

-- Holds what the files have against what the config asks for; all that differs comes in one error. Not strict: what is
-- unexpected and biases that are missing do not matter.
local function check_fit(weights, list, config_path, strict)
  local there = {}
  for name, entry in pairs(weights.entries) do
    if not family.huggingface.is_ignored(name) then there[name] = entry end
  end
  local found = mismatch.compare(list, there)
  local missing = without_biases(found.missing)
  local would_do = #missing == 0 and #found.misshaped == 0
  if not strict then found.missing, found.unexpected = missing, {} end
  local text = mismatch.text(found)
  if text then
    core._raise(("%s does not fit %s%s%s"):format(weights.path, config_path, text, would_do and LENIENT or ""))
  end
end

-- Whether two tensors of the files hold the same bytes.
local function same_bytes(a, b)
  return a.dtype == b.dtype and name_list.shape(a.shape) == name_list.shape(b.shape)
    and a.source.file:same(a.offset, b.source.file, b.offset, a.last - a.first)
end

-- The weights have the last word on what the config says of them: a head of their own, query, key and value biases.
local function heed_weights(weights, config, config_path)
  local head, embedding = weights.entries[HEAD], weights.entries[EMBEDDING]
  local function correct(said, found)
    warning("gpt.load: %s says %s, but %s; the weights win", config_path, said, found)
  end
  if config.tie_weights and head and embedding and same_bytes(head, embedding) then
    weights.entries[HEAD] = nil
  elseif config.tie_weights and head then
    config.tie_weights = false
    correct("tie_word_embeddings = true", "lm_head.weight is another than wte.weight")
  elseif not config.tie_weights and not head then
    config.tie_weights = true
    correct("tie_word_embeddings = false", "there is no lm_head.weight")
  end
  if not config.qkv_bias then
    for _, item in ipairs(families.layout(family, config, "huggingface")) do
      local entry = item.role == "qkv_bias" and weights.entries[item.name]
      config.qkv_bias = config.qkv_bias or entry and not safetensors.is_zero(entry) or false
    end
    if config.qkv_bias then correct("qkv_bias = false", "an attn.c_attn.bias is not zero") end
  end
end

local function has_tokenizer(dir)
  for _, names in ipairs(TOKENIZERS) do
    local all = true
    for _, name in ipairs(names) do all = all and exists(dir, name) end
    if all then return true end
  end
  return false
end

-- The directory's tokenizer; or nil, and why it could not be read where there is one.
local function load_tokenizer(dir)
  if not has_tokenizer(dir) then return nil end
  local read, result = pcall(core.tokenizer, dir)
  if read then return result end
  return nil, (tostring(result):gsub("^[^\n]-:%d+: ", "", 1))
end

-- A model takes its tokenizer along. One that cannot be read is a warning, and the reason why string prompts fail.
local function bring_tokenizer(model, dir)
  local tokenizer, problem = load_tokenizer(dir)
  if problem then
    tokenizers.note(model, problem)
    warning("gpt.load: the model comes without its tokenizer: %s", problem)
  end
  model.tokenizer = tokenizer
  return tokenizer
end

local function read_tensor(weights, item, map)
  local entry = weights.entries[item.name]
  return entry and safetensors.read(entry, map) or core.zeros(item.shape)
end

-- @string dir
-- @tparam table options `map`: false copies all weights; `tokenizer`: false leaves it out; `strict`: false leaves
-- unexpected tensors out and takes missing biases for zeros
-- @treturn Model
-- @treturn Tokenizer or nil
return function(dir, options)
  local config_path = dir .. "/" .. CONFIG
  local config = model_config.read(config_path)
  local weights <close> = open_weights(dir)
  heed_weights(weights, config, config_path)
  local list = families.layout(family, config, "huggingface")
  check_fit(weights, list, config_path, options.strict)
  local model = build.empty(config)
  build.fill(model, list, config, function(item) return read_tensor(weights, item, options.map) end)
  local tokenizer = options.tokenizer and bring_tokenizer(model, dir) or nil
  return model:eval(), tokenizer
end
