-- A template's text of messages, and the bytes in it where words of a message look like the beginning of a mark.
local attempt = require "gpt.support.attempt"
local jinja = require "gpt.jinja"
local raise = require "gpt.support.raise"
local validate = require "gpt.support.validate"
local values = require "gpt.jinja.values"

-- What a Jinja template sees, as transformers gives it.
local function variables(request)
  local all = {}
  for name, value in pairs(request.roles) do all[name] = value end
  for name, value in pairs(request.extra) do all[name] = value end
  all.messages = request.messages
  all.tools, all.documents = request.tools or values.none, request.documents or values.none
  all.add_generation_prompt = request.add_generation_prompt
  return all
end

-- What a function sees as its second argument.
local function settings(request)
  local all = { add_generation_prompt = request.add_generation_prompt, tools = request.tools,
    documents = request.documents }
  for name, value in pairs(request.extra) do all[name] = value end
  return all
end

-- The text; or nil and what is wrong.
local function run(template, request)
  if not template.fn then return jinja.render(template.tree, variables(request), { now = request.now }) end
  local text = template.fn(request.messages, settings(request))
  if type(text) == "string" then return text end
  return nil, "the function has to return a text, got " .. validate.show(text)
end

-- A copy of messages with other texts. What a template writes into marks itself, such as the role, stays.
local function with_texts(value, change, seen)
  if type(value) == "string" then return change(value) end
  if type(value) ~= "table" then return value end
  if seen[value] then return seen[value] end
  local copy = setmetatable({}, getmetatable(value))
  seen[value] = copy
  for key, part in next, value do
    rawset(copy, key, key == "role" and part or with_texts(part, change, seen))
  end
  return copy
end

-- The request with the beginnings of marks hidden by that method, or nil where there are none.
local function hidden(request, marks, method)
  local found = false
  local function change(text)
    local other = marks[method](marks, text)
    found = found or other ~= text
    return other
  end
  local copy = {}
  for name, value in pairs(request) do copy[name] = value end
  for _, name in ipairs { "messages", "tools", "documents" } do copy[name] = with_texts(request[name], change, {}) end
  return found and copy or nil
end

-- The places where that method hid something, or nil where the template made another text of it.
local function find_places(template, request, marks, method, text)
  local other = hidden(request, marks, method)
  if not other then return {} end
  local ok, written = attempt(run, template, other)
  local restored, places = marks:restore(ok and written or "")
  return restored == text and places or nil
end

--- The text, and the places at which no mark begins; what is wrong is raised.
-- @param request `messages`, `tools`, `documents`, `add_generation_prompt`, `extra` (variables), `roles` (the texts of
-- the tokenizer's special tokens), `special` (marks in messages count)
return function(what, template, request, marks)
  request.now = os and os.time()
  local text, problem = run(template, request)
  if not text then raise("%s: %s%s", what, template.fn and "template: " or "the chat template: ", problem) end
  if request.special then return text, {} end
  local places = find_places(template, request, marks, "hide_characters", text)
    or find_places(template, request, marks, "hide_whole", text)
  if places then return text, places end
  raise("%s: a message holds one of the tokenizer's marks, and the template changes its text so that it cannot be told "
    .. "from the template's own marks; special = true lets marks in messages count", what)
end
