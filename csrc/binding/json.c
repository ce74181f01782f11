/*
 * JSON text to Lua values: parsed by the core, turned into tables here. The document lies in a box, so that an error
 * on the way leaks nothing. The way back is lua/gpt/json.lua.
 */
#include <math.h>
#include <string.h>

#include "binding/binding.h"
#include "core/io/json.h"

#define DOCUMENT "gpt.JsonDocument"
#define EMPTY_ARRAY "gpt.json.array" /* the metatable of empty arrays, which tells them from empty objects */
#define MOST_WHOLE 0x1p53            /* up to here a double holds every whole number */

static char null; /* its address stands for null */

/* How a document becomes values. */
typedef struct Reading {
  const char *what; /* begins the messages */
  bool ordered;     /* objects keep the order of their keys: the field `keys` of their metatables */
} Reading;

static void push_value(lua_State *L, Reading reading, const cJSON *value);

static void push_json_number(lua_State *L, const char *what, double number) {
  if (!isfinite(number)) bind_error(L, "%s: a number is out of range", what);
  if (fabs(number) <= MOST_WHOLE && number == floor(number)) lua_pushinteger(L, (lua_Integer)number);
  else lua_pushnumber(L, number);
}

static void push_json_array(lua_State *L, Reading reading, const cJSON *array) {
  const cJSON *item;
  lua_Integer i = 0;
  lua_createtable(L, cJSON_GetArraySize(array), 0);
  if (array->child == NULL) luaL_setmetatable(L, EMPTY_ARRAY);
  cJSON_ArrayForEach(item, array) {
    push_value(L, reading, item);
    lua_rawseti(L, -2, ++i);
  }
}

/* Gives the object on top of the stack its keys in their order. */
static void keep_order(lua_State *L, const cJSON *object) {
  const cJSON *member;
  lua_Integer i = 0;
  lua_createtable(L, 0, 1);
  lua_createtable(L, cJSON_GetArraySize(object), 0);
  cJSON_ArrayForEach(member, object) {
    lua_pushstring(L, member->string);
    lua_rawseti(L, -2, ++i);
  }
  lua_setfield(L, -2, "keys");
  lua_setmetatable(L, -2);
}

static void push_object(lua_State *L, Reading reading, const cJSON *object) {
  char quoted[GPT_QUOTE_SIZE];
  const cJSON *member;
  lua_createtable(L, 0, cJSON_GetArraySize(object));
  cJSON_ArrayForEach(member, object) {
    const char *key = lua_pushstring(L, member->string);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL)
      bind_error(L, "%s: the key %s comes twice", reading.what, gpt_quote(key, strlen(key), quoted));
    lua_pop(L, 1);
    push_value(L, reading, member);
    lua_rawset(L, -3);
  }
  if (reading.ordered) keep_order(L, object);
}

static void push_value(lua_State *L, Reading reading, const cJSON *value) {
  luaL_checkstack(L, 8, "JSON too deep");
  if (cJSON_IsObject(value)) push_object(L, reading, value);
  else if (cJSON_IsArray(value)) push_json_array(L, reading, value);
  else if (cJSON_IsString(value)) lua_pushstring(L, value->valuestring);
  else if (cJSON_IsNumber(value)) push_json_number(L, reading.what, value->valuedouble);
  else if (cJSON_IsBool(value)) lua_pushboolean(L, cJSON_IsTrue(value));
  else lua_pushlightuserdata(L, &null);
}

static int release_document(lua_State *L) {
  gpt_json_free(bind_env(L), bind_take(L, DOCUMENT));
  return 0;
}

/* _json_decode(text [, what [, ordered]]): the value; null comes as _json_null. `what` starts the messages. ordered:
   objects keep the order of their keys, as the field `keys` of their metatables. */
static int json_decode(lua_State *L) {
  GptEnv *env = bind_env(L);
  size_t size;
  lua_settop(L, 3);
  const char *text = bind_check_bytes(L, 1, &size), *what = bind_opt_string(L, 2, "the text");
  void **box = bind_push_box(L, DOCUMENT, 0);
  *box = gpt_json_parse(env, what, text, size);
  if (*box == NULL) return bind_raise(L, env);
  push_value(L, (Reading){what, lua_toboolean(L, 3)}, *box);
  gpt_json_free(env, *box); /* now, rather than when the collector comes by */
  *box = NULL;
  return 1;
}

static const luaL_Reg functions[] = {{"_json_decode", json_decode}, {NULL, NULL}};
static const luaL_Reg document_meta[] = {{"__gc", release_document}, {NULL, NULL}};
static const BindType document_type = {.name = DOCUMENT, .meta = document_meta};

void bind_open_json(lua_State *L) {
  bind_functions(L, functions);
  bind_type(L, &document_type);
  lua_pushlightuserdata(L, &null);
  lua_setfield(L, -2, "_json_null");
  luaL_newmetatable(L, EMPTY_ARRAY);
  lua_setfield(L, -2, "_json_array");
}
