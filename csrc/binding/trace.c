/* Tracing one pass. */
#include "core/nn/layer_trace.h"

#include "binding/layer.h"
#include "binding/tensor.h"

#define TRACE "gpt.TraceList" /* a GptTrace that Lua frees, whatever happens */

static int free_trace(lua_State *L) {
  gpt_trace_free(bind_env(L), bind_check_userdata(L, 1, TRACE));
  return 0;
}

static GptTrace *push_trace(lua_State *L) {
  GptTrace *trace = lua_newuserdatauv(L, sizeof *trace, 0);
  gpt_trace_init(trace);
  bind_set_type(L, TRACE);
  return trace;
}

/* Runs the layer, neither recording nor dropping. */
static bool run_traced(GptEnv *env, GptTrace *trace, GptLayer *layer, GptTensor *x) {
  GptPass pass = gpt_pass(env, false), *outer = env->pass;
  pass.observer = &trace->observer;
  bool recording = env->recording;
  env->pass = NULL;
  env->recording = false;
  GptTensor *y = gpt_layer_forward(env, &pass, layer, x);
  env->recording = recording;
  env->pass = outer;
  gpt_tensor_release(y);
  return y != NULL;
}

static void push_entry(lua_State *L, const GptTraceEntry *entry) {
  lua_createtable(L, 0, 5);
  lua_pushstring(L, entry->path);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, gpt_layer_name(entry->layer));
  lua_setfield(L, -2, "kind");
  bind_push_layer(L, entry->layer);
  lua_setfield(L, -2, "layer");
  bind_share_tensor(L, entry->output);
  lua_setfield(L, -2, "output");
  bind_share_tensor(L, entry->weights);
  lua_setfield(L, -2, "weights");
}

/* _trace(layer, x): a list of { path, kind, layer, output, weights }, in the order in which the layers began */
static int trace(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  lua_settop(L, 2);
  bind_layer_input(L, layer);
  GptTrace *list = push_trace(L);
  if (!run_traced(env, list, layer, bind_tensor(L, 2))) return bind_raise(L, env);
  lua_createtable(L, (int)list->count, 0);
  for (int64_t i = 0; i < list->count; i++) {
    push_entry(L, &list->items[i]);
    lua_rawseti(L, -2, i + 1);
  }
  gpt_trace_free(env, list);
  return 1;
}

static const luaL_Reg functions[] = {{"_trace", trace}, {NULL, NULL}};

static const luaL_Reg meta[] = {{"__gc", free_trace}, {NULL, NULL}};

void bind_open_trace(lua_State *L) {
  luaL_newmetatable(L, TRACE);
  bind_functions(L, meta);
  lua_pop(L, 1);
  bind_functions(L, functions);
}
