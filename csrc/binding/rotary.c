#include "binding/rotary.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "binding/fields.h"
#include "binding/tensor.h"

static const BindRange positive = {.high = INFINITY, .above = true, .below = true, .expected = "a finite number above 0"};

/* A number above 0 of the scaling at index, which has to be there. */
static double needed(lua_State *L, int index, const char *what, const char *name) {
  double value = bind_opt_number_within(L, index, what, name, positive, 0);
  if (value == 0) bind_error(L, "%s: %s: missing; a finite number above 0 expected", what, name);
  return value;
}

static void read_llama3(lua_State *L, int index, const char *what, GptRotaryScaling *s) {
  s->factor = needed(L, index, what, "factor");
  s->original = needed(L, index, what, "original_max_position_embeddings");
  s->low = needed(L, index, what, "low_freq_factor");
  s->high = needed(L, index, what, "high_freq_factor");
  if (s->high <= s->low) bind_error(L, "%s: high_freq_factor must be greater than low_freq_factor", what);
}

static void read_yarn(lua_State *L, int index, const char *what, GptRotaryScaling *s) {
  s->factor = needed(L, index, what, "factor");
  s->original = needed(L, index, what, "original_max_position_embeddings");
  s->beta_fast = bind_opt_number_within(L, index, what, "beta_fast", positive, 32);
  s->beta_slow = bind_opt_number_within(L, index, what, "beta_slow", positive, 1);
  s->attention_factor = bind_opt_number_within(L, index, what, "attention_factor", positive, 0);
  s->mscale = bind_opt_number_field(L, index, what, "mscale", 0, INFINITY, 0);
  s->mscale_all_dim = bind_opt_number_field(L, index, what, "mscale_all_dim", 0, INFINITY, 0);
  s->exact_range = !bind_opt_boolean_field(L, index, what, "truncate", true);
}

/* The array on top of the stack. */
static void read_factors(lua_State *L, const char *what, GptRotaryScaling *s, int64_t dims) {
  int64_t pairs = dims / 2;
  if (!lua_istable(L, -1) || (int64_t)lua_rawlen(L, -1) != pairs)
    bind_error(L, "%s: frequency_factors: an array of %d numbers expected, one for each pair", what, (int)pairs);
  s->kind = GPT_ROTARY_FACTORS;
  for (int64_t i = 0; i < pairs; i++) {
    lua_rawgeti(L, -1, i + 1);
    double factor = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
    if (!(factor > 0 && factor < INFINITY))
      bind_error(L, "%s: frequency_factors[%d]: a finite number above 0 expected, got %s", what, (int)i + 1,
                 bind_shown(L, -1));
    s->factors[i] = factor;
    lua_pop(L, 1);
  }
}

/* The kind's name: rope_type, or type in older files. */
static const char *kind_name(lua_State *L, int index, const char *what) {
  if (lua_getfield(L, index, "rope_type") == LUA_TNIL) lua_pop(L, 1), lua_getfield(L, index, "type");
  if (lua_type(L, -1) != LUA_TSTRING)
    bind_error(L, "%s: rope_type: \"linear\", \"llama3\", \"yarn\" or \"default\" expected, got %s", what,
               bind_typename(L, -1));
  const char *name = lua_tostring(L, -1);
  lua_pop(L, 1); /* the table has it */
  return name;
}

static void read_scaling(lua_State *L, int index, const char *what, GptRotaryScaling *s) {
  const char *name = kind_name(L, index, what);
  if (strcmp(name, "linear") == 0) s->kind = GPT_ROTARY_LINEAR, s->factor = needed(L, index, what, "factor");
  else if (strcmp(name, "llama3") == 0) s->kind = GPT_ROTARY_LLAMA3, read_llama3(L, index, what, s);
  else if (strcmp(name, "yarn") == 0) s->kind = GPT_ROTARY_YARN, read_yarn(L, index, what, s);
  else if (strcmp(name, "default") != 0)
    bind_error(L, "%s: rope_type: '%s' is not implemented; there are \"linear\", \"llama3\", \"yarn\" and \"default\"",
               what, name);
}

GptRotaryScaling bind_rotary_scaling(lua_State *L, int index, const char *what, const char *name, int64_t dims) {
  static const char *const names[] = {"rope_type", "type", "factor", "original_max_position_embeddings",
                                      "low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow",
                                      "attention_factor", "mscale", "mscale_all_dim", "truncate", "frequency_factors",
                                      "rope_theta", NULL};
  GptRotaryScaling scaling = {.kind = GPT_ROTARY_PLAIN};
  char inside[80];
  snprintf(inside, sizeof inside, "%s: %s", what, name);
  if (lua_getfield(L, index, name) != LUA_TNIL) {
    int table = lua_gettop(L);
    if (!lua_istable(L, table)) bind_refuse_field(L, what, name, "a table");
    bind_check_options(L, table, inside, names);
    if (lua_getfield(L, table, "frequency_factors") != LUA_TNIL) read_factors(L, inside, &scaling, dims);
    else read_scaling(L, table, inside, &scaling);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return scaling;
}

/* Pushes the positions at index, a tensor counted from 1 or an array of them, as an i64 tensor counted from 0. */
static GptTensor *push_from_zero(lua_State *L, int index) {
  GptTensor *given = bind_tensor(L, index);
  if (given->storage->dtype != GPT_I64)
    bind_argument_error(L, index, lua_pushfstring(L, "an i64 tensor of positions expected, got %s",
                                            gpt_dtype_name(given->storage->dtype)));
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_shifted(bind_env(L), bind_tensor(L, index), -1);
  bind_tensor_done(L, box);
  return *box;
}

static GptRotary rotary_options(lua_State *L, int index, int64_t head_dim) {
  static const char what[] = "gpt.rotary";
  static const char *const names[] = {"base", "scaling", "dims", "interleaved", NULL};
  GptRotaryScaling scaling = {.kind = GPT_ROTARY_PLAIN};
  double base = 10000;
  bool interleaved = false, given = !lua_isnoneornil(L, index);
  int64_t dims = head_dim;
  if (given) {
    bind_check_type(L, index, LUA_TTABLE);
    bind_check_options(L, index, what, names);
    base = bind_opt_number_within(L, index, what, "base", positive, base);
    interleaved = bind_opt_boolean_field(L, index, what, "interleaved", false);
    dims = bind_opt_integer_field(L, index, what, "dims", 2, head_dim);
  }
  if (dims % 2 != 0 || dims > 2 * GPT_ROTARY_MOST)
    bind_error(L, "%s: dims must be even and at most %d, got %d; it is head_dim where it is not given", what,
               2 * GPT_ROTARY_MOST, (int)dims);
  if (given) scaling = bind_rotary_scaling(L, index, what, "scaling", dims);
  GptRotary rotary;
  gpt_rotary_init(&rotary, dims, base, interleaved, &scaling);
  return rotary;
}

/***
Rotary position embedding (Su et al. 2021) of heads: pairs of numbers of each head turn by an angle that grows with the
token's position; position 1 is angle 0.
A pair is x[i] and x[i + dims / 2] of a head, as in Hugging Face's files, or, interleaved, two neighbours.
@function rotary
@tparam Tensor x `[..., tokens, n_heads, head_dim]`
@tparam Tensor positions i64, from 1: `[tokens]` or `[..., tokens]`, such as `pass.positions`
@tparam[opt] table options
`base` (10000): pair i turns by base ^ (-2 (i - 1) / dims) radians a position;
`dims` (head_dim): only so many first numbers of a head turn; `interleaved` (false);
`scaling`: a table as `rope_scaling` or `rope_parameters` in Hugging Face's files: `rope_type` "linear" (`factor`), "llama3"
(`factor`, `low_freq_factor`, `high_freq_factor`, `original_max_position_embeddings`), "yarn" (`factor`,
`original_max_position_embeddings`, `beta_fast`, `beta_slow`, `attention_factor`, `mscale`, `mscale_all_dim`, `truncate`)
or "default"; or `frequency_factors`, a divisor for each pair
@treturn Tensor of the shape of x
@usage print(gpt.rotary(gpt.ones(1, 3, 2, 4), gpt.arange(1, 3), { base = 500000 }))
*/
static int rotary_function(lua_State *L) {
  lua_settop(L, 3);
  GptTensor *x = bind_tensor(L, 1);
  int64_t head_dim = x->ndim > 0 ? x->shape[x->ndim - 1] : 0;
  GptRotary rotary = rotary_options(L, 3, head_dim);
  GptTensor *positions = push_from_zero(L, 2), **box = bind_result_of(L, &x);
  *box = gpt_rotate(bind_env(L), x, positions, &rotary, INT64_MAX);
  return bind_tensor_done(L, box);
}

static const luaL_Reg functions[] = {{"rotary", rotary_function}, {NULL, NULL}};

void bind_open_rotary(lua_State *L) { bind_functions(L, functions); }
