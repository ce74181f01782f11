/* gpt.optim: optimizers, and gpt.clip_grad_norm. */
#include "binding/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "binding/fields.h"
#include "binding/parameters.h"
#include "binding/tensor_list.h"
#include "binding/text.h"

#define WHAT 100     /* bytes of "gpt.optim.AdamW: group 12345" */
#define MOST_NAMES 10 /* options of an optimizer or a group, the end of the list included */

/***
Optimizers: gpt.optim.
@module gpt.optim
*/

GptOptimizer *bind_optimizer(lua_State *L, int index) { return bind_check(L, index, BIND_OPTIMIZER); }

/* `name` = {a, b} of the table at index; what is already there where it is missing. */
static void read_shares(lua_State *L, int table, const char *what, const char *name, double *pair) {
  static const char expected[] = "two numbers from 0 to less than 1 expected";
  int type = lua_getfield(L, table, name);
  bool fits = type == LUA_TNIL || (type == LUA_TTABLE && lua_rawlen(L, -1) == 2);
  for (int i = 0; i < 2 && fits && type == LUA_TTABLE; i++) {
    pair[i] = lua_rawgeti(L, -1, i + 1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
    if (!(pair[i] >= 0 && pair[i] < 1))
      bind_error(L, "%s: %s: %s, number %d is %s", what, name, expected, i + 1, bind_shown(L, -1));
    lua_pop(L, 1);
  }
  if (!fits)
    bind_error(L, "%s: %s: %s, got %s", what, name, expected,
               type == LUA_TTABLE ? "another count" : bind_typename(L, -1));
  lua_pop(L, 1);
}

/* One rate of the table at index, or what is already there; returns how many numbers it is. */
static int read_rate(lua_State *L, int table, const char *what, const GptRateRow *row, double *rate) {
  switch (row->type) {
    case GPT_RATE_NUMBER: *rate = bind_opt_number_field(L, table, what, row->name, 0, INFINITY, *rate); return 1;
    case GPT_RATE_SHARE: *rate = bind_opt_number_field(L, table, what, row->name, 0, 1, *rate); return 1;
    case GPT_RATE_SWITCH: *rate = bind_opt_boolean_field(L, table, what, row->name, *rate != 0); return 1;
    case GPT_RATE_SHARES: read_shares(L, table, what, row->name, rate); return 2;
  }
  return 0;
}

/* Those of the table at index that are there, lr apart. */
static void read_rates(lua_State *L, int table, const char *what, const GptOptimizerKind *kind, double *rates) {
  const double *all = rates;
  for (const GptRateRow *row = kind->rates; row->name != NULL; row++) rates += read_rate(L, table, what, row, rates);
  const char *misfit = kind->misfit != NULL ? kind->misfit(all) : NULL;
  if (misfit != NULL) bind_error(L, "%s: %s", what, misfit);
}

static double read_lr(lua_State *L, int table, const char *what, double otherwise) {
  return bind_opt_number_field(L, table, what, "lr", 0, INFINITY, otherwise);
}

GptMomentDtype bind_pop_moment_dtype(lua_State *L, const char *what) {
  GptMomentDtype dtype = GPT_MOMENT_F32;
  bool text = lua_type(L, -1) == LUA_TSTRING;
  if (!lua_isnil(L, -1) && !(text && gpt_moment_dtype_find(lua_tostring(L, -1), &dtype)))
    bind_error(L, "%s: moment_dtype: \"f32\", \"bf16\" or \"q8\" expected, got %s%s%s", what, text ? "\"" : "",
               text ? lua_tostring(L, -1) : bind_shown(L, -1), text ? "\"" : "");
  lua_pop(L, 1);
  return dtype;
}

/* Raises for unknown names in the table at index: a kind has its rates, lr, and one more. */
static void check_names(lua_State *L, int table, const char *what, const GptOptimizerKind *kind, const char *more) {
  const char *names[MOST_NAMES] = {"lr", more};
  int count = 2;
  for (const GptRateRow *row = kind->rates; row->name != NULL; row++) names[count++] = row->name;
  bind_check_options(L, table, what, names);
}

static void add_group(lua_State *L, GptOptimizer *optimizer, GptOptimizerGroup group) {
  if (!gpt_optimizer_add_group(optimizer, group)) bind_raise(L, bind_env(L));
}

/* The rates of each group of the list at 1, over those of all. */
static void add_groups(lua_State *L, GptOptimizer *optimizer, const char *name, const GptOptimizerGroup *all) {
  char what[WHAT];
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    GptOptimizerGroup own = *all;
    snprintf(what, sizeof what, "%.64s: group %d", name, (int)i);
    if (lua_rawgeti(L, 1, i) != LUA_TTABLE)
      bind_error(L, "%s: a table {params = ...} expected, got %s", what, bind_typename(L, -1));
    check_names(L, lua_gettop(L), what, optimizer->kind, "params");
    read_rates(L, lua_gettop(L), what, optimizer->kind, own.rates);
    double lr = read_lr(L, lua_gettop(L), what, optimizer->lr);
    if (lr != optimizer->lr && optimizer->lr == 0)
      bind_error(L, "%s: 'lr': it follows the optimizer's own lr, which has to be above 0 then", what);
    own.lr_scale = lr == optimizer->lr ? 1 : lr / optimizer->lr;
    lua_pop(L, 1);
    add_group(L, optimizer, own);
  }
}

typedef struct Adding {
  GptOptimizer *optimizer;
  const char *what;
} Adding;

static void add_parameter(lua_State *L, void *context, int64_t group, const char *name, GptTensor *tensor) {
  char message[GPT_ERROR_SIZE];
  const Adding *adding = context;
  GptEnv *env = bind_env(L);
  if (gpt_optimizer_add(adding->optimizer, group, name, tensor)) return;
  gpt_take_error(env, message);
  bind_error(L, "%s: %s", adding->what, message);
}

static void default_rates(const GptOptimizerKind *kind, double *rates) {
  for (const GptRateRow *row = kind->rates; row->name != NULL; row++) {
    *rates++ = row->otherwise[0];
    if (row->type == GPT_RATE_SHARES) *rates++ = row->otherwise[1];
  }
}

static int new_optimizer(lua_State *L, const GptOptimizerKind *kind) {
  char what[WHAT];
  GptEnv *env = bind_env(L);
  double lr = kind->lr;
  GptMomentDtype moment_dtype = GPT_MOMENT_F32;
  GptOptimizerGroup group = {.lr_scale = 1};
  default_rates(kind, group.rates);
  snprintf(what, sizeof what, "gpt.optim.%s", kind->name);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    bind_check_type(L, 2, LUA_TTABLE);
    check_names(L, 2, what, kind, "moment_dtype");
    lr = read_lr(L, 2, what, lr);
    read_rates(L, 2, what, kind, group.rates);
    lua_getfield(L, 2, "moment_dtype");
    moment_dtype = bind_pop_moment_dtype(L, what);
  }
  GptOptimizer **box = (GptOptimizer **)bind_push_box(L, BIND_OPTIMIZER, 0);
  *box = gpt_optimizer_new(env, kind, moment_dtype, lr);
  if (*box == NULL) return bind_raise(L, env);
  if (bind_is_grouped(L, 1)) add_groups(L, *box, what, &group);
  else add_group(L, *box, group);
  bind_each_parameter(L, 1, what, add_parameter, &(Adding){*box, what});
  return 1;
}

/***
The optimizer AdamW (Loshchilov and Hutter 2019), which computes what torch.optim.AdamW does: Adam with weight decay
that is decoupled from the gradient.

Its two moments take 8 bytes for each number of a parameter. With `moment_dtype` "bf16" they take 4, with "q8" 2.1: the
moments are rounded at random, so that small changes are not lost, and 64 in 8 bits share a scale.
@function optim.AdamW
@param what a layer; a list of tensors (or layers); or a list of groups `{params = layer or list, lr, betas, eps,
weight_decay}`, each with its own settings if given. Parameters without a gradient are skipped.
@tparam[opt] table options `lr` (0.001), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0.01), `moment_dtype`
("f32")
@treturn Optimizer
@usage
local decayed, plain = {}, {}
for path, p in model:parameters() do table.insert(p:dim() > 1 and decayed or plain, p) end
local groups = { { params = decayed, weight_decay = 0.1 }, { params = plain, weight_decay = 0 } }
local optimizer = gpt.optim.AdamW(groups, { lr = 3e-4, moment_dtype = "q8" })
*/
static int new_adamw(lua_State *L) { return new_optimizer(L, &gpt_adamw); }

/***
Stochastic gradient descent, which computes what torch.optim.SGD does; with `momentum`, also Nesterov's. The weight decay
is added to the gradient.
@function optim.SGD
@param what as for `gpt.optim.AdamW`; groups have `lr`, `momentum`, `nesterov` and `weight_decay`
@tparam[opt] table options `lr` (0.001), `momentum` (0), `nesterov` (false), `weight_decay` (0), `moment_dtype` ("f32")
@treturn Optimizer
@usage
local optimizer = gpt.optim.SGD(model, { lr = 0.1, momentum = 0.9, nesterov = true })
*/
static int new_sgd(lua_State *L) { return new_optimizer(L, &gpt_sgd); }

/***
Muon (Jordan 2024), for the matrices of a model's blocks: a step's direction is the nearest orthogonal matrix of the
gradient with momentum, and its size is AdamW's (Liu et al. 2025), so that one `lr` fits both. All else is AdamW's: what is
no matrix, and groups with `matrices = false`, as embeddings and the head should be. `gpt.train { optimizer = "muon" }`
makes such groups.
@function optim.Muon
@param what as for `gpt.optim.AdamW`; groups have `lr`, `matrices`, `momentum`, `nesterov`, `weight_decay`, `betas` and
`eps`
@tparam[opt] table options `lr` (0.001), `momentum` (0.95), `nesterov` (true), `weight_decay` (0.1), `betas` ({0.9, 0.95})
and `eps` (1e-8) for what is AdamW's, `matrices` (true), `moment_dtype` ("f32")
@treturn Optimizer
@usage
local others = { model.token_embedding, model.position_embedding, model.head, model.final_norm }
local groups = { { params = model.blocks }, { params = others, matrices = false } }
local optimizer = gpt.optim.Muon(groups, { lr = 1e-2 })
*/
static int new_muon(lua_State *L) { return new_optimizer(L, &gpt_muon); }

static int optimizer_collect(lua_State *L) {
  gpt_optimizer_free(bind_take(L, BIND_OPTIMIZER));
  return 0;
}

/***
Updates every parameter that has a gradient.
@function Optimizer:step
@usage model:loss({ 3, 1, 2 }, { 1, 2, 5 }):backward()
optimizer:step()
optimizer:zero_grad()
*/
static int optimizer_step(lua_State *L) {
  GptEnv *env = bind_env(L);
  if (!gpt_optimizer_step(bind_optimizer(L, 1))) return bind_raise(L, env);
  bind_account(L, env);
  return 0;
}

/***
Sets all gradients to nil; their memory is reused for the next ones.
@function Optimizer:zero_grad
@usage optimizer:zero_grad()
*/
static int zero_grad(lua_State *L) {
  if (!gpt_optimizer_zero_grad(bind_optimizer(L, 1))) return bind_raise(L, bind_env(L));
  return 0;
}

/***
The learning rate. A group with its own rate keeps its proportion to this one, so one schedule sets all.
@tfield number Optimizer.lr
*/
static int get_lr(lua_State *L) {
  lua_pushnumber(L, bind_optimizer(L, 1)->lr);
  return 1;
}

/***
The learning rates of the groups, a list.
@tfield table Optimizer.lrs
*/
static int get_lrs(lua_State *L) {
  int64_t n = bind_optimizer(L, 1)->n_groups;
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    const GptOptimizer *optimizer = bind_optimizer(L, 1);
    lua_pushnumber(L, optimizer->lr * optimizer->groups[i].lr_scale);
    lua_rawseti(L, -2, i + 1);
  }
  bind_printed(L);
  return 1;
}

/***
What the optimizer is called: "AdamW", "SGD" or "Muon".
@tfield string Optimizer.name
*/
static int get_name(lua_State *L) {
  lua_pushstring(L, bind_optimizer(L, 1)->kind->name);
  return 1;
}

/***
The dtype of its moments: "f32", "bf16" or "q8".
@tfield string Optimizer.moment_dtype
*/
static int get_moment_dtype(lua_State *L) {
  lua_pushstring(L, gpt_moment_dtype_name(bind_optimizer(L, 1)->moment_dtype));
  return 1;
}

static int optimizer_print(lua_State *L) {
  GptText *text = bind_push_text(L);
  gpt_optimizer_print(bind_optimizer(L, 1), text);
  bind_push_text_done(L, text);
  return 1;
}

static int optimizer_new_index(lua_State *L) {
  GptOptimizer *optimizer = bind_optimizer(L, 1);
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "lr") != 0)
    return bind_error(L, "a gpt.Optimizer has no field '%s' to set; lr is one", bind_word(L, 2));
  double lr = lua_type(L, 3) == LUA_TNUMBER ? lua_tonumber(L, 3) : NAN;
  if (!(lr >= 0 && lr < INFINITY))
    return bind_error(L, "lr: a finite number of at least 0 expected, got %s", bind_shown(L, 3));
  optimizer->lr = lr;
  return 0;
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
  double norm, max = bind_check_number(L, 2);
  if (!(max > 0)) return bind_argument_error(L, 2, lua_pushfstring(L, "a norm above 0 expected, got %s", bind_shown(L, 2)));
  bind_each_parameter(L, 1, "gpt.clip_grad_norm", count_parameter, &count);
  BindTensorList *list = bind_push_tensor_list(L, count);
  bind_each_parameter(L, 1, "gpt.clip_grad_norm", list_optimizer_parameter, list);
  if (!gpt_clip_grad_norm(env, list->count, list->items, max, &norm)) return bind_raise(L, env);
  bind_tensor_list_drop(list);
  lua_pushnumber(L, norm);
  return 1;
}

static const luaL_Reg methods[] = {{"step", optimizer_step},
                                   {"zero_grad", zero_grad},
                                   {"state", bind_optimizer_state},
                                   {"load_state", bind_optimizer_load_state},
                                   {NULL, NULL}};
static const luaL_Reg fields[] = {
    {"lr", get_lr}, {"lrs", get_lrs}, {"name", get_name}, {"moment_dtype", get_moment_dtype}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", optimizer_collect},
                                {"__close", bind_free},
                                {"__tostring", optimizer_print},
                                {"__newindex", optimizer_new_index},
                                {NULL, NULL}};
static const luaL_Reg optim[] = {{"AdamW", new_adamw}, {"SGD", new_sgd}, {"Muon", new_muon}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"clip_grad_norm", clip_grad_norm}, {NULL, NULL}};

void bind_open_optimizer(lua_State *L) {
  bind_type(L, &(BindType){.name = BIND_OPTIMIZER, .methods = methods, .fields = fields, .meta = meta});
  bind_functions(L, functions);
  lua_newtable(L);
  bind_functions(L, optim);
  lua_setfield(L, -2, "optim");
}
