#include "core/nn/session.h"

#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/nn/layer_tree.h"
#include "core/nn/position_check.h"
#include "core/nn/wanted.h"
#include "core/ops/shape.h"

GptSession *gpt_session_new(GptEnv *env, GptModel *model, const uint64_t *seed) {
  GptSession *session = gpt_alloc_zeroed(env, sizeof *session);
  if (session == NULL) return NULL;
  session->env = env;
  session->model = gpt_layer_retain(&model->layer);
  session->context_length = model->config.context_length;
  session->seeded = seed != NULL;
  if (seed != NULL) gpt_random_seed(&session->random, *seed);
  gpt_kv_cache_init(&session->cache, env, session->context_length);
  return session;
}

void gpt_session_free(GptSession *session) {
  if (session == NULL) return;
  session->abandoned = true;
  if (session->running) return;
  GptEnv *env = session->env;
  gpt_kv_cache_free(&session->cache);
  gpt_layer_release(session->model);
  gpt_former_free(env, &session->former);
  gpt_free(env, session->ids);
  gpt_free(env, session);
}

GptRandom *gpt_session_random(GptSession *session) {
  return session->seeded ? &session->random : &session->env->random;
}

static bool cacheable(const GptSession *session) { return !session->uncached && gpt_layer_cacheable(session->model); }

/* Room for that many more tokens. */
static bool reserve_ids(GptSession *session, int64_t more) {
  return GPT_GROW_KEEPING(session->env, session->ids, session->capacity, session->length, more, &session->former);
}

/* The end of a call that makes room: it stays, or what was there before is there again. Returns `done`. */
static bool settle(GptSession *session, bool done) {
  if (done) {
    gpt_former_free(session->env, &session->former);
    gpt_kv_cache_settle(&session->cache);
  } else {
    GPT_FORMER_RESTORE(session->env, session->ids, session->capacity, (size_t)session->length, &session->former);
    gpt_kv_cache_undo(&session->cache, session->length);
  }
  return done;
}

static bool check_idle(const GptSession *session, const char *what) {
  return !session->running ||
         gpt_fail(session->env, "%s: the session is being fed; layers of its model cannot change it meanwhile", what);
}

bool gpt_session_reserve(GptSession *session, int64_t tokens) {
  if (!check_idle(session, "reserve")) return false;
  if (tokens > session->context_length) tokens = session->context_length;
  bool done = tokens <= session->length || reserve_ids(session, tokens - session->length);
  return settle(session, done && (!cacheable(session) || gpt_kv_cache_reserve(&session->cache, tokens)));
}

bool gpt_session_rewind(GptSession *session, int64_t n) {
  if (!check_idle(session, "rewind")) return false;
  if (n < 0 || n > session->length)
    return gpt_fail(session->env, "rewind: a number of tokens from 0 to the session's length (%lld) expected, got %lld",
                    (long long)session->length, (long long)n);
  session->length = n;
  gpt_kv_cache_rewind(&session->cache, n);
  return true;
}

GptSession *gpt_session_fork(const GptSession *session) {
  GptEnv *env = session->env;
  GptSession *fork = gpt_session_new(env, (GptModel *)session->model, NULL);
  if (fork == NULL) return NULL;
  fork->hooks = session->hooks;
  fork->uncached = session->uncached;
  fork->seeded = session->seeded;
  fork->random = session->random;
  fork->stamp = session->stamp;
  fork->changes = session->changes;
  if (reserve_ids(fork, session->length) && gpt_kv_cache_copy(&fork->cache, &session->cache)) {
    if (session->length > 0) memcpy(fork->ids, session->ids, (size_t)session->length * sizeof *session->ids);
    fork->length = session->length;
    settle(fork, true);
    return fork;
  }
  gpt_session_free(fork);
  return NULL;
}

static bool check_vocabulary(const GptSession *session, int64_t n, int64_t i, const int64_t *ids, int64_t count) {
  int64_t vocab = ((const GptModel *)session->model)->config.vocab_size;
  for (int64_t t = 0; t < count; t++) {
    if (ids[t] >= 0 && ids[t] < vocab) continue;
    char which[40] = "";
    if (n > 1) snprintf(which, sizeof which, " of list %lld", (long long)i + 1);
    return gpt_fail(session->env, "id %lld at position %lld%s is out of the vocabulary: ids are 0 .. %lld",
                    (long long)ids[t], (long long)t + 1, which, (long long)vocab - 1);
  }
  return true;
}

static bool check_feed(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *const *ids,
                       const int64_t *counts) {
  for (int64_t i = 0; i < n; i++) {
    const GptSession *s = sessions[i];
    if (!check_idle(s, "feed")) return false;
    if (s->model != sessions[0]->model)
      return gpt_fail(env, "feed: all sessions must be of one model; session %lld is of another", (long long)i + 1);
    if (s->hooks != sessions[0]->hooks)
      return gpt_fail(env, "feed: all sessions must have the same hooks; session %lld has others", (long long)i + 1);
    for (int64_t j = 0; j < i; j++)
      if (s == sessions[j])
        return gpt_fail(env, "feed: sessions %lld and %lld are the same one", (long long)j + 1, (long long)i + 1);
    if (counts[i] < 1) return gpt_fail(env, "feed: at least one token expected");
    if (counts[i] > s->context_length - s->length)
      return gpt_fail(
          env, "feed: %lld tokens after %lld go past context_length, %lld; rewind the session or begin a new one",
          (long long)counts[i], (long long)s->length, (long long)s->context_length);
    if (!check_vocabulary(s, n, i, ids[i], counts[i])) return false;
  }
  return true;
}

/* Puts the new tokens behind the old ones; the lengths are advanced when the pass has succeeded. */
static bool keep_ids(int64_t n, GptSession *const *sessions, const int64_t *const *ids, const int64_t *counts) {
  for (int64_t i = 0; i < n; i++) {
    if (!reserve_ids(sessions[i], counts[i])) return false;
    memcpy(sessions[i]->ids + sessions[i]->length, ids[i], (size_t)counts[i] * sizeof *ids[i]);
  }
  return true;
}

/* Runs the session's model over ids [1, rows] without recording or dropping: logits, or scores of targets. */
static GptTensor *forward_without_graph(GptEnv *env, const GptSession *session, GptPass *pass, GptTensor *ids,
                                        GptTensor *targets) {
  bool recording = env->recording;
  env->recording = false;
  GptTensor *result = targets != NULL ? gpt_model_scores(env, pass, (GptModel *)session->model, ids, targets)
                                      : gpt_hooks_run(env, session->hooks, pass, session->model, ids);
  env->recording = recording;
  return result;
}

static GptTensor *rows_tensor(GptEnv *env, int64_t n, const int64_t *const *ids, const int64_t *counts) {
  int64_t rows = 0;
  for (int64_t i = 0; i < n; i++) rows += counts[i];
  GptTensor *tensor = gpt_tensor_new(env, GPT_I64, 2, (int64_t[]){1, rows});
  int64_t *to = tensor != NULL ? gpt_integers(tensor) : NULL;
  for (int64_t i = 0; i < n && tensor != NULL; to += counts[i++]) memcpy(to, ids[i], (size_t)counts[i] * sizeof *to);
  return tensor;
}

/* A cache of a model whose parts were exchanged since is begun anew. Where no layer changed since the last look, the
 * model is not walked over for every token. */
static void check_stamp(GptSession *session) {
  if (session->changes == session->env->changes) return;
  session->changes = session->env->changes;
  uint64_t stamp = gpt_layer_stamp(session->model);
  if (session->stamp != stamp) gpt_kv_cache_forget(&session->cache);
  session->stamp = stamp;
}

/* Tokens that a cache has not seen yet: after a rewind or a fork none, after uncached feeding all, and all where
 * parts of the model were exchanged since. */
static void behind_cache(GptSession *session, int64_t fresh, const int64_t **ids, int64_t *count) {
  check_stamp(session);
  *ids = session->ids + session->cache.length;
  *count = session->length + fresh - session->cache.length;
}

/* Once for each state of a model, after a first run of two tokens or more: do the host's layers mix positions? */
static bool check_positions_once(GptSession *session, int64_t tokens) {
  GptModel *model = (GptModel *)session->model;
  if (tokens < 2 || model->checked == session->stamp + 1) return true;
  if (gpt_layer_has_host(session->model) &&
      !gpt_position_check(session->env, session->model, session->ids, tokens))
    return false;
  model->checked = session->stamp + 1;
  return true;
}

static bool check_host_layers(int64_t n, GptSession *const *sessions, const int64_t *counts) {
  for (int64_t i = 0; i < n; i++)
    if (!check_positions_once(sessions[i], sessions[i]->length + counts[i])) return false;
  return true;
}

static GptTensor *feed_cached(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *counts,
                              GptWanted wanted, GptSegment *segments, const int64_t **rows, int64_t *row_counts) {
  for (int64_t i = 0; i < n; i++) {
    behind_cache(sessions[i], counts[i], &rows[i], &row_counts[i]);
    segments[i] = (GptSegment){&sessions[i]->cache, sessions[i]->cache.length, row_counts[i], wanted.rows[i]};
  }
  GptTensor *ids = rows_tensor(env, n, rows, row_counts);
  if (ids == NULL) return NULL;
  GptPass pass = gpt_pass(env, false);
  pass.segments = segments;
  pass.n_segments = n;
  GptTensor *result = forward_without_graph(env, sessions[0], &pass, ids, wanted.targets);
  gpt_tensor_release(ids);
  result = gpt_tensor_if(result != NULL && check_host_layers(n, sessions, counts), result);
  for (int64_t i = 0; i < n && result != NULL; i++)
    gpt_kv_cache_commit(&sessions[i]->cache, pass.number, sessions[i]->length + counts[i]);
  return result;
}

/* Scratch lists for feed_cached. */
static GptTensor *feed_together(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *counts,
                                GptWanted wanted) {
  GptSegment *segments = gpt_alloc_array(env, n, sizeof *segments);
  const int64_t **rows = gpt_alloc_array(env, n, sizeof *rows);
  int64_t *row_counts = gpt_alloc_array(env, n, sizeof *row_counts);
  GptTensor *result = NULL;
  if (segments != NULL && rows != NULL && row_counts != NULL)
    result = feed_cached(env, n, sessions, counts, wanted, segments, rows, row_counts);
  gpt_free(env, segments);
  gpt_free(env, rows);
  gpt_free(env, row_counts);
  return result;
}

/* Runs one session's whole conversation afresh, for its last rows. */
static GptTensor *run_again(GptEnv *env, const GptSession *session, int64_t fresh, int64_t wanted, GptTensor *targets) {
  const int64_t *ids = session->ids;
  int64_t count = session->length + fresh;
  GptTensor *tensor = rows_tensor(env, 1, &ids, &count);
  if (tensor == NULL) return NULL;
  GptPass pass = gpt_pass(env, false);
  pass.wanted = wanted;
  GptTensor *result = forward_without_graph(env, session, &pass, tensor, targets);
  gpt_tensor_release(tensor);
  return result;
}

/* [1, n, vocab] as [n, vocab]; consumes it */
static GptTensor *logits_rows(GptEnv *env, int64_t n, GptTensor *logits) {
  char text[GPT_SHAPE_TEXT];
  if (logits == NULL) return NULL;
  GptTensor *rows = NULL;
  if (logits->ndim == 3 && logits->shape[0] == 1 && logits->shape[1] == n && logits->storage->dtype == GPT_F32) {
    int64_t shape[] = {n, logits->shape[2]}, stride[] = {logits->stride[1], logits->stride[2]};
    rows = gpt_tensor_view(env, logits, 2, shape, stride, logits->offset);
  } else {
    gpt_fail(env, "the model's logits have shape %s; [batch, tokens, vocab_size] expected",
             gpt_tensor_shape_text(logits, text));
  }
  gpt_tensor_release(logits);
  return rows;
}

/* Copies one row of logits into row i of *all, which is made with the first. */
static bool put_row(GptEnv *env, GptTensor **all, int64_t n, int64_t i, GptTensor *logits) {
  int64_t vocab = gpt_tensor_numel(logits);
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, logits);
  if (*all == NULL && contiguous != NULL) *all = gpt_tensor_new(env, GPT_F32, 2, (int64_t[]){n, vocab});
  bool done = contiguous != NULL && *all != NULL;
  if (done && (*all)->shape[1] != vocab)
    done = gpt_fail(env, "feed: the model returned %lld logits for one session and %lld for another",
                    (long long)(*all)->shape[1], (long long)vocab);
  if (done) memcpy(gpt_floats(*all) + i * vocab, gpt_floats(contiguous), (size_t)vocab * sizeof(float));
  gpt_tensor_release(contiguous);
  return done;
}

static GptTensor *feed_apart(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *counts) {
  GptTensor *all = NULL;
  bool done = true;
  for (int64_t i = 0; i < n && done; i++) {
    GptTensor *logits = logits_rows(env, 1, run_again(env, sessions[i], counts[i], 1, NULL));
    done = logits != NULL && put_row(env, &all, n, i, logits);
    gpt_tensor_release(logits);
  }
  if (done) return all;
  gpt_tensor_release(all);
  return NULL;
}

/* The scores of all, of which each session's are run by themselves. */
static GptTensor *score_apart(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *counts,
                              GptWanted wanted) {
  GptTensor *all = gpt_tensor_new(env, GPT_F32, 2, (int64_t[]){wanted.total, 2});
  int64_t first = 0;
  bool done = all != NULL;
  for (int64_t i = 0; i < n && done; first += wanted.rows[i++]) {
    if (wanted.rows[i] == 0) continue;
    GptTensor *targets = gpt_narrow(env, wanted.targets, 1, first, wanted.rows[i]);
    GptTensor *one = gpt_tensor_then(targets, run_again(env, sessions[i], counts[i], wanted.rows[i], targets));
    done = one != NULL;
    if (done) memcpy(gpt_floats(all) + 2 * first, gpt_floats(one), 2 * (size_t)wanted.rows[i] * sizeof(float));
    gpt_tensor_release(one);
  }
  return gpt_tensor_if(done, all);
}

/* Looks at the layers of a model that do not say whether it can be fed over a cache. */
static bool settle_cache(GptSession *session, int64_t fresh) {
  if (session->uncached || cacheable(session) || !gpt_layer_may_be_cacheable(session->model)) return true;
  return gpt_position_settle(session->env, session->model, session->ids, session->length + fresh);
}

static GptTensor *feed_all(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *counts,
                           GptWanted wanted) {
  bool cached = true;
  for (int64_t i = 0; i < n && cached; i++) {
    if (!settle_cache(sessions[i], counts[i])) return NULL;
    cached = cacheable(sessions[i]);
  }
  if (wanted.targets != NULL)
    return cached ? feed_together(env, n, sessions, counts, wanted) : score_apart(env, n, sessions, counts, wanted);
  return cached ? logits_rows(env, n, feed_together(env, n, sessions, counts, wanted))
                : feed_apart(env, n, sessions, counts);
}

/* How the rows of all sessions are returned: as they are, the only one as [vocab], or the scores spread over the ids. */
typedef enum Form { ALL_ROWS, ONLY_ROW, SPREAD_SCORES } Form;

/* Consumes the rows; NULL for NULL. */
static GptTensor *in_form(GptEnv *env, int64_t n, const int64_t *counts, const GptWanted *wanted, Form form,
                          GptTensor *rows) {
  if (rows == NULL || form == ALL_ROWS) return rows;
  return gpt_tensor_then(rows, form == ONLY_ROW ? gpt_select(env, rows, 0, 0)
                                                : gpt_wanted_spread(env, wanted, n, counts, rows));
}

/* Feeds all, and returns what is wanted. Sessions advance last, when nothing can fail any more. */
static GptTensor *advance(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *const *ids,
                          const int64_t *counts, const GptWanted *wanted, Form form) {
  if (n < 1) return gpt_fail_null(env, "feed: at least one session expected");
  if (!check_feed(env, n, sessions, ids, counts)) return NULL;
  for (int64_t i = 0; i < n; i++) sessions[i]->running = true;
  GptTensor *rows = keep_ids(n, sessions, ids, counts) ? feed_all(env, n, sessions, counts, *wanted) : NULL;
  GptTensor *result = in_form(env, n, counts, wanted, form, rows);
  for (int64_t i = 0; i < n; i++) {
    GptSession *session = sessions[i];
    session->running = false;
    if (settle(session, result != NULL)) session->length += counts[i];
    if (session->abandoned) gpt_session_free(session);
  }
  return result;
}

static GptTensor *feed_sessions(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *const *ids,
                                const int64_t *counts, Form form) {
  GptWanted wanted = {0};
  GptTensor *logits = gpt_wanted_last(env, &wanted, n) ? advance(env, n, sessions, ids, counts, &wanted, form) : NULL;
  gpt_wanted_free(env, &wanted);
  return logits;
}

GptTensor *gpt_session_feed(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *const *ids,
                            const int64_t *counts) {
  return feed_sessions(env, n, sessions, ids, counts, ALL_ROWS);
}

GptTensor *gpt_session_feed_one(GptSession *session, const int64_t *ids, int64_t count) {
  return feed_sessions(session->env, 1, &session, &ids, &count, ONLY_ROW);
}

GptTensor *gpt_session_score(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *const *ids,
                             const int64_t *const *targets, const int64_t *counts) {
  GptWanted wanted = {0};
  GptTensor *result = NULL;
  if (gpt_wanted_targets(env, &wanted, n, targets, counts))
    result = advance(env, n, sessions, ids, counts, &wanted, SPREAD_SCORES);
  gpt_wanted_free(env, &wanted);
  return result;
}
