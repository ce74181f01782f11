#include "core/nn/pass.h"

#include <string.h>

GptPass gpt_pass(GptEnv *env, bool training) {
  return (GptPass){.number = ++env->passes, .training = training, .random = &env->random, .wanted = GPT_ALL_ROWS};
}

GptPass *gpt_pass_enter(GptEnv *env, GptPass *pass) {
  GptPass *before = env->pass, *outer = before;
  while (outer != NULL && outer != pass) outer = outer->outer;
  if (outer == NULL) pass->outer = before; /* otherwise it runs already, here or further out */
  env->pass = pass;
  return before;
}

static int64_t count_rows(const GptPass *pass) {
  int64_t rows = 0;
  for (int64_t s = 0; s < pass->n_segments; s++) rows += pass->segments[s].count;
  return rows;
}

bool gpt_pass_check_rows(GptEnv *env, const GptPass *pass, const char *what, const GptTensor *x) {
  char text[GPT_SHAPE_TEXT];
  if (pass->segments == NULL) return true;
  int64_t rows = count_rows(pass);
  if (x->ndim >= 2 && x->shape[0] == 1 && x->shape[1] == rows) return true;
  return gpt_fail(env,
                  "%s: in a pass with a KV cache an input of shape [1, %lld, ...] expected, got %s; a layer that makes "
                  "other rows cannot be positionwise",
                  what, (long long)rows, gpt_tensor_shape_text(x, text));
}

int64_t gpt_pass_tokens(const GptPass *pass) {
  const GptTensor *x = pass->input;
  if (pass->segments != NULL) return count_rows(pass);
  if (x == NULL || x->ndim == 0) return 1;
  bool ids = x->storage->dtype == GPT_I64; /* have no dim behind the tokens */
  int dims = x->ndim + ids;
  return dims >= 3 ? x->shape[1] : dims == 2 ? x->shape[0] : 1;
}

static int64_t at_most(int64_t wanted, int64_t count) { return wanted < count ? wanted : count; }

static int64_t count_wanted(const GptPass *pass) {
  int64_t rows = 0;
  for (int64_t s = 0; s < pass->n_segments; s++) rows += at_most(pass->segments[s].wanted, pass->segments[s].count);
  return rows;
}

static int64_t *write_positions(int64_t *to, int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] = first + i;
  return to + count;
}

GptTensor *gpt_pass_positions(GptEnv *env, const GptPass *pass, int64_t tokens, int64_t origin) {
  bool plain = pass->segments == NULL, cut = pass->cut > 0;
  int64_t shape[] = {1, plain ? tokens : cut ? count_wanted(pass) : count_rows(pass)};
  GptTensor *positions = gpt_tensor_new(env, GPT_I64, plain ? 1 : 2, plain ? shape + 1 : shape);
  if (positions == NULL) return NULL;
  int64_t *to = gpt_integers(positions);
  if (plain) write_positions(to, origin + (cut ? pass->cut - tokens : 0), tokens);
  for (int64_t s = 0; s < pass->n_segments; s++) {
    const GptSegment *segment = &pass->segments[s];
    int64_t shown = cut ? at_most(segment->wanted, segment->count) : segment->count;
    to = write_positions(to, segment->first + segment->count - shown + origin, shown);
  }
  return positions;
}

bool gpt_pass_wants_few(const GptPass *pass) {
  for (int64_t s = 0; s < pass->n_segments; s++)
    if (pass->segments[s].wanted < pass->segments[s].count) return true;
  return pass->segments == NULL && pass->wanted != GPT_ALL_ROWS;
}

/* Copies the last `wanted` of `count` rows of dim floats; returns what is behind them in *to. */
static float *copy_last(float *to, const float *from, int64_t count, int64_t wanted, int64_t dim) {
  memcpy(to, from + (count - wanted) * dim, (size_t)(wanted * dim) * sizeof *to);
  return to + wanted * dim;
}

/* A plain batch is as many sequences of the same length. */
static GptTensor *wanted_of_batch(GptEnv *env, const GptPass *pass, GptTensor *x) {
  int64_t tokens = x->shape[1], dim = x->shape[2], wanted = at_most(pass->wanted, tokens);
  GptTensor *rows = gpt_tensor_new(env, GPT_F32, 3, (int64_t[]){x->shape[0], wanted, dim});
  float *to = rows != NULL ? gpt_floats(rows) : NULL;
  for (int64_t i = 0; rows != NULL && i < x->shape[0]; i++)
    to = copy_last(to, gpt_floats(x) + i * tokens * dim, tokens, wanted, dim);
  return rows;
}

static GptTensor *wanted_of_segments(GptEnv *env, const GptPass *pass, GptTensor *x) {
  int64_t dim = x->shape[2];
  GptTensor *rows = gpt_tensor_new(env, GPT_F32, 3, (int64_t[]){1, count_wanted(pass), dim});
  float *to = rows != NULL ? gpt_floats(rows) : NULL;
  const float *from = gpt_floats(x);
  for (int64_t s = 0; rows != NULL && s < pass->n_segments; from += pass->segments[s++].count * dim)
    to = copy_last(to, from, pass->segments[s].count, at_most(pass->segments[s].wanted, pass->segments[s].count), dim);
  return rows;
}

GptTensor *gpt_pass_wanted(GptEnv *env, const GptPass *pass, GptTensor *x) {
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, x), *rows = NULL;
  if (contiguous != NULL)
    rows = pass->segments != NULL ? wanted_of_segments(env, pass, contiguous) : wanted_of_batch(env, pass, contiguous);
  gpt_tensor_release(contiguous);
  return rows;
}
