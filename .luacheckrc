std = "lua54"
max_line_length = 120
files["spec"] = { std = "lua54+busted", max_line_length = 160 } -- messages stand in them word for word
files["examples/hosts/lighttpd"] = { std = "lua54", globals = { "lighty" } }
files["examples/hosts/prosody"] = { std = "lua54", globals = { "module" } }
exclude_files = {
  "examples/hosts/prosody/prosody.cfg.lua", -- settings are globals there
  "spec/fixtures/jinja.lua", -- white space is what it is about
  "lua/gpt/help_texts.lua", "lua/gpt/library" } -- made by docs/tools
