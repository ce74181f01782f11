-- A POST's body is the prompt; the response is the prompt and its continuation. Modules stay loaded between requests,
-- so a worker loads the model once.
local request = lighty.r

if not package.loaded["luagpt.model"] then
  -- Where luagpt is in a checkout: a service has no LUA_PATH.
  local root = os.getenv "LUAGPT_ROOT"
  if root then
    package.path = ("%s/lua/?.lua;%s/lua/?/init.lua;%s"):format(root, root, package.path)
    package.cpath = ("%s/?.so;%s"):format(os.getenv "LUAGPT_BUILD" or root .. "/build", package.cpath)
  end
  local gpt = require "gpt"
  gpt.set_threads(1) -- the other processors are the other workers'
  package.loaded["luagpt.model"] = gpt.load(os.getenv "LUAGPT_MODEL")
end
local model = package.loaded["luagpt.model"]

local function respond(status, text)
  request.resp_header["Content-Type"] = "text/plain; charset=utf-8"
  request.resp_body:set { text }
  return status
end

if request.req_attr["request.method"] ~= "POST" then return respond(405, "POST a prompt\n") end
local body = request.req_body
if body.collect == false then return 0 end -- not all there yet: the script runs again when it is
local length = body.len
if length < 1 or length > 4000 then return respond(400, "a prompt of 1 to 4000 bytes expected\n") end
local prompt = body.get:sub(-length) -- some versions put the headers before a small body

local done, text = pcall(model.generate, model, prompt, { max_new_tokens = 60, temperature = 0.8 })
if not done then return respond(500, tostring(text):match "^[^\n]*" .. "\n") end
return respond(200, text .. "\n")
