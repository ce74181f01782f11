/* Sessions in Lua. The userdata's user values are the model and its hooks, so that the collector sees that they are in
 * use. */
#include "binding/session.h"

#include <limits.h>

#include "binding/fields.h"
#include "binding/hooks.h"
#include "binding/ids.h"
#include "binding/layer.h"
#include "binding/tensor.h"
#include "core/nn/layer_tree.h"
#include "core/ops/scores.h"
#include "core/ops/shape.h"

#define SESSION BIND_SESSION

enum { MODEL = 1, HOOKS }; /* a session's user values */

GptSession *bind_test_session(lua_State *L, int index) { return bind_test(L, index, SESSION); }

/***
One conversation with a model: the tokens so far, their KV cache and its own random numbers.
@classmod Session
@usage local session = model:session { seed = 1 }
session:feed { 3, 1, 2 }
print(session:generate { max_new_tokens = 5 })
*/

/***
The number of tokens so far.
@tfield integer Session.length
*/

/***
The maximum number of tokens: the model's context_length.
@tfield integer Session.context_length
*/

/***
The model of this session.
@tfield Model Session.model
*/

/***
Frees the session's memory at once, without waiting for the collector.
@function Session:free
@usage session:free()
*/

static GptSession *check_session(lua_State *L, int index) { return bind_check(L, index, SESSION); }

/***
Begins a conversation with the model: it keeps the tokens fed so far and their keys and values. If you replace a part or
a parameter of this model, the next feed runs the whole conversation again. Writing to weights in place (an optimizer's
step, `t:copy`) affects new tokens only, until `rewind(0)`.
@function Model:session
@tparam[opt] table options `seed` of its own random numbers (without it those of the Lua state are used); `use_cache`
(true); `cache_dtype` ("f32"): "f16" keeps keys and values in half the memory, rounded to about three digits; `hooks`, as
for `layer:run`, which watch every pass of this session
@treturn Session
@usage local session = model:session { seed = 1 }
print(session:feed { 3, 1, 2 })
*/
static GptDtype check_cache_dtype(lua_State *L, int index) {
  GptDtype dtype = GPT_F32;
  bool given = lua_getfield(L, index, "cache_dtype") != LUA_TNIL;
  const char *name = bind_word(L, -1);
  if (given && (!gpt_dtype_find(name, &dtype) || (dtype != GPT_F32 && dtype != GPT_F16)))
    bind_error(L, "session: cache_dtype: 'f32' or 'f16' expected, got '%s'", name);
  lua_pop(L, 2);
  return dtype;
}

static int new_session(lua_State *L) {
  static const char *const names[] = {"seed", "use_cache", "cache_dtype", "hooks", NULL};
  GptModel *model = bind_model(L, 1);
  uint64_t seed = 0;
  bool seeded = false, cached = true;
  GptDtype dtype = GPT_F32;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_pushnil(L);
  } else {
    bind_check_type(L, 2, LUA_TTABLE);
    bind_check_options(L, 2, "session", names);
    seeded = lua_getfield(L, 2, "seed") != LUA_TNIL;
    lua_pop(L, 1);
    if (seeded) seed = (uint64_t)bind_integer_field(L, 2, "session", "seed", INT64_MIN);
    cached = bind_opt_boolean_field(L, 2, "session", "use_cache", true);
    dtype = check_cache_dtype(L, 2);
    lua_getfield(L, 2, "hooks");
  }
  GptHooks *hooks = bind_hooks_field(L, 1, "session"); /* at 3 */
  GptSession **box = (GptSession **)bind_push_box(L, SESSION, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, MODEL);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, HOOKS);
  *box = gpt_session_new(bind_env(L), model, seeded ? &seed : NULL);
  if (*box == NULL) return bind_raise(L, bind_env(L));
  (*box)->hooks = hooks;
  (*box)->uncached = !cached;
  (*box)->cache.dtype = dtype;
  return 1;
}

static int session_collect(lua_State *L) {
  gpt_session_free(bind_take(L, SESSION));
  return 0;
}

static int session_free(lua_State *L) {
  bind_check_userdata(L, 1, SESSION);
  return bind_free(L);
}

/***
Appends token ids to the session and runs the model over them; feed a long prompt in slices if you like. After an error
nothing was fed.
@function Session:feed
@tparam {integer,...}|Tensor ids at least one
@treturn Tensor the logits after the last one, [vocab_size]
@usage local logits = session:feed { 3, 1, 2 }
print(gpt.sample(logits))
*/
static int feed(lua_State *L) {
  int64_t count;
  check_session(L, 1);
  const int64_t *ids = bind_ids(L, 2, &count);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_session_feed_one(check_session(L, 1), ids, count);
  return bind_tensor_done(L, box);
}

/* Checks item i of the sessions and of the lists at 1 and 2, and leaves the session and a buffer of its ids on the
 * stack. */
static const int64_t *push_feed(lua_State *L, lua_Integer i, int64_t *count) {
  lua_rawgeti(L, 1, i);
  if (bind_test(L, lua_gettop(L), SESSION) == NULL)
    bind_argument_error(L, 1, lua_pushfstring(L, "item %I is no session but a %s", i, bind_typename(L, -1)));
  lua_rawgeti(L, 2, i);
  if (!lua_istable(L, -1) && bind_test_tensor(L, -1) == NULL)
    bind_argument_error(L, 2,
                  lua_pushfstring(L, "item %I must be a list of token ids, got %s", i, bind_typename(L, -1)));
  const int64_t *ids = bind_ids(L, -1, count);
  lua_remove(L, -2);
  return ids;
}

/* What several sessions are fed, at 1 and 2, and for _score targets at 3; all as pushed buffers. */
typedef struct Feeds {
  lua_Integer n;
  int first; /* where the first session stands; the others follow, each behind its buffers */
  int stride;
  const int64_t **ids, **targets;
  int64_t *counts;
  GptSession **sessions;
} Feeds;

/* Leaves a buffer of the targets of feed i on the stack. */
static const int64_t *push_targets(lua_State *L, lua_Integer i, int64_t wanted) {
  int64_t count;
  lua_rawgeti(L, 3, i);
  const int64_t *targets = bind_ids(L, -1, &count);
  if (count != wanted) bind_error(L, "score: list %d has %d ids and %d targets", (int)i, (int)wanted, (int)count);
  lua_remove(L, -2);
  return targets;
}

static Feeds check_feeds(lua_State *L, bool scored) {
  bind_check_type(L, 1, LUA_TTABLE);
  bind_check_type(L, 2, LUA_TTABLE);
  if (scored) bind_check_type(L, 3, LUA_TTABLE);
  lua_settop(L, scored ? 3 : 2);
  Feeds f = {.n = (lua_Integer)lua_rawlen(L, 1), .stride = scored ? 3 : 2};
  lua_Integer lists = (lua_Integer)lua_rawlen(L, 2);
  if (f.n < 1) bind_argument_error(L, 1, "at least one session expected");
  if (f.n != lists)
    bind_argument_error(L, 2, lua_pushfstring(L, "as many lists of ids as sessions (%I) expected, got %I", f.n, lists));
  f.ids = bind_scratch(L, f.n, sizeof *f.ids);
  f.targets = bind_scratch(L, f.n, sizeof *f.targets);
  f.counts = bind_scratch(L, f.n, sizeof *f.counts);
  f.sessions = bind_scratch(L, f.n, sizeof *f.sessions);
  f.first = lua_gettop(L) + 1;
  luaL_checkstack(L, f.n < INT_MAX / 3 - 20 ? f.stride * (int)f.n + 20 : INT_MAX / 2, "too many sessions");
  for (lua_Integer i = 1; i <= f.n; i++) {
    f.ids[i - 1] = push_feed(L, i, &f.counts[i - 1]);
    if (scored) f.targets[i - 1] = push_targets(L, i, f.counts[i - 1]);
  }
  return f;
}

static void take_sessions(lua_State *L, const Feeds *f) {
  for (int i = 0; i < (int)f->n; i++) f->sessions[i] = check_session(L, f->first + f->stride * i);
}

/***
Feeds several sessions of one model in one pass over its weights.
@function feed
@tparam {Session,...} sessions
@tparam {{integer,...},...} lists token ids, a list for each session, of any lengths
@treturn Tensor the logits after the last token of each session, [sessions, vocab_size]
@usage local one, two = model:session(), model:session()
print(gpt.feed({ one, two }, { { 3, 1, 2 }, { 4 } }))   -- [2, vocab_size]
*/
static int feed_many(lua_State *L) {
  Feeds f = check_feeds(L, false);
  GptTensor **box = bind_new_tensor(L);
  take_sessions(L, &f);
  *box = gpt_session_feed(bind_env(L), f.n, f.sessions, f.ids, f.counts);
  return bind_tensor_done(L, box);
}

/* _score(sessions, lists, targets): feeds them; [tokens of all, 2], see gpt_session_score */
static int feed_for_scores(lua_State *L) {
  Feeds f = check_feeds(L, true);
  GptTensor **box = bind_new_tensor(L);
  take_sessions(L, &f);
  *box = gpt_session_score(bind_env(L), f.n, f.sessions, f.ids, f.targets, f.counts);
  return bind_tensor_done(L, box);
}

/* _logit_scores(logits, targets): [rows, 2], see gpt_logit_scores */
static int logit_scores(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_logit_scores(env, bind_tensor(L, 1), bind_tensor(L, 2));
  return bind_tensor_done(L, box);
}

/* _session_cached(session): does it feed new tokens over its cache? */
static int session_cached(lua_State *L) {
  const GptSession *session = check_session(L, 1);
  lua_pushboolean(L, !session->uncached && gpt_layer_cacheable(session->model));
  return 1;
}

/***
Removes all but the first n tokens.
@function Session:rewind
@tparam integer n from 0 to the session's length
@treturn Session itself
@usage session:rewind(1)
*/
static int rewind_session(lua_State *L) {
  if (!gpt_session_rewind(check_session(L, 1), bind_check_integer(L, 2))) return bind_raise(L, bind_env(L));
  lua_settop(L, 1);
  return 1;
}

/***
Returns a new session that continues independently from the same tokens.
@function Session:fork
@treturn Session
@usage local other = session:fork()
*/
static int fork_session(lua_State *L) {
  check_session(L, 1);
  GptSession **box = (GptSession **)bind_push_box(L, SESSION, 2);
  for (int value = MODEL; value <= HOOKS; value++) {
    lua_getiuservalue(L, 1, value);
    lua_setiuservalue(L, -2, value);
  }
  *box = gpt_session_fork(check_session(L, 1));
  if (*box == NULL) return bind_raise(L, bind_env(L));
  bind_account(L, bind_env(L));
  return 1;
}

/***
Allocates memory for that many tokens in all, so that feeding up to there allocates no more. A rewind frees it.
@function Session:reserve
@tparam integer tokens
@treturn Session itself
@usage session:reserve(12)
*/
static int session_reserve(lua_State *L) {
  if (!gpt_session_reserve(check_session(L, 1), bind_check_integer(L, 2))) return bind_raise(L, bind_env(L));
  lua_settop(L, 1);
  return 1;
}

/***
The token ids fed so far.
@function Session:ids
@treturn {integer,...}
@usage print(table.concat(session:ids(), " "))
*/
static int ids_of(lua_State *L) {
  lua_createtable(L, (int)check_session(L, 1)->length, 0);
  const GptSession *session = check_session(L, 1);
  for (int64_t i = 0; i < session->length; i++) {
    lua_pushinteger(L, session->ids[i]);
    lua_rawseti(L, -2, i + 1);
  }
  bind_printed(L);
  return 1;
}

static int get_length(lua_State *L) {
  lua_pushinteger(L, check_session(L, 1)->length);
  return 1;
}

static int get_context_length(lua_State *L) {
  lua_pushinteger(L, check_session(L, 1)->context_length);
  return 1;
}

static int get_model(lua_State *L) {
  check_session(L, 1);
  lua_getiuservalue(L, 1, MODEL);
  return 1;
}

static int session_print(lua_State *L) {
  const GptSession *session = check_session(L, 1);
  lua_pushfstring(L, "Session(%d of %d tokens%s)", (int)session->length, (int)session->context_length,
                  session->uncached || !gpt_layer_cacheable(session->model) ? ", uncached" : "");
  return 1;
}

static const luaL_Reg methods[] = {{"feed", feed},
                                   {"rewind", rewind_session},
                                   {"fork", fork_session},
                                   {"reserve", session_reserve},
                                   {"ids", ids_of},
                                   {"free", session_free},
                                   {NULL, NULL}};
static const luaL_Reg fields[] = {
    {"length", get_length}, {"context_length", get_context_length}, {"model", get_model}, {NULL, NULL}};
static const luaL_Reg meta[] = {
    {"__gc", session_collect}, {"__close", bind_free}, {"__tostring", session_print}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"feed", feed_many},
                                     {"_session", new_session},
                                     {"_score", feed_for_scores},
                                     {"_logit_scores", logit_scores},
                                     {"_session_cached", session_cached},
                                     {NULL, NULL}};

/* _session_methods: the table of methods, for those that are written in Lua. */
void bind_open_session(lua_State *L) {
  static const BindType type = {.name = SESSION, .methods = methods, .fields = fields, .meta = meta};
  bind_type(L, &type);
  bind_functions(L, functions);
  bind_push_methods(L, SESSION);
  lua_setfield(L, -2, "_session_methods");
}
