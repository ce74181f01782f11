local files = require "spec.support.files"
local gpt = require "gpt"

local function count(text, pattern) return select(2, text:gsub(pattern, "")) end

-- Every element is closed, in the right order.
local function well_formed(svg)
  local open = {}
  for closing, name, rest in svg:gmatch "<(/?)([%a]+)([^>]*)>" do
    if closing == "/" then assert.equal(name, table.remove(open))
    elseif rest:sub(-1) ~= "/" then table.insert(open, name) end
  end
  assert.same({}, open)
  return count(svg, "<svg ") == 1 and not svg:find("&[^aglq#]") and not svg:find("nan[ \"]") and not svg:find('="[^"]*inf[^"]*"')
end

-- The size and the words of a picture's title.
local function title_of(svg)
  return svg:match '<text [^>]-font%-size="(%d+)"[^>]- font%-weight="600">([^<]*)</text>'
end

describe("gpt.plot", function()
  local dir, file

  before_each(function()
    dir = files.directory()
    file = dir .. "/picture.svg"
  end)

  after_each(function() files.remove(dir) end)

  local function read() return files.read(file) end

  -- The SVG that a function of gpt.plot wrote.
  local function drawn(draw, options)
    assert.equal(file, draw(file, options))
    return read()
  end

  it("draws lines with axes, ticks, a legend and a title, for light and dark", function()
    local x = gpt.linspace(-3, 3, 50)
    local svg = drawn(gpt.plot.line, { title = "a < b & c", x_label = "x", y_label = "y", x = x,
      series = { { name = "GELU", y = x:gelu() }, { name = "ReLU", y = x:relu():totable(), points = true } } })
    assert.is_true(well_formed(svg))
    assert.truthy(svg:find("<title>a &lt; b &amp; c</title>", 1, true))
    assert.truthy(svg:find("@media (prefers-color-scheme: dark)", 1, true))
    assert.falsy(svg:find("href", 1, true))
    for _, label in ipairs { "GELU", "ReLU", "−3", "3", "0", "x", "y" } do
      assert.truthy(svg:find(">" .. label .. "</text>", 1, true), label)
    end
    assert.equal(2, count(svg, "<path "))
    assert.equal(50, count(svg, "<circle "))
  end)

  it("draws one line without more words, on scales of any size", function()
    for _, y in ipairs { { 1, 2, 4 }, { 5 }, { 0, 0 }, { -1e-9, 3e-9 }, { 1e20, -1e20 }, { 0.5, 0.50001 } } do
      assert.is_true(well_formed(drawn(gpt.plot.line, { y = y })))
    end
    for _, y in ipairs { { 1e-9, 1e9 }, { 3 }, { 2, 3 }, { 0.0002, 1.3 } } do
      local svg = drawn(gpt.plot.line, { y = y, y_scale = "log", width = 300, height = 200 })
      assert.is_true(well_formed(svg))
      assert.is_true(count(svg, 'class="grid"') >= 2)
    end
    assert.truthy(drawn(gpt.plot.line, { y = { 0.0002, 1.3 }, y_scale = "log" }):find ">0.001</text>")
    assert.falsy(drawn(gpt.plot.line, { y = { 1, 2, 3 } }):find ">1.5</text>%s*<line[^>]*axis") -- steps are whole
  end)

  it("makes room for a long title, or cuts it", function()
    local function title(text, options)
      options.title = text
      return title_of(drawn(options.y and gpt.plot.line or gpt.plot.heatmap, options))
    end
    assert.same({ "16", "loss" }, { title("loss", { y = { 1, 2 } }) })
    assert.same({ "12", ("words "):rep(15) }, { title(("words "):rep(15), { y = { 1, 2 } }) })
    local size, cut = title(("wörter "):rep(60), { y = { 1, 2 } })
    assert.equal("11", size)
    assert.truthy(cut:find "^wörter .*…$")
    assert.is_true(utf8.len(cut) * 11 * 0.6 <= 720)
    assert.truthy(select(2, title(("words "):rep(60), { values = gpt.ones(2, 2) })):find "…$")
  end)

  it("leaves gaps where numbers are not finite, and thins what has more points than pixels", function()
    local svg = drawn(gpt.plot.line, { y = { 1, 2, 0 / 0, 3, 1 / 0, 2 } })
    assert.is_true(well_formed(svg))
    assert.equal(3, count(svg:match '<path d="([^"]*)"', "M"))
    local many = {}
    for i = 1, 20000 do many[i] = math.sin(i / 1000) end
    many[7] = 9.0
    svg = drawn(gpt.plot.line, { y = many })
    local path = svg:match '<path d="([^"]*)"'
    assert.is_true(count(path, "L") < 1500)
    assert.truthy(svg:find(">8</text>", 1, true)) -- the one high point is there
  end)

  it("draws heat maps, several side by side, with labels and numbers", function()
    local weights = gpt.rand(3, 4, 4)
    local words = { "the", "<cat>", "sat", "." }
    local svg = drawn(gpt.plot.heatmap, { title = "heads", values = weights, titles = { "head 1", "head 2", "head 3" },
      row_labels = words, column_labels = words, x_label = "sees", y_label = "token" })
    assert.is_true(well_formed(svg))
    assert.equal(48, count(svg, "<rect [^>]*fill%-opacity"))
    assert.truthy(svg:find("&lt;cat&gt;", 1, true))
    svg = drawn(gpt.plot.heatmap, { values = { { 1, -1 }, { 0 / 0, 0 } }, numbers = true })
    assert.is_true(well_formed(svg))
    assert.equal(1, count(svg, 'class="below" fill%-opacity="1.000"'))
    assert.equal(1, count(svg, 'class="missing"'))
    assert.equal(1, count(svg, ">nan</text>"))
    assert.is_true(well_formed(drawn(gpt.plot.heatmap, { values = gpt.zeros(1, 1) })))
    assert.is_true(well_formed(drawn(gpt.plot.heatmap, { values = gpt.ones(256, 3), low = 0.5, high = 2 })))
  end)

  it("makes room for the titles of narrow heat maps", function()
    local titles = { "the letter before it", "what is behind the copy" }
    local svg = drawn(gpt.plot.heatmap, { values = gpt.ones(2, 2, 1), titles = titles })
    local from = tonumber(svg:match('<text x="([%d.]+)"[^>]*>' .. titles[1]))
    local to = tonumber(svg:match('<text x="([%d.]+)"[^>]*>' .. titles[2]))
    assert.is_true(to - from > utf8.len(titles[1]) * 13 * 0.6)
  end)

  it("writes words into the cells of heat maps: all of one, or what fits", function()
    local svg = drawn(gpt.plot.heatmap, { values = { { 0.1, 0.9 } }, texts = { { "<the>", "cathedral" } } })
    assert.is_true(well_formed(svg))
    assert.truthy(svg:find(">&lt;the&gt;</text>", 1, true))
    assert.truthy(svg:find(">cathedral</text>", 1, true))
    assert.truthy(svg:find("<title>1, 2: cathedral: 0.9</title>", 1, true))
    svg = drawn(gpt.plot.heatmap, { values = gpt.ones(1, 20), texts = { (function()
      local row = {}
      for i = 1, 20 do row[i] = "cathédrale " .. i end
      return row
    end)() } })
    assert.is_true(well_formed(svg))
    assert.truthy(svg:find(">ca…</text>", 1, true))
    assert.truthy(svg:find("<title>1, 3: cathédrale 3: 1</title>", 1, true))
    svg = drawn(gpt.plot.heatmap, { values = gpt.ones(2, 1, 1), texts = { { { "one" } }, { { "two" } } } })
    assert.truthy(svg:find(">one</text>", 1, true) and svg:find(">two</text>", 1, true))
    assert.falsy(drawn(gpt.plot.heatmap, { values = gpt.ones(1, 40), numbers = true }):find ">1%.")
  end)

  it("refuses nonsense, and leaves what was there", function()
    drawn(gpt.plot.line, { y = { 1, 2 } })
    local before = read()
    local function line(message, options) assert.error_matches(function() gpt.plot.line(file, options) end, message, 1, true) end
    local function map(message, options) assert.error_matches(function() gpt.plot.heatmap(file, options) end, message, 1, true) end
    line("gpt.plot.line: a table of options expected, got nil; as in { y = numbers }")
    line("gpt.plot.line: options are names, as in { y = numbers }, got a list", { 1, 2, 3 })
    map("gpt.plot.heatmap: a table of options expected, got a gpt.Tensor; as in { values = numbers }", gpt.ones(2, 2))
    map("gpt.plot.heatmap: options are names, as in { values = numbers }, got a list", { { 1, 2 }, { 3, 4 } })
    line("gpt.plot.line: titel: unknown key; did you mean 'title'?", { y = { 1 }, titel = "x" })
    line("gpt.plot.line: y_scale: \"linear\" or \"log\" expected, got \"lag\"", { y = { 1 }, y_scale = "lag" })
    line("gpt.plot.line: width: a whole number of pixels from 200 to 4,000 expected, got 3", { y = { 1 }, width = 3 })
    line("gpt.plot.line: options.y: a list of numbers or a tensor of one dimension expected, got nil", {})
    line("gpt.plot.line: series: a list of { y = numbers, name = text } expected, got no item", { series = {} })
    line("gpt.plot.line: series[1]: a table { y = numbers, name = text } expected, got 3", { series = { 3 } })
    line("gpt.plot.line: series[1]: nam: unknown key; did you mean 'name'?", { series = { { y = { 1 }, nam = "x" } } })
    line("gpt.plot.line: series[1].y: at least one number expected", { series = { { y = {} } } })
    line("gpt.plot.line: series[2].y[1]: a number expected, got \"1\"", { series = { { y = { 1 } }, { y = { "1" } } } })
    line("gpt.plot.line: series[1]: 3 numbers in x, but 2 in y", { x = { 1, 2, 3 }, series = { { y = { 1, 2 } } } })
    line("gpt.plot.line: options.y: a tensor of one dimension expected, got one of shape [2, 2]", { y = gpt.ones(2, 2) })
    line("gpt.plot.line: options.y[2] is 0: a log scale shows numbers above 0", { y = { 1, 0 }, y_scale = "log" })
    line("gpt.plot.line: options: no finite number to show", { y = { 0 / 0 } })
    map("gpt.plot.heatmap: values: rows of numbers, or a tensor [rows, columns] or [panels, rows, columns] expected, got nil", {})
    map("gpt.plot.heatmap: values: a tensor [rows, columns] or [panels, rows, columns] expected, got one of shape [3]",
      { values = gpt.ones(3) })
    map("gpt.plot.heatmap: values[2]: a row of 2 numbers expected, got 1", { values = { { 1, 2 }, { 3 } } })
    map("gpt.plot.heatmap: values[2]: 1 rows of 1 expected, as in the first, got 2 of 1",
      { values = { { { 1 } }, { { 1 }, { 2 } } } })
    map("gpt.plot.heatmap: values: at most 256 rows and columns fit a picture, got 300 x 2: show a part of it",
      { values = gpt.ones(300, 2) })
    map("gpt.plot.heatmap: row_labels: 2 expected, got 1", { values = gpt.ones(2, 2), row_labels = { "a" } })
    map("gpt.plot.heatmap: titles[1]: text expected, got 3", { values = gpt.ones(2, 2), titles = { 3 } })
    map("gpt.plot.heatmap: texts: 2 rows of text expected, as in values, got 1",
      { values = gpt.ones(2, 2), texts = { { "a", "b" } } })
    map("gpt.plot.heatmap: texts[1]: 2 expected, got 1", { values = gpt.ones(1, 2), texts = { { "a" } } })
    map("gpt.plot.heatmap: texts[1][2]: text expected, got 3", { values = gpt.ones(1, 2), texts = { { "a", 3 } } })
    map("gpt.plot.heatmap: texts: those of 2 panels expected, as in values, got \"a\"",
      { values = gpt.ones(2, 1, 1), texts = "a" })
    map("gpt.plot.heatmap: low (2) must be below high (1)", { values = gpt.ones(2, 2), low = 2, high = 1 })
    assert.error_matches(function() gpt.plot.line({ y = { 1 } }, {}) end,
      "gpt.plot.line: a file name expected as first argument, got a table", 1, true)
    assert.error_matches(function() gpt.plot.line("x.PNG", { y = { 1 } }) end,
      'gpt.plot.line: pictures are SVG: a name that ends in .svg expected, got "x.PNG"', 1, true)
    assert.error(function() gpt.plot.line(dir .. "/none/x.svg", { y = { 1 } }) end)
    assert.equal(before, read())
  end)
end)
