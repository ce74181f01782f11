/* Layers written in Lua: a layer of the core whose forward calls a Lua function. */
#include <string.h>

#include "binding/layer.h"
#include "binding/tensor.h"
#include "core/base/array.h"

/* Message handler: adds the traceback once, where the error happened. */
static int add_traceback(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL || strstr(message, "\nstack traceback:") != NULL) return 1;
  if (strstr(message, "attempt to yield across a C-call boundary") != NULL)
    message = lua_pushfstring(L, "%s: a layer's forward cannot yield, because the core runs it", message);
  luaL_traceback(L, L, message, 1);
  return 1;
}

bool bind_protected(lua_State *L, GptEnv *env, int arguments, int results) {
  int base = lua_gettop(L) - arguments;
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, base);
  GptPass *running = env->pass;
  bool done = lua_pcall(L, arguments, results, base) == LUA_OK;
  env->pass = running;
  env->host = L;
  lua_remove(L, base);
  if (done) return true;
  lua_setfield(L, LUA_REGISTRYINDEX, BIND_ERROR_KEY);
  gpt_fail(env, "an error in Lua");
  env->host_error = true;
  return false;
}

/* Protected: calls self's forward; returns what that returns. */
static int call_forward(lua_State *L) {
  lua_getfield(L, 1, "forward");
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

/* The tensor at the top of the stack; anything else is an error. Raises nothing. */
static GptTensor *result_of(lua_State *L, GptEnv *env, const GptLayer *layer) {
  GptTensor **box = luaL_testudata(L, -1, BIND_TENSOR);
  if (box != NULL && *box != NULL) return gpt_tensor_retain(*box);
  const char *came = box != NULL ? "a freed one" : bind_typename(L, -1);
  const char *advice = lua_isnil(L, -1) ? "; does it return one?" : "";
  return gpt_fail_null(env, "forward of %s must return a tensor, got %s%s", gpt_layer_name(layer), came, advice);
}

static GptTensor *host_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  lua_State *L = env->host;
  GptPass *outer = env->pass;
  GptLayer *caller = pass->caller;
  GptTensor *y = NULL;
  if (!lua_checkstack(L, 20)) return gpt_fail_null(env, "layers are nested too deep for Lua's stack");
  env->pass = pass;
  pass->caller = layer;
  lua_getfield(L, LUA_REGISTRYINDEX, "gpt.call_forward");
  bind_push_layer(L, layer);
  bind_share_tensor(L, x);
  if (bind_protected(L, env, 2, 1)) {
    y = result_of(L, env, layer);
    lua_pop(L, 1);
  }
  pass->caller = caller;
  env->pass = outer;
  return y;
}

static const GptLayerKind host_kind = {.name = "Layer", .forward = host_forward};

bool bind_layer_is_host(const GptLayer *layer) { return layer->kind == &host_kind; }

/* _new_layer(name, class, positionwise): an empty layer of a class, a table with forward. */
static int new_layer(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *name = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  GptLayer **box = bind_new_layer(L);
  *box = gpt_layer_new(env, &host_kind, sizeof(GptLayer));
  if (*box == NULL) return bind_raise(L, env);
  (*box)->positionwise = lua_toboolean(L, 3);
  (*box)->label = gpt_copy_string(env, name);
  if ((*box)->label == NULL) return bind_raise(L, env);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  return bind_layer_done(L, box);
}

/***
Makes a tensor a parameter: it wants a gradient, and registers itself where it is assigned to a field of a layer written
in Lua.
@function nn.parameter
@tparam Tensor tensor of f32, not the result of a recorded op
@treturn Tensor the same
@usage local weight = gpt.nn.parameter(gpt.zeros(3))   -- in init: self.weight = weight
*/
static int parameter(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  if (tensor->storage->dtype != GPT_F32) return luaL_argerror(L, 1, "a parameter must be f32");
  if (tensor->node != NULL)
    return luaL_argerror(L, 1, "the result of a recorded op cannot be a parameter; detach() it first");
  tensor->requires_grad = tensor->parameter = true;
  lua_settop(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {{"_new_layer", new_layer}, {"_parameter", parameter}, {NULL, NULL}};

static const luaL_Reg callbacks[] = {{"gpt.call_forward", call_forward}, {NULL, NULL}};

void bind_open_layer_host(lua_State *L) {
  lua_pushvalue(L, LUA_REGISTRYINDEX);
  bind_functions(L, callbacks);
  lua_pop(L, 1);
  bind_functions(L, functions);
}
