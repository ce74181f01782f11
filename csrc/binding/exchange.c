#include "binding/exchange.h"

#include "binding/tensor.h"
#include "core/nn/layer_tree.h"

/* A change, whose values the list holds. */
typedef struct Change {
  GptLayer *layer;
  const char *name;
  GptLayer *part;       /* or */
  GptTensor *parameter;
  bool added;           /* there was no part of that name, and there is now */
} Change;

enum { LIST = 1, CHANGES }; /* where prepare_all and what follows find them on the stack */

/* Pushes layer, name and value of change i. */
static void push_change(lua_State *L, lua_Integer i) {
  lua_rawgeti(L, LIST, i);
  for (int k = 1; k <= 3; k++) lua_rawgeti(L, -k, k);
  lua_remove(L, -4);
}

/* The collector's edge, from the layer to the part at these places: where it has a slot already, nothing is allocated. */
static void set_edge(lua_State *L, int layer, int name, int part) {
  lua_getiuservalue(L, layer, BIND_LAYER_FIELDS);
  lua_pushvalue(L, name);
  lua_pushvalue(L, part);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* A part that is there gets the slot of its edge now; a new one is put there. */
static void prepare_part(lua_State *L, Change *change, int first) {
  GptLayer *old = gpt_layer_child(change->layer, change->name);
  if (gpt_layer_contains(change->part, change->layer))
    luaL_error(L, "'%s' cannot be replaced by a layer that contains it", change->name);
  if (old != NULL) {
    bind_push_layer(L, old);
    set_edge(L, first, first + 1, first + 3);
    return;
  }
  change->added = true;
  bind_set_child(L, first, change->name, first + 2);
}

static void prepare_change(lua_State *L, lua_Integer i, Change *change) {
  int first = lua_gettop(L) + 1;
  push_change(L, i);
  change->layer = bind_layer(L, first);
  change->name = bind_check_string(L, first + 1);
  change->part = bind_test_layer(L, first + 2);
  if (change->part != NULL) prepare_part(L, change, first);
  else change->parameter = bind_tensor(L, first + 2);
  lua_settop(L, first - 1);
}

/* prepare_all(list, changes): all that may fail. */
static int prepare_all(lua_State *L) {
  Change *changes = lua_touserdata(L, CHANGES);
  lua_Integer n = luaL_len(L, LIST);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (bind_env(L)->collecting) luaL_error(L, "a finalizer exchanges parts in the middle of an operation");
  for (lua_Integer i = 1; i <= n; i++) prepare_change(L, i, &changes[i - 1]);
  return 0;
}

/* Takes away what prepare_all added. */
static void take_back(lua_State *L, lua_Integer i, Change *change) {
  int first = lua_gettop(L) + 1;
  if (!change->added) return;
  push_change(L, i);
  gpt_layer_remove(bind_env(L), change->layer, change->name);
  lua_pushnil(L);
  set_edge(L, first, first + 1, first + 3);
  lua_settop(L, first - 1);
}

static void commit(lua_State *L, lua_Integer i, const Change *change) {
  GptEnv *env = bind_env(L);
  int first = lua_gettop(L) + 1;
  push_change(L, i);
  if (change->part != NULL) {
    set_edge(L, first, first + 1, first + 2);
    gpt_layer_set_child(env, change->layer, change->name, change->part);
  } else {
    GptTensor *tensor = change->parameter, *old = gpt_layer_parameter(change->layer, change->name);
    tensor->requires_grad = old != NULL && old->requires_grad && tensor->storage->dtype == GPT_F32;
    gpt_layer_set_parameter(env, change->layer, change->name, tensor);
  }
  lua_settop(L, first - 1);
}

/* apply(list): in a frame of its own, which has room on the stack for all that follows. */
static int apply(lua_State *L) {
  lua_Integer n = luaL_len(L, LIST);
  Change *changes = bind_scratch(L, n, sizeof *changes);
  for (lua_Integer i = 0; i < n; i++) changes[i] = (Change){0};
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, prepare_all, 1);
  lua_pushvalue(L, LIST);
  lua_pushvalue(L, CHANGES);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  bool good = lua_pcall(L, 2, 0, 0) == LUA_OK;
  for (lua_Integer i = 1; i <= n; i++) {
    if (good) commit(L, i, &changes[i - 1]);
    else take_back(L, i, &changes[i - 1]);
  }
  return good ? 0 : lua_error(L);
}

void bind_exchange(lua_State *L, int index) {
  bind_check_type(L, index, LUA_TTABLE);
  index = lua_absindex(L, index);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, apply, 1);
  lua_pushvalue(L, index);
  lua_call(L, 1, 0);
}
