/*
 * The bound of a training step: the matrix products that it consists of, done by OpenBLAS with threads of its own, and
 * one optimizer's pass over the parameters. Every linear layer and the head: forward, the input's gradient, the
 * weight's gradient. Attention, head by head: scores and output, and the four products of the backward pass; causal,
 * that is rows by blocks, each with the keys up to its end only. The pass reads weights, gradients and two moments, and
 * writes all but the gradients.
 *
 * training_bound CASE THREADS; CASE is that of bench/parts/training.lua: vocabulary, context, emb_dim, heads, layers,
 * batch, tokens, tied, joined by commas. Requests, as bench/talk.lua reads them:
 *
 *   products   seconds of a step's products
 *   pass       seconds of the optimizer's pass
 */
#include "bounds.h"
#include "talk.h"

#define ROWS 128 /* of attention at a time */

typedef struct Case {
  int vocab, context, dim, heads, layers, batch, tokens;
} Case;

static Case given;
static float *weights, *gradients, *moments[2]; /* each layer its own, so that none is in a cache */
static int64_t parameters;
static int64_t place;              /* where the next weight lies in both */
static float *x, *dx, *y, *dy;     /* rows of activations, as wide as the widest layer or the vocabulary */
static float *scores;              /* ROWS rows of them */

/* y = x W', dx = dy W, dW = dy' x, for a weight W of [out, in]. */
static void linear(int in, int out) {
  int rows = given.batch * given.tokens;
  float *weight = weights + place, *gradient = gradients + place;
  place += (int64_t)in * out;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, out, in, 1, x, in, weight, in, 0, y, out);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, in, out, 1, dy, out, weight, in, 0, dx, in);
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, out, in, rows, 1, dy, out, x, in, 0, gradient, in);
}

/*
 * Rows first .. first + n - 1 of a head; query, key and value lie side by side, 3 * dim apart from row to row. The
 * numbers are no gradients (the queries stand for what comes from above), the products have their shapes.
 */
static void attend(const float *query, float *output, int first, int n) {
  const int wide = 3 * given.dim, size = given.dim / given.heads, keys = first + n;
  const float *row = query + (int64_t)first * wide, *key = query + given.dim, *value = key + given.dim;
  float *out = output + (int64_t)first * given.dim, *dquery = dx, *dkey = dx + (int64_t)given.tokens * size;
  /* forward: the scores, their product with the values */
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, keys, size, 1, row, wide, key, wide, 0, scores, keys);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, size, keys, 1, scores, keys, value, wide, 0, out,
              given.dim);
  /* backward: gradients of the values, of the scores, of the queries, of the keys */
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, keys, size, n, 1, scores, keys, row, wide, 1, dkey, size);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, keys, size, 1, row, wide, value, wide, 0, scores, keys);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, size, keys, 1, scores, keys, key, wide, 0, dquery, size);
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, keys, size, n, 1, scores, keys, row, wide, 1, dkey, size);
}

static void attention(void) {
  for (int b = 0; b < given.batch; b++)
    for (int h = 0; h < given.heads; h++)
      for (int first = 0; first < given.tokens; first += ROWS) {
        int left = given.tokens - first, at = b * given.tokens, column = h * (given.dim / given.heads);
        attend(x + (int64_t)at * 3 * given.dim + column, y + (int64_t)at * given.dim + column, first,
               left < ROWS ? left : ROWS);
      }
}

static double time_products(const char *arguments) {
  (void)arguments;
  const int dim = given.dim;
  double begin = seconds();
  place = 0;
  openblas_set_num_threads(gpt_threads());
  for (int i = 0; i < given.layers; i++) {
    linear(dim, 3 * dim);
    attention();
    linear(dim, dim);
    linear(dim, 4 * dim);
    linear(4 * dim, dim);
  }
  linear(dim, given.vocab);
  openblas_set_num_threads(1);
  double elapsed = seconds() - begin;
  bounds_rest();
  return elapsed;
}

static void update(void *context, int64_t first, int64_t last) {
  (void)context;
  for (int64_t i = first; i < last; i++) {
    float g = gradients[i];
    moments[0][i] = 0.9f * moments[0][i] + 0.1f * g;
    moments[1][i] = 0.999f * moments[1][i] + 0.001f * g * g;
    weights[i] -= 1e-12f * moments[0][i] * moments[1][i];
  }
}

static double time_pass(const char *arguments) {
  (void)arguments;
  double begin = seconds();
  gpt_parallel_for(parameters, 1 << 16, update, NULL);
  return seconds() - begin;
}

static void start(void) {
  int64_t rows = (int64_t)given.batch * given.tokens, dim = given.dim;
  int64_t widest = given.vocab > 4 * dim ? given.vocab : 4 * dim;
  parameters = 12 * dim * dim * given.layers + dim * given.vocab;
  weights = random_floats(parameters), gradients = random_floats(parameters);
  moments[0] = random_floats(parameters), moments[1] = random_floats(parameters);
  x = random_floats(rows * 4 * dim), dx = random_floats(rows * 4 * dim);
  y = random_floats(rows * widest), dy = random_floats(rows * widest);
  scores = random_floats((int64_t)ROWS * given.tokens);
}

int main(int argc, char **argv) {
  static const TalkRequest requests[] = {{"products", time_products}, {"pass", time_pass}, {NULL, NULL}};
  if (argc != 3 || sscanf(argv[1], "%d,%d,%d,%d,%d,%d,%d", &given.vocab, &given.context, &given.dim, &given.heads,
                          &given.layers, &given.batch, &given.tokens) != 7) {
    fprintf(stderr, "training_bound VOCAB,CONTEXT,DIM,HEADS,LAYERS,BATCH,TOKENS,TIED THREADS\n");
    return 1;
  }
  gpt_threads_set(atoi(argv[2]));
  start();
  return talk(requests);
}
