local core = require "gpt.core"
local files = require "spec.support.files"
local gpt = require "gpt"
local message_of = require "spec.support.raised"

-- The text of a picture, 40 columns wide and without colours, but for other options.
local function text(picture, options)
  local all = { width = 40, colors = "none" }
  for name, value in pairs(options or {}) do all[name] = value end
  return picture:text(all)
end

local function lines(wanted) return (wanted:gsub("^\n", ""):gsub("\n%s*$", "")) end

-- Calls fn with a terminal of that width (nil: none) and those variables.
local function in_terminal(width, variables, fn)
  local getenv, asked = os.getenv, core._terminal_width
  os.getenv = function(name) return variables[name] end -- luacheck: ignore
  core._terminal_width = function() return width end
  local done, problem = pcall(fn)
  os.getenv, core._terminal_width = getenv, asked -- luacheck: ignore
  assert(done, problem)
end

describe("a picture in the terminal", function()
  it("is a line chart of dots, with title, axes and labels", function()
    assert.equal(lines [[
   powers
y
10 ┤
   │                             ⣀⡠⠤⠒⠊⠉
 5 ┤                       ⣀⡠⠤⠒⠊⠉
   │          ⣀⣀⣀⣀⠤⠤⠤⠒⠒⠒⠉⠉⠉
 0 ┤⠒⠒⠒⠒⠉⠉⠉⠉⠉⠉
   └───────────┬──────────────────────┬
               2                      4
                   step]], text(gpt.plot.line { y = { 1, 2, 4, 8 }, title = "powers", x_label = "step", y_label = "y" }, { height = 5 }))
    assert.equal(lines [[
1,000 ┤                        ⢀⣀⡠⠤⠔⠒⠊⠉
  200 ┤                ⣀⣀⠤⠤⠒⠒⠊⠉⠁
   20 ┤       ⢀⣀⡠⠤⠤⠒⠒⠉⠉
    2 ┤⣀⡠⠤⠔⠒⠊⠉⠁
      └──────────┬────────────────────┬
                 2                    4]], text(gpt.plot.line { y = { 1, 10, 100, 1000 }, y_scale = "log" }, { height = 4 }))
  end)

  it("leaves gaps where numbers are not finite", function()
    assert.equal(lines [[
3 ┤                  ⠁
2 ┤
  │                                   ⠈
1 ┤⡀
  └─────────┬────────────────┬─────────
            2                4]], text(gpt.plot.line { y = { 1, 0 / 0, 3, 1 / 0, 2 } }, { height = 4 }))
  end)

  it("tells series apart by signs where there are no colours, by colours otherwise", function()
    local picture = gpt.plot.line { series = { { y = { 1, 2, 3 }, name = "up" }, { y = { 3, 2, 1 }, name = "down" }, { y = { 2, 2, 2 } } } }
    assert.equal(lines [[
  • up   x down
3 ┤xxxxx                          •••••
  │     xxxxxxxxx        •••••••••
2 ┤oooooooooooooooooooooooooooooooooooo
  │     •••••••••        xxxxxxxxx
1 ┤•••••                          xxxxx
  └┬─────────────────┬────────────────┬
   1                 2                3]], text(picture, { height = 5 }))
    local coloured = text(picture, { height = 5, colors = "24bit" })
    assert.truthy(coloured:find("\27[38;2;108;178;255m━\27[0m up", 1, true))
    assert.truthy(coloured:find("\27[38;2;255;154;77m━\27[0m down", 1, true))
    assert.truthy(text(picture, { colors = "24bit", theme = "light" }):find("\27[38;2;31;108;192m━\27[0m up", 1, true))
    assert.truthy(text(picture, { colors = "256" }):find("\27[38;5;75m━\27[0m up", 1, true))
    assert.falsy(coloured:find("•", 1, true))
  end)

  it("breaks a legend that is too long", function()
    local series = {}
    for i = 1, 4 do series[i] = { y = { 1, i }, name = "series of the number " .. i } end
    local first, second = text(gpt.plot.line { series = series }):match "([^\n]*)\n([^\n]*)"
    assert.same({ "  • series of the number 1", "  x series of the number 2" }, { first, second })
  end)

  it("is a histogram of bars", function()
    assert.equal(lines [[
  h
count
5 ┤█████████
  │█████████
  │█████████
0 ┤█████████▆▆▆▆▆▆▆▆▆         ▆▆▆▆▆▆▆▆▆
  └──────────────────┬─────────────────
                     5]], text(gpt.plot.histogram { values = { 1, 1, 2, 2, 2, 3, 9 }, bins = 4, title = "h" }, { height = 4 }))
    assert.equal(lines [[
  █ 5 shown, 2 outside or not finite
count
2 ┤██████████████████
1 ┤██████████████████
  │███████████████████████████
0 ┤███████████████████████████
  └┬───────────┬──────────┬───────────┬
   1           2          3           4]], text(gpt.plot.histogram { values = { 1, 1, 0 / 0, 2, 2, 3, 9 }, bins = 4, high = 4 }, { height = 4 }))
  end)

  it("is a heat map of shades, words upright where they do not fit", function()
    assert.equal(lines [[
     map
↓ token
 the ██▒▒
a→b↵ ##--??
     x y z
     → seen
     −1 ##===---···  ░░░▒▒▒▓▓▓██ 1]], text(gpt.plot.heatmap { values = { { 1, 0.5, 0 }, { -1, -0.5, 0 / 0 } }, title = "map",
      row_labels = { "the", "a\tb\n" }, column_labels = { "x", "y", "z" }, x_label = "seen", y_label = "token" }))
    assert.equal(lines [[
 猫 ██▒▒
dog ##??
    w y
    o
    r
    d
    −1 ##===---···  ░░░▒▒▒▓▓▓██ 1]], text(gpt.plot.heatmap { values = { { 1, 0.5 }, { -1, 0 / 0 } },
      row_labels = { "猫", "dog" }, column_labels = { "word", "y" } }))
    assert.equal(lines [[
  one   a lo…
1 ████  ████
2 ████  ████
  1 2   1 2
  0    ░░░░░░▒▒▒▒▒▒▓▓▓▓▓▓███ 1]], text(gpt.plot.heatmap { values = gpt.ones(2, 2, 2), titles = { "one", "a long title" } }))
  end)

  it("is a heat map with numbers or words in it", function()
    assert.equal(lines [[
1  1.00   −1.00  0.50
2   nan   0.00   −0.25
     1      2      3
  −1 ##===---···  ░░░▒▒▒▓▓▓██ 1]], text(gpt.plot.heatmap { values = { { 1, -1, 0.5 }, { 0 / 0, 0, -0.25 } }, numbers = true }))
    assert.equal("1  word   w", text(gpt.plot.heatmap { values = { { 1, 0 } }, texts = { { "word", "w" } } }):match "[^\n]*")
    local coloured = text(gpt.plot.heatmap { values = { { 1, 0 } }, texts = { { "word", "w" } } }, { colors = "24bit" })
    assert.truthy(coloured:find("\27[38;2;20;24;29;48;2;124;184;255mword\27[0m", 1, true)) -- dark on light
    assert.truthy(coloured:find("\27[38;2;230;237;243;48;2;20;24;29mw\27[0m", 1, true))
  end)

  it("is a heat map of half blocks in colours", function()
    local picture = gpt.plot.heatmap { values = gpt.tensor { { 1.0, 0.5 }, { -1.0, -1.0 }, { 0.0, 0.0 } } }
    local wide = {}
    for i = 1, 3 do
      wide[i] = {}
      for k = 1, 30 do wide[i][k] = i == 2 and -1 or k == 1 and 1 or 0 end
    end
    local first, second = text(gpt.plot.heatmap { values = wide }, { colors = "24bit" }):match "([^\n]*)\n([^\n]*)"
    assert.truthy(first:find("\27[38;2;124;184;255;48;2;255;159;92m▀\27[0m", 1, true))  -- 1 above -1
    assert.truthy(second:find("\27[38;2;124;184;255m▀\27[0m", 1, true))                  -- nothing below the last row
    assert.truthy(text(picture, { colors = "256" }):find("\27[48;5;117m    \27[0m\27[48;5;31m    \27[0m", 1, true))
    assert.truthy(text(picture, { colors = "24bit", theme = "light" }):find("\27[48;2;24;88;168m    \27[0m", 1, true))
    assert.falsy(text(picture):find "\27")
  end)

  it("shows the strongest of several numbers where there is no room for all, and says so", function()
    local values = gpt.zeros(100, 200)
    values[51][101], values[100][200] = 5, -5
    local shown = text(gpt.plot(values))
    assert.truthy(shown:find("\n    a cell: the strongest of 3 x 6", 1, true) or shown:find("\n     a cell: the strongest of 3 x 6", 1, true))
    assert.equal(1 + 2, select(2, shown:gsub("█", ""))) -- one in the map, the others in the scale
    assert.equal(1 + 2, select(2, shown:gsub("#", "")))
    for _, line in ipairs { 30, 60, 200 } do
      for each in (text(gpt.plot(values), { width = line }) .. "\n"):gmatch "([^\n]*)\n" do
        assert.is_true(utf8.len(each) <= line, each)
      end
    end
  end)

  it("sets panels beside each other as far as they fit", function()
    local picture = gpt.plot.heatmap { values = gpt.ones(5, 6, 6), titles = { "a", "b", "c", "d", "e" } }
    assert.truthy(text(picture, { width = 80 }):find "^  a             b             c             d\n")
    assert.truthy(text(picture, { width = 30 }):find "^  a             b\n")
  end)

  it("fits what the terminal says of itself", function()
    local picture = gpt.plot.heatmap { values = { { 1, 0 } } }
    local function begins(width, variables, wanted)
      in_terminal(width, variables, function()
        local got = tostring(picture):match "[^\n]*"
        assert.equal(wanted, got)
      end)
    end
    local deep, few, none = "  \27[48;2;124;184;255m    \27[0m\27[48;2;20;24;29m    \27[0m", "  \27[48;5;117m    \27[0m\27[48;5;16m    \27[0m", "1 ██"
    begins(80, { TERM = "xterm", COLORTERM = "truecolor" }, deep)
    begins(80, { TERM = "xterm", COLORTERM = "24bit" }, deep)
    begins(80, { TERM = "xterm-direct" }, deep)
    begins(80, { TERM = "xterm-256color" }, few)
    begins(80, { TERM = "xterm-256color", NO_COLOR = "1" }, none)
    begins(80, { TERM = "xterm-256color", NO_COLOR = "" }, few)
    begins(80, { TERM = "vt100" }, none)
    begins(80, { TERM = "dumb", COLORTERM = "truecolor" }, none)
    begins(80, {}, none)
    begins(nil, { TERM = "xterm-256color", COLORTERM = "truecolor" }, none)
    begins(80, { TERM = "xterm-direct", COLORFGBG = "0;15" }, "  \27[48;2;24;88;168m    \27[0m\27[48;2;255;255;255m    \27[0m")
  end)

  it("is as wide as the terminal, or as COLUMNS says", function()
    local picture = gpt.plot { 3, 1, 2 }
    local function width(columns, variables)
      local most = 0
      in_terminal(columns, variables, function()
        for line in (tostring(picture) .. "\n"):gmatch "([^\n]*)\n" do most = math.max(most, utf8.len(line)) end
      end)
      return most
    end
    assert.same({ 80, 120, 60, 30, 80 }, { width(nil, {}) + 1, width(120, {}) + 1, width(120, { COLUMNS = "60" }) + 1, width(7, {}) + 1,
      width(nil, { COLUMNS = "x" }) + 1 })
    assert.equal(49, utf8.len(tostring(gpt.plot({ 1, 2 }, { width = 50 })):match "[^\n]*└[^\n]*"))
  end)

  it("is saved as SVG as well, and stays as it is", function()
    local file = os.tmpname()
    local y = { 1, 2, 3 }
    local picture = gpt.plot(y, { title = "three" })
    local before = text(picture)
    y[1] = 100
    assert.equal(before, text(picture))
    assert.equal(file, picture:save(file))
    local saved = files.read(file)
    gpt.plot.line(file, { y = { 1, 2, 3 }, title = "three" })
    assert.equal(files.read(file), saved)
    picture:save(file, { width = 400, height = 300 })
    assert.truthy(files.read(file):find('width="400" height="300"', 1, true))
    gpt.plot.histogram(file, { values = gpt.arange(1, 100), bins = 5 })
    assert.equal(5, select(2, files.read(file):gsub("<rect [^>]*mark1", "")))
    os.remove(file)
  end)

  it("is made by gpt.plot of numbers of one to three dimensions", function()
    assert.equal(text(gpt.plot.line { y = { 1, 2 }, title = "t" }), text(gpt.plot(gpt.tensor { 1, 2 }, { title = "t" })))
    assert.equal(text(gpt.plot.heatmap { values = { { 1, 2 } } }), text(gpt.plot { { 1, 2 } }))
    assert.equal(text(gpt.plot.heatmap { values = gpt.ones(2, 2, 2) }), text(gpt.plot(gpt.ones(2, 2, 2))))
    assert.truthy(tostring(gpt.plot):find "^gpt.plot: heatmap histogram line\n")
  end)

  it("counts any number of values of any dtype", function()
    local many = text(gpt.plot.histogram { values = gpt.ones(70000):to "bf16", bins = 2 }, { height = 3 })
    assert.truthy(many:find("100,000 ┤", 1, true))
    assert.truthy(text(gpt.plot.histogram { values = { 5 } }):find("█", 1, true))
    assert.equal(60 + 1, #gpt.plot.histogram { values = gpt.rand(30000) }.description.series[1].x)
  end)

  it("refuses what it cannot show", function()
    local function refuse(message, fn, ...) assert.equal(message, message_of(fn, ...)) end
    local instead = "; gpt.plot.line, gpt.plot.heatmap and gpt.plot.histogram write files"
    refuse("gpt.plot: numbers expected, a list or a tensor of one to three dimensions, got \"x.svg\"" .. instead, gpt.plot, "x.svg", { 1 })
    refuse("gpt.plot: numbers expected, a list or a tensor of one to three dimensions, got nil" .. instead, gpt.plot)
    refuse("gpt.plot: numbers expected, a list or a tensor of one to three dimensions, got one of shape [1, 1, 1, 1]" .. instead,
      gpt.plot, gpt.ones(1, 1, 1, 1))
    refuse("gpt.plot: a table of options expected, got 3", gpt.plot, { 1 }, 3)
    refuse("gpt.plot: titel: unknown key; did you mean 'title'?", gpt.plot, { 1 }, { titel = "x" })
    refuse("gpt.plot.line: width: a whole number of columns from 30 to 400 expected, got 720", gpt.plot.line, { y = { 1 }, width = 720 })
    refuse("gpt.plot.line: height: a whole number of lines from 3 to 200 expected, got 2", gpt.plot.line, { y = { 1 }, height = 2 })
    refuse("gpt.plot.histogram: values: a list of numbers or a tensor expected, got nil", gpt.plot.histogram, {})
    refuse("gpt.plot.histogram: values: at least one number expected", gpt.plot.histogram, { values = {} })
    refuse("gpt.plot.histogram: values: at least one number expected", gpt.plot.histogram, { values = gpt.zeros(0) })
    refuse("gpt.plot.histogram: values[2]: a number expected, got \"2\"", gpt.plot.histogram, { values = { 1, "2" } })
    refuse("gpt.plot.histogram: values: no finite number to show", gpt.plot.histogram, { values = { 0 / 0 } })
    refuse("gpt.plot.histogram: low (3) must be below high (2)", gpt.plot.histogram, { values = { 1 }, low = 3, high = 2 })
    refuse("gpt.plot.histogram: bins: a whole number from 1 to 1,000 expected, got 0", gpt.plot.histogram, { values = { 1 }, bins = 0 })
    local picture = gpt.plot { 1, 2 }
    refuse('picture:text: colors: "24bit", "256" or "none" expected, got "many"', picture.text, picture, { colors = "many" })
    refuse('picture:text: theme: "dark" or "light" expected, got "grey"', picture.text, picture, { theme = "grey" })
    refuse("picture:text: a table of options expected, got 3", picture.text, picture, 3)
    refuse('save: a picture expected, got "x.svg"; a method is called with a colon: value:save(...)', picture.save, "x.svg")
    refuse("picture:save: a file name expected as first argument, got nil", picture.save, picture)
    refuse("picture:save: width: a whole number of pixels from 200 to 4,000 expected, got 3", picture.save, picture, "x.svg", { width = 3 })
    refuse("a picture has no field or method 'svg'", function() return picture.svg end)
  end)
end)
