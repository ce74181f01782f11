/* gpt.sample and gpt.probabilities; and what the generating loop in Lua draws with: generators and samplers. */
#include "core/generate/sample.h"

#include <math.h>
#include <stdio.h>

#include "binding/fields.h"
#include "binding/grammar.h"
#include "binding/session.h"
#include "binding/tensor.h"

#define GENERATOR "gpt.Generator"
#define SAMPLER "gpt.Sampler"

/* Pushes the option, or returns false where it is nil. */
static bool get_option(lua_State *L, int options, const char *name) {
  if (lua_getfield(L, options, name) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

/* temperature: without one in the options */
static GptSampling read_sampling(lua_State *L, int options, const char *what, double temperature) {
  const BindRange warm = {.high = INFINITY, .below = true, .expected = "a finite number of at least 0"};
  const BindRange share = {.high = 1, .above = true, .expected = "a number above 0 and up to 1"};
  const BindRange part = {.high = 1, .expected = "a number from 0 to 1"};
  const BindRange factor = {.high = INFINITY, .above = true, .below = true, .expected = "a finite number above 0"};
  return (GptSampling){
    .temperature = bind_opt_number_within(L, options, what, "temperature", warm, temperature),
    .top_k = bind_opt_integer_field(L, options, what, "top_k", 1, 0),
    .top_p = bind_opt_number_within(L, options, what, "top_p", share, 1),
    .min_p = bind_opt_number_within(L, options, what, "min_p", part, 0),
    .repetition_penalty = bind_opt_number_within(L, options, what, "repetition_penalty", factor, 1),
  };
}

/* Pushes a generator seeded with seed + more, or nil where the options have no seed. */
static void push_generator(lua_State *L, int options, const char *what, int64_t more) {
  if (!get_option(L, options, "seed")) {
    lua_pushnil(L);
    return;
  }
  lua_pop(L, 1);
  uint64_t seed = (uint64_t)bind_integer_field(L, options, what, "seed", INT64_MIN);
  GptRandom *random = lua_newuserdatauv(L, sizeof *random, 0);
  bind_set_type(L, GENERATOR);
  gpt_random_seed(random, seed + (uint64_t)more);
}

/* Pushes a sampler that draws with the generator or session on top of the stack (or nil), which it replaces. */
static GptSampler *push_sampler(lua_State *L, GptSampling sampling) {
  GptEnv *env = bind_env(L);
  GptSampler **box = (GptSampler **)bind_push_box(L, SAMPLER, 1);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
  *box = gpt_sampler_new(env, &sampling);
  if (*box == NULL) bind_raise(L, env);
  return *box;
}

/* What the sampler at index draws with: its generator, its session's, or the state's. */
static GptRandom *sampler_random(lua_State *L, int index) {
  lua_getiuservalue(L, index, 1);
  GptSession *session = bind_test_session(L, -1);
  GptRandom *own = luaL_testudata(L, -1, GENERATOR);
  GptRandom *random = session != NULL ? gpt_session_random(session) : own != NULL ? own : &bind_env(L)->random;
  lua_pop(L, 1);
  return random;
}

static int collect_sampler(lua_State *L) {
  gpt_sampler_free(bind_take(L, SAMPLER));
  return 0;
}

/* Counts the ids of the array on top of the stack among those seen. It is read raw: no metamethod runs meanwhile. */
static void see_array(lua_State *L, GptSampler *sampler, const char *what) {
  GptEnv *env = bind_env(L);
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    int whole = 0;
    int64_t id = lua_rawgeti(L, -1, i) == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
    if (!whole) bind_refuse_field(L, what, "ids", "an array of whole numbers");
    lua_pop(L, 1);
    if (!gpt_sampler_see(sampler, &id, 1)) bind_raise(L, env);
  }
}

/* Logits as rows of floats. */
typedef struct Rows {
  const float *data; /* [count, vocab] */
  int64_t count, vocab;
} Rows;

/* Pushes what keeps the rows of the logits at index. */
static Rows push_rows(lua_State *L, int index) {
  GptEnv *env = bind_env(L);
  GptTensor **box = bind_new_tensor(L), *logits;
  *box = gpt_tensor_as_contiguous(env, bind_tensor(L, index));
  bind_tensor_done(L, box);
  logits = *box;
  int64_t vocab = logits->shape[logits->ndim - 1];
  return (Rows){gpt_floats(*box), gpt_tensor_numel(logits) / vocab, vocab};
}

/* The logits argument of a public function: [vocab] or [batch, vocab]. */
static GptTensor *check_logits_argument(lua_State *L, const char *what) {
  GptTensor *logits = bind_tensor(L, 1);
  char shape[GPT_SHAPE_TEXT];
  gpt_tensor_shape_text(logits, shape);
  if (logits->storage->dtype != GPT_F32)
    bind_error(L, "%s: f32 logits expected, got %s", what, gpt_dtype_name(logits->storage->dtype));
  if (logits->ndim > 2)
    bind_error(L, "%s: logits of shape [vocab] or [batch, vocab] expected, got %s; logits:select(%d, -1) are the last "
               "position's", what, shape, logits->ndim - 1);
  if (logits->ndim == 0 || logits->shape[logits->ndim - 1] == 0)
    bind_error(L, "%s: logits of shape [vocab] or [batch, vocab] expected, got %s", what, shape);
  return logits;
}

/* Indexes in a public function: of the sampler, and of what keeps the rows. */
#define SAMPLER_AT 3
#define ROWS_AT 4

/* Checks the options at index 2 (absent: none) and leaves a table there; pushes a sampler for them, to SAMPLER_AT. */
static GptSampler *push_call_sampler(lua_State *L, const char *what, double temperature) {
  static const char *const names[] = {"temperature", "top_k", "top_p", "min_p", "repetition_penalty",
                                      "ids", "seed", "logprobs", NULL};
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) lua_newtable(L), lua_replace(L, 2);
  bind_check_type(L, 2, LUA_TTABLE);
  bind_check_options(L, 2, what, names);
  GptSampling sampling = read_sampling(L, 2, what, temperature);
  push_generator(L, 2, what, 0);
  return push_sampler(L, sampling);
}

/* Makes the ids of the options those seen: an array, or for rows of a batch (from 1) an array of arrays. */
static void see_option(lua_State *L, GptSampler *sampler, const char *what, int64_t row) {
  gpt_sampler_forget(sampler);
  if (!get_option(L, 2, "ids")) return;
  if (!lua_istable(L, -1)) bind_refuse_field(L, what, "ids", "an array");
  if (row != 0 && lua_rawgeti(L, -1, row) != LUA_TTABLE) bind_refuse_field(L, what, "ids", "an array of ids for each row");
  see_array(L, sampler, what);
  lua_pop(L, row != 0 ? 2 : 1);
}

/* The core's error, with the row (from 1) where there are several. */
static void raise_row(lua_State *L, int64_t row) {
  GptEnv *env = bind_env(L);
  char name[32];
  snprintf(name, sizeof name, "row %lld", (long long)row);
  if (row != 0) gpt_fail_inside(env, name);
  bind_raise(L, env);
}

/* Draws from a row and sets ids[row] and, unless that is 0, logprobs[row]: tables at those indexes. */
static void sample_row(lua_State *L, GptSampler *sampler, Rows rows, int64_t row, int ids, int logprobs) {
  int64_t id;
  double logprob;
  see_option(L, sampler, "gpt.sample", row);
  int64_t first = row == 0 ? 0 : row - 1;
  GptRandom *random = sampler_random(L, SAMPLER_AT);
  const float *logits = rows.data + first * rows.vocab;
  if (!gpt_sampler_draw(sampler, random, logits, rows.vocab, &id, logprobs != 0 ? &logprob : NULL)) raise_row(L, row);
  lua_pushinteger(L, id);
  if (ids != 0) lua_rawseti(L, ids, row);
  if (logprobs == 0) return;
  lua_pushnumber(L, logprob);
  if (ids != 0) lua_rawseti(L, logprobs, row);
}

/***
Draws token ids from logits. With the default temperature, 0, it returns the id with the greatest logit (the first of
equals). Otherwise it applies, in transformers' order, repetition penalty, temperature, top_k, top_p and min_p, and
draws from the softmax of what is left.
@function sample
@tparam Tensor logits `[vocab]`, or `[batch, vocab]`
@tparam[opt] table options
`temperature` (0 or more): the logits are divided by it;
`top_k`: only the k most likely ids (and equals of the last of them);
`top_p` (above 0, up to 1): only the fewest most likely ids that reach this probability together (Holtzman et al. 2019);
`min_p` (0 to 1): only ids at least this part as likely as the most likely one (Nguyen et al. 2024);
`repetition_penalty` (above 0): the logits of the ids in `ids`, an array (for a batch one array per row), are divided by
it where positive and multiplied where negative (CTRL, Keskar et al. 2019);
`seed`: for this call's own random numbers; without it those of the Lua state are used; `logprobs`: return the log
probabilities too
@treturn integer|table the id, from 0; for a batch an array of ids
@treturn number|table with `logprobs`, the log probability of each id under the model's own distribution: the
log-softmax of the given logits, whatever the other options
@raise for logits with nan or inf, or of -inf alone
@usage gpt.sample(gpt.tensor { 0.1, 2.5, -1.0 })  --> 1
gpt.sample(logits, { temperature = 0.8, top_k = 50, seed = 1 })
*/
static int sample(lua_State *L) {
  bool single = check_logits_argument(L, "gpt.sample")->ndim == 1;
  GptSampler *sampler = push_call_sampler(L, "gpt.sample", 0);
  Rows rows = push_rows(L, 1);
  bool wanted = get_option(L, 2, "logprobs") && lua_toboolean(L, -1);
  if (single) {
    int top = lua_gettop(L);
    sample_row(L, sampler, rows, 0, 0, wanted ? top : 0);
    bind_drop_tensor(L, ROWS_AT);
    return lua_gettop(L) - top;
  }
  lua_createtable(L, (int)rows.count, 0);
  bind_printed(L);
  int ids = lua_gettop(L);
  if (wanted) lua_createtable(L, (int)rows.count, 0), bind_printed(L);
  for (int64_t row = 1; row <= rows.count; row++) sample_row(L, sampler, rows, row, ids, wanted ? ids + 1 : 0);
  bind_drop_tensor(L, ROWS_AT);
  return wanted ? 2 : 1;
}

/***
The distribution that `gpt.sample` draws from with the same options, except that the default temperature is 1: without
options it is the softmax of the logits.
@function probabilities
@tparam Tensor logits `[vocab]`, or `[batch, vocab]`
@tparam[opt] table options as for `gpt.sample`
@treturn Tensor probabilities, of the shape of logits
@usage gpt.probabilities(gpt.tensor { 1.0, 2.0, 3.0 }, { top_k = 2 })  --> 0.0000, 0.2689, 0.7311
*/
static int probabilities(lua_State *L) {
  bool single = check_logits_argument(L, "gpt.probabilities")->ndim == 1;
  GptEnv *env = bind_env(L);
  GptSampler *sampler = push_call_sampler(L, "gpt.probabilities", 1);
  Rows rows = push_rows(L, 1);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_tensor_like(env, bind_tensor(L, 1));
  bind_tensor_done(L, box);
  for (int64_t row = 0; row < rows.count; row++) {
    int64_t at = row * rows.vocab, name = single ? 0 : row + 1;
    see_option(L, sampler, "gpt.probabilities", name);
    if (!gpt_sampler_distribution(sampler, rows.data + at, rows.vocab, gpt_floats(*box) + at)) raise_row(L, name);
  }
  bind_drop_tensor(L, ROWS_AT);
  return 1;
}

/* _generator(options, what, more): random numbers seeded with options.seed + more; nil without a seed. */
static int generator(lua_State *L) {
  bind_check_type(L, 1, LUA_TTABLE);
  push_generator(L, 1, bind_check_string(L, 2), bind_check_integer(L, 3));
  return 1;
}

/* _sampler(options, what, generator or session or nil): checks the sampling options. */
static int sampler(lua_State *L) {
  bind_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3) && bind_test_session(L, 3) == NULL) bind_check_userdata(L, 3, GENERATOR);
  push_sampler(L, read_sampling(L, 1, bind_check_string(L, 2), 0));
  return 1;
}

/* sampler:see(ids) */
static int see(lua_State *L) {
  GptSampler *self = bind_check(L, 1, SAMPLER);
  lua_settop(L, 2);
  see_array(L, self, "generate");
  return 0;
}

/* A row of the logits [.., vocab] at index, by its number at another (-1 is the last). Pushes what keeps it. */
static const float *push_row(lua_State *L, int index, int number, int64_t *vocab) {
  GptTensor *logits = bind_tensor(L, index);
  if (logits->storage->dtype != GPT_F32 || logits->ndim == 0 || gpt_tensor_numel(logits) == 0)
    bind_error(L, "f32 logits [.., vocab] expected");
  Rows rows = push_rows(L, index);
  *vocab = rows.vocab;
  return rows.data + bind_position(L, number, rows.count) * rows.vocab;
}

/* _log_probability(logits, row, id): see sampler:draw for rows. */
static int log_probability(lua_State *L) {
  int64_t vocab, id = bind_check_integer(L, 3);
  const float *logits = push_row(L, 1, 2, &vocab);
  if (id < 0 || id >= vocab) return bind_error(L, "an id from 0 to %I expected", (lua_Integer)vocab - 1);
  double value = gpt_log_probability(logits, vocab, id);
  bind_drop_tensor(L, lua_gettop(L));
  lua_pushnumber(L, value);
  return 1;
}

/* sampler:draw(logits, row, logprob wanted, cursor or nil): an id, which counts as seen, and its log probability. Logits
   [.., vocab] are rows; -1 is the last. A cursor leaves the ids that its grammar lets follow. */
static int sampler_draw(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptSampler *self = bind_check(L, 1, SAMPLER);
  int64_t id, vocab;
  lua_settop(L, 5);
  const float *logits = push_row(L, 2, 3, &vocab);
  self = bind_check(L, 1, SAMPLER);
  int at = lua_gettop(L);
  bool wanted = lua_toboolean(L, 4);
  double logprob = 0;
  GptCursor *cursor = bind_opt_cursor(L, 5);
  const float *allowed = cursor != NULL ? gpt_cursor_restrict(cursor, logits, vocab) : logits;
  bool drawn = allowed != NULL && gpt_sampler_draw(self, sampler_random(L, 1), allowed, vocab, &id, NULL) &&
               gpt_sampler_see(self, &id, 1);
  if (drawn && wanted) logprob = gpt_log_probability(logits, vocab, id);
  bind_drop_tensor(L, at);
  if (!drawn) return bind_raise(L, env);
  lua_pushinteger(L, id);
  if (wanted) lua_pushnumber(L, logprob);
  return wanted ? 2 : 1;
}

static const luaL_Reg functions[] = {{"sample", sample},
                                     {"probabilities", probabilities},
                                     {"_generator", generator},
                                     {"_sampler", sampler},
                                     {"_log_probability", log_probability},
                                     {NULL, NULL}};
static const luaL_Reg methods[] = {{"see", see}, {"draw", sampler_draw}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", collect_sampler}, {"__close", bind_free}, {NULL, NULL}};

void bind_open_sample(lua_State *L) {
  luaL_newmetatable(L, GENERATOR);
  lua_pop(L, 1);
  bind_type(L, &(BindType){.name = SAMPLER, .methods = methods, .meta = meta});
  bind_functions(L, functions);
}
