-- A headless Chromium (without a sanitizer that is preloaded here), driven over its debugging protocol: what a reader of a page does and sees.
local files = require "spec.support.files"
local json = require "gpt.support.json"
local ok, socket = pcall(require, "socket")

local browser = {}

local PATIENCE = 60 -- seconds: a machine may be busy

-- The program's name, or nil.
function browser.program()
  if not ok then return nil end
  for _, name in ipairs { "chromium", "chromium-browser", "google-chrome" } do
    if os.execute(("command -v %s >/dev/null 2>&1"):format(name)) then return name end
  end
end

local Browser = {}
Browser.__index = Browser

local function wait_for(what, fn)
  local last = socket.gettime() + PATIENCE
  repeat
    local value = fn()
    if value then return value end
    socket.sleep(0.02)
  until socket.gettime() > last
  error(what .. " did not come", 0)
end

local function get(port, path)
  local client = assert(socket.connect("127.0.0.1", port))
  client:settimeout(PATIENCE)
  assert(client:send(("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n"):format(path, port)))
  local length
  for line in function() return client:receive "*l" end do
    length = tonumber(line:lower():match "^content%-length:%s*(%d+)") or length
    if line == "" then break end
  end
  local body = client:receive(length)
  client:close()
  return body
end

local function open_socket(url)
  local port, path = url:match "^ws://[^:]+:(%d+)(/.*)$"
  local client = assert(socket.connect("127.0.0.1", tonumber(port)))
  client:settimeout(PATIENCE)
  assert(client:send(("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bHVhZ3B0IGlzIGEgR1BULg==\r\n\r\n"):format(path, port)))
  repeat
    local line = assert(client:receive "*l")
  until line == ""
  return client
end

-- A frame of text, under a mask of zeros.
local function frame(text)
  local length = #text < 126 and string.pack("B", 0x80 | #text)
    or #text < 65536 and string.pack(">BI2", 0x80 | 126, #text) or string.pack(">BI8", 0x80 | 127, #text)
  return "\x81" .. length .. "\0\0\0\0" .. text
end

local function receive_frame(client)
  local first, second = assert(client:receive(2)):byte(1, 2)
  local length = second & 0x7F
  if length == 126 then length = string.unpack(">I2", assert(client:receive(2))) end
  if length == 127 then length = string.unpack(">I8", assert(client:receive(8))) end
  return length > 0 and assert(client:receive(length)) or "", first & 0x80 ~= 0
end

local function receive_message(client)
  local parts = {}
  while true do
    local text, last = receive_frame(client)
    parts[#parts + 1] = text
    if last then break end
  end
  return json.decode(table.concat(parts))
end

--- Starts one.
function browser.start()
  local directory = files.directory()
  local pipe <close> = assert(io.popen(("exec env -u LD_PRELOAD %s --headless=new --no-sandbox --disable-gpu --no-first-run --remote-debugging-port=0 "
    .. "--user-data-dir='%s' about:blank >/dev/null 2>&1 & echo $!"):format(browser.program(), directory)))
  local self = setmetatable({ process = pipe:read "l", directory = directory, number = 0 }, Browser)
  local port = wait_for("the browser", function()
    local file <close> = io.open(directory .. "/DevToolsActivePort")
    return file and tonumber(file:read "l")
  end)
  local page = wait_for("a page", function()
    for _, each in ipairs(json.decode(get(port, "/json/list"))) do
      if each.type == "page" then return each end
    end
  end)
  self.socket = open_socket(page.webSocketDebuggerUrl)
  return self
end

--- Calls a method of the protocol.
function Browser:call(method, params)
  self.number = self.number + 1
  assert(self.socket:send(frame(json.encode { id = self.number, method = method, params = params or {} })))
  while true do
    local message = receive_message(self.socket)
    if message.id == self.number then
      if message.error then error(message.error.message, 2) end
      return message.result
    end
  end
end

--- The value of an expression in the page.
function Browser:value(expression)
  local result = self:call("Runtime.evaluate", { expression = expression, returnByValue = true, awaitPromise = true })
  if result.exceptionDetails then error(result.exceptionDetails.exception.description, 2) end
  return result.result.value
end

--- Waits until an expression in the page is true, and returns its value.
function Browser:wait(expression)
  return wait_for(expression, function()
    local value = self:value(expression)
    return value ~= json.null and value or nil
  end)
end

--- The page as its reader sees it: a width and height in pixels, and "light" or "dark".
function Browser:look(width, height, scheme)
  self:call("Emulation.setDeviceMetricsOverride", { width = width, height = height, deviceScaleFactor = 1, mobile = width < 600 })
  self:call("Emulation.setEmulatedMedia", { features = json.array { { name = "prefers-color-scheme", value = scheme } } })
end

--- Types text where the focus is.
function Browser:type(text)
  self:call("Input.insertText", { text = text })
end

--- Presses Enter.
function Browser:enter()
  for _, kind in ipairs { "keyDown", "keyUp" } do
    self:call("Input.dispatchKeyEvent", { type = kind, key = "Enter", code = "Enter", windowsVirtualKeyCode = 13, text = "\r" })
  end
end

--- Clicks in the middle of an element.
function Browser:click(selector)
  local place = self:value(("(() => { const r = document.querySelector(%s).getBoundingClientRect();"
    .. " return { x: r.x + r.width / 2, y: r.y + r.height / 2 }; })()"):format(json.quote(selector)))
  for _, kind in ipairs { "mousePressed", "mouseReleased" } do
    self:call("Input.dispatchMouseEvent", { type = kind, x = place.x, y = place.y, button = "left", clickCount = 1 })
  end
end

--- A picture, in base 64.
function Browser:picture()
  return self:call("Page.captureScreenshot").data
end

--- Ends it.
function Browser:close()
  pcall(self.call, self, "Browser.close")
  self.socket:close()
  os.execute(("for i in 1 2 3 4 5 6 7 8 9; do kill -0 %s 2>/dev/null || break; sleep 0.1; done; kill -9 %s 2>/dev/null; true")
    :format(self.process, self.process))
  os.execute(("rm -rf '%s'"):format(self.directory))
end

return browser
