-- Draws what luagpt does in one picture: a model printed, its training, what a head looks at, and how fast a larger
-- model is, from the table in docs/performance.md.
--
--   eval "$(make -s env)" && lua5.4 docs/tools/overview.lua docs/pictures/overview.svg
local gpt = require "gpt"
local verses = dofile "examples/support/verses.lua"

local WIDTH, HEIGHT, LINE = 480, 360, 14 -- of a panel, and of a line of text in it, in pixels
local LETTERS, LINES = 66, 21 -- that fit a panel
local TABLE = "Decoding after a context, q4_0, tokens/s:"
local TEXT = [[<g class="gpt-plot"><rect class="background" width="%d" height="%d"/>%s</g>]]
local TITLE = [[<text class="text" x="24" y="28" font-size="16" font-weight="600">%s</text>]]
local WORDS = [[<text class="muted" x="24" y="%d" font-size="11" style="font-family:ui-monospace,monospace"
  xml:space="preserve">%s</text>]]

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

local function train()
  gpt.seed(123)
  local losses = {}
  local model = gpt.Model { vocab_size = verses.vocab_size, context_length = 24, emb_dim = 32, n_heads = 4,
    n_layers = 2, drop_rate = 0, qkv_bias = false }
  local data = gpt.dataset(verses.text(600), { context_length = 24, batch_size = 16 })
  gpt.train { model = model, data = data, epochs = 15, lr = 5e-3, progress = false,
    on_step = function(event) losses[event.step] = event.loss end }
  return model, losses
end

-- Numbers of a column of the table in docs/performance.md.
local function column(head)
  local lines = read "docs/performance.md":match(TABLE:gsub("%p", "%%%0") .. "\n\n(.-)\n\n")
  local at, numbers = nil, {}
  for line in lines:gmatch "[^\n]+" do
    local cells = {}
    for cell in line:gmatch "| ([^|]*) " do cells[#cells + 1] = cell end
    for i, cell in ipairs(cells) do if cell == head then at = i end end
    numbers[#numbers + 1] = tonumber((cells[at]:gsub(",", "")))
  end
  return numbers
end

-- The pictures of a function that draws into a file.
local function drawn(draw, options)
  local path = os.tmpname()
  options.width, options.height = options.width or WIDTH, options.values == nil and HEIGHT or nil
  draw(path, options)
  local svg = read(path)
  os.remove(path)
  return svg
end

local function fitting(line)
  if #line > LETTERS then line = line:sub(1, LETTERS - 2) .. " …" end
  return (line:gsub("[<&]", { ["<"] = "&lt;", ["&"] = "&amp;" }))
end

local function printed(title, text)
  local lines = { TITLE:format(title) }
  for line in text:gmatch "[^\n]+" do
    if #lines <= LINES then lines[#lines + 1] = WORDS:format(40 + LINE * #lines, fitting(line)) end
  end
  return TEXT:format(WIDTH, HEIGHT, table.concat(lines))
end

local function attention(model)
  local ids, labels = verses.encode "the bee hums to the rose . the owl flies to the", {}
  for i, id in ipairs(ids) do labels[i] = verses.decode { id } end
  return drawn(gpt.plot.heatmap, { title = "Look inside: attention of a head", width = 390, low = 0, high = 1,
    row_labels = labels, column_labels = labels, values = model:trace(ids)["blocks.1.attention"].weights[1] })
end

local function speed()
  local tokens, series = column "tokens", {}
  for i, name in ipairs { "luagpt", "f16 cache", "llama.cpp" } do
    series[i] = { name = name, x = tokens, y = column(name), points = true }
  end
  return drawn(gpt.plot.line, { title = "Generate: GPT-2 small in q4_0, two cores", x_label = "tokens of context",
    y_label = "tokens/s", series = series })
end

local function main(path)
  local model, losses = train()
  local panels = {
    printed("Assemble", tostring(model)),
    drawn(gpt.plot.line, { title = "Train", x_label = "step", y_label = "loss", y = losses }), attention(model),
    speed(),
  }
  local parts = { ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">\n'):format(
    2 * WIDTH, 2 * HEIGHT, 2 * WIDTH, 2 * HEIGHT) }
  for i, panel in ipairs(panels) do
    parts[#parts + 1] = ('<svg x="%d" y="%d" width="%d" height="%d">\n%s</svg>\n'):format((i - 1) % 2 * WIDTH,
      (i - 1) // 2 * HEIGHT, WIDTH, HEIGHT, panel)
  end
  write(path, table.concat(parts) .. "</svg>\n")
end

main(arg[1])
