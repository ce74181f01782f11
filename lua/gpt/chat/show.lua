-- How a chat prints: its size, and a line for each message.
local validate = require "gpt.support.validate"

local WIDTH = 100
local MOST_LINES, EDGE = 24, 10 -- of a longer chat both ends are shown

local function text_of(content)
  if type(content) == "string" then return content end
  local parts = {}
  for i, part in ipairs(type(content) == "table" and content or {}) do
    parts[i] = type(part) == "table" and (part.text or "[" .. tostring(part.type) .. "]") or tostring(part)
  end
  return table.concat(parts, " ")
end

-- One line, cut at a whole character.
local function line_of(message)
  local line = ("  %s: %s"):format(message.role, text_of(message.content):gsub("%s+", " "):gsub("%c", "?"))
  if #line <= WIDTH then return line end
  local at = WIDTH - 3
  while at > 1 and line:byte(at + 1) >= 0x80 and line:byte(at + 1) < 0xC0 do at = at - 1 end
  return line:sub(1, at) .. "..."
end

local function counted(n, one) return ("%s %s%s"):format(validate.grouped(n), one, n == 1 and "" or "s") end

return function(chat)
  local list, held = chat.messages, chat.session and validate.grouped(chat.session.length)
  local size = held and (", %s of %s tokens"):format(held, validate.grouped(chat.context_length)) or ""
  local gone = #chat.forgotten > 0 and (", %s forgotten"):format(counted(#chat.forgotten, "message")) or ""
  local lines = { ("Chat(%s%s%s)"):format(counted(#list, "message"), size, gone) }
  for i, message in ipairs(list) do
    if #list <= MOST_LINES or i <= EDGE or i > #list - EDGE then
      lines[#lines + 1] = line_of(message)
    elseif i == EDGE + 1 then
      lines[#lines + 1] = "  ..."
    end
  end
  return table.concat(lines, "\n")
end
