/* Hooks: functions in Lua that see what layers return. Their userdata's user value is the list of the functions. */
#include "binding/hooks.h"

#include "binding/layer.h"
#include "binding/pass.h"
#include "binding/tensor.h"

#define HOOKS "gpt.Hooks"

static char hook_maker;  /* registry: see _set_hook_maker */
static char known_hooks; /* registry: core pointer -> userdata, weak */

/* One call of a hook, as the protected call sees it. */
typedef struct HookRun {
  GptHooks *hooks;
  GptPass *pass;
  int i;
  GptTensor *output; /* held by the caller */
  GptTensor *result; /* a new reference; NULL: something else came, */
  const char *came;  /* namely this */
} HookRun;

static void push_hooks(lua_State *L, const GptHooks *hooks) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &known_hooks);
  lua_rawgetp(L, -1, hooks);
  lua_remove(L, -2);
}

/* Protected: calls hook(output, pass). */
static int call_function(lua_State *L) {
  HookRun *run = lua_touserdata(L, 1);
  push_hooks(L, run->hooks);
  lua_getiuservalue(L, -1, 1);
  lua_rawgeti(L, -1, run->i + 1);
  bind_share_tensor(L, run->output);
  bind_push_pass(L, run->pass);
  lua_call(L, 2, 1);
  GptTensor **box = (GptTensor **)bind_look(L, lua_gettop(L), BIND_TENSOR);
  bool made = box != NULL && *box != NULL;
  if (made || lua_isnil(L, -1)) run->result = gpt_tensor_retain(made ? *box : run->output);
  else run->came = box != NULL ? "a freed one" : bind_typename(L, -1);
  return 0;
}

static GptTensor *call_hook(GptEnv *env, GptHooks *hooks, GptPass *pass, int i, GptTensor *output) {
  HookRun run = {.hooks = hooks, .pass = pass, .i = i, .output = output};
  GptPass *outer = gpt_pass_enter(env, pass);
  const GptTensor *input = pass->input;
  pass->input = output; /* the rows whose positions the hook may ask for */
  bool done = bind_protect(env->host, env, call_function, 0, 0, &run);
  pass->input = input;
  env->pass = outer;
  gpt_tensor_release(output);
  if (done && run.result == NULL) gpt_fail(env, "a hook must return a tensor, or nothing, got %s", run.came);
  return run.result;
}

static int free_hooks(lua_State *L) {
  gpt_hooks_free(bind_env(L), bind_check_userdata(L, 1, HOOKS));
  return 0;
}

/* _hooks(layers, functions): two lists of one length */
static int new_hooks(lua_State *L) {
  bind_check_type(L, 1, LUA_TTABLE);
  bind_check_type(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  GptHooks *hooks = lua_newuserdatauv(L, sizeof *hooks, 1);
  gpt_hooks_init(hooks, call_hook);
  bind_set_type(L, HOOKS);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &known_hooks);
  lua_pushvalue(L, 3);
  lua_rawsetp(L, -2, hooks);
  lua_pop(L, 1);
  for (lua_Integer i = 1; lua_rawgeti(L, 1, i) != LUA_TNIL; i++) {
    if (!gpt_hooks_add(bind_env(L), hooks, bind_layer(L, -1))) return bind_raise(L, bind_env(L));
    lua_pop(L, 1);
  }
  lua_settop(L, 3);
  return 1;
}

/* _set_hook_maker(function): what makes hooks of a table of functions by path, called with who, the layer and the table */
static int set_hook_maker(lua_State *L) {
  bind_check_type(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &hook_maker);
  return 0;
}

GptHooks *bind_hooks_field(lua_State *L, int layer, const char *who) {
  if (lua_isnil(L, -1)) return NULL;
  if (luaL_testudata(L, -1, HOOKS) == NULL) {
    layer = lua_absindex(L, layer);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &hook_maker);
    lua_insert(L, -2);
    lua_pushstring(L, who);
    lua_insert(L, -2);
    lua_pushvalue(L, layer);
    lua_insert(L, -2);
    lua_call(L, 3, 1);
  }
  return bind_check_userdata(L, -1, HOOKS);
}

/* _run(layer, x, hooks): the layer's output in a pass that hooks watch */
static int run(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  lua_settop(L, 3);
  bind_layer_input(L, layer);
  GptHooks *hooks = bind_check_userdata(L, 3, HOOKS);
  GptPass pass = gpt_pass(env, bind_is_training(env, layer));
  GptTensor **y = bind_new_tensor(L);
  *y = gpt_hooks_run(env, hooks, &pass, layer, bind_tensor(L, 2));
  return bind_tensor_done(L, y);
}

static const luaL_Reg functions[] = {{"_hooks", new_hooks}, {"_run", run}, {"_set_hook_maker", set_hook_maker}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", free_hooks}, {NULL, NULL}};

void bind_open_hooks(lua_State *L) {
  bind_push_weak(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &known_hooks);
  luaL_newmetatable(L, HOOKS);
  bind_functions(L, meta);
  lua_pop(L, 1);
  bind_functions(L, functions);
}
