/* gpt.optim.AdamW and gpt.clip_grad_norm. */
#include "core/train/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "binding/fields.h"
#include "binding/parameters.h"
#include "binding/tensor.h"
#include "binding/tensor_list.h"
#include "core/base/numbers.h"

#define ADAMW "gpt.AdamW"
#define WHAT "gpt.optim.AdamW"

/***
Optimizers: gpt.optim.
@module gpt.optim
*/

static GptAdamW *check(lua_State *L, int index) { return bind_check(L, index, ADAMW); }

/* betas = {b1, b2} of the table at index; what is already there where it is missing. */
static void read_betas(lua_State *L, int table, const char *what, GptAdamRates *rates) {
  double betas[2] = {rates->beta1, rates->beta2};
  int type = lua_getfield(L, table, "betas");
  bool fits = type == LUA_TNIL || (type == LUA_TTABLE && lua_rawlen(L, -1) == 2);
  for (int i = 0; i < 2 && fits && type == LUA_TTABLE; i++) {
    betas[i] = lua_rawgeti(L, -1, i + 1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
    if (!(betas[i] >= 0 && betas[i] < 1))
      bind_error(L, "%s: betas: two numbers from 0 to less than 1 expected, number %d is %s", what, i + 1,
                 bind_shown(L, -1));
    lua_pop(L, 1);
  }
  if (!fits)
    bind_error(L, "%s: betas: two numbers from 0 to less than 1 expected, got %s", what,
               type == LUA_TTABLE ? "another count" : bind_typename(L, -1));
  rates->beta1 = betas[0];
  rates->beta2 = betas[1];
  lua_pop(L, 1);
}

/* Those of the table at index that are there, lr apart. */
static void read_rates(lua_State *L, int table, const char *what, GptAdamRates *rates) {
  read_betas(L, table, what, rates);
  rates->eps = bind_opt_number_field(L, table, what, "eps", 0, INFINITY, rates->eps);
  rates->weight_decay = bind_opt_number_field(L, table, what, "weight_decay", 0, INFINITY, rates->weight_decay);
}

static double read_lr(lua_State *L, int table, const char *what, double otherwise) {
  return bind_opt_number_field(L, table, what, "lr", 0, INFINITY, otherwise);
}

static void add_group(lua_State *L, GptAdamW *adamw, GptAdamRates rates) {
  if (!gpt_adamw_add_group(adamw, rates)) bind_raise(L, bind_env(L));
}

/* The rates of each group of the list at 1, over those of all. */
static void add_groups(lua_State *L, GptAdamW *adamw, GptAdamRates all) {
  static const char *const names[] = {"params", "lr", "betas", "eps", "weight_decay", NULL};
  char what[64];
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    GptAdamRates own = all;
    snprintf(what, sizeof what, WHAT ": group %d", (int)i);
    if (lua_rawgeti(L, 1, i) != LUA_TTABLE)
      bind_error(L, "%s: a table {params = ...} expected, got %s", what, bind_typename(L, -1));
    bind_check_options(L, lua_gettop(L), what, names);
    read_rates(L, lua_gettop(L), what, &own);
    double lr = read_lr(L, lua_gettop(L), what, adamw->lr);
    if (lr != adamw->lr && adamw->lr == 0)
      bind_error(L, "%s: 'lr': it follows the optimizer's own lr, which has to be above 0 then", what);
    own.lr_scale = lr == adamw->lr ? 1 : lr / adamw->lr;
    lua_pop(L, 1);
    add_group(L, adamw, own);
  }
}

static void add_parameter(lua_State *L, void *context, int64_t group, const char *name, GptTensor *tensor) {
  char message[GPT_ERROR_SIZE];
  GptEnv *env = bind_env(L);
  if (gpt_adamw_add(context, group, name, tensor)) return;
  gpt_take_error(env, message);
  bind_error(L, WHAT ": %s", message);
}

/***
The optimizer AdamW (Loshchilov and Hutter 2019), which computes what torch.optim.AdamW does: Adam with weight decay
that is decoupled from the gradient.
@function optim.AdamW
@param what a layer; a list of tensors (or layers); or a list of groups `{params = layer or list, lr, betas, eps,
weight_decay}`, each with its own settings if given. Parameters without a gradient are skipped.
@tparam[opt] table options `lr` (0.001), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0.01)
@treturn AdamW
@usage
local decayed, plain = {}, {}
for path, p in model:parameters() do table.insert(p:dim() > 1 and decayed or plain, p) end
local groups = { { params = decayed, weight_decay = 0.1 }, { params = plain, weight_decay = 0 } }
local optimizer = gpt.optim.AdamW(groups, { lr = 3e-4 })
*/
static int new_adamw(lua_State *L) {
  static const char *const names[] = {"lr", "betas", "eps", "weight_decay", NULL};
  GptEnv *env = bind_env(L);
  double lr = 1e-3;
  GptAdamRates rates = {.lr_scale = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01};
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    bind_check_options(L, 2, WHAT, names);
    lr = read_lr(L, 2, WHAT, lr);
    read_rates(L, 2, WHAT, &rates);
  }
  GptAdamW **box = (GptAdamW **)bind_push_box(L, ADAMW, 0);
  *box = gpt_adamw_new(env, lr);
  if (*box == NULL) return bind_raise(L, env);
  if (bind_is_grouped(L, 1)) add_groups(L, *box, rates);
  else add_group(L, *box, rates);
  bind_each_parameter(L, 1, WHAT, add_parameter, *box);
  return 1;
}

static int optimizer_collect(lua_State *L) {
  GptAdamW **box = luaL_checkudata(L, 1, ADAMW);
  GptAdamW *adamw = *box;
  *box = NULL;
  gpt_adamw_free(adamw);
  return 0;
}

/***
Updates every parameter that has a gradient.
@function AdamW:step
@usage model:loss({ 3, 1, 2 }, { 1, 2, 5 }):backward()
optimizer:step()
optimizer:zero_grad()
*/
static int optimizer_step(lua_State *L) {
  GptEnv *env = bind_env(L);
  if (!gpt_adamw_step(check(L, 1))) return bind_raise(L, env);
  bind_account(L, env);
  return 0;
}

/***
Sets all gradients to nil; their memory is reused for the next ones.
@function AdamW:zero_grad
@usage optimizer:zero_grad()
*/
static int zero_grad(lua_State *L) {
  if (!gpt_adamw_zero_grad(check(L, 1))) return bind_raise(L, bind_env(L));
  return 0;
}

/***
The learning rate. A group with its own rate keeps its proportion to this one, so one schedule sets all.
@tfield number AdamW.lr
*/
static int get_lr(lua_State *L) {
  lua_pushnumber(L, check(L, 1)->lr);
  return 1;
}

static int optimizer_new_index(lua_State *L) {
  GptAdamW *adamw = check(L, 1);
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "lr") != 0)
    return bind_error(L, "a gpt.AdamW has no field '%s' to set; lr is one", bind_tostring(L, 2));
  double lr = lua_type(L, 3) == LUA_TNUMBER ? lua_tonumber(L, 3) : NAN;
  if (!(lr >= 0 && lr < INFINITY))
    return bind_error(L, "lr: a finite number of at least 0 expected, got %s", bind_shown(L, 3));
  adamw->lr = lr;
  return 0;
}

/* Functions that push strings between two parameters take each one anew: a finalizer may close the optimizer. */
static const GptAdamParameter *parameter_at(lua_State *L, int64_t i) { return &check(L, 1)->parameters[i]; }

/* What is counted of all parameters. */
static int64_t most_steps(const GptAdamW *adamw) {
  int64_t most = 0;
  for (int64_t i = 0; i < adamw->count; i++)
    if (adamw->parameters[i].steps > most) most = adamw->parameters[i].steps;
  return most;
}

/* tensors[prefix .. name] = a moment of parameter i, for the table on top of the stack. */
static void set_moment(lua_State *L, const char *prefix, int64_t i, bool square) {
  lua_pushfstring(L, "%s%s", prefix, parameter_at(L, i)->name);
  GptTensor **box = bind_new_tensor(L);
  const GptAdamParameter *p = parameter_at(L, i);
  *box = gpt_tensor_retain(square ? p->square : p->mean);
  lua_rawset(L, -3);
}

/***
The optimizer's state, as plain tables: `step` (the largest number of steps of any parameter), `lr`, `steps` (of each
parameter by name: its path in a layer, or its position in the list) and `tensors` (by `exp_avg.NAME` and
`exp_avg_sq.NAME`, f32 of the parameter's shape). The optimizer still uses these tensors: save or clone them before the
next step.
@function AdamW:state
@treturn table
@usage local state = optimizer:state()
print(state.step, state.lr)
*/
static int state(lua_State *L) {
  int64_t count = check(L, 1)->count;
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, most_steps(check(L, 1)));
  lua_setfield(L, -2, "step");
  lua_pushnumber(L, check(L, 1)->lr);
  lua_setfield(L, -2, "lr");
  lua_newtable(L);
  for (int64_t i = 0; i < count; i++) {
    lua_pushstring(L, parameter_at(L, i)->name);
    lua_pushinteger(L, parameter_at(L, i)->steps);
    lua_rawset(L, -3);
  }
  bind_printed(L);
  lua_setfield(L, -2, "steps");
  lua_newtable(L);
  for (int64_t i = 0; i < count; i++) {
    if (parameter_at(L, i)->steps == 0) continue;
    set_moment(L, "exp_avg.", i, false);
    set_moment(L, "exp_avg_sq.", i, true);
  }
  bind_printed(L);
  lua_setfield(L, -2, "tensors");
  bind_printed(L);
  return 1;
}

#define LOAD "load_state"

/* Pushes field `name` of the table at index, which must be of that type. */
static void check_field(lua_State *L, int index, const char *name, int type) {
  lua_pushstring(L, name);
  if (lua_rawget(L, index) != type)
    bind_error(L, LOAD ": %s: a %s expected, got %s; state() makes such a table", name, lua_typename(L, type),
               bind_typename(L, -1));
}

/* Pushes the moment at exp_avg.NAME or the like. */
static GptTensor *check_moment_argument(lua_State *L, int tensors, const char *prefix, const char *name) {
  lua_pushfstring(L, "%s%s", prefix, name);
  lua_rawget(L, tensors);
  GptTensor *moment = bind_test_tensor(L, lua_gettop(L));
  if (moment == NULL)
    bind_error(L, LOAD ": tensors: '%s%s': a tensor expected, got %s", prefix, name, bind_typename(L, -1));
  return moment;
}

/* The parameter whose name and steps are on top of the stack; its moments are held by the list. */
static GptAdamMoments read_moments(lua_State *L, int tensors, BindTensorList *held) {
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
  if (name == NULL) bind_error(L, LOAD ": steps: names of parameters expected, got a %s", bind_typename(L, -2));
  GptAdamMoments moments = {.parameter = gpt_adamw_find(check(L, 1), name)};
  if (moments.parameter == NULL) bind_error(L, LOAD ": the optimizer has no parameter '%s'", name);
  if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0)
    bind_error(L, LOAD ": steps: '%s': a whole number of at least 0 expected, got %s", name,
               bind_tostring(L, -1));
  moments.steps = lua_tointeger(L, -1);
  if (moments.steps == 0) return moments;
  bind_tensor_list_add(L, held, moments.mean = check_moment_argument(L, tensors, "exp_avg.", name));
  bind_tensor_list_add(L, held, moments.square = check_moment_argument(L, tensors, "exp_avg_sq.", name));
  lua_pop(L, 2);
  return moments;
}

/***
Loads a copy of a state that `state()` returned, from an optimizer with the same parameters under the same names. If
anything does not match, nothing is loaded.
@function AdamW:load_state
@tparam table state
@usage optimizer:load_state(optimizer:state())
*/
static int load_state(lua_State *L) {
  char message[GPT_ERROR_SIZE];
  GptEnv *env = bind_env(L);
  int64_t count = 0, room = check(L, 1)->count;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  double lr = bind_opt_number_field(L, 2, LOAD, "lr", 0, INFINITY, check(L, 1)->lr);
  check_field(L, 2, "steps", LUA_TTABLE);
  check_field(L, 2, "tensors", LUA_TTABLE);
  GptAdamMoments *moments = bind_scratch(L, room, sizeof *moments);
  BindTensorList *held = bind_push_tensor_list(L, 2 * room);
  lua_pushnil(L);
  while (lua_next(L, 3) != 0) { /* no name comes twice, and each is a parameter's: there is room */
    if (count == room) bind_error(L, LOAD ": the table of steps changed while it was read");
    moments[count++] = read_moments(L, 4, held);
    lua_pop(L, 1);
  }
  GptAdamW *adamw = check(L, 1);
  if (!gpt_adamw_load(adamw, count, moments)) {
    gpt_take_error(env, message);
    return bind_error(L, LOAD ": %s", message);
  }
  adamw->lr = lr;
  bind_tensor_list_drop(held);
  return 0;
}

/* 1234567 as "1,234,567" into text (32 bytes). */
static const char *grouped(int64_t n, char *text) {
  char digits[24];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
    text[at++] = digits[i];
  }
  text[at] = '\0';
  return text;
}

/* Parameters and numbers of a group. */
static const char *count_text(const GptAdamW *adamw, int64_t group, char *text, size_t size) {
  char digits[32];
  int64_t parameters = 0, numbers = 0;
  for (int64_t i = 0; i < adamw->count; i++) {
    if (adamw->parameters[i].group != group) continue;
    parameters++;
    numbers += gpt_tensor_numel(adamw->parameters[i].tensor);
  }
  snprintf(text, size, "%lld parameter%s, %s", (long long)parameters, parameters == 1 ? "" : "s",
           grouped(numbers, digits));
  return text;
}

/* "lr = 0.001, ..., weight_decay = 0.01 }, -- 3 parameters, 1,234", with tail behind the rates */
static void add_rates(lua_State *L, luaL_Buffer *buffer, int64_t group, const char *tail) {
  char line[320], counts[96];
  const GptAdamW *adamw = check(L, 1);
  const GptAdamRates *r = &adamw->groups[group];
  gpt_format(line, sizeof line, "lr = %.14g, betas = { %.14g, %.14g }, eps = %g, weight_decay = %.14g %s  -- %s",
           adamw->lr * r->lr_scale, r->beta1, r->beta2, r->eps, r->weight_decay, tail,
           count_text(adamw, group, counts, sizeof counts));
  luaL_addstring(buffer, line);
}

/* `AdamW { lr = 0.001, ... }  -- 3 parameters, 1,234; 20 steps`, a line for each group where there are several */
static int optimizer_print(lua_State *L) {
  char steps[64], groups[32];
  const GptAdamW *adamw = check(L, 1);
  int64_t most = most_steps(adamw), n_groups = adamw->n_groups;
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  snprintf(steps, sizeof steps, "; %lld step%s", (long long)most, most == 1 ? "" : "s");
  snprintf(groups, sizeof groups, "{  -- %lld groups", (long long)n_groups);
  luaL_addstring(&buffer, "AdamW ");
  if (n_groups == 1) {
    luaL_addstring(&buffer, "{ ");
    add_rates(L, &buffer, 0, "}");
    luaL_addstring(&buffer, steps);
  } else {
    luaL_addstring(&buffer, groups);
    luaL_addstring(&buffer, steps);
    for (int64_t i = 0; i < n_groups; i++) {
      luaL_addstring(&buffer, "\n  { ");
      add_rates(L, &buffer, i, "},");
    }
    luaL_addstring(&buffer, "\n}");
  }
  luaL_pushresult(&buffer);
  return 1;
}

static void count_parameter(lua_State *L, void *context, int64_t group, const char *name, GptTensor *tensor) {
  (void)L, (void)group, (void)name, (void)tensor;
  ++*(int64_t *)context;
}

static void list_optimizer_parameter(lua_State *L, void *context, int64_t group, const char *name, GptTensor *tensor) {
  (void)group, (void)name;
  bind_tensor_list_add(L, context, tensor);
}

/***
Clips all gradients together: if their common norm is above max, each of them is multiplied by max / (norm + 1e-6), in
place, as torch.nn.utils.clip_grad_norm_ does (Pascanu, Mikolov and Bengio 2013). Parameters without gradient do not
count.
@function clip_grad_norm
@param what as for gpt.optim.AdamW
@tparam number max the norm to clip to; math.huge only measures
@treturn number the norm before
@usage model:loss({ 3, 1, 2 }, { 1, 2, 5 }):backward()
print(gpt.clip_grad_norm(model, 1.0))
*/
static int clip_grad_norm(lua_State *L) {
  GptEnv *env = bind_env(L);
  int64_t count = 0;
  double norm, max = luaL_checknumber(L, 2);
  if (!(max > 0)) return luaL_argerror(L, 2, lua_pushfstring(L, "a norm above 0 expected, got %s", bind_shown(L, 2)));
  bind_each_parameter(L, 1, "gpt.clip_grad_norm", count_parameter, &count);
  BindTensorList *list = bind_push_tensor_list(L, count);
  bind_each_parameter(L, 1, "gpt.clip_grad_norm", list_optimizer_parameter, list);
  if (!gpt_clip_grad_norm(env, list->count, list->items, max, &norm)) return bind_raise(L, env);
  bind_tensor_list_drop(list);
  lua_pushnumber(L, norm);
  return 1;
}

static const luaL_Reg methods[] = {
    {"step", optimizer_step}, {"zero_grad", zero_grad}, {"state", state}, {"load_state", load_state}, {NULL, NULL}};
static const luaL_Reg fields[] = {{"lr", get_lr}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", optimizer_collect},
                                {"__close", bind_free},
                                {"__tostring", optimizer_print},
                                {"__newindex", optimizer_new_index},
                                {NULL, NULL}};
static const luaL_Reg optim[] = {{"AdamW", new_adamw}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"clip_grad_norm", clip_grad_norm}, {NULL, NULL}};

void bind_open_optimizer(lua_State *L) {
  bind_type(L, &(BindType){.name = ADAMW, .methods = methods, .fields = fields, .meta = meta});
  bind_functions(L, functions);
  lua_newtable(L);
  bind_functions(L, optim);
  lua_setfield(L, -2, "optim");
}
