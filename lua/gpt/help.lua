--- Help at the prompt: gpt.help.
-- @submodule gpt
local core = require "gpt.core"
local name_list = require "gpt.support.name_list"
local neutral = require "gpt.support.neutral"

local help = {}

local OPERATORS = {
  ["+"] = "add", ["-"] = "sub", ["*"] = "mul", ["/"] = "div", ["^"] = "pow", ["#"] = "__len",
  ["=="] = "eq", ["~="] = "ne", ["<"] = "lt", ["<="] = "le", [">"] = "gt", [">="] = "ge",
}

local MOST_SUGGESTED = 4

local PARTS = { nn = true, optim = true, plot = true }

-- Values that are told of where they come from.
local ANSWERED_BY = { RandomState = "random_state", Trace = "Layer:trace", Training = "train" }

local gpt -- the module
local texts -- the entries by name, ":Tensor" for the page of a class, read when help is first asked for
local sorted -- the names of functions and fields

local function load_texts()
  if texts then return end
  texts, sorted = require "gpt.help_texts", {}
  for name in pairs(texts) do
    if name:sub(1, 1) ~= ":" then table.insert(sorted, name) end
  end
  neutral.sort(sorted)
end

local function bare(name)
  return name:match("([^.:]+)$")
end

local function members(owner, kind)
  local names = {}
  for _, name in ipairs(sorted) do
    local entry = texts[name]
    local plain = bare(name)
    if entry.owner == owner and entry.kind == kind and not plain:find("^__") then table.insert(names, plain) end
  end
  return names
end

local function add_members(parts, owner)
  for _, kind in ipairs { "function", "field" } do
    local names = members(owner, kind)
    local title = kind == "field" and "Fields" or owner:find("^%l") and "Functions" or "Methods"
    if #names > 0 then table.insert(parts, title .. ":\n" .. name_list.flow(names)) end
  end
end

-- A module or class: what it is, and what it has.
local function overview(name)
  local page = texts[":" .. name]
  local parts = { page and page.text or "gpt." .. name }
  add_members(parts, name)
  if name == "Model" then table.insert(parts, "A model also has everything of a Layer: gpt.help \"Layer\".") end
  local one = members(name, "function")[1]
  if one then
    local example = name == "gpt" and one or name .. (name:find("^%l") and "." or ":") .. one
    table.insert(parts, ("gpt.help %q shows one of them."):format(example))
  end
  return table.concat(parts, "\n\n")
end

local WIDTH = 79

-- Adds the names of an owner; short ones of classes share a line.
local function add_topic(parts, text, is_class)
  local last = parts[#parts]
  local joined = ("%s   %s"):format(last, text)
  if is_class and last:find "^%u%l+:" and #joined <= WIDTH and not joined:find "\n" then
    parts[#parts] = joined
  else
    table.insert(parts, text)
  end
end

local function topics()
  local parts = { "gpt.help(x) describes x: a function, a layer, a tensor, any value of luagpt, or\n"
    .. "a name. Dims and positions count from 1 (-1 is the last), token ids from 0." }
  local owners, seen = { "gpt", "nn", "optim", "plot" }, {}
  for _, name in ipairs(sorted) do
    if texts[name].owner:find("^%u") then table.insert(owners, texts[name].owner) end
  end
  for _, owner in ipairs(owners) do
    local names = seen[owner] and {} or members(owner, "function")
    seen[owner] = true
    local title = owner == "gpt" and "gpt." or owner:find("^%l") and "gpt." .. owner .. "." or owner .. ":"
    if #names > 0 then add_topic(parts, name_list.flow(names, title), owner:find "^%u" ~= nil) end
  end
  table.insert(parts, '\nFor example: gpt.help "generate", gpt.help "nn.Linear", gpt.help "Tensor:sum"')
  return table.concat(parts, "\n")
end

local function methods_of(owner)
  if owner == "Layer" or owner == "Model" then return core._layer_methods end
  if owner == "Server" then return (package.loaded["gpt.server"] or {})._methods or {} end
  return core._methods("gpt." .. owner) or {}
end

-- The function of that name, or nil.
local function value_of(name)
  local owner, plain = texts[name].owner, bare(name)
  if owner == "gpt" then return rawget(gpt, plain) end
  if owner:find("^%l") then
    local part = rawget(gpt, owner)
    return part and rawget(part, plain)
  end
  return methods_of(owner)[plain]
end

-- Methods come last: model.generate is gpt.generate.
local function name_of_function(fn)
  local method
  for _, name in ipairs(sorted) do
    if texts[name].kind == "function" and value_of(name) == fn then
      if texts[name].owner:find("^%l") then return name end
      method = name
    end
  end
  return method
end

-- A method by its owner's name; a Model has those of a Layer.
local function name_of_method(owner, plain)
  local layers = owner == "Layer" or owner == "Model"
  for _, class in ipairs { owner, layers and "Layer", layers and "Model" } do
    for _, dot in ipairs { ":", "." } do
      if class and texts[class .. dot .. plain] then return class .. dot .. plain end
    end
  end
end

-- All entries that are called so, whatever they belong to: functions first.
local function names_of_word(word)
  local found = {}
  for _, kind in ipairs { "function", "field" } do
    for _, name in ipairs(sorted) do
      if bare(name) == word and (texts[name].kind == "field") == (kind == "field") then table.insert(found, name) end
    end
  end
  return found
end

-- The names that have the word in them, quoted: "norm" is in clip_grad_norm and in nn.LayerNorm.
local function containing(word)
  local found = {}
  for _, name in ipairs(sorted) do
    local has = #word > 2 and name:lower():find(word:lower(), 1, true)
    if has and #found < MOST_SUGGESTED then table.insert(found, ("'%s'"):format(name)) end
  end
  return found
end

local function unknown(word)
  local known = table.move(sorted, 1, #sorted, 1, {})
  for _, name in ipairs(sorted) do
    table.insert(known, bare(name))
    table.insert(known, texts[name].owner)
  end
  local near = core._suggest(word, known)
  local names = near and { ("'%s'"):format(near) } or containing(word)
  local shown = #word > 60 and word:sub(1, 60) .. "..." or word
  if #names > 0 then
    core._raise(("gpt.help: nothing is called '%s'; did you mean %s?"):format(shown, table.concat(names, " or ")))
  end
  core._raise(("gpt.help: nothing is called '%s'; gpt.help() lists what there is"):format(shown))
end

local function of_string(given)
  local word = given:gsub("^gpt%.(.)", "%1"):gsub("%(.*$", "")
  if given == gpt._VERSION then word = "_VERSION" end
  if OPERATORS[word] then word = "Tensor:" .. OPERATORS[word] end
  if texts[word] then return texts[word].text end
  if texts[":" .. word] or PARTS[word] then return overview(word) end
  local owner, plain = word:match("^(%w+)[.:]([%w_]+)$")
  local classes = { model = "Model", layer = "Layer", session = "Session", tokenizer = "Tokenizer", t = "Tensor" }
  local method = owner and name_of_method(classes[owner] or owner, plain)
  if method then return texts[method].text end
  local names, class = names_of_word(word), word:gsub("^%l", string.upper)
  if #names == 0 and texts[":" .. class] then return overview(class) end
  if #names == 0 then unknown(given) end
  if #names == 1 then return texts[names[1]].text end
  return ("There are several:\n%s\n\n%s"):format(name_list.flow(names), texts[names[1]].text)
end

-- Kinds of layers that no function of gpt.nn makes.
local MADE_BY = { LoRA = "lora", Adapter = "lora" }

local function of_layer(layer)
  local kind = core._kind(layer)
  if MADE_BY[kind] then return texts[MADE_BY[kind]].text end
  if kind == "Layer" then kind = tostring(layer):match("^[%w_]+") end -- written in Lua
  if kind == "Model" then return overview "Model" end
  local own = texts["nn." .. kind]
  local first = own and own.text or ("%s is a layer of your own, made by gpt.nn.layer."):format(kind)
  return first .. "\n\n" .. overview "Layer"
end

-- What a value's metatable calls it; that of a userdata is hidden.
local function type_name(value)
  if type(value) == "userdata" then return core._typename(value) end
  local meta = getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__name")
end

local function of_value(value)
  local name = type_name(value)
  local class = type(name) == "string" and name:match("^gpt%.(.*)")
  if class == "Layer" then return of_layer(value) end
  if ANSWERED_BY[class] then return texts[ANSWERED_BY[class]].text end
  if class and (texts[":" .. class] or #members(class, "function") > 0) then return overview(class) end
  if value == gpt then return topics() end
  if value ~= nil and value == package.loaded["gpt.server"] then return overview "Server" end
  if value == gpt.null then return texts.null.text end
  for part in pairs(PARTS) do
    if value ~= nil and value == rawget(gpt, part) then return overview(part) end
  end
  if type(value) == "table" and rawget(value, "emb_dim") then return texts.config.text end
  core._raise(("gpt.help: nothing is known of this %s; a function or value of luagpt, or a name, expected"):format(
    type(value)))
end

--- Describes a function, a value or a name: signature, what it does, an example. The text is that of the reference.
-- @function help
-- @param[opt] x a function (`gpt.cat`, `t.softmax`), a tensor, layer, session or other value, or a name: "generate",
-- "nn.Linear", "Tensor:softmax", "softmax", "+". Without it: a list of everything
-- @treturn string the text, which the prompt shows; in a script print it
-- @usage gpt.help "Tensor:softmax"
-- gpt.help(gpt.nn.Linear)
local function tell(...)
  load_texts()
  local x = ...
  if select("#", ...) == 0 then return topics() end
  if type(x) == "string" then return of_string(x) end
  if type(x) ~= "function" then return of_value(x) end
  local name = name_of_function(x)
  if not name then core._raise("gpt.help: this function is none of luagpt's; gpt.help() lists what there is") end
  return texts[name].text
end

--- The function help of that module.
function help.of(module)
  gpt = module
  return tell
end

return help
