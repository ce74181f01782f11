-- One value of each type of userdata that luagpt has, by its type's name.
local core = require "gpt.core"
local gpt = require "gpt"

local one_of_each = {}

--- Values that are alive.
-- @string dir an empty directory
function one_of_each.values(dir)
  local model = gpt.Model(gpt.config("gpt2-small",
    { vocab_size = 7, context_length = 6, emb_dim = 4, n_heads = 2, n_layers = 1 })):eval()
  local tokenizer, grammar, world = gpt.tokenizer "spec/fixtures/tokenizer", gpt.grammar { regex = "a" }, gpt.world()
  local tree = core._token_tree(tokenizer)
  local matcher = core._grammar_matcher(grammar, tree)
  local list = {
    gpt.ones(2), model, model:session(), gpt.optim.AdamW(model), tokenizer, world, grammar, tree, matcher,
    core._grammar_builder "a spec", core._grammar_cursor(matcher, { 1 }), core._tokenizer_trainer(), core._tokens(),
    core._map_file "spec/fixtures/tokenizer/merges.txt", core._directory "spec/fixtures/tokenizer",
    core._file_writer(dir .. "/file"), core._file_set(dir), core._gguf_open "spec/fixtures/gguf/f16.gguf",
    core._sampler({}, "a spec"), core._reducer(world, { gpt.ones(2) }),
  }
  local values = {}
  for _, value in ipairs(list) do values[core._typename(value)] = value end
  return values
end

-- No script gets the first, and the other holds nothing: it is compared with the passes that run.
local NOT_HERE = { ["gpt.JsonDocument"] = true, ["gpt.Pass"] = true }

--- The names of the types that there are, by the registry.
function one_of_each.types()
  local names = {}
  for name, meta in pairs(debug.getregistry()) do
    if type(meta) == "table" and rawget(meta, "ours") and not NOT_HERE[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

return one_of_each
