/* Layers written in Lua: a layer of the core whose forward calls a Lua function. */
#include <string.h>

#include "binding/layer.h"
#include "binding/pass.h"
#include "binding/tensor.h"
#include "core/base/array.h"
#include "core/nn/position_check.h"

#define MOST_DESCRIBED 200 /* bytes of what a layer says of itself */

/* One run of a forward, as the protected call sees it. */
typedef struct HostRun {
  GptEnv *env;
  GptPass *pass;
  GptLayer *layer;
  GptTensor *x; /* borrowed */
  GptTensor *y; /* a new reference, or NULL: it returned something else, */
  const char *came, *advice; /* namely this */
} HostRun;

/* Keeps the tensor at index as the run's result. */
static void take_result(lua_State *L, HostRun *run, int index) {
  GptTensor **box = (GptTensor **)bind_look(L, index, BIND_TENSOR);
  if (box != NULL && *box != NULL) {
    run->y = gpt_tensor_retain(*box);
    return;
  }
  run->came = box != NULL ? "a freed one" : lua_isnone(L, index) ? "nil" : bind_typename(L, index);
  run->advice = lua_isnoneornil(L, index) ? "; does it return one?" : "";
}

/* Protected: called with the arguments behind x, and the run on top of them; calls forward(self, x, pass, ...), and
 * returns what that returns behind the tensor. */
static int call_forward(lua_State *L) {
  HostRun *run = lua_touserdata(L, -1);
  luaL_checkstack(L, 20, "layers are nested too deep");
  bind_push_layer(L, run->layer);
  lua_getfield(L, -1, "forward");
  lua_insert(L, -2);
  bind_share_tensor(L, run->x);
  bind_push_pass(L, run->pass);
  lua_rotate(L, 1, 4); /* below the arguments */
  lua_remove(L, -1);   /* the run */
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  take_result(L, run, 1);
  return lua_gettop(L) > 1 ? lua_gettop(L) - 1 : 0;
}

/* Calls it with what the host's call has behind x, and leaves further results to that call; without one, there are no
 * more arguments, and further results are dropped. */
static void call_host(lua_State *L, HostRun *run, BindLayerCall *call) {
  int arguments = call != NULL ? call->count : 0, top = lua_gettop(L);
  for (int i = 0; i < arguments; i++) lua_pushvalue(L, call->first + i);
  bool done = bind_protect(L, run->env, call_forward, arguments, call != NULL ? LUA_MULTRET : 0, run);
  if (done && run->y == NULL)
    gpt_fail(run->env, "forward of %s must return a tensor, got %s%s", gpt_layer_name(run->layer), run->came,
             run->advice);
  if (run->y == NULL) lua_settop(L, top);
  else if (call != NULL) call->results = lua_gettop(L) - top;
}

static GptTensor *host_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  lua_State *L = env->host;
  BindLayerCall *call = pass->host_call; /* it was for this layer */
  pass->host_call = NULL;
  HostRun run = {.env = env, .pass = pass, .layer = layer, .x = x};
  if (call != NULL && !lua_checkstack(L, call->count))
    return gpt_fail_null(env, "layers are nested too deep for Lua's stack");
  GptPass *outer = gpt_pass_enter(env, pass);
  GptLayer *caller = pass->caller;
  const GptTensor *input = pass->input;
  pass->caller = layer;
  pass->input = x;
  call_host(L, &run, call);
  pass->input = input;
  pass->caller = caller;
  env->pass = outer;
  bool right = run.y == NULL || pass->check == NULL || gpt_position_check_note(env, pass->check, layer, x, run.y);
  return gpt_tensor_if(right, run.y);
}

typedef struct Description {
  GptLayer *layer;
  char text[MOST_DESCRIBED + 1];
} Description;

/* Copies a string so that it is one short line. */
static void copy_line(char *to, const char *from, size_t length) {
  size_t n = length < MOST_DESCRIBED ? length : MOST_DESCRIBED - 3;
  for (size_t i = 0; i < n; i++) to[i] = (unsigned char)from[i] < ' ' || from[i] == 127 ? ' ' : from[i];
  while (n < length && n > 0 && ((unsigned char)from[n] & 0xC0) == 0x80) n--; /* whole characters */
  strcpy(to + n, n < length ? "..." : "");
}

/* Protected. Calls describe(self), where the layer's class has one, and keeps what that returns. */
static int call_describe(lua_State *L) {
  size_t length;
  Description *description = lua_touserdata(L, 1);
  bind_push_layer(L, description->layer);
  lua_getiuservalue(L, -1, BIND_LAYER_CLASS);
  if (lua_getfield(L, -1, "describe") != LUA_TFUNCTION) return 0;
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  const char *text = lua_tolstring(L, -1, &length);
  if (text == NULL) return bind_error(L, "describe must return a string, got %s", bind_typename(L, -1));
  copy_line(description->text, text, length);
  return 0;
}

/* Protected. Keeps what is wrong with describe, without the traceback. */
static int explain(lua_State *L) {
  Description *description = lua_touserdata(L, 1);
  bind_push_kept_error(L);
  const char *message = bind_tostring(L, -1);
  size_t line = strcspn(message, "\n");
  lua_pushfstring(L, "describe fails: %s", lua_pushlstring(L, message, line));
  size_t length;
  message = lua_tolstring(L, -1, &length);
  copy_line(description->text, message, length);
  return 0;
}

static bool describe_by(GptEnv *env, lua_CFunction body, Description *description) {
  char unused[GPT_ERROR_SIZE];
  bool done = bind_protect(env->host, env, body, 0, 0, description);
  if (!done) gpt_take_error(env, unused);
  return done;
}

/* An error in describe is shown in its place: a layer can be printed all the same. */
static void host_describe(const GptLayer *layer, GptText *text) {
  GptEnv *env = layer->env;
  Description description = {.layer = (GptLayer *)(uintptr_t)layer};
  if (!describe_by(env, call_describe, &description) && !describe_by(env, explain, &description))
    strcpy(description.text, "describe fails");
  gpt_text_add(text, "%s", description.text);
}

static const GptLayerKind host_kind = {.name = "Layer", .host = true, .forward = host_forward, .describe = host_describe};

/* _new_layer(name, class, positionwise or nil): an empty layer of a class, a table with forward. */
static int new_layer(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *name = bind_check_string(L, 1);
  bind_check_type(L, 2, LUA_TTABLE);
  GptLayer **box = bind_new_layer(L);
  *box = gpt_layer_new(env, &host_kind, sizeof(GptLayer));
  if (*box == NULL) return bind_raise(L, env);
  (*box)->positionwise = lua_toboolean(L, 3);
  (*box)->silent = lua_isnoneornil(L, 3);
  (*box)->label = gpt_copy_string(env, name);
  if ((*box)->label == NULL) return bind_raise(L, env);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, BIND_LAYER_CLASS);
  return bind_layer_done(L, box);
}

/***
Makes a tensor a parameter: it requires a gradient, and becomes part of a layer written in Lua when it is assigned to a
field.
@function nn.parameter
@tparam Tensor tensor of f32, not the result of a recorded op
@treturn Tensor the same
@usage local weight = gpt.nn.parameter(gpt.zeros(3))   -- in init: self.weight = weight
*/
static int parameter(lua_State *L) {
  GptTensor *tensor = bind_tensor(L, 1);
  if (tensor->storage->dtype != GPT_F32) return bind_argument_error(L, 1, "a parameter must be f32");
  if (tensor->node != NULL)
    return bind_argument_error(L, 1, "the result of a recorded op cannot be a parameter; detach() it first");
  tensor->requires_grad = tensor->parameter = true;
  lua_settop(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {{"_new_layer", new_layer}, {"_parameter", parameter}, {NULL, NULL}};

void bind_open_layer_host(lua_State *L) { bind_functions(L, functions); }
