local files = require "spec.support.files"
local process = require "spec.support.process"

-- Does what writes and reads numbers, and prints all of it; the locale is set after the module is loaded, or before.
local SCRIPT = [==[
local function set() if name ~= "" then assert(os.setlocale(name, category), "no such locale") end end
if EARLY then set() end
local gpt = require "gpt"
local json, safetensors = require "gpt.support.json", require "gpt.safetensors"
set()
local function out(...)
  for _, value in ipairs { ... } do
    io.write(type(value) == "number" and ("%x"):format((string.unpack("<i8", string.pack("<d", value))))
      or tostring(value), "\n")
  end
end
local function show(path)
  for line in io.lines(dir .. "/" .. path) do out(line) end
end
local function refusal(fn, ...)
  local function call(...)
    local answer = fn(...)
    return answer
  end
  out((select(2, pcall(call, ...)):gsub("^[^ ]-:(%d+:)", "%1")))
end
gpt.seed(1)
out(gpt.randn(2, 3), gpt.tensor { 1e-9, 2.5 }, gpt.tensor { 1, 2 }, gpt.tensor { 0.5, 0 / 0 })
out(gpt.config("gpt2-small", { drop_rate = 0.25, norm_eps = 1e-6 }), gpt.size "gpt2-small")
out(gpt.nn.Dropout(0.1), gpt.nn.LayerNorm(3, { eps = 1e-6 }))
local config = { vocab_size = 11, context_length = 4, emb_dim = 8, n_heads = 2, n_layers = 2, drop_rate = 0.125,
  qkv_bias = true, norm_eps = 3e-6 }
local model = gpt.Model(config)
out(model, gpt.optim.AdamW(model, { lr = 0.0125, betas = { 0.9, 0.95 }, eps = 1e-9 }))
out(json.encode { 0.5, 1e-7, 12, { B = 1.5, a_b = 2, ab = 3, ["a.b"] = 4, A = 5 } },
  json.encode(json.decode "[0.25, -1.5e-3, 2]"))
for _, text in ipairs { "[1,5]", "1.25" } do out(json.encode(json.decode(text))) end
local log = assert(io.open(dir .. "/log", "w"))
local data = gpt.dataset({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3 }, { context_length = 4, batch_size = 1 })
local result = gpt.train { model = model, data = data, steps = 3, lr = 0.01, warmup = 1, progress = log, log_every = 1,
  validation = data, evaluate_every = 1, metrics = dir .. "/metrics.csv", checkpoints = dir .. "/points" }
log:close()
gpt.train { model = model, data = data, steps = 4, lr = 0.01, warmup = 1, progress = false, validation = data,
  metrics = dir .. "/metrics.jsonl", checkpoints = dir .. "/points", resume = true }
for line in io.lines(dir .. "/log") do out((line:gsub("[%d,.]+ tokens/s.*", ""))) end
for line in io.lines(dir .. "/metrics.csv") do out((line:gsub(",[%d.e-]+,", ",T,", 5))) end
out((tostring(result):gsub("tokens, [^,]*,", "tokens, T,")))
gpt.plot.line(dir .. "/line.svg", { y = { 0.5, 1.25, 0.125 }, x = { 0.1, 0.2, 0.35 }, x_label = "x" })
gpt.plot.heatmap(dir .. "/heat.svg", { values = gpt.randn(3, 3), title = "Heat" })
show "line.svg"
show "heat.svg"
model:save(dir .. "/model")
show "model/config.json"
local header <close> = assert(io.open(dir .. "/model/model.safetensors", "rb"))
out((header:read((string.unpack("<I8", header:read(8))))))
out(gpt.load(dir .. "/model").config, gpt.load(dir .. "/model") { 1, 2 }:sum():item())
refusal(gpt.arange, 0.5, 1, 0)
refusal(gpt.sample, gpt.zeros(3), { temperature = -1.5 })
refusal(gpt.Model, { vocab_size = 1.5, drop_rate = 2.5, Drop_rate = 1, emb_dim = 0.5 })
refusal(gpt.zeros, 1.5)
refusal(gpt.nn.Dropout, 1.5)
refusal(gpt.lr_schedule, { lr = 0.5, min_lr = 1.5, steps = 3 })
refusal(model.generate, model, { 1.5 })
refusal(gpt.plot.heatmap, dir .. "/x.svg", { values = { { 1 } }, low = 1.5, high = 0.5 })
gpt.memory { limit = 1 << 30 }
out((select(2, pcall(gpt.zeros, 20000, 20000)):gsub("^.-:%d+:", ""):gsub("requested, .- live", "requested, LIVE")))
gpt.memory { limit = 0 }
refusal(function() return gpt.zeros(3)[1.5] end)
refusal(function() return { gpt.zeros(3) < 1.5 } end)
out(gpt.tensor({ 1.5 }):item() == 1.5, tostring(gpt.sample(gpt.tensor { 0.5, 2.5 }, { temperature = 0.5, seed = 1 })))
]==]

local dir

local function run(name, category, early)
  local inner = dir .. "/work"
  files.remove(inner)
  assert(os.execute("mkdir " .. inner))
  local head = ("local name, category, dir, EARLY = %q, %q, %q, %s\n"):format(name, category, inner, early)
  local text, ok = process.lua(head .. SCRIPT .. '\nio.write("point: ", ("%.1f"):format(0.5), "\\n")', "LOCPATH=" .. dir)
  assert(ok, text)
  local point = text:match "point: 0(.)5\n$"
  return (text:gsub("point: [^\n]*\n$", "")), point
end

-- A category of glibc's that differs from the C locale's only in its decimal point: the file as localedef writes it.
local function write_comma_locale()
  assert(os.execute(("mkdir -p '%s/comma'"):format(dir)))
  -- magic number, count, where each item lies; point, thousands, groups of digits, both as wide characters, codeset
  files.write(dir .. "/comma/LC_NUMERIC", string.pack("=I4I4I4I4I4I4I4I4", 0x20031114, 6, 32, 34, 36, 40, 44, 48)
    .. ",\0.\0\3\3\0\0" .. string.pack("=I4I4", 44, 46) .. "ANSI_X3.4-1968\0")
end

-- A locale in which letters come in the opposite order, with a decimal comma too, made by localedef.
local function make_reversed_locale()
  local lines = { "comment_char %", "escape_char /", "LC_NUMERIC", 'decimal_point ","', 'thousands_sep "."',
    "grouping 3;3", "END LC_NUMERIC", "LC_COLLATE", "order_start forward" }
  for code = 122, 46, -1 do lines[#lines + 1] = ("<U%04X>"):format(code) end
  table.move({ "order_end", "END LC_COLLATE" }, 1, 2, #lines + 1, lines)
  for _, name in ipairs { "LC_CTYPE", "LC_MONETARY", "LC_TIME", "LC_MESSAGES" } do
    lines[#lines + 1] = ('%s\ncopy "POSIX"\nEND %s'):format(name, name)
  end
  files.write(dir .. "/source", table.concat(lines, "\n") .. "\n")
  local command = "cd '%s' && localedef -c -i ./source -f ANSI_X3.4-1968 ./reversed >/dev/null 2>&1"
  os.execute(command:format(dir)) -- it warns of what is not defined, and returns 1
end

-- The first lines that differ, or nothing.
local function difference(expected, found)
  local next_found = found:gmatch "[^\n]*\n"
  for line in expected:gmatch "[^\n]*\n" do
    local other = next_found()
    if other ~= line then return line .. (other or "nothing") end
  end
  return next_found() or ""
end

local function has_locale(name, category)
  local text = process.lua(("print(os.setlocale(%q, %q))"):format(name, category), "LOCPATH=" .. dir)
  return text ~= "nil\n"
end

describe("nothing that is written or read depends on the locale:", function()
  setup(function() dir = files.directory() end)
  teardown(function() files.remove(dir) end)

  it("a decimal comma", function()
    write_comma_locale()
    if not has_locale("comma", "numeric") then return pending "this C library has locales of another form" end
    local expected, point = run("", "numeric", false)
    assert.equal(".", point)
    for _, early in ipairs { true, false } do
      local found, comma = run("comma", "numeric", early)
      assert.equal(",", comma) -- the host's own numbers stay as the host wants them
      assert.equal("", difference(expected, found))
    end
  end)

  it("another order of letters", function()
    make_reversed_locale()
    if not has_locale("reversed", "all") then return pending "localedef, or its sources, are missing" end
    local expected = run("", "all", false)
    local found, comma = run("reversed", "all", true)
    assert.equal(",", comma)
    assert.equal("", difference(expected, found))
  end)
end)
