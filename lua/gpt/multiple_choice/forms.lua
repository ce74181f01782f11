-- The forms of examples: from what a file has to { context, endings, label }.
local core = require "gpt.core"
local pair = require "gpt.scoring.pair"

local forms = {}

local NAMES = {
  context = { "context", "ctx", "query" }, endings = { "endings", "choices" }, label = { "label", "gold" },
}

-- The first of the names that an example has; and its name, for messages.
local function find(example, name)
  for _, each in ipairs(NAMES[name]) do
    if example[each] ~= nil then return example[each], each end
  end
  return nil, name
end

--- Fields as they are, under any of their names.
function forms.plain(example)
  local read, called = {}, {}
  for name in pairs(NAMES) do read[name], called[name] = find(example, name) end
  return read, called
end

local function stripped(text)
  text = text:sub(1, pair.space_at_end(text) - 1)
  return (text:gsub("^[ \t-\r\28-\31]+", ""))
end

-- What WikiHow's pages left in these texts.
local function cleaned(text)
  return (stripped(text):gsub(" %[title%]", ". "):gsub("%[[^\n%]]*%]", ""):gsub("  ", " "))
end

-- The first character as a word begins with it, all others in lower case; what is not UTF-8 stays.
local function capitalized(text)
  if not utf8.len(text) then return text end
  return (text:gsub("()(" .. utf8.charpattern .. ")", function(at, char)
    return utf8.char(core._character(utf8.codepoint(char), at == 1))
  end))
end

--- HellaSwag's files, prepared as lm-evaluation-harness prepares them.
function forms.hellaswag(example)
  for _, name in ipairs { "activity_label", "ctx_a", "ctx_b" } do
    if type(example[name]) ~= "string" then return nil, { name, "a string", example[name] } end
  end
  local endings = example.endings
  if type(endings) == "table" then
    endings = {}
    for i, ending in ipairs(example.endings) do
      endings[i] = type(ending) == "string" and cleaned(ending) or ending
    end
  end
  local context = example.activity_label .. ": " .. example.ctx_a .. " " .. capitalized(example.ctx_b)
  return { context = cleaned(context), endings = endings, label = example.label },
    { context = "ctx", endings = "endings", label = "label" }
end

return forms
