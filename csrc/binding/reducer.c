/* For gpt.train: gradients of several ranks added up, and shares of parameters sent to all (core/train/reducer.h). */
#include "core/train/reducer.h"

#include "binding/optimizer.h"
#include "binding/tensor.h"
#include "binding/tensor_list.h"
#include "binding/world.h"

#define REDUCER "gpt.Reducer"

static GptReducer *check_reducer(lua_State *L) { return bind_check(L, 1, REDUCER); }

/* _reducer(world, parameters): a list of tensors, the same on all ranks. */
static int new_reducer(lua_State *L) {
  GptEnv *env = bind_env(L);
  bind_check(L, 1, BIND_WORLD);
  bind_check_type(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  BindTensorList *list = bind_push_tensor_list(L, (int64_t)lua_rawlen(L, 2));
  for (int64_t i = 0; i < list->room; i++) {
    lua_rawgeti(L, 2, i + 1);
    bind_tensor_list_add(L, list, bind_tensor(L, -1));
    lua_pop(L, 1);
  }
  void **box = bind_push_box(L, REDUCER, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1); /* the world lives as long */
  *box = gpt_reducer_new(bind_check(L, 1, BIND_WORLD), list->count, list->items);
  bind_tensor_list_drop(list);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int reducer_collect(lua_State *L) {
  gpt_reducer_free(bind_take(L, REDUCER));
  return 0;
}

/* reducer:watch(): the next backward is the step's last. */
static int reducer_watch(lua_State *L) {
  gpt_reducer_watch(check_reducer(L));
  return 0;
}

/* reducer:begun(): of how many buckets the exchanges have begun, and how many there are. */
static int reducer_begun(lua_State *L) {
  const GptReducer *reducer = check_reducer(L);
  lua_pushinteger(L, gpt_reducer_begun(reducer));
  lua_pushinteger(L, gpt_reducer_buckets(reducer));
  return 2;
}

/* reducer:finish(): gradients are sums over all ranks, each in its rank's share. */
static int reducer_finish(lua_State *L) {
  if (!gpt_reducer_finish(check_reducer(L))) return bind_raise(L, bind_env(L));
  return 0;
}

/* reducer:squares(): for each parameter, the sum of its gradient's squares. */
static int reducer_squares(lua_State *L) {
  int64_t n = gpt_reducer_count(check_reducer(L));
  double *sums = bind_scratch(L, n, sizeof *sums);
  if (!gpt_reducer_squares(check_reducer(L), sums)) return bind_raise(L, bind_env(L));
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushnumber(L, sums[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* reducer:scale(factor): of this rank's shares. */
static int reducer_scale(lua_State *L) {
  double factor = bind_check_number(L, 2);
  gpt_reducer_scale(check_reducer(L), factor);
  return 0;
}

/* reducer:gather(what): sends the rows of shares to all ranks, of "parameters" or "gradients". */
static int reducer_gather(lua_State *L) {
  static const char *const names[] = {"parameters", "gradients", NULL};
  bool gradients = luaL_checkoption(L, 2, NULL, names) == 1;
  if (!gpt_reducer_gather(check_reducer(L), gradients)) return bind_raise(L, bind_env(L));
  return 0;
}

/* reducer:share(optimizer): it steps this rank's share of each parameter from now on. False for an optimizer that is none
   of the core's, or that needs whole matrices: it steps all of them on every rank. */
static int reducer_share(lua_State *L) {
  const GptReducer *reducer = check_reducer(L);
  GptOptimizer *optimizer = luaL_testudata(L, 2, BIND_OPTIMIZER) != NULL ? bind_optimizer(L, 2) : NULL;
  bool ours = optimizer != NULL && gpt_optimizer_divides(optimizer);
  for (int64_t i = 0; ours && i < optimizer->count; i++) {
    GptOptimizerParameter *parameter = &optimizer->parameters[i];
    int64_t at = gpt_reducer_find(reducer, parameter->tensor);
    if (at < 0)
      return bind_error(L, "gpt.train: optimizer: its parameter '%s' is none that the model trains: with several ranks, "
                        "nobody would add up its gradients", parameter->name);
    if (!gpt_optimizer_share(optimizer, parameter, gpt_reducer_share(reducer, at))) return bind_raise(L, bind_env(L));
  }
  lua_pushboolean(L, ours);
  return 1;
}

/* reducer:unshare(optimizer): it steps all again, and has no moments. */
static int reducer_unshare(lua_State *L) {
  check_reducer(L);
  GptOptimizer *optimizer = bind_optimizer(L, 2);
  for (int64_t i = 0; i < optimizer->count; i++) gpt_optimizer_unshare(&optimizer->parameters[i]);
  return 0;
}

static const luaL_Reg functions[] = {{"_reducer", new_reducer}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"watch", reducer_watch},     {"finish", reducer_finish}, {"begun", reducer_begun}, {"squares", reducer_squares},
                                   {"scale", reducer_scale}, {"gather", reducer_gather}, {"share", reducer_share}, {"unshare", reducer_unshare}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", reducer_collect}, {"__close", bind_free}, {NULL, NULL}};
static const BindType type = {.name = REDUCER, .methods = methods, .meta = meta};

void bind_open_reducer(lua_State *L) {
  bind_functions(L, functions);
  bind_type(L, &type);
}
