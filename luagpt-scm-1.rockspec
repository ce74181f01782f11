rockspec_format = "3.0"
package = "luagpt"
version = "scm-1"
source = {
  url = "git+file://.", -- built from a checkout: luarocks --lua-version 5.4 make
}
description = {
  summary = "A GPT for Lua: build, train and sample GPT-2 models",
  detailed = "Tensors, automatic differentiation, layers and GPT-2 in C on OpenBLAS, wrapped as one Lua module.",
  license = "MIT",
}
dependencies = { "lua >= 5.4, < 5.6" }
build = {
  type = "make",
  variables = { CFLAGS = "$(CFLAGS) -O3", LUA = "$(LUA)", LUA_INCDIR = "$(LUA_INCDIR)" },
  install_variables = { LUADIR = "$(LUADIR)", LIBDIR = "$(LIBDIR)" },
}
test = { type = "command", command = "make test" }
