-- Writes the fuzzer's seeds into spec/fuzz/corpus, from our own models and writers:
--   lua5.4 spec/fuzz/make_corpus.lua
-- Inputs that fuzzing found lie beside them, under names that do not begin with "seed-", and stay.
package.path = "lua/?.lua;lua/?/init.lua;?.lua;" .. package.path
local gpt = require "gpt"
local gguf = require "spec.support.gguf"
local tiny = require "spec.fuzz.tiny"

local CORPUS = "spec/fuzz/corpus/"
local scratch = os.tmpname()
os.remove(scratch)

local counts = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function run(command) assert(os.execute(command)) end

local function seed(target, text)
  counts[target] = (counts[target] or 0) + 1
  if counts[target] == 1 then run(("mkdir -p %s%s && rm -f %s%s/seed-*"):format(CORPUS, target, CORPUS, target)) end
  local file = assert(io.open(("%s%s/seed-%02d"):format(CORPUS, target, counts[target]), "wb"))
  file:write(text)
  file:close()
end

local function seeds(target, list)
  for _, text in ipairs(list) do seed(target, text) end
end

-- The files of a directory as one input.
local function parts(dir, names)
  local list = {}
  for _, name in ipairs(names) do list[#list + 1] = "==== " .. name .. "\n" .. read(dir .. "/" .. name) end
  return table.concat(list, "\n")
end

local function part(name, text) return "==== " .. name .. "\n" .. text .. "\n" end

-- Tokenizers -----------------------------------------------------------------------------------------------------------

local function tokenizer_json(fields)
  return ([[{"version":"1.0","truncation":null,"padding":null,"added_tokens":[%s],"normalizer":%s,"pre_tokenizer":%s,
"post_processor":%s,"decoder":%s,"model":{"type":"BPE","dropout":null,"unk_token":%s,"continuing_subword_prefix":null,
"end_of_word_suffix":null,"fuse_unk":%s,"byte_fallback":%s,"ignore_merges":%s,"vocab":%s,"merges":%s}}]]):format(
    fields.added or "", fields.normalizer or "null", fields.pre or "null", fields.post or "null",
    fields.decoder or "null", fields.unk or "null", fields.fuse or "false", fields.fallback or "false",
    fields.ignore or "false", fields.vocab, fields.merges)
end

local ADDED = '{"id":%d,"content":"%s","single_word":%s,"lstrip":%s,"rstrip":%s,"normalized":%s,"special":%s}'
-- All bytes, and some merges, as GPT-2's files write them.
run("mkdir -p " .. scratch)
gpt.train_tokenizer(("Hello hello all, hello all aa\n"):rep(3), { vocab_size = 265 }):save(scratch)
local BYTES = read(scratch .. "/vocab.json"):gsub("%s+", "")
local MERGES_TEXT = read(scratch .. "/merges.txt")
local LINES = MERGES_TEXT:gsub("^#[^\n]*\n", "")
local MERGES = "[" .. LINES:gsub("(%S+) (%S+)\n", '["%1","%2"],'):gsub(",$", "") .. "]"
local TOKENS = {}
for token, id in BYTES:gmatch '"([^"\\]*\\?"?\\?)":(%d+)' do TOKENS[id + 1] = token:gsub("\\(.)", "%1") end
local MERGE_LIST = {}
for line in LINES:gmatch "[^\n]+" do MERGE_LIST[#MERGE_LIST + 1] = line end

local SPLIT = [[{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"%s"},"behavior":"%s",
"invert":%s},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}]]
local LLAMA3 = [[(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*]]
  .. [[|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+]]

local SENTENCEPIECE = {
  added = ADDED:format(0, "<unk>", "false", "false", "false", "false", "true") .. ","
    .. ADDED:format(1, "<s>", "true", "true", "false", "false", "true"),
  normalizer = [[{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"NFKC"},{"type":"Lowercase"},
{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}]],
  post = [[{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A",
"type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}}]],
  decoder = [[{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}]],
  unk = '"<unk>"', fuse = "true", fallback = "true",
  vocab = '{"<unk>":0,"<s>":1,"<0x0A>":2,"<0xC3>":3,"▁":4,"h":5,"e":6,"l":7,"o":8,"▁h":9,"ll":10,"▁he":11,"a":12,"aa":13}',
  merges = '["▁ h","l l","▁h e","a a"]',
}

local function seed_tokenizers()
  local whole = tokenizer_json {
    added = ADDED:format(265, "<|end|>", "false", "false", "false", "false", "true"), pre =
    '{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}', decoder =
    '{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}', vocab = BYTES, merges = MERGES }
  seed("tokenizer_json", part("tokenizer.json", whole))
  seed("tokenizer_json", part("tokenizer.json", tokenizer_json(SENTENCEPIECE)))
  seed("tokenizer_json", part("tokenizer.json", tokenizer_json {
    pre = SPLIT:format(LLAMA3, "Isolated", "false"), vocab = BYTES, merges = MERGES, ignore = "true",
    normalizer = '{"type":"NFC"}' }))
  seed("tokenizer_json", part("tokenizer.json", tokenizer_json {
    pre = SPLIT:format("[a-z]+|\\\\d", "MergedWithPrevious", "true"), vocab = BYTES, merges = MERGES }))
  seed("tokenizer_json", part("tokenizer.json", tokenizer_json {
    pre = [[{"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"▁","prepend_scheme":"first",
"split":true},{"type":"Digits","individual_digits":true},{"type":"Punctuation","behavior":"Contiguous"},
{"type":"WhitespaceSplit"}]}]], decoder = '{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}',
    vocab = SENTENCEPIECE.vocab, merges = SENTENCEPIECE.merges, unk = '"<unk>"' })
    .. part("tokenizer_config.json", [[{"add_bos_token":true,"bos_token":"<s>","eos_token":{"content":"</s>",
"special":true},"chat_template":[{"name":"default","template":"{{ x }}"},{"name":"tool_use","template":"t"}],
"added_tokens_decoder":{"1":{"content":"<s>","lstrip":false,"normalized":false,"rstrip":false,"single_word":false,
"special":true}}}]]) .. part("generation_config.json", '{"eos_token_id":[1,2]}')
    .. part("chat_template.jinja", "{{ messages }}"))
  seed("vocab_merges", part("vocab.json", BYTES) .. part("merges.txt", MERGES_TEXT))
  seed("vocab_merges", part("encoder.json", BYTES) .. part("vocab.bpe", LINES)
    .. part("tokenizer_config.json", '{"add_prefix_space":true,"add_bos_token":true,"bos_token":"<|endoftext|>"}')
    .. part("special_tokens_map.json", '{"eos_token":"<|endoftext|>","additional_special_tokens":["<a>","<b>"]}')
    .. part("added_tokens.json", '{"<x>":265}'))
end

local function seed_patterns()
  seeds("regex", {
    "[a-z]+|\\d{1,3}\nabc 12345", [[(?i:'s|'t)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+]] .. "\nIt's  caf\u{e9} 1",
    "(?<=a)b|^x$|[[:alpha:]&&[^a]]\nab\nx", [[\w+\b|\R|\h|\X|(?>a+)a*+]] .. "\naa \r\n", [[\p{Lu}?\P{Ll}\x{1F600}]]
    .. "\n\u{1F600}A", "(a+)+$\naaaaaaaaaaaaaaaaaaaaaaaaab", [[(?#c)\Aa\z\G\K(?s:.)(?m)[^\n]] .. "]\nabc",
  })
end

-- Models ---------------------------------------------------------------------------------------------------------------

local function seed_safetensors()
  local path = scratch .. "/x.safetensors"
  gpt.write_safetensors(path, { a = gpt.tensor { 1.5, 2 }, b = gpt.tensor { { 1, 2 }, { 3, 4 } } }, { format = "pt" })
  seed("safetensors", read(path))
  gpt.write_safetensors(path, { h = gpt.zeros(2, 2):to "f16", z = gpt.zeros(0, 3), s = gpt.tensor { 1.0 }:to "bf16" })
  seed("safetensors", read(path))
  local header = '{"u":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"d":{"dtype":"F64","shape":[],"data_offsets":[3,11]}}'
  seed("safetensors", string.pack("<s8", header) .. "\1\2\3" .. string.pack("<d", 0.5))
  tiny.layer():save_parameters(path)
  seed("parameters", read(path))
end

local function seed_npy()
  local path = scratch .. "/x.npy"
  for _, tensor in ipairs { gpt.tensor { { 1.5, 2 }, { 3, 4 } }, gpt.tensor { 3, 1, 2 }, gpt.zeros(0, 3):to "f16" } do
    gpt.write_npy(path, tensor)
    seed("npy", read(path))
  end
  for _, name in ipairs { "bf8_F", "bu2_C", "lu8_C", "version3" } do
    seed("npy", read("spec/fixtures/npy/" .. name .. ".npy"))
  end
  seed("npz", read "spec/fixtures/npy/stored.npz")
end

local function seed_gguf_values()
  local nested = string.pack("<s8I4I4I8I4I8I4I4", "nested", 9, 9, 1, 5, 2, 1, 2)
  local file = gguf.file {
    pairs = { gguf.pair("a.u8", "u8", 7), gguf.pair("a.f32", "f32", 0.5), gguf.pair("a.bool", "bool", 1),
      gguf.pair("a.string", "string", "text"), gguf.pair("a.i64", "i64", -1), gguf.pair("a.f64", "f64", 2.5),
      gguf.array("list", "i32", { 1, 2, 3 }), gguf.array("names", "string", { "a", "b" }), nested,
      gguf.pair("general.alignment", "u32", 8) },
    tensors = { gguf.tensor("x", { 2, 2 }, 0, 0), gguf.tensor("h", { 4 }, 1, 16), gguf.tensor("q", { 32 }, 8, 24),
      gguf.tensor("n", { 2 }, 27, 64) },
    data = ("\1\2\3\4"):rep(20), alignment = 8,
  }
  seed("gguf", file)
  seed("gguf_values", file)
  for i, kind in ipairs { 2, 3, 6, 7, 12, 13, 14 } do -- q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k
    local block, bytes = i < 5 and 32 or 256, ({ 18, 20, 22, 24, 144, 176, 210 })[i]
    seed("gguf", gguf.file { tensors = { gguf.tensor("w", { block }, kind, 0) }, data = ("\5"):rep((bytes + 31) // 32 * 32) })
  end
end

local function tokenizer_keys(model, more)
  local keys = { gguf.pair("general.architecture", "string", "llama"), gguf.pair("tokenizer.ggml.model", "string", model),
    gguf.pair("tokenizer.ggml.bos_token_id", "u32", 1), gguf.pair("tokenizer.ggml.eos_token_id", "u32", 2),
    gguf.pair("tokenizer.ggml.add_bos_token", "bool", 1) }
  return table.move(more, 1, #more, #keys + 1, keys)
end

local function seed_gguf_tokenizers()
  local types = {}
  for i, token in ipairs(TOKENS) do types[i] = token:find "^<|" and 3 or 1 end
  seed("gguf_tokenizer", gguf.file { pairs = tokenizer_keys("llama", {
    gguf.array("tokenizer.ggml.tokens", "string", { "<unk>", "<s>", "</s>", "<0x0A>", "▁", "h", "e", "l", "▁h", "ll", "aa", "a" }),
    gguf.array("tokenizer.ggml.scores", "f32", { 0, 0, 0, 0, -1, -2, -3, -4, -0.5, -0.25, -0.125, -9 }),
    gguf.array("tokenizer.ggml.token_type", "i32", { 2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1 }),
    gguf.pair("tokenizer.ggml.add_space_prefix", "bool", 1), gguf.pair("tokenizer.ggml.unknown_token_id", "u32", 0),
  }) })
  seed("gguf_tokenizer", gguf.file { pairs = tokenizer_keys("gpt2", {
    gguf.array("tokenizer.ggml.tokens", "string", TOKENS), gguf.array("tokenizer.ggml.token_type", "i32", types),
    gguf.array("tokenizer.ggml.merges", "string", MERGE_LIST),
    gguf.pair("tokenizer.ggml.pre", "string", "llama-bpe"),
    gguf.pair("tokenizer.chat_template", "string", "{{ messages }}"),
  }) })
  seed("gguf_tokenizer", gguf.file { pairs = tokenizer_keys("gpt2", {
    gguf.array("tokenizer.ggml.tokens", "string", TOKENS), gguf.array("tokenizer.ggml.token_type", "i32", types),
    gguf.array("tokenizer.ggml.merges", "string", MERGE_LIST), gguf.pair("tokenizer.ggml.pre", "string", "qwen2"),
  }) })
end

local function seed_models()
  local path = scratch .. "/x.gguf"
  for _, model in ipairs { tiny.llama(), tiny.gpt2() } do
    model:save(path)
    seed("gguf_model", read(path))
    seed("gguf_values", read(path))
  end
  for _, family in ipairs { "gemma-3-270m", "qwen3-0.6B" } do
    gpt.Model(gpt.config(family, { vocab_size = 4, context_length = 8, emb_dim = 2, n_heads = 1, n_kv_heads = 1,
      head_dim = 2, n_layers = 1, hidden_dim = 2, layer_types = family:find "gemma" and { "full_attention" } or nil })):save(path)
    seed("gguf_model", read(path))
  end
end

local function seed_directories()
  local dir = scratch .. "/model"
  tiny.llama():save(dir)
  seed("config", parts(dir, { "config.json" }) .. part("generation_config.json", '{"eos_token_id":[1,2]}'))
  for _, change in ipairs {
    { '"rope_scaling": null', '"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,'
      .. '"high_freq_factor":4.0,"original_max_position_embeddings":8}' },
    { '"llama"', '"mistral"' }, { '"llama"', '"qwen2"' }, { '"llama"', '"qwen3"' },
    { '"rope_scaling": null', '"rope_scaling":{"type":"linear","factor":2},"sliding_window":4' },
  } do
    seed("config", part("config.json", (read(dir .. "/config.json"):gsub(change[1], change[2]))))
  end
  dir = scratch .. "/shards"
  tiny.write_shards(dir, tiny.gpt2())
  seed("index", parts(dir, { "model.safetensors.index.json" }))
  seed("index", part("model.safetensors.index.json", '{"weight_map":{"wte.weight":"model-00001-of-00002.safetensors"}}'))
end

local function seed_training()
  local dir = scratch .. "/run"
  tiny.train(dir, 2)
  seed("checkpoint", parts(dir, { "checkpoints.json", "step-00000002.safetensors" }))
  seed("random_state", gpt.random_state().text)
  local model = tiny.llama()
  gpt.lora(model, { rank = 1, alpha = 2, targets = { "query", "value" } })
  model:save_adapter(scratch .. "/adapter")
  seed("adapter", parts(scratch .. "/adapter", { "adapter_config.json", "adapter_model.safetensors" }))
end

-- Texts ----------------------------------------------------------------------------------------------------------------

local function seed_tokens()
  seed("tokens", string.pack("<I2I2I2I2", 1, 2, 3, 4))
  seed("tokens", string.pack("<I4I4I4", 1, 2, 70000))
  local header = string.pack("<i4i4i4", 20240520, 1, 3)
  seed("tokens", header .. ("\0"):rep(1024 - #header) .. string.pack("<I2I2I2", 1, 2, 3))
  header = string.pack("<i4i4i4", 20240801, 7, 2)
  seed("tokens", header .. ("\0"):rep(1024 - #header) .. string.pack("<I4I4", 1, 2))
end

local function seed_json()
  for _, target in ipairs { "json", "json_values" } do
    seeds(target, { '{"a":[1,2.5e3,-0,true,false,null,"x\\u00e9\\ud83d\\ude42\\n"],"b":{}}', "[[[[[[]]]]]]", "1e308",
      "\xEF\xBB\xBF[9007199254740993, 0.1]", '"\u{1F600}"' })
  end
end

local function seed_grammars()
  seeds("gbnf", {
    'root ::= "yes" | "no"', 'root ::= ("a" | [b-d]){2,3} x*\nx ::= [^\\n] "\\x41\\u00e9" # note\n',
    'root ::= expr\nexpr ::= term ("+" term)*\nterm ::= [0-9]+ | "(" expr ")"', 'root ::= "a" root "b" | ""', 'root ::= .+',
  })
  seeds("grammar_regex", { "[a-z]{2,4}(\\d+|x)?", "^(?:a|b)*$", "\\w+@\\w+\\.(com|org)", "[^\\s\\u00e9]+|\\x41" })
  seeds("json_schema", {
    [[{"type":"object","properties":{"a":{"type":"integer","minimum":-5,"maximum":17},"b":{"type":"string","minLength":1,
"maxLength":3,"pattern":"^[a-z]+$"}},"required":["a"],"additionalProperties":false}]],
    [[{"$defs":{"n":{"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#/$defs/n"},"minItems":1,"maxItems":2}]}},
"$ref":"#/$defs/n"}]], [[{"enum":[1,"a",null,{"x":[]}]}]], [[{"type":["number","boolean"],"exclusiveMinimum":0.5}]],
    [[{"oneOf":[{"const":1},{"type":"string","format":"date-time"}]}]],
    [[{"allOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"required":["a"]}]}]],
    [[{"type":"array","prefixItems":[{"type":"integer"}],"items":false,"uniqueItems":false}]],
  })
end

local function seed_templates()
  seeds("jinja", {
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
      .. "{% if add_generation_prompt %}a{% endif %}",
    "{%- set ns = namespace(x=0) -%}{% for m in messages if m.role != 'system' %}{% set ns.x = ns.x + loop.index %}"
      .. "{% endfor %}{{ ns.x ** 2 // 3 % 5 }}",
    "{% macro f(a, b=1) %}{{ a ~ b }}{% endmacro %}{{ f('x', b=2) }}{{ [1,2,3][::-1] | join(', ') }}",
    "{{ tools | tojson(indent=2) }}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
    "{{ raise_exception('no') if messages | length > 9 else 'yes' }}{{ strftime_now('%d %b %Y') }}",
    "{% for k, v in {'a': 1}.items() %}{{ loop.last }}{{ k.upper() }}{{ v is defined and not v is none }}{% else %}-{% endfor %}",
    "{{ 'a b'.split(' ') }}{{ 'x'.replace('x', 'y').startswith('y') }}{{ range(3) | map('string') | list | sort(reverse=true) }}"
      .. "{{ '%s' | format(1) }}{{ {'b': 1} | dictsort | first }}",
    "{% raw %}{{ x }}{% endraw %}{# c #}{% filter upper %}a{% endfilter %}{% generation %}x{% endgeneration %}",
    "{{ messages[0]['content'][1:4] }}{{ 1.5 | round | int }}{{ 'abc' | reverse }}{{ undefined_name is undefined }}",
  })
end

local function seed_examples()
  seeds("examples_jsonl", { '{"prompt": "a", "response": "b"}\n\n{"prompt": "c", "response": "d"}\n',
    '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
    '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n' })
  seeds("examples_csv", { 'prompt,response\r\na,"b ""c"",\n"\r\nd,e\r\n', "text,label\na,1\nb,2\n" })
  seeds("text", { "Hello, world! It's 2024.\n\n", "<|endoftext|>a<|endoftext|>", "caf\u{e9} \xff\xc3(\u{1F600} \r\n\t x" })
  seeds("chat_file", { '[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]',
    '[{"role":"system","content":[{"type":"text","text":"x"}]}]' })
end

local function request(head, body)
  return head .. "\r\nHost: localhost\r\n" .. (body and "Content-Length: " .. #body .. "\r\n" or "") .. "\r\n" .. (body or "")
end

local function seed_http()
  local post = "POST /v1/completions HTTP/1.1"
  seeds("http", {
    "\xff" .. request "GET /v1/models HTTP/1.1", "\x02" .. request "OPTIONS /v1/completions HTTP/1.1\r\nOrigin: http://localhost",
    "\xff" .. request(post, '{"prompt":"a","max_tokens":2,"temperature":0,"stop":["x"],"logprobs":1}'),
    "\xff" .. request("POST /v1/chat/completions HTTP/1.1",
      '{"messages":[{"role":"user","content":"hi"}],"stream":true,"seed":1,"stream_options":{"include_usage":true}}')
      .. request "GET /health HTTP/1.1\r\nConnection: close",
    "\xff" .. request("POST /v1/chat/completions HTTP/1.1", '{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],'
      .. '"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"integer"}}},"max_completion_tokens":1}'),
    "\x01" .. post .. "\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"pro\r\nd;x=y\r\nmpt\":[1,2,3]}\r\n0\r\nA: b\r\n\r\n",
    "\xff" .. post .. "\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n{\"prompt\":\"a\"}", "\xffHEAD / HTTP/1.0\r\n\r\n",
  })
end

local function seed_journal()
  seed("journal", part(".gpt-save", "luagpt: these files are the content of this directory\n000000000000000000000000 config.json\nend")
    .. part(".config.json.gpt-000000000000000000000000", "{}") .. part("config.json", "{ }"))
end

seed_tokenizers()
seed_patterns()
seed_safetensors()
seed_npy()
seed_gguf_values()
seed_gguf_tokenizers()
seed_models()
seed_directories()
seed_training()
seed_tokens()
seed_json()
seed_grammars()
seed_templates()
seed_examples()
seed_http()
seed_journal()
run("rm -r " .. scratch)
