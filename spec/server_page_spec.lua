local browser = require "spec.support.browser"
local files = require "spec.support.files"
local loopback = require "spec.support.loopback"

local page = require "gpt.server.page"

describe("the page of the server", function()
  it("asks for nothing from outside", function()
    assert.is_nil(page:find "https?://")
    assert.is_nil(page:find "@import")
    assert.is_nil(page:find "src=")
    assert.is_nil(page:find "url%(")
  end)
end)

if not loopback.there or not browser.program() then
  pending "the page in a browser (Chromium or luasocket is not installed)"
  return
end

-- The server is a process of its own: the browser waits for it, and these specs for the browser.
local SERVER = [[
local loopback = require "spec.support.loopback"
local model = loopback.model { context_length = 4096 }
model.tokenizer.eos = nil -- answers are as long as they may be
local server = require("gpt.server").new(model, {
  port = 0, name = "tiny", template = loopback.template, api_key = "secret", max_tokens = 3000,
})
local file <close> = assert(io.open("%s", "w"))
assert(file:write(server.port, "\n"))
file:close()
server:run(function() return not os.rename("%s", "%s") end)
]]

local function start_server(directory)
  local port, script = directory .. "/port", directory .. "/server.lua"
  files.write(script, SERVER:format(port, port, port))
  os.execute(("LUA_PATH='%s' LUA_CPATH='%s' lua5.4 '%s' >'%s/log' 2>&1 &"):format(package.path, package.cpath, script, directory))
  for _ = 1, 200 do
    local file <close> = io.open(port)
    local line = file and file:read "l"
    if line then return tonumber(line) end
    os.execute "sleep 0.05"
  end
  error(files.read(directory .. "/log"))
end

describe("the page in a browser", function()
  local directory, chromium, address

  setup(function()
    directory = files.directory()
    address = ("http://127.0.0.1:%d/"):format(start_server(directory))
    chromium = browser.start()
    chromium:look(1024, 700, "light")
  end)
  teardown(function()
    files.remove(directory) -- then the server ends, too
    chromium:close()
  end)

  local function open()
    chromium:call("Page.navigate", { url = address })
    chromium:wait "document.readyState === 'complete' && document.title === 'tiny'"
  end

  local function say(text)
    chromium:click "#text"
    chromium:type(text)
    chromium:enter()
  end

  local function set(values)
    chromium:click "#open"
    chromium:wait "document.querySelector('#settings').open"
    for name, value in pairs(values) do
      chromium:value(("{ const e = document.getElementById(%q); e.value = %q; e.dispatchEvent(new Event('change')); } true"):format(name, value))
    end
    chromium:click "#settings button"
    chromium:wait "!document.querySelector('#settings').open"
  end

  it("says what the server refuses, and gives the message back", function()
    open()
    say "hello"
    chromium:wait "document.querySelector('.problem')"
    assert.equal("an API key is needed: Authorization: Bearer KEY", chromium:value "document.querySelector('.problem').textContent")
    assert.equal("hello", chromium:value "document.querySelector('#text').value")
    assert.equal(0, chromium:value "document.querySelectorAll('.user, .assistant').length")
  end)

  it("chats", function()
    open()
    set { key = "secret", max_tokens = "7", temperature = "0", system = "be" }
    say "hello"
    chromium:wait "document.querySelector('.note')"
    assert.equal("hello", chromium:value "document.querySelector('.user').textContent")
    assert.truthy(chromium:value("document.querySelector('.note').textContent"):find "^7 tokens, .*cut at the longest answer$")
    assert.equal("user,assistant", chromium:value "messages.map(m => m.role).join()")
    say "again"
    chromium:wait "document.querySelectorAll('.note').length === 2"
    assert.equal(4, chromium:value "messages.length")
    assert.equal("be", chromium:value "request().messages[0].content")
    chromium:click "#clear"
    assert.equal(0, chromium:value "messages.length + document.querySelectorAll('article').length")
  end)

  it("stops an answer, keeps what there is of it, and goes on", function()
    open()
    set { key = "secret", max_tokens = "2900", temperature = "0.7" }
    say "long"
    chromium:wait "document.querySelector('.assistant').textContent.length > 3"
    chromium:click "#stop"
    chromium:wait "!document.querySelector('#send').hidden"
    assert.equal(2, chromium:value "messages.length")
    assert.equal(0, chromium:value "document.querySelectorAll('.problem').length")
    chromium:click "#clear" -- what there is of the answer may be more than half of the context
    set { max_tokens = "3" }
    say "short"
    chromium:wait "document.querySelector('.note')"
    assert.equal(2, chromium:value "messages.length")
  end)

  it("fits every width, in light and in dark", function()
    open()
    local grounds = {}
    for _, scheme in ipairs { "light", "dark" } do
      for _, width in ipairs { 320, 390, 1280 } do
        chromium:look(width, 700, scheme)
        assert.is_true(chromium:value "document.documentElement.scrollWidth <= innerWidth")
        local box = chromium:value "(() => { const r = document.querySelector('#send').getBoundingClientRect(); return [r.right, r.bottom]; })()"
        assert.is_true(box[1] <= width and box[2] <= 700)
      end
      grounds[scheme] = chromium:value "getComputedStyle(document.body).backgroundColor"
    end
    assert.not_equal(grounds.light, grounds.dark)
    chromium:look(1280, 700, "light")
  end)

  it("keeps settings, but for the key", function()
    open()
    set { key = "secret", system = "kept" }
    open()
    assert.equal("kept", chromium:value "document.querySelector('#system').value")
    assert.equal("", chromium:value "document.querySelector('#key').value")
  end)
end)
