/* The norm of all gradients together, and clipping by it. */
#include <math.h>

#include "core/kernels/kernels.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/train/optimizer.h"
#include "core/base/parallel.h"

#define CHUNK 2048 /* numbers of an item: a float sums no more */

/* Gradients one after the other, cut into items. */
typedef struct Part {
  float *grad;      /* [n] */
  int64_t n, first; /* numbers, item */
} Part;

typedef struct Gradients {
  const Part *parts; /* [count] */
  int64_t count;
  double *sums; /* of squares, one for each item */
  float scale;
} Gradients;

/* The numbers of an item; part is where to look first, and is moved on. */
static float *item_numbers(const Gradients *g, int64_t item, int64_t *part, int64_t *n) {
  while (*part + 1 < g->count && g->parts[*part + 1].first <= item) ++*part;
  const Part *p = &g->parts[*part];
  int64_t at = (item - p->first) * CHUNK, left = p->n - at;
  *n = left < CHUNK ? left : CHUNK;
  return p->grad + at;
}

static void sum_item_squares(void *context, int64_t first, int64_t last) {
  const Gradients *g = context;
  int64_t part = 0, n;
  for (int64_t item = first; item < last; item++) {
    const float *x = item_numbers(g, item, &part, &n);
    g->sums[item] = (double)gpt_kernels()->dot(x, x, n);
  }
}

static void scale_items(void *context, int64_t first, int64_t last) {
  const Gradients *g = context;
  int64_t part = 0, n;
  for (int64_t item = first; item < last; item++) {
    float *x = item_numbers(g, item, &part, &n);
    for (int64_t i = 0; i < n; i++) x[i] *= g->scale;
  }
}

/* Lists the gradients that are there; returns how many items they have. */
static int64_t list_parts(int64_t n, GptTensor *const *tensors, Part *parts, int64_t *count) {
  int64_t items = 0;
  *count = 0;
  for (int64_t i = 0; i < n; i++) {
    if (tensors[i]->grad == NULL) continue;
    int64_t numbers = gpt_tensor_numel(tensors[i]->grad);
    parts[(*count)++] = (Part){gpt_floats(tensors[i]->grad), numbers, items};
    items += (numbers + CHUNK - 1) / CHUNK;
  }
  return items;
}

static void clip(int64_t n, GptTensor *const *tensors, Gradients *g, int64_t items, double max, double *norm) {
  double total = 0;
  gpt_parallel_for(items, gpt_grain(CHUNK), sum_item_squares, g);
  for (int64_t i = 0; i < items; i++) total += g->sums[i];
  *norm = sqrt(total);
  g->scale = (float)(max / (*norm + 1e-6));
  if (g->scale >= 1) return; /* a norm that is not a number makes every gradient one */
  gpt_parallel_for(items, gpt_grain(CHUNK), scale_items, g);
  for (int64_t i = 0; i < n; i++)
    if (tensors[i]->grad != NULL) gpt_tensor_written(tensors[i]->grad);
}

bool gpt_clip_grad_norm(GptEnv *env, int64_t n, GptTensor *const *tensors, double max, double *norm) {
  Part *parts = gpt_alloc_array(env, n, sizeof *parts);
  if (parts == NULL) return false;
  Gradients g = {.parts = parts};
  int64_t items = list_parts(n, tensors, parts, &g.count);
  g.sums = gpt_alloc_array(env, items, sizeof *g.sums);
  bool done = g.sums != NULL;
  if (done) clip(n, tensors, &g, items, max, norm);
  gpt_free(env, g.sums);
  gpt_free(env, parts);
  return done;
}
