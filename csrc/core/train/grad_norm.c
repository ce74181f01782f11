/* The norm of all gradients together, and clipping by it. */
#include "core/train/grad_norm.h"

#include <math.h>

#include "core/kernels/kernels.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/train/optimizer.h"
#include "core/base/parallel.h"

#define CHUNK 2048 /* numbers of an item: a float sums no more */

/* Gradients one after the other, each cut into items. */
typedef struct Gradients {
  const GptGradient *parts; /* [count] */
  int64_t count;
  double *sums; /* of squares, one for each item */
  float scale;
} Gradients;

static int64_t gradient_items(const GptGradient *part) { return (part->n + CHUNK - 1) / CHUNK; }

static int64_t count_all_items(const Gradients *g) {
  int64_t items = 0;
  for (int64_t i = 0; i < g->count; i++) items += gradient_items(&g->parts[i]);
  return items;
}

/* A place in the line of items. */
typedef struct Place {
  int64_t part, first; /* the part, and its first item */
} Place;

/* The numbers of an item; the place is moved on from one before it. */
static float *item_numbers(const Gradients *g, int64_t item, Place *place, int64_t *n) {
  while (item - place->first >= gradient_items(&g->parts[place->part])) place->first += gradient_items(&g->parts[place->part++]);
  const GptGradient *part = &g->parts[place->part];
  int64_t at = (item - place->first) * CHUNK, left = part->n - at;
  *n = left < CHUNK ? left : CHUNK;
  return part->numbers + at;
}

static void sum_item_squares(void *context, int64_t first, int64_t last) {
  const Gradients *g = context;
  Place place = {0, 0};
  int64_t n;
  for (int64_t item = first; item < last; item++) {
    const float *x = item_numbers(g, item, &place, &n);
    g->sums[item] = (double)gpt_kernels()->dot(x, x, n);
  }
}

static void scale_items(void *context, int64_t first, int64_t last) {
  const Gradients *g = context;
  Place place = {0, 0};
  int64_t n;
  for (int64_t item = first; item < last; item++) {
    float *x = item_numbers(g, item, &place, &n);
    for (int64_t i = 0; i < n; i++) x[i] *= g->scale;
  }
}

bool gpt_sum_squares(GptEnv *env, int64_t count, const GptGradient *gradients, double *sum) {
  Gradients g = {.parts = gradients, .count = count};
  int64_t items = count_all_items(&g);
  g.sums = gpt_alloc_array(env, items, sizeof *g.sums);
  if (g.sums == NULL) return false;
  gpt_parallel_for(items, gpt_grain(CHUNK), sum_item_squares, &g);
  *sum = 0;
  for (int64_t i = 0; i < items; i++) *sum += g.sums[i];
  gpt_free(env, g.sums);
  return true;
}

void gpt_scale_gradients(int64_t count, const GptGradient *gradients, double factor) {
  Gradients g = {.parts = gradients, .count = count, .scale = (float)factor};
  gpt_parallel_for(count_all_items(&g), gpt_grain(CHUNK), scale_items, &g);
}

/* Lists the gradients that are there; returns how many. */
static int64_t list_gradients(int64_t n, GptTensor *const *tensors, GptGradient *gradients) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    GptTensor *grad = tensors[i]->grad;
    if (grad != NULL) gradients[count++] = (GptGradient){gpt_floats(grad), gpt_tensor_numel(grad)};
  }
  return count;
}

/* A norm that is not a number makes every gradient one. */
static void clip(int64_t n, GptTensor *const *tensors, int64_t count, const GptGradient *gradients, double factor) {
  if (factor >= 1) return;
  gpt_scale_gradients(count, gradients, factor);
  for (int64_t i = 0; i < n; i++)
    if (tensors[i]->grad != NULL) gpt_tensor_written(tensors[i]->grad);
}

bool gpt_clip_grad_norm(GptEnv *env, int64_t n, GptTensor *const *tensors, double max, double *norm) {
  GptGradient *gradients = gpt_alloc_array(env, n, sizeof *gradients);
  if (gradients == NULL) return false;
  int64_t count = list_gradients(n, tensors, gradients);
  bool done = gpt_sum_squares(env, count, gradients, norm);
  if (done) {
    *norm = sqrt(*norm);
    clip(n, tensors, count, gradients, max / (*norm + 1e-6));
  }
  gpt_free(env, gradients);
  return done;
}
