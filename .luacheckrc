std = "lua54"
max_line_length = 120
files["spec"] = { std = "lua54+busted", max_line_length = 160 } -- messages stand in them word for word
exclude_files = {
  "spec/fixtures/jinja.lua", -- white space is what it is about
  "lua/gpt/help_texts.lua", "lua/gpt/library" } -- made by docs/tools
