#include "binding/binding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/hints.h"
#include "core/base/numbers.h"

#define STEP_GROWTH ((size_t)8 << 20) /* bytes, as the others: bind_account */
#define FULL_GROWTH ((size_t)128 << 20)
#define GROWTH_PER_BYTE 6 /* of Lua's own heap */
#define MOST_NAMES 128
#define OURS "ours" /* in the metatables of our types */

char bind_orphans;
const char bind_tensor_type[] = "gpt.Tensor";

GptEnv *bind_env(lua_State *L) {
  const BindEnv *box = lua_touserdata(L, lua_upvalueindex(1));
  if (box->env == NULL) luaL_error(L, "gpt is closed: so is its Lua state, and this finalizer is older than the module");
  if (box->home != lua_topointer(L, LUA_REGISTRYINDEX))
    luaL_error(L, "this function is another Lua state's: each state has to require gpt for itself");
  if (gpt_env_elsewhere(box->env))
    luaL_error(L, "another thread is in an operation of this Lua state's: a state is used by one thread at a time");
  box->env->host = L;
  return box->env;
}

void bind_functions(lua_State *L, const luaL_Reg *functions) {
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  luaL_setfuncs(L, functions, 1);
}

void bind_set_type(lua_State *L, const char *type) {
  luaL_setmetatable(L, type);
  if (lua_gc(L, LUA_GCISRUNNING) == 1) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &bind_orphans);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

typedef struct Box {
  void *value;
  uintptr_t seal;
} Box;

static uintptr_t seal_of(lua_State *L, const Box *box) {
  return (uintptr_t)lua_topointer(L, LUA_REGISTRYINDEX) ^ (uintptr_t)box;
}

static bool is_sealed(lua_State *L, int index, const char *type, const Box *box) {
  if (type == bind_tensor_type) return true;
  return lua_rawlen(L, index) == sizeof *box && box->seal == seal_of(L, box);
}

void **bind_push_box(lua_State *L, const char *type, int user_values) {
  bool sealed = type != bind_tensor_type;
  Box *box = lua_newuserdatauv(L, sealed ? sizeof *box : sizeof box->value, user_values);
  box->value = NULL;
  if (sealed) box->seal = seal_of(L, box);
  bind_set_type(L, type);
  return &box->value;
}

void *bind_take(lua_State *L, const char *type) {
  Box *box = bind_check_userdata(L, 1, type);
  if (!is_sealed(L, 1, type, box)) return NULL;
  void *value = box->value;
  box->value = NULL;
  return value;
}

void **bind_look(lua_State *L, int index, const char *type) {
  Box *box = luaL_testudata(L, index, type);
  if (box == NULL) return NULL;
  if (!is_sealed(L, index, type, box))
    bind_argument_error(L, index, lua_pushfstring(L, "this %s is a copy of another userdata: a value belongs to the Lua "
                                                  "state that made it, and cannot be put into one from outside", type));
  return &box->value;
}

/* Not a file of Lua's, for instance, which has a finalizer too. */
static bool is_type_of_ours(lua_State *L, int index) {
  bool ours = lua_type(L, index) == LUA_TUSERDATA && luaL_getmetafield(L, index, OURS) != LUA_TNIL;
  if (ours) lua_pop(L, 1);
  return ours;
}

int bind_free(lua_State *L) {
  if (bind_env(L)->collecting) return 0;
  if (!is_type_of_ours(L, 1)) return bind_type_error(L, 1, "a value of gpt's");
  luaL_getmetafield(L, 1, "__gc");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

void *bind_scratch_behind(lua_State *L, size_t head, int64_t count, size_t size) {
  size_t bytes = gpt_size_multiply((size_t)count, size);
  GptEnv *env = bind_env(L);
  if (!gpt_memory_fits(env, bytes < SIZE_MAX / 2 ? bytes : SIZE_MAX / 2)) bind_raise(L, env);
  return lua_newuserdatauv(L, head + bytes + 1, 0); /* 1: so that an empty list has an address, too */
}

void *bind_scratch(lua_State *L, int64_t count, size_t size) { return bind_scratch_behind(L, 0, count, size); }

void *bind_test(lua_State *L, int index, const char *type) {
  void **box = bind_look(L, index, type);
  if (box == NULL) return NULL;
  if (*box == NULL) bind_argument_error(L, index, lua_pushfstring(L, "this %s was freed", type));
  if (bind_env(L)->collecting)
    bind_error(L, "a finalizer uses a %s in the middle of an operation that has run out of memory", type);
  return *box;
}

const char *bind_typename(lua_State *L, int index) {
  const char *name = luaL_typename(L, index);
  if (lua_type(L, index) != LUA_TUSERDATA || luaL_getmetafield(L, index, "__name") == LUA_TNIL) return name;
  if (lua_type(L, -1) == LUA_TSTRING) name = lua_tostring(L, -1); /* the metatable keeps it */
  lua_pop(L, 1);
  return name;
}

bool bind_is_whole(lua_State *L, int index) {
  int whole = 0;
  if (lua_type(L, index) == LUA_TNUMBER) lua_tointegerx(L, index, &whole);
  return whole != 0;
}

/* A float that looks like an integer ends in ".0", as Lua has it. */
const char *bind_tostring(lua_State *L, int index) {
  char text[64];
  if (lua_type(L, index) != LUA_TNUMBER || lua_isinteger(L, index)) return luaL_tolstring(L, index, NULL);
  int length = gpt_format(text, sizeof text - 2, LUA_NUMBER_FMT, lua_tonumber(L, index));
  if (text[strspn(text, "-0123456789")] == '\0') memcpy(text + length, ".0", 3);
  return lua_pushstring(L, text);
}

const char *bind_shown(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TNUMBER) return bind_typename(L, index);
  bool nan = isnan(lua_tonumber(L, index));
  return nan ? "nan" : bind_tostring(L, index);
}

/* Is the function that runs a method of the type? */
static bool is_method(lua_State *L, const char *type) {
  lua_Debug frame;
  bool found = false;
  int top = lua_gettop(L);
  bind_push_methods(L, type);
  if (!lua_istable(L, -1) || lua_getstack(L, 0, &frame) == 0 || lua_getinfo(L, "f", &frame) == 0) return false;
  lua_pushnil(L);
  while (!found && lua_next(L, top + 1) != 0) {
    found = lua_rawequal(L, -1, top + 2);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return found;
}

/* A value of another type, and the mistake that is likely behind it: a dot for a colon, an array for a tensor. */
static void wrong_type(lua_State *L, int index, const char *type) {
  lua_Debug frame;
  bool array = lua_istable(L, index);
  const char *advice = "", *came = bind_typename(L, index);
  lua_getstack(L, 0, &frame);
  lua_getinfo(L, "n", &frame);
  if (index == 1 && is_method(L, type))
    advice = lua_pushfstring(L, "; a method is called with a colon: value:%s(...)", frame.name ? frame.name : "name");
  else if (array && strcmp(type, "gpt.Tensor") == 0)
    advice = "; gpt.tensor(array) makes one";
  bind_argument_error(L, index, lua_pushfstring(L, "%s expected, got %s%s", type, came, advice));
}

void *bind_check(lua_State *L, int index, const char *type) {
  if (luaL_testudata(L, index, type) == NULL) wrong_type(L, index, type);
  return bind_test(L, index, type);
}

static char forbidden; /* registry: true where files are */

bool bind_files_forbidden(lua_State *L) {
  bool yes = lua_rawgetp(L, LUA_REGISTRYINDEX, &forbidden) == LUA_TBOOLEAN;
  lua_pop(L, 1);
  return yes;
}

void bind_forbid_files(lua_State *L) {
  lua_pushboolean(L, true);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &forbidden);
}

const char *bind_path(lua_State *L, int index) {
  size_t length;
  bind_check_type(L, index, LUA_TSTRING);
  const char *path = lua_tolstring(L, index, &length);
  if (bind_files_forbidden(L)) bind_error(L, "%s: files are forbidden in this Lua state (gpt.forbid_files)", path);
  if (length == 0) bind_error(L, "a file's or a directory's name expected, got an empty string");
  if (strlen(path) != length) bind_error(L, "%s: a NUL character follows, which no file's name can have in it", path);
  return path;
}

void bind_push_weak(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

void bind_printed(lua_State *L) { luaL_setmetatable(L, "gpt.Printed"); }

/*
 * How far live bytes may grow before the next full collection, whose time is in proportion to Lua's own heap: so a large
 * heap waits longer, but no longer than 128 MiB, or than the heap itself where that is larger.
 */
static size_t full_growth(lua_State *L) {
  size_t heap = (size_t)lua_gc(L, LUA_GCCOUNT) << 10, most = heap > FULL_GROWTH ? heap : FULL_GROWTH;
  size_t growth = heap > most / GROWTH_PER_BYTE ? most : heap * GROWTH_PER_BYTE;
  return growth > STEP_GROWTH ? growth : STEP_GROWTH;
}

/* Live bytes above a mark, which sinks with them. */
static size_t grown(size_t *mark, size_t live) {
  if (live < *mark) *mark = live;
  return live - *mark;
}

/*
 * A basic step now and then finds most garbage cheaply: a part of a cycle, or in generational mode the young values. But
 * that mode, in which lua5.4 itself starts, counts a large tensor as old when it was still held at two steps, and only a
 * full collection finds it then.
 */
void bind_account(lua_State *L, GptEnv *env) {
  GptMemory *memory = &env->memory;
  size_t full = grown(&memory->settled, memory->live), step = grown(&memory->stepped, memory->live);
  if (step < STEP_GROWTH || lua_gc(L, LUA_GCISRUNNING) != 1) return; /* 0: the host stopped it; -1: in a finalizer */
  if (full < full_growth(L)) lua_gc(L, LUA_GCSTEP, 0);
  else lua_gc(L, LUA_GCCOLLECT), memory->settled = memory->live;
  memory->stepped = memory->live;
}

/* What __index of a type knows: its upvalues. */
enum { TYPE_NAME = 2, TYPE_METHODS, TYPE_FIELDS, TYPE_ELEMENT }; /* behind the environment; the last two may be nil */

/* Collects the string keys of a table. */
static size_t collect_names(lua_State *L, int table, const char **names, size_t count) {
  if (!lua_istable(L, table)) return count;
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING && count < MOST_NAMES) names[count++] = lua_tostring(L, -1);
  }
  return count;
}

static int unknown_name(lua_State *L) {
  char hint[GPT_HINT_SIZE];
  const char *names[MOST_NAMES], *word = bind_word(L, 2);
  size_t count = collect_names(L, lua_upvalueindex(TYPE_METHODS), names, 0);
  count = collect_names(L, lua_upvalueindex(TYPE_FIELDS), names, count);
  const char *type = lua_tostring(L, lua_upvalueindex(TYPE_NAME));
  bool has_elements = !lua_isnil(L, lua_upvalueindex(TYPE_ELEMENT));
  if (has_elements && lua_type(L, 2) == LUA_TNUMBER)
    return bind_error(L, "%s[i]: a whole number expected, got %s", type, word);
  if (has_elements && lua_istable(L, 2))
    return bind_error(L, "%s[i]: a whole number expected, got a table; t[1][2] goes down two dims, "
                      "t:index(1, { 1, 2 }) takes several rows", type);
  return bind_error(L, "a %s has no field or method '%s'%s", type, word, gpt_hint(word, names, count, hint));
}

/* __index */
static int index_value(lua_State *L) {
  if (lua_isinteger(L, 2) && !lua_isnil(L, lua_upvalueindex(TYPE_ELEMENT))) {
    lua_pushvalue(L, lua_upvalueindex(TYPE_ELEMENT));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(TYPE_METHODS)) != LUA_TNIL) return 1;
  if (!lua_istable(L, lua_upvalueindex(TYPE_FIELDS))) return unknown_name(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(TYPE_FIELDS)) == LUA_TNIL) return unknown_name(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static void push_function_table(lua_State *L, const luaL_Reg *functions) {
  if (functions == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_newtable(L);
  bind_functions(L, functions);
}

/* __tostring of every type: what was freed can be printed, too. */
static int print_value(lua_State *L) {
  const char *type = lua_touserdata(L, lua_upvalueindex(2));
  void **box = bind_look(L, 1, type);
  if (box == NULL || *box != NULL) return lua_tocfunction(L, lua_upvalueindex(3))(L);
  lua_pushfstring(L, "%s (freed)", strchr(type, '.') + 1);
  return 1;
}

/* Puts print_value in the place of the type's own function, which it calls. Types without a finalizer hold no value that
   could be freed: a pass is no box. */
static void wrap_printing(lua_State *L, const char *type) {
  int table = lua_gettop(L);
  bool wrapped = lua_getfield(L, table, "__gc") != LUA_TNIL && lua_getfield(L, table, "__tostring") != LUA_TNIL;
  if (!wrapped) {
    lua_settop(L, table);
    return;
  }
  lua_remove(L, -2);
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  lua_pushlightuserdata(L, (void *)(uintptr_t)type); /* a literal */
  lua_rotate(L, -3, 2);
  lua_pushcclosure(L, print_value, 3);
  lua_setfield(L, -2, "__tostring");
}

void bind_type(lua_State *L, const BindType *type) {
  luaL_newmetatable(L, type->name);
  if (type->meta != NULL) bind_functions(L, type->meta);
  wrap_printing(L, type->name);
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  lua_pushstring(L, type->name);
  push_function_table(L, type->methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -5, BIND_METHODS);
  push_function_table(L, type->fields);
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  if (type->element != NULL) lua_pushcclosure(L, type->element, 1);
  else lua_pop(L, 1), lua_pushnil(L);
  lua_pushcclosure(L, index_value, 5);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, OURS);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void bind_push_methods(lua_State *L, const char *type) {
  luaL_getmetatable(L, type);
  if (lua_istable(L, -1)) lua_getfield(L, -1, BIND_METHODS), lua_remove(L, -2);
}

void bind_check_options(lua_State *L, int index, const char *what, const char *const names[]) {
  char hint[GPT_HINT_SIZE] = "";
  size_t count = 0;
  while (names[count] != NULL) count++;
  index = lua_absindex(L, index);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    lua_pop(L, 1);
    const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    size_t i = 0;
    while (key != NULL && i < count && strcmp(key, names[i]) != 0) i++;
    if (key != NULL && i < count) continue;
    if (key != NULL) gpt_hint(key, names, count, hint);
    bind_error(L, "%s: unknown option '%s'%s", what, bind_word(L, -1), hint);
  }
}
