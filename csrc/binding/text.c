#include "binding/text.h"

#define TEXT "gpt.Text" /* seen by no user */

GptText *bind_push_text(lua_State *L) {
  GptText *text = lua_newuserdatauv(L, sizeof *text, 0);
  gpt_text_init(text, bind_env(L));
  bind_set_type(L, TEXT);
  return text;
}

void bind_push_text_done(lua_State *L, GptText *text) {
  if (text->failed) bind_raise(L, text->env);
  lua_pushlstring(L, text->data, text->length);
  gpt_text_free(text);
}

static int free_text(lua_State *L) {
  gpt_text_free(bind_check_userdata(L, 1, TEXT));
  return 0;
}

static const luaL_Reg meta[] = {{"__gc", free_text}, {NULL, NULL}};

void bind_open_text(lua_State *L) {
  luaL_newmetatable(L, TEXT);
  bind_functions(L, meta);
  lua_pop(L, 1);
}
