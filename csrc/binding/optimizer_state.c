/* An optimizer's state as a table, and back. */
#include <math.h>
#include <string.h>

#include "binding/fields.h"
#include "binding/optimizer.h"
#include "binding/tensor.h"
#include "binding/tensor_list.h"

#define LOAD "load_state"
#define TENSORS (2 * GPT_MOMENTS) /* of a parameter at most: its moments and their scales */

/* Functions that push strings between two parameters take each one anew: a finalizer may close the optimizer. */
static const GptOptimizerParameter *parameter_at(lua_State *L, int64_t i) { return &bind_optimizer(L, 1)->parameters[i]; }

/* Pushes "exp_avg.NAME", or "exp_avg_scale.NAME" for the scales. */
static void push_tensor_name(lua_State *L, const char *moment, bool scales, const char *name) {
  lua_pushfstring(L, "%s%s.%s", moment, scales ? "_scale" : "", name);
}

/* What moment m of parameter i is called. */
static const char *moment_name(lua_State *L, int64_t i, int m) {
  return gpt_optimizer_rule(bind_optimizer(L, 1), parameter_at(L, i))->moments[m].name;
}

/* Sets a moment of parameter i in the table on top of the stack; nothing where the moment has no such tensor. */
static void set_moment(lua_State *L, int64_t i, int m, bool scales) {
  const GptMoment *moment = &parameter_at(L, i)->moments[m];
  if ((scales ? moment->scales : moment->numbers) == NULL) return;
  push_tensor_name(L, moment_name(L, i, m), scales, parameter_at(L, i)->name);
  GptTensor **box = bind_new_tensor(L);
  moment = &parameter_at(L, i)->moments[m];
  *box = gpt_tensor_retain(scales ? moment->scales : moment->numbers);
  lua_rawset(L, -3);
}

static void push_steps(lua_State *L, int64_t count) {
  lua_newtable(L);
  for (int64_t i = 0; i < count; i++) {
    lua_pushstring(L, parameter_at(L, i)->name);
    lua_pushinteger(L, parameter_at(L, i)->steps);
    lua_rawset(L, -3);
  }
  bind_printed(L);
}

static void push_tensors(lua_State *L, int64_t count) {
  lua_newtable(L);
  for (int64_t i = 0; i < count; i++) {
    for (int m = 0; m < GPT_MOMENTS; m++) {
      set_moment(L, i, m, false);
      set_moment(L, i, m, true);
    }
  }
  bind_printed(L);
}

/***
The optimizer's state, as plain tables: `step` (the largest number of steps of any parameter), `lr`, `optimizer` (its
name), `moment_dtype`, `steps` (of each parameter by name: its path in a layer, or its position in the list) and
`tensors` (AdamW's are `exp_avg.NAME` and `exp_avg_sq.NAME`, SGD's `momentum_buffer.NAME`; in f32 or bf16 of the
parameter's shape; in q8 codes as i64, with `exp_avg_scale.NAME` and so on). The optimizer still uses these tensors: save
or clone them before the next step.
@function Optimizer:state
@treturn table
@usage local state = optimizer:state()
print(state.step, state.lr)
*/
int bind_optimizer_state(lua_State *L) {
  int64_t count = bind_optimizer(L, 1)->count;
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, gpt_optimizer_most_steps(bind_optimizer(L, 1)));
  lua_setfield(L, -2, "step");
  lua_pushnumber(L, bind_optimizer(L, 1)->lr);
  lua_setfield(L, -2, "lr");
  lua_pushstring(L, bind_optimizer(L, 1)->kind->name);
  lua_setfield(L, -2, "optimizer");
  lua_pushstring(L, gpt_moment_dtype_name(bind_optimizer(L, 1)->moment_dtype));
  lua_setfield(L, -2, "moment_dtype");
  push_steps(L, count);
  lua_setfield(L, -2, "steps");
  push_tensors(L, count);
  lua_setfield(L, -2, "tensors");
  bind_printed(L);
  return 1;
}

/* Pushes field `name` of the table at index, which must be of that type. */
static void check_field(lua_State *L, int index, const char *name, int type) {
  lua_pushstring(L, name);
  if (lua_rawget(L, index) != type)
    bind_error(L, LOAD ": %s: a %s expected, got %s; state() makes such a table", name, lua_typename(L, type),
               bind_typename(L, -1));
}

/* Raises for a state of another kind of optimizer; one that does not say is taken as one's own. */
static void check_optimizer_kind(lua_State *L, int state) {
  const char *own = bind_optimizer(L, 1)->kind->name;
  lua_pushliteral(L, "optimizer");
  if (lua_rawget(L, state) != LUA_TNIL &&
      (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), own) != 0))
    bind_error(L, LOAD ": the state is that of %s, this optimizer is %s",
               lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : bind_shown(L, -1), own);
  lua_pop(L, 1);
}

/* The dtype of a state's moments (f32 where it does not say), which is the optimizer's own unless it may be converted. */
static GptMomentDtype check_moment_dtype(lua_State *L, int state, bool convert) {
  lua_pushliteral(L, "moment_dtype");
  lua_rawget(L, state);
  GptMomentDtype dtype = bind_pop_moment_dtype(L, LOAD), own = bind_optimizer(L, 1)->moment_dtype;
  if (dtype != own && !convert)
    bind_error(L, LOAD ": the state's moments are %s, this optimizer's are %s; load_state(state, { convert = true }) "
               "converts them, and moment_dtype = \"%s\" of the optimizer takes them as they are",
               gpt_moment_dtype_name(dtype), gpt_moment_dtype_name(own), gpt_moment_dtype_name(dtype));
  return dtype;
}

/* A tensor of moment m of parameter i, which the list holds. */
static GptTensor *hold_moment(lua_State *L, int tensors, int64_t i, int m, bool scales, BindTensorList *held) {
  push_tensor_name(L, moment_name(L, i, m), scales, parameter_at(L, i)->name);
  lua_pushvalue(L, -1);
  lua_rawget(L, tensors);
  GptTensor *tensor = bind_test_tensor(L, lua_gettop(L));
  if (tensor == NULL)
    bind_error(L, LOAD ": tensors: '%s': a tensor expected, got %s", lua_tostring(L, -2), bind_typename(L, -1));
  bind_tensor_list_add(L, held, tensor);
  lua_pop(L, 2);
  return tensor;
}

/* Position of the parameter of that name, whose count of steps is on top of the stack. */
static int64_t position_of(lua_State *L, const char *name) {
  const GptOptimizer *optimizer = bind_optimizer(L, 1);
  const GptOptimizerParameter *parameter = gpt_optimizer_find(optimizer, name);
  if (parameter == NULL) bind_error(L, LOAD ": the optimizer has no parameter '%s'", name);
  if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0)
    bind_error(L, LOAD ": steps: '%s': a whole number of at least 0 expected, got %s", name, bind_word(L, -1));
  return parameter - optimizer->parameters;
}

/* The parameter whose name and steps are on top of the stack; its moments are held by the list. */
static GptParameterState read_state(lua_State *L, int tensors, GptMomentDtype dtype, BindTensorList *held) {
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
  if (name == NULL) bind_error(L, LOAD ": steps: names of parameters expected, got a %s", bind_typename(L, -2));
  int64_t position = position_of(L, name);
  GptParameterState state = {.steps = lua_tointeger(L, -1)};
  int count = gpt_optimizer_rule(bind_optimizer(L, 1), parameter_at(L, position))->n_moments;
  for (int m = 0; m < count && state.steps > 0; m++) {
    state.moments[m].numbers = hold_moment(L, tensors, position, m, false, held);
    if (dtype == GPT_MOMENT_Q8) state.moments[m].scales = hold_moment(L, tensors, position, m, true, held);
  }
  state.parameter = &bind_optimizer(L, 1)->parameters[position];
  return state;
}

static bool read_convert(lua_State *L) {
  static const char *const names[] = {"convert", NULL};
  if (lua_isnil(L, 3)) return false;
  bind_check_type(L, 3, LUA_TTABLE);
  bind_check_options(L, 3, LOAD, names);
  return bind_opt_boolean_field(L, 3, LOAD, "convert", false);
}

/* What the table of steps at 4 and that of tensors at 5 say; returns how many. */
static int64_t read_states(lua_State *L, GptParameterState *states, int64_t room, GptMomentDtype dtype,
                           BindTensorList *held) {
  int64_t count = 0;
  lua_pushnil(L);
  while (lua_next(L, 4) != 0) { /* no name comes twice, and each is a parameter's: there is room */
    if (count == room) bind_error(L, LOAD ": the table of steps changed while it was read");
    states[count++] = read_state(L, 5, dtype, held);
    lua_pop(L, 1);
  }
  return count;
}

/***
Loads a copy of a state that `state()` returned, from an optimizer of the same kind with the same parameters under the
same names. If anything does not match, nothing is loaded.
@function Optimizer:load_state
@tparam table state
@tparam[opt] table options `convert` (false): whether moments of another dtype are converted; otherwise they are an error
@usage optimizer:load_state(optimizer:state())
local small = gpt.optim.AdamW(model, { moment_dtype = "q8" })
small:load_state(optimizer:state(), { convert = true })
*/
int bind_optimizer_load_state(lua_State *L) {
  char message[GPT_ERROR_SIZE];
  int64_t room = bind_optimizer(L, 1)->count;
  bind_check_type(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  bool convert = read_convert(L);
  double lr = bind_opt_number_field(L, 2, LOAD, "lr", 0, INFINITY, bind_optimizer(L, 1)->lr);
  check_field(L, 2, "steps", LUA_TTABLE);
  check_field(L, 2, "tensors", LUA_TTABLE);
  check_optimizer_kind(L, 2);
  GptMomentDtype dtype = check_moment_dtype(L, 2, convert);
  GptParameterState *states = bind_scratch(L, room, sizeof *states);
  BindTensorList *held = bind_push_tensor_list(L, TENSORS * room);
  int64_t count = read_states(L, states, room, dtype, held);
  GptOptimizer *optimizer = bind_optimizer(L, 1);
  if (!gpt_optimizer_load(optimizer, count, states, dtype)) {
    gpt_take_error(bind_env(L), message);
    return bind_error(L, LOAD ": %s", message);
  }
  optimizer->lr = lr;
  bind_tensor_list_drop(held);
  return 0;
}
