#include "core/nn/position_check.h"

#include <math.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/nn/kv_cache.h"
#include "core/nn/layer_tree.h"

#define TOKENS 4 /* at most */
#define NEAR 1e-4f /* what a layer is given differs by no more, relative to the largest, by rounding, */
#define FAR 1e-2f  /* and what it returns by more only if it mixes positions; */
#define FAR_OF_SILENT 1e-3f /* the same where it is not an error, but slower */

/* The last token's numbers in [batch, tokens, ...]; NULL where there are none to compare. */
static GptTensor *last_row(GptEnv *env, const GptTensor *t) {
  if (t->ndim < 2 || t->shape[0] != 1 || t->shape[1] < 1 || t->storage->dtype != GPT_F32) return NULL;
  int64_t offset = t->offset + (t->shape[1] - 1) * t->stride[1];
  GptTensor *row = gpt_tensor_view(env, t, t->ndim - 2, t->shape + 2, t->stride + 2, offset);
  return gpt_tensor_then(row, row != NULL ? gpt_tensor_copy(env, row) : NULL);
}

/* Do two rows differ by more than that share of the largest number? Two nan are the same. */
static bool rows_differ(const GptTensor *a, const GptTensor *b, float share) {
  if (!gpt_same_shape(a, b)) return true;
  float largest = 1e-6f;
  int64_t n = gpt_tensor_numel(a);
  const float *x = gpt_floats(a), *y = gpt_floats(b);
  for (int64_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(x[i]));
  for (int64_t i = 0; i < n; i++) {
    bool same = x[i] == y[i] || (x[i] != x[i] && y[i] != y[i]) || fabsf(x[i] - y[i]) <= share * largest;
    if (!same) return true;
  }
  return false;
}

static bool keep_rows(GptEnv *env, GptPositionCheck *check, GptTensor *x, GptTensor *y) {
  if (!GPT_GROW(env, check->rows, check->capacity, (size_t)(2 * check->count), 2)) return false;
  check->rows[2 * check->count] = gpt_tensor_retain(x);
  check->rows[2 * check->count + 1] = gpt_tensor_retain(y);
  check->count++;
  return true;
}

static bool compare_rows(GptEnv *env, GptPositionCheck *check, const GptLayer *layer, GptTensor *x, GptTensor *y) {
  int64_t at = check->next++;
  if (at >= check->count || x == NULL || y == NULL) return true;
  GptTensor *known_x = check->rows[2 * at], *known_y = check->rows[2 * at + 1];
  if (known_x == NULL || known_y == NULL || rows_differ(known_x, x, NEAR) || !rows_differ(known_y, y, check->far)) return true;
  if (check->run == GPT_CHECK_AGAIN) return check->unsteady = check->unsteady || at == check->caught, true;
  check->caught = at;
  return gpt_fail(env,
                  "%s is marked positionwise, but its forward mixes positions: the last of several tokens gets other "
                  "numbers than over a cache of those before; leave positionwise out, or mix through pass:attention",
                  gpt_layer_name(layer));
}

bool gpt_position_check_note(GptEnv *env, GptPositionCheck *check, const GptLayer *layer, const GptTensor *x,
                             const GptTensor *y) {
  GptTensor *last_x = last_row(env, x), *last_y = last_row(env, y);
  bool done = check->run == GPT_CHECK_WHOLE ? keep_rows(env, check, last_x, last_y)
                                            : compare_rows(env, check, layer, last_x, last_y);
  gpt_tensor_release(last_x);
  gpt_tensor_release(last_y);
  return done;
}

static bool run_tokens(GptEnv *env, GptLayer *model, GptPass *pass, const int64_t *ids, int64_t n) {
  GptTensor *tensor = gpt_tensor_new(env, GPT_I64, 2, (int64_t[]){1, n});
  if (tensor == NULL) return false;
  memcpy(gpt_integers(tensor), ids, (size_t)n * sizeof *ids);
  bool recording = env->recording;
  env->recording = false;
  GptTensor *logits = gpt_layer_forward(env, pass, model, tensor);
  env->recording = recording;
  gpt_tensor_release(tensor);
  gpt_tensor_release(logits);
  return logits != NULL;
}

static bool run_whole(GptEnv *env, GptLayer *model, const int64_t *ids, int64_t n, GptPositionCheck *check) {
  GptPass pass = gpt_pass(env, false);
  pass.wanted = 1;
  pass.check = check;
  return run_tokens(env, model, &pass, ids, n);
}

/* n more tokens behind those that the cache holds; check: or NULL. */
static bool run_behind(GptEnv *env, GptLayer *model, GptKvCache *cache, const int64_t *ids, int64_t n,
                       GptPositionCheck *check) {
  GptSegment segment = {cache, cache->length, n, 1};
  GptPass pass = gpt_pass(env, false);
  pass.segments = &segment;
  pass.n_segments = 1;
  pass.check = check;
  if (!run_tokens(env, model, &pass, ids, n)) return false;
  gpt_kv_cache_commit(cache, pass.number, cache->length + n);
  return true;
}

static bool run_in_parts(GptEnv *env, GptLayer *model, const int64_t *ids, int64_t n, GptPositionCheck *check) {
  GptKvCache cache;
  gpt_kv_cache_init(&cache, env, n);
  bool done = run_behind(env, model, &cache, ids, n - 1, NULL);
  check->run = GPT_CHECK_CACHED;
  done = done && run_behind(env, model, &cache, ids + n - 1, 1, check);
  gpt_kv_cache_free(&cache);
  return done;
}

/* Is what was caught only a layer that never gives the same numbers? */
static bool is_unsteady(GptEnv *env, GptLayer *model, const int64_t *ids, int64_t n, GptPositionCheck *check) {
  if (check->caught < 0) return false;
  check->run = GPT_CHECK_AGAIN;
  check->next = 0;
  return run_whole(env, model, ids, n, check) && check->unsteady;
}

static void free_rows(GptEnv *env, GptPositionCheck *check) {
  for (int64_t i = 0; i < 2 * check->count; i++) gpt_tensor_release(check->rows[i]);
  gpt_free(env, check->rows);
}

/* The whole, and then the parts; false where a layer is caught, or where something fails. */
static bool run_both(GptEnv *env, GptLayer *model, const int64_t *ids, int64_t n, GptPositionCheck *check) {
  return run_whole(env, model, ids, n, check) && (check->count == 0 || run_in_parts(env, model, ids, n, check));
}

bool gpt_position_check(GptEnv *env, GptLayer *model, const int64_t *ids, int64_t n) {
  GptPositionCheck check = {.run = GPT_CHECK_WHOLE, .far = FAR, .caught = -1};
  GptRandom random = env->random;
  if (n > TOKENS) n = TOKENS;
  bool done = run_both(env, model, ids, n, &check);
  bool other = check.caught < 0 && !env->host_error && !env->passing; /* the run itself will say what fails, of all its rows */
  if (!done && (other || is_unsteady(env, model, ids, n, &check))) {
    done = true;
    env->error[0] = env->path[0] = '\0';
  }
  env->random = random;
  free_rows(env, &check);
  return done;
}

/* Layers that said nothing are asked no more. */
static void note_positionwise(GptLayer *model, bool positionwise) {
  GptWalk walk;
  gpt_walk_begin(&walk, model);
  for (GptLayer *each; (each = gpt_walk_next_layer(&walk)) != NULL;) {
    if (!each->silent || !each->attends) continue;
    each->silent = false;
    each->positionwise = positionwise;
  }
}

bool gpt_position_settle(GptEnv *env, GptLayer *model, const int64_t *ids, int64_t n) {
  GptPositionCheck check = {.run = GPT_CHECK_WHOLE, .far = FAR_OF_SILENT, .caught = -1};
  GptRandom random = env->random;
  char unused[GPT_ERROR_SIZE];
  if (n < 2) return true;
  bool done = run_both(env, model, ids, n < TOKENS ? n : TOKENS, &check);
  bool settled = done || !env->passing;
  if (done || check.caught >= 0) note_positionwise(model, done);
  if (!done && settled) gpt_take_error(env, unused);
  env->random = random;
  free_rows(env, &check);
  return settled;
}
