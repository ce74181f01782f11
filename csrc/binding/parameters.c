#include "binding/parameters.h"

#include "binding/layer.h"
#include "binding/tensor.h"

#define LIST_TYPE "gpt.ParameterList"

static int free_parameter_list(lua_State *L) {
  gpt_parameter_list_free(bind_check_userdata(L, 1, LIST_TYPE));
  return 0;
}

GptParameterList *bind_push_parameters(lua_State *L, GptLayer *layer) {
  GptEnv *env = bind_env(L);
  GptParameterList *list = lua_newuserdatauv(L, sizeof *list, 0);
  *list = (GptParameterList){.env = env};
  bind_set_type(L, LIST_TYPE);
  if (!gpt_layer_parameters(env, layer, list)) bind_raise(L, env);
  return list;
}

/* A walk; prefix stands before every name: "", "2." or "1.2.". */
typedef struct Walk {
  const char *what;
  BindParameterVisit visit;
  void *context;
  int64_t group, count;
} Walk;

static void visit_layer(lua_State *L, Walk *walk, GptLayer *layer, const char *prefix) {
  GptParameterList *list = bind_push_parameters(L, layer);
  for (int64_t i = 0; i < list->count; i++, walk->count++) {
    const char *name = lua_pushfstring(L, "%s%s", prefix, list->items[i].path);
    walk->visit(L, walk->context, walk->group, name, list->items[i].tensor);
    lua_pop(L, 1);
  }
  gpt_parameter_list_free(list); /* now, not when Lua collects it: a step asks for the same memory again */
  lua_pop(L, 1);
}

/* The i-th value of a list is on top of the stack. */
static void visit_item(lua_State *L, Walk *walk, lua_Integer i, const char *prefix) {
  int item = lua_gettop(L);
  GptTensor *tensor = bind_test_tensor(L, item);
  GptLayer *layer = tensor == NULL ? bind_test_layer(L, item) : NULL;
  if (tensor == NULL && layer == NULL)
    bind_error(L, "%s: item %s%d of the list: a tensor or a layer expected, got %s", walk->what, prefix, (int)i,
               bind_typename(L, item));
  const char *name = lua_pushfstring(L, tensor != NULL ? "%s%d" : "%s%d.", prefix, (int)i);
  if (layer != NULL) visit_layer(L, walk, layer, name);
  else walk->visit(L, walk->context, walk->group, name, bind_tensor(L, item)), walk->count++;
  lua_settop(L, item);
}

/* A layer, or a list of tensors and layers. */
static void visit_params(lua_State *L, Walk *walk, int index, const char *prefix) {
  GptLayer *layer = bind_test_layer(L, index);
  luaL_checkstack(L, 8, "parameters");
  if (layer != NULL) {
    visit_layer(L, walk, layer, prefix);
    return;
  }
  lua_Integer n = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, index, i);
    visit_item(L, walk, i, prefix);
    lua_pop(L, 1);
  }
}

static void visit_group(lua_State *L, Walk *walk, int groups, lua_Integer i) {
  if (lua_rawgeti(L, groups, i) != LUA_TTABLE)
    bind_error(L, "%s: group %d: a table {params = ...} expected, got %s", walk->what, (int)i, bind_typename(L, -1));
  lua_getfield(L, -1, "params");
  if (!lua_istable(L, -1) && bind_test_layer(L, lua_gettop(L)) == NULL)
    bind_error(L, "%s: group %d: params: a layer or a list of tensors expected, got %s", walk->what, (int)i,
               bind_typename(L, -1));
  const char *prefix = lua_pushfstring(L, "%d.", (int)i);
  visit_params(L, walk, lua_gettop(L) - 1, prefix);
  lua_pop(L, 3);
}

bool bind_is_grouped(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  bool grouped = lua_rawgeti(L, index, 1) == LUA_TTABLE;
  lua_pop(L, 1);
  return grouped;
}

int64_t bind_each_parameter(lua_State *L, int index, const char *what, BindParameterVisit visit, void *context) {
  Walk walk = {.what = what, .visit = visit, .context = context};
  int64_t groups = 1;
  const char *advice = lua_isfunction(L, index) ? "; of a layer's parameters pass the layer itself" : "";
  if (!lua_istable(L, index) && bind_test_layer(L, index) == NULL)
    bind_error(L, "%s: a layer, a list of tensors or a list of groups {params = ...} expected, got %s%s", what,
               bind_typename(L, index), advice);
  if (bind_is_grouped(L, index)) {
    groups = (int64_t)lua_rawlen(L, index);
    for (walk.group = 0; walk.group < groups; walk.group++) visit_group(L, &walk, index, walk.group + 1);
  } else {
    visit_params(L, &walk, index, "");
  }
  if (walk.count == 0) bind_error(L, "%s: there are no parameters in it", what);
  return groups;
}

void bind_open_parameters(lua_State *L) {
  luaL_newmetatable(L, LIST_TYPE);
  lua_pushcfunction(L, free_parameter_list);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
