-- A chat bot for Prosody (Lua 5.4): whoever writes to its host gets the model's continuation. Prosody has one thread
-- and serves everybody from it, so the bot makes one token at a time, between other events.
local st = require "util.stanza"
local gpt = require "gpt"

local MOST_WAITING = 20 -- messages; who comes later is told to come again
local MOST_PROMPT = 2000 -- bytes

local model = gpt.load(module:get_option_string "chatbot_model")
local waiting = {} -- messages in the order in which they came, each with its stream

local function send(to, from, text)
  module:send(st.message({ to = to, from = from, type = "chat" }, text))
end

local function finish(job)
  table.remove(waiting, 1)
  local text = table.concat(job.text):gsub("%c+", " ")
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]+", "?") end -- XML holds neither
  send(job.to, job.from, text:find "%S" and text or "...")
end

-- One token of the first message; then again, as long as somebody waits.
local function step()
  local job = waiting[1]
  if not job then return nil end
  local done, piece = pcall(job.next)
  if not done then
    module:log("error", "the model failed: %s", piece)
    job.text, piece = { "Something went wrong here." }, nil
  end
  if piece then job.text[#job.text + 1] = piece else finish(job) end
  return waiting[1] and 0 or nil
end

local function answer(event)
  local stanza = event.stanza
  local body = stanza:get_child_text "body"
  if stanza.attr.type == "error" or not body or #body == 0 then return true end
  local job = { to = stanza.attr.from, from = stanza.attr.to, text = {} }
  if #body > MOST_PROMPT or #waiting >= MOST_WAITING then
    send(job.to, job.from, #body > MOST_PROMPT and "That is too long for me." or "Too many are asking. Come again.")
    return true
  end
  job.next = model:stream(body, { max_new_tokens = 60, temperature = 0.8, stop = "\n" })
  waiting[#waiting + 1] = job
  if #waiting == 1 then module:add_timer(0, step) end
  return true
end

module:hook("message/host", answer)
module:hook("message/bare", answer)
