/* How errors are raised, and the arguments that Lua's own library would check: the same checks, whose errors point at the
 * user's line, show what came, and can be shown themselves. */
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "binding/binding.h"
#include "core/base/numbers.h"
#include "core/base/printable.h"

#define MOST_WORD 120 /* bytes of one that messages repeat */
#define MOST_LEVELS 5000 /* of the stack that are looked at: Lua counts each from the top */
#define HOME_KEY "gpt.home" /* registry: where the package's Lua files lie, "@/usr/share/lua/5.4/gpt/" */

/* Is it a function of the package's own Lua files? Needs the frame's "S". */
static bool is_ours(const lua_Debug *frame, const char *home) {
  return home != NULL && frame->what[0] != 'C' && strncmp(frame->source, home, strlen(home)) == 0;
}

/* Level of the innermost function outside the package, as luaL_where counts, or one that is not there, which has no
   place: where there is none, or too far down; `inside`: one of the package's called. */
static int user_level(lua_State *L, bool *inside) {
  lua_Debug frame;
  lua_getfield(L, LUA_REGISTRYINDEX, HOME_KEY);
  const char *home = lua_tostring(L, -1);
  int level = 1;
  *inside = false;
  while (home != NULL && lua_getstack(L, level, &frame) != 0) {
    if (level == MOST_LEVELS) {
      level = INT_MAX;
      break;
    }
    lua_getinfo(L, "S", &frame);
    if (frame.what[0] != 'C' && !is_ours(&frame, home)) break;
    *inside = *inside || is_ours(&frame, home);
    level++;
  }
  lua_pop(L, 1);
  return home == NULL ? 1 : level;
}

int bind_error(lua_State *L, const char *format, ...) {
  char text[GPT_ERROR_SIZE + 1], message[GPT_ERROR_SIZE]; /* one byte more, so that what is cut off shows */
  bool inside;
  va_list arguments;
  va_start(arguments, format);
  gpt_format_list(text, sizeof text, format, arguments);
  va_end(arguments);
  gpt_printable(message, sizeof message, text);
  luaL_where(L, user_level(L, &inside));
  lua_pushstring(L, message);
  lua_concat(L, 2);
  return lua_error(L);
}

static char last_raised; /* registry: the latest message that a path was put before */

/* What joins a path to the message on top of the stack: where that is the one that an inner layer's path was put before,
   the path goes on. */
static const char *path_end(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &last_raised);
  bool goes_on = lua_rawequal(L, -1, -2) != 0;
  lua_pop(L, 1);
  return goes_on ? "." : ": ";
}

/* Raises what a protected call left: the error itself, a string behind the path of the layer. */
static int raise_host_error(lua_State *L, GptEnv *env) {
  char path[GPT_PATH_SIZE], unused[GPT_ERROR_SIZE];
  gpt_printable(path, sizeof path, env->path);
  gpt_take_error(env, unused);
  bind_push_kept_error(L);
  const bool interrupt = bind_is_interrupt(L, -1);
  if (lua_type(L, -1) == LUA_TSTRING && path[0] != '\0') {
    lua_pushfstring(L, "%s%s", path, path_end(L));
    lua_insert(L, -2);
    lua_concat(L, 2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &last_raised);
    if (interrupt) bind_note_interrupt(L);
  }
  return lua_error(L);
}

int bind_raise(lua_State *L, GptEnv *env) {
  if (env->host_error) return raise_host_error(L, env);
  char message[GPT_ERROR_SIZE];
  gpt_take_error(env, message);
  return bind_error(L, "%s", message);
}

/* Where a file of the package called, the number of its argument tells nobody anything. */
int bind_argument_error(lua_State *L, int index, const char *message) {
  char text[GPT_ERROR_SIZE / 2];
  bool inside;
  user_level(L, &inside);
  if (inside) return bind_error(L, "%s", message);
  gpt_printable(text, sizeof text, message);
  return luaL_argerror(L, index, text);
}

/* What luaL_typeerror says of a value: its metatable's name for it comes first. */
static const char *push_kind(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) return lua_tostring(L, -1);
  if (lua_type(L, index) == LUA_TLIGHTUSERDATA) return "light userdata";
  return luaL_typename(L, index);
}

int bind_type_error(lua_State *L, int index, const char *expected) {
  char kind[100]; /* a name of anybody's */
  gpt_printable(kind, sizeof kind, push_kind(L, index));
  return bind_argument_error(L, index, lua_pushfstring(L, "%s expected, got %s", expected, kind));
}

void bind_check_any(lua_State *L, int index) {
  if (lua_isnone(L, index)) bind_argument_error(L, index, "value expected");
}

void bind_check_type(lua_State *L, int index, int type) {
  if (lua_type(L, index) != type) bind_type_error(L, index, lua_typename(L, type));
}

void *bind_check_userdata(lua_State *L, int index, const char *type) {
  void *data = luaL_testudata(L, index, type);
  if (data == NULL) bind_type_error(L, index, type);
  return data;
}

lua_Number bind_check_number(lua_State *L, int index) {
  int is_number;
  lua_Number number = lua_tonumberx(L, index, &is_number);
  if (!is_number) bind_type_error(L, index, lua_typename(L, LUA_TNUMBER));
  return number;
}

lua_Integer bind_check_integer(lua_State *L, int index) {
  int is_integer;
  lua_Integer number = lua_tointegerx(L, index, &is_integer);
  if (is_integer) return number;
  bind_check_number(L, index);
  lua_pushnumber(L, lua_tonumber(L, index));
  return bind_argument_error(L, index, lua_pushfstring(L, "a whole number expected, got %s", bind_shown(L, -1)));
}

const char *bind_check_bytes(lua_State *L, int index, size_t *length) {
  const char *text = lua_tolstring(L, index, length);
  if (text == NULL) bind_type_error(L, index, lua_typename(L, LUA_TSTRING));
  return text;
}

const char *bind_check_string(lua_State *L, int index) { return bind_check_bytes(L, index, NULL); }

lua_Number bind_opt_number(lua_State *L, int index, lua_Number otherwise) {
  return lua_isnoneornil(L, index) ? otherwise : bind_check_number(L, index);
}

lua_Integer bind_opt_integer(lua_State *L, int index, lua_Integer otherwise) {
  return lua_isnoneornil(L, index) ? otherwise : bind_check_integer(L, index);
}

const char *bind_opt_string(lua_State *L, int index, const char *otherwise) {
  return lua_isnoneornil(L, index) ? otherwise : bind_check_string(L, index);
}

const char *bind_word(lua_State *L, int index) {
  char word[MOST_WORD];
  bool plain = lua_type(L, index) <= LUA_TBOOLEAN || lua_isnumber(L, index) || lua_isstring(L, index);
  int top = lua_gettop(L);
  gpt_printable(word, sizeof word, plain ? bind_tostring(L, index) : bind_typename(L, index));
  lua_settop(L, top);
  return lua_pushstring(L, word);
}
