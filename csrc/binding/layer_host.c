/* Layers written in Lua: a layer of the core whose forward calls a Lua function. */
#include "binding/layer.h"
#include "binding/tensor.h"
#include "core/base/array.h"

/* A call of a forward: what it needs, and what it returned. */
typedef struct ForwardCall {
  GptEnv *env;
  GptLayer *layer;
  GptTensor *x, *y;
} ForwardCall;

/* The tensor at the top of the stack; anything else is an error of the core's. */
static GptTensor *result_of(lua_State *L, const ForwardCall *call) {
  GptTensor **box = luaL_testudata(L, -1, BIND_TENSOR);
  if (box != NULL && *box != NULL) return gpt_tensor_retain(*box);
  const char *came = box != NULL ? "a freed one" : bind_typename(L, -1);
  const char *advice = lua_isnil(L, -1) ? "; does it return one?" : "";
  return gpt_fail_null(call->env, "forward of %s must return a tensor, got %s%s", gpt_layer_name(call->layer), came,
                       advice);
}

/* Protected: calls the layer's forward. Nothing can raise once y is held. */
static int call_forward(lua_State *L) {
  ForwardCall *call = lua_touserdata(L, 1);
  bind_push_layer(L, call->layer);
  lua_getfield(L, -1, "forward");
  lua_insert(L, -2);
  bind_share_tensor(L, call->x);
  lua_call(L, 2, 1);
  call->y = result_of(L, call);
  return 0;
}

static GptTensor *host_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptPass *outer = env->pass;
  GptLayer *caller = pass->caller;
  ForwardCall call = {.env = env, .layer = layer, .x = x};
  env->pass = pass;
  pass->caller = layer;
  bind_protect(env->host, env, call_forward, 0, &call);
  pass->caller = caller;
  env->pass = outer;
  return call.y;
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

void bind_open_layer_host(lua_State *L) { bind_functions(L, functions); }
