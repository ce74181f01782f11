local gpt = require "gpt"
local core = require "gpt.core"
local examples = require "spec.support.examples"
local files = require "spec.support.files"
local process = require "spec.support.process"
local raised = require "spec.support.raised"
local texts = require "gpt.help_texts"

local METAMETHODS = { __len = true, __tostring = true }

local function names(t)
  local list = {}
  for name, value in pairs(t) do
    if type(name) == "string" and type(value) == "function" then table.insert(list, name) end
  end
  table.sort(list)
  return list
end

-- Every function that is public: its name and how its topic is called.
local function public()
  local topics = {}
  local function add(t, prefix)
    for _, name in ipairs(names(t)) do topics[prefix .. name] = t[name] end
  end
  add(gpt, "")
  for _, part in ipairs { "nn", "optim", "plot" } do
    if rawget(gpt, part) then add(gpt[part], part .. ".") end
  end
  for _, class in ipairs { "Tensor", "Session", "Tokenizer", "AdamW", "World" } do add(core._methods("gpt." .. class) or {}, class .. ":") end
  for name, fn in pairs(core._layer_methods) do
    topics[(texts["Layer:" .. name] and "Layer:" or "Model:") .. name] = fn
  end
  return topics
end

describe("gpt.help", function()
  it("knows every public function and method", function()
    local missing, count = {}, 0
    for topic in pairs(public()) do
      count = count + 1
      if not texts[topic] then table.insert(missing, topic) end
    end
    table.sort(missing)
    assert.same({}, missing)
    assert.is_true(count > 100)
  end)

  it("tells of nothing that is not there", function()
    local there, gone = public(), {}
    for name, entry in pairs(texts) do
      local plain = name:match("([^.:]+)$")
      local known = { gpt = true, nn = true, optim = true, plot = true, Tensor = true, Session = true, Tokenizer = true, Layer = true,
        Model = true }
      if entry.kind == "function" and known[entry.owner] and not there[name] and not METAMETHODS[plain] then
        table.insert(gone, name)
      end
    end
    table.sort(gone)
    assert.same({}, gone)
  end)

  it("has an example for every function", function()
    local without = {}
    for name, entry in pairs(texts) do
      if entry.kind == "function" and not entry.usage then table.insert(without, name) end
    end
    table.sort(without)
    assert.same({}, without)
  end)

  it("fits a screen: at most 40 lines of at most 100 characters", function()
    local screens = { ["gpt.help()"] = gpt.help() }
    for name, entry in pairs(texts) do screens[name] = entry.text end
    for _, name in ipairs { "Tensor", "Layer", "Model", "Session", "Tokenizer", "Dataset", "Size", "Pass", "nn", "optim", "plot" } do
      screens[name .. "'s page"] = gpt.help(name)
    end
    local count = 0
    for name, text in pairs(screens) do
      count = count + 1
      local _, lines = text:gsub("\n", "\n")
      assert.is_true(lines < 40, name .. ": " .. lines .. " lines")
      for line in text:gmatch("[^\n]+") do assert.is_true(#line <= 100, name .. ": " .. line) end
    end
    assert.is_true(count > 100)
  end)

  it("returns the same screen for a function, its name, and its name at the prompt", function()
    local screen = gpt.help(gpt.nn.Linear)
    assert.equal(screen, gpt.help "nn.Linear")
    assert.equal(screen, gpt.help "gpt.nn.Linear")
    assert.equal(screen, gpt.help "Linear")
    assert.truthy(screen:find("gpt.nn.Linear(inputs, outputs [, options]) -> Layer", 1, true))
    assert.truthy(screen:find("For example:\n  gpt.nn.Linear(768, 50257, { bias = false })", 1, true))
  end)

  it("finds methods by value and by name", function()
    local t = gpt.ones(2, 3)
    local screen = gpt.help "Tensor:softmax"
    assert.equal(screen, gpt.help "softmax")
    assert.equal(screen, gpt.help "t:softmax")
    assert.equal(screen, gpt.help "Tensor.softmax")
    assert.equal(screen, gpt.help(t.softmax))
    assert.truthy(screen:find("Tensor:softmax(dim) -> Tensor", 1, true))
    assert.equal(gpt.help "Tensor:add", gpt.help "+")
    assert.truthy(gpt.help("generate"):find("There are several:\n  Model:generate Session:generate generate", 1, true)
      or gpt.help("generate"):find("gpt.generate(model, prompt", 1, true))
  end)

  it("shows functions before fields of that name", function()
    assert.truthy(gpt.help("session"):find("There are several:\n  Model:session Chat.session\n\nModel:session(", 1, true))
  end)

  it("finds values by what they are", function()
    assert.truthy(gpt.help(gpt.ones(1)):find("Methods:\n  abs add argmax", 1, true))
    local model = gpt.Model { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0, qkv_bias = false }
    assert.truthy(gpt.help(model):find("A GPT, made by gpt.Model or gpt.load", 1, true))
    assert.truthy(gpt.help(model.head):find("gpt.nn.Linear(inputs, outputs", 1, true))
    local adapted = gpt.lora(gpt.Model(model.config)).blocks[1].attention.query
    assert.equal(gpt.help "lora", gpt.help(adapted))
    assert.equal(gpt.help "lora", gpt.help(adapted.default))
    assert.truthy(gpt.help(model:session()):find("One conversation with a model", 1, true))
    assert.equal(gpt.help "config", gpt.help(model.config))
    assert.truthy(gpt.help(gpt.optim.AdamW(model)):find("Methods:\n  load_state", 1, true))
    assert.truthy(gpt.help(gpt.dataset({ 1, 2, 3, 4, 5, 6 }, { context_length = 4 })):find("Methods:\n  batch batches split", 1, true))
    assert.equal(gpt.help "random_state", gpt.help(gpt.random_state()))
    assert.equal(gpt.help "Layer:trace", gpt.help(model:trace { 1 }))
    assert.equal(gpt.help(gpt.nn), gpt.help "nn")
    assert.equal(gpt.help(gpt.optim), gpt.help "optim")
    assert.truthy(gpt.help(gpt.nn):find("Functions:\n  Dropout Embedding", 1, true))
    assert.equal(gpt.help "Server", gpt.help(require "gpt.server"))
    assert.equal(gpt.help "Server", gpt.help "gpt.server")
    assert.equal(gpt.help "Server.new", gpt.help(require("gpt.server").new))
    assert.equal(gpt.help "Server:finish", gpt.help(require("gpt.server")._methods.finish))
    local Own = gpt.nn.layer("Own", { forward = function(_, x) return x end })
    assert.truthy(gpt.help(Own()):find("Own is a layer of your own, made by gpt.nn.layer.", 1, true))
  end)

  it("lists everything without an argument", function()
    local list = gpt.help()
    for _, word in ipairs { "\ngpt.nn. Dropout", "\nTensor: abs", "\nSession: feed", "\nTokenizer: apply_chat_template decode", " generate", " Linear" } do
      assert.truthy(list:find(word, 1, true), word)
    end
    assert.equal(list, gpt.help(gpt))
    for name, value in pairs(gpt) do assert.truthy(gpt.help(value), name) end
    assert.truthy(gpt.help(gpt.optim):find("Optimizers: gpt.optim.", 1, true))
  end)

  it("suggests the near name", function()
    assert.equal("gpt.help: nothing is called 'sofmax'; did you mean 'softmax'?", raised(gpt.help, "sofmax"))
    assert.equal("gpt.help: nothing is called 'rms'; did you mean 'Tensor:rms_norm' or 'nn.RMSNorm'?",
      raised(gpt.help, "rms"))
    assert.equal("gpt.help: nothing is called 'nn.Linaer'; did you mean 'nn.Linear'?", raised(gpt.help, "nn.Linaer"))
    assert.equal("gpt.help: nothing is called 'xyzzyxyzzy'; gpt.help() lists what there is", raised(gpt.help, "xyzzyxyzzy"))
  end)

  it("says where it knows nothing", function()
    assert.equal("gpt.help: this function is none of luagpt's; gpt.help() lists what there is", raised(gpt.help, print))
    assert.equal("gpt.help: nothing is known of this number; a function or value of luagpt, or a name, expected", raised(gpt.help, 3))
    assert.equal("gpt.help: nothing is known of this nil; a function or value of luagpt, or a name, expected", raised(gpt.help, nil))
  end)
end)

describe("the examples of the help texts", function()
  it("run, every one", function()
    local output, ok = examples.in_directory [[
      for _, name in ipairs(examples.names()) do
        local ran, problem = xpcall(examples.run, debug.traceback, texts[name].usage, examples.environment())
        print(name .. ":", ran and "fine" or problem)
      end
    ]]
    local failed, fine = {}, 0
    for line in output:gmatch("[^\n]+") do
      if line:find(":\tfine$") then fine = fine + 1 elseif line:find("^[%w_.:]+:\t") then table.insert(failed, line) end
    end
    assert.same({}, failed)
    assert.is_true(ok, output)
    assert.equal(#examples.names(), fine)
    assert.is_true(fine > 100)
  end)
end)

describe("the definitions for the Lua language server", function()
  it("are Lua, with a class for every type and a function for every topic", function()
    local path = assert(package.searchpath("gpt.library.gpt", package.path))
    local text = files.read(path)
    assert(load(text, "=gpt.lua"))
    for _, class in ipairs { "gpt", "gpt.nn", "gpt.Tensor", "gpt.Layer", "gpt.Model: gpt.Layer", "gpt.Session", "gpt.Tokenizer" } do
      assert.truthy(text:find("---@class " .. class .. "\n", 1, true), class)
    end
    for topic in pairs(public()) do
      local name = (topic:find(":") and "" or "gpt.") .. topic
      assert.truthy(text:find("function " .. name .. "(", 1, true), topic)
    end
    assert.truthy(text:find("---@operator add(gpt.Tensor|number): gpt.Tensor", 1, true))
  end)

  it("speak of types that there are", function()
    local text = files.read(assert(package.searchpath("gpt.library.gpt", package.path)))
    local known, count = { any = true, integer = true, number = true, string = true, boolean = true, table = true,
      ["function"] = true, ["nil"] = true, fun = true, T = true }, 0
    for class in text:gmatch "%-%-%-@class ([%w.]+)" do known[class] = true end
    local KINDS = { "^param [%w_.]+%?? (.+)$", "^return (.+)$", "^field %[(%w+)%] (.+)$", "^field [%w_]+ (.+)$",
      "^operator %w+(%b()): (.+)$", "^operator %w+: (.+)$", "^overload (.+)$", "^class [%w.]+: (.+)$" }
    for line in text:gmatch "%-%-%-@([^\n]+)" do
      local tag, kinds = line:gsub(" # .*", ""), {}
      for _, pattern in ipairs(KINDS) do
        if #kinds == 0 then kinds = { tag:match(pattern) } end
      end
      assert.is_true(#kinds > 0 or tag == "meta gpt" or tag == "generic T" or tag:find "^class [%w.]+$" ~= nil, line)
      for word in table.concat(kinds, " "):gsub("[%w.]+%??: ", ""):gmatch "%a[%w.]*" do
        assert.is_true(known[word], line)
        count = count + 1
      end
    end
    assert.is_true(count > 300, count)
  end)

  it("name functions that there are where they say more than the comments", function()
    local server_types = dofile "docs/tools/server_types.lua"
    for _, list in ipairs { server_types.answers, server_types.answers_self, server_types.overloads } do
      for name in pairs(list) do assert.truthy(texts[name], name) end
    end
  end)

  it("give values the fields that they have", function()
    local text = files.read(assert(package.searchpath("gpt.library.gpt", package.path)))
    local model = gpt.Model { vocab_size = 9, context_length = 4, emb_dim = 4, n_heads = 1, n_layers = 1, drop_rate = 0,
      qkv_bias = true }
    local pass_fields = {}
    gpt.nn.layer("Probe", { forward = function(_, x, pass)
      for _, field in ipairs { "training", "positions" } do pass_fields[field] = pass[field] end
      return x
    end })()(gpt.ones(1, 2))
    local block = model.blocks[1]
    local chat = gpt.chat(model, { tokenizer = { encode = function() return { 1 } end, decode = function() return "" end },
      system = "x", template = function() return "x" end, max_new_tokens = 1 })
    chat:say "x"
    local values = { gpt = gpt, Model = model, Layer = model, Blocks = model.blocks, TransformerBlock = block,
      MultiHeadAttention = block.attention, FeedForward = block.feed_forward, Linear = block.attention.query,
      LayerNorm = block.norm1, Embedding = model.token_embedding, Shortcut = gpt.nn.Shortcut(gpt.nn.GELU()),
      Optimizer = gpt.optim.AdamW(model), World = gpt.world(), Session = model:session(), Chat = chat,
      Tensor = gpt.ones(2), Tokenizer = gpt.tokenizer "spec/fixtures/tokenizer", Size = gpt.size(model.config),
      Pass = pass_fields, Dataset = gpt.dataset({ 1, 2, 3, 4, 5, 6 }, { context_length = 4 }) }
    local server <close> = require("gpt.server").new(model, { port = 0, tokenizer = values.Tokenizer })
    values.Server = server
    local may_be_nil, count = { grad = true, tokenizer = true, chat_template = true }, 0
    for class, lines in text:gmatch "%-%-%-@class ([%w.]+)[^\n]*(.-)\n[lg]" do
      local value = values[class:match "[^.]+$"]
      for field in lines:gmatch "@field (%S+) " do
        field = field == "[integer]" and 1 or field
        local known, found = pcall(function() return value[field] end)
        assert.is_true(field == "[string]" or class == "gpt.Layer" or known and (found ~= nil or may_be_nil[field]), class)
        count = count + 1
      end
    end
    assert.is_true(count > 40, count)
  end)

  it("know what a call, a part, a loop and a chain of methods give", function()
    local text = files.read(assert(package.searchpath("gpt.library.gpt", package.path)))
    local function has(line) assert.truthy(text:find("\n" .. line .. "\n", 1, true), line) end
    has "---@class gpt.Model: gpt.Layer\n---@operator call(any): gpt.Tensor"
    has "---@field attention gpt.MultiHeadAttention|any"
    has "---@return gpt.Linear # [..., inputs] -> [..., outputs]\nfunction gpt.nn.Linear(inputs, outputs, options) end"
    has "---@generic T\n---@param self T\n---@return T # the layer itself\nfunction Layer:eval() end"
    assert.truthy(text:find('---@return fun(): string, gpt.Tensor # iterator of path', 1, true))
    local _, fences = text:gsub("\n%-%-%-```lua\n", "")
    local _, ends = text:gsub("\n%-%-%-```\n", "")
    assert.equal(fences, ends)
    assert.is_true(fences > 100)
  end)
end)

describe("help in a process of its own", function()
  it("is found beside the module", function()
    local output, ok = process.lua [[print(require("gpt").help "seed")]]
    assert.is_true(ok, output)
    assert.truthy(output:find("gpt.seed(n)", 1, true))
  end)
end)
