--- luagpt: a GPT for Lua.
-- @module gpt
local core = require "gpt.core"
local needs = require "gpt.support.needs"

for _, library in ipairs { "string", "table", "math", "utf8" } do needs(library, "gpt") end

-- Where the package's own Lua files lie. `require` tells each the path of its file; debug is a library that hosts leave
-- out.
local _, path = ...
local folder = type(path) == "string" and path:match "^.*[/\\]"
if folder then core._set_home("@" .. folder) end

--- The version of luagpt.
-- @tfield string _VERSION
local gpt = { _VERSION = "luagpt 0.3.0" }

-- All of the core's functions are public, but for those that begin with an underscore.
for name, value in pairs(core) do
  if name:sub(1, 1) ~= "_" then gpt[name] = value end
end

gpt.config = require("gpt.config").config
gpt.size = require("gpt.size").size
gpt.generate = require("gpt.generate").generate
gpt.stream = require("gpt.generate").stream
gpt.grammar = require("gpt.grammar").grammar
gpt.chat = require "gpt.chat"
gpt.nn = require "gpt.nn"
gpt.plot = require "gpt.plot"
gpt.Model = require("gpt.model").Model

gpt.random_state = require "gpt.random_state"
gpt.load = require "gpt.model_files.load"
gpt.family = require "gpt.family"
for _, part in ipairs { "tensor_files", "npy", "json_files" } do
  for name, value in pairs(require("gpt." .. part)) do gpt[name] = value end
end
gpt.dataset = require "gpt.dataset"
gpt.examples = require "gpt.examples"
gpt.write_tokens = require "gpt.write_tokens"
gpt.train_tokenizer = require "gpt.train_tokenizer"
gpt.train = require "gpt.train"
gpt.world = require "gpt.world"
gpt.lora = require("gpt.lora").lora
gpt.load_adapter = require("gpt.lora.files").load_adapter
gpt.lr_schedule = require "gpt.lr_schedule"
gpt.evaluate = require "gpt.evaluate"
gpt.perplexity = require "gpt.perplexity"
gpt.multiple_choice = require "gpt.multiple_choice"
gpt.help = require("gpt.help").of(gpt)

local known_fields = require "gpt.support.known_fields"
for _, part in ipairs { "nn", "optim", "plot" } do known_fields.module(gpt[part], "gpt." .. part) end

return known_fields.module(gpt, "gpt")
