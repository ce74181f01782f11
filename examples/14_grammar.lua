-- 14. Output that a program can use: a grammar decides which tokens may come next.
local gpt = require "gpt"

-- Something small to learn: notes on animals, half of them as JSON, half as prose.
gpt.seed(7)
local animals = { { "owl", 2, "flies" }, { "fox", 4, "runs" }, { "bee", 6, "hums" }, { "eel", 0, "swims" } }
local lines = {}
for i = 1, 300 do
  local name, legs, does = table.unpack(animals[i % #animals + 1])
  lines[2 * i - 1] = ('Note: {"name": "%s", "legs": %d, "does": "%s"}\n'):format(name, legs, does)
  lines[2 * i] = ("Note: the %s has %d legs and %s\n"):format(name, legs, does)
end
local text = table.concat(lines)
local tokenizer = gpt.train_tokenizer({ text = text }, { vocab_size = 300 })
local model = gpt.Model {
  vocab_size = tokenizer.vocab_size, context_length = 64, emb_dim = 32, n_heads = 4, n_layers = 2, drop_rate = 0,
  qkv_bias = false,
}
model.tokenizer = tokenizer
local data = gpt.dataset({ text = text }, { tokenizer = tokenizer, context_length = 32, batch_size = 16 })
gpt.train { model = model, data = data, steps = 120, lr = 5e-3, progress = false }

-- By itself the model writes either kind of note.
for seed = 1, 3 do
  local note = model:generate("Note:", { max_new_tokens = 20, temperature = 1, seed = seed, stop = "\n" })
  io.write("free:    ", note, "\n")
end

-- A grammar in llama.cpp's notation, of which only tokens that go on are drawn. A value of gpt.grammar may be used many
-- times and by many conversations, which share what was worked out.
local sentence = gpt.grammar [[
  root   ::= " the " animal " has " [0-9] " legs" ("." | " and " [a-z]{3,5} ".")
  animal ::= "owl" | "fox" | "bee" | "eel"
]]
for seed = 1, 3 do
  io.write("grammar: ", model:generate("Note:", { grammar = sentence, temperature = 1, seed = seed }), "\n")
end

-- A JSON schema becomes a grammar, too: what comes out parses and matches the schema, however wild the temperature.
local record = gpt.grammar {
  json_schema = [[{
    "type": "object",
    "properties": {
      "name": { "enum": ["owl", "fox", "bee", "eel"] },
      "legs": { "type": "integer", "minimum": 0, "maximum": 8 },
      "does": { "type": "string", "maxLength": 6 }
    },
    "required": ["name", "legs", "does"]
  }]],
}
local passes = 0
local function count() passes = passes + 1 end
for seed = 1, 3 do
  local note = model:generate("Note: ", { grammar = record, temperature = 3, seed = seed, process = count })
  io.write("schema:  ", note, "\n")
  assert(record:matches(note:sub(#"Note: " + 1)))
end

-- Names of properties, and all else that can be written in one way only, take no pass of the model. `process` is called
-- for each token that is drawn: it sees and may change the logits.
local ids = tokenizer:encode '{"name": "owl", "legs": 2, "does": "flies"}'
passes = 0
model:generate("Note: ", { grammar = record, process = count })
print(("%d tokens in %d passes"):format(#ids, passes))
assert(passes < #ids)

-- A regular expression matches as a whole; on_finish tells whether it came to its end.
print(model:generate("Note: the fox has ", {
  grammar = { regex = "\\d legs and (runs|swims)" }, on_finish = function(reason) print("ended: " .. reason) end,
}))
