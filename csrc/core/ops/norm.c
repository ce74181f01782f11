/* The norm of reduce.h. */
#include <math.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/ops/reduce.h"
#include "core/ops/reduction.h"

#define CHUNK 4096 /* numbers of a row: an item, computed by one thread */
#define LANES 8

/* How the magnitudes of a row come together: the largest, the least, or a sum of powers. */
typedef enum Gathering { LARGEST, LEAST, COUNT, SUM, SQUARES, POWERS } Gathering;

static Gathering gathering_of(double p) {
  if (p == INFINITY) return LARGEST;
  if (p == -INFINITY) return LEAST;
  return p == 0 ? COUNT : p == 1 ? SUM : p == 2 ? SQUARES : POWERS;
}

/* Rows, cut into items of CHUNK numbers. */
typedef struct Norm {
  const float *x; /* [rows, n] */
  double p;
  Gathering gathering;
  int64_t n, chunks; /* of a row */
  double *partial;   /* forward: [rows, chunks] */
  const float *y, *dy;
  float *dx;
  double *scale; /* backward: [rows], what the elements' own factors are multiplied by */
} Norm;

static int64_t chunk_size(const Norm *norm, int64_t chunk) {
  int64_t left = norm->n - chunk * CHUNK;
  return left < CHUNK ? left : CHUNK;
}

static double norm_squares(const float *x, int64_t n) {
  double sums[LANES] = {0}, sum = 0;
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int64_t lane = 0; lane < LANES; lane++) sums[lane] += (double)x[i + lane] * (double)x[i + lane];
  for (; i < n; i++) sum += (double)x[i] * (double)x[i];
  for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
  return sum;
}

static double power_of(Gathering gathering, double x, double p) {
  switch (gathering) {
    case COUNT: return x != 0;
    case SUM: return fabs(x);
    case SQUARES: return x * x;
    default: return pow(fabs(x), p);
  }
}

static double sum_powers(Gathering gathering, const float *x, int64_t n, double p) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += power_of(gathering, (double)x[i], p);
  return sum;
}

/* The larger, or the smaller; a nan stays. */
static double farther(Gathering gathering, double a, double b) {
  if (a != a || b != b) return (double)NAN;
  return gathering == LARGEST ? fmax(a, b) : fmin(a, b);
}

static double choose_magnitude(Gathering gathering, const float *x, int64_t n) {
  double chosen = (double)fabsf(x[0]);
  for (int64_t i = 1; i < n; i++) chosen = farther(gathering, chosen, (double)fabsf(x[i]));
  return chosen;
}

static void norm_items(void *context, int64_t first, int64_t last) {
  const Norm *norm = context;
  for (int64_t item = first; item < last; item++) {
    int64_t row = item / norm->chunks, chunk = item % norm->chunks, n = chunk_size(norm, chunk);
    const float *x = norm->x + row * norm->n + chunk * CHUNK;
    double *to = norm->partial + item;
    if (norm->gathering <= LEAST) *to = choose_magnitude(norm->gathering, x, n);
    else *to = norm->gathering == SQUARES ? norm_squares(x, n) : sum_powers(norm->gathering, x, n, norm->p);
  }
}

/* From a row's chunks, in their order. */
static double join_norm(const Norm *norm, const double *partial) {
  double joined = norm->gathering <= LEAST ? partial[0] : 0;
  for (int64_t c = 0; c < norm->chunks; c++)
    joined = norm->gathering <= LEAST ? farther(norm->gathering, joined, partial[c]) : joined + partial[c];
  if (norm->gathering == SQUARES) return sqrt(joined);
  return norm->gathering == POWERS ? pow(joined, 1 / norm->p) : joined;
}

static Norm norm_of(const GptTensor *x, int64_t n, double p) {
  return (Norm){.x = gpt_floats(x), .p = p, .gathering = gathering_of(p), .n = n, .chunks = (n + CHUNK - 1) / CHUNK};
}

static bool norm_rows(GptEnv *env, const GptRows *rows, double p, float *y) {
  Norm norm = norm_of(rows->x, rows->n, p);
  norm.partial = gpt_alloc_array(env, (size_t)(rows->count * norm.chunks), sizeof *norm.partial);
  if (norm.partial == NULL) return false;
  gpt_parallel_for(rows->count * norm.chunks, gpt_grain(4 * (rows->n < CHUNK ? rows->n : CHUNK)), norm_items, &norm);
  for (int64_t row = 0; row < rows->count; row++) y[row] = (float)join_norm(&norm, norm.partial + row * norm.chunks);
  gpt_free(env, norm.partial);
  return true;
}

/* Is x, or a nan, what an infinite norm chose? */
static bool is_magnitude(float x, float y) { return fabsf(x) == y || x != x; }

/* What the gradients of a row's elements share as a factor. */
static double row_scale(const Norm *norm, int64_t row) {
  double y = (double)norm->y[row], dy = (double)norm->dy[row];
  if (norm->gathering == COUNT) return 0;
  if (norm->gathering == SUM) return dy;
  if (norm->gathering > LEAST) return y == 0 ? 0 : dy / pow(y, norm->p - 1);
  int64_t equal = 0;
  for (int64_t i = 0; i < norm->n; i++) equal += is_magnitude(norm->x[row * norm->n + i], norm->y[row]);
  return dy / (double)equal;
}

static void scale_rows(void *context, int64_t first, int64_t last) {
  const Norm *norm = context;
  for (int64_t row = first; row < last; row++) norm->scale[row] = row_scale(norm, row);
}

/* The derivative of |x|^p / p, or of |x|; 0 where there is none. */
static double element_factor(const Norm *norm, double x) {
  double sign = (double)((x > 0) - (x < 0));
  if (x != x) return x;
  if (norm->gathering == SQUARES) return x;
  return norm->gathering != POWERS ? sign : x == 0 ? 0 : sign * pow(fabs(x), norm->p - 1);
}

static void norm_items_backward(void *context, int64_t first, int64_t last) {
  const Norm *norm = context;
  for (int64_t item = first; item < last; item++) {
    int64_t row = item / norm->chunks, chunk = item % norm->chunks, at = row * norm->n + chunk * CHUNK;
    for (int64_t i = at; i < at + chunk_size(norm, chunk); i++) {
      bool part = norm->gathering > LEAST || is_magnitude(norm->x[i], norm->y[row]);
      norm->dx[i] = part ? (float)(norm->scale[row] * element_factor(norm, (double)norm->x[i])) : 0;
    }
  }
}

/* saved: x as rows, y */
static bool norm_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad), *y = gpt_node_saved(node, 1);
  GptRows rows;
  if (dy == NULL || !gpt_gradient_rows(env, node, &rows)) return gpt_tensor_release(dy), false;
  Norm norm = norm_of(gpt_node_saved(node, 0), rows.n, gpt_reduction_number(node));
  norm.y = gpt_floats(y), norm.dy = gpt_floats(dy), norm.dx = gpt_floats(rows.x);
  norm.scale = gpt_alloc_array(env, (size_t)rows.count, sizeof *norm.scale);
  bool done = norm.scale != NULL;
  if (done) {
    int64_t chunk = rows.n < CHUNK ? rows.n : CHUNK;
    gpt_parallel_for(rows.count, gpt_grain(norm.gathering <= LEAST ? rows.n : 1), scale_rows, &norm);
    gpt_parallel_for(rows.count * norm.chunks, gpt_grain(4 * chunk), norm_items_backward, &norm);
  }
  gpt_free(env, norm.scale);
  gpt_tensor_release(dy);
  if (!done) return gpt_tensor_release(rows.x), false;
  return gpt_give_rows(env, node, &rows);
}

static const GptOp norm_op = {"norm", norm_backward};

static GptTensor *norm_floats(GptEnv *env, GptTensor *x, double p, int dim, bool keepdim) {
  GptRows rows;
  if (!gpt_rows_of(env, x, dim, &rows)) return NULL;
  GptTensor *y = gpt_reduced_new(env, GPT_F32, x, dim, keepdim);
  y = gpt_tensor_if(y != NULL && norm_rows(env, &rows, p, gpt_floats(y)), y);
  y = gpt_graph_add_reduction(env, &norm_op, y, x, dim, (GptTensor *const[2]){rows.x, y}, p);
  gpt_tensor_release(rows.x);
  return y;
}

GptTensor *gpt_norm(GptEnv *env, GptTensor *x, double p, int dim, bool keepdim) {
  if (isinf(p) && !gpt_check_not_empty(env, "norm", x, dim)) return NULL;
  GptTensor *floats = gpt_tensor_as_floats(env, "norm", x);
  return gpt_tensor_then(floats, floats != NULL ? norm_floats(env, floats, p, dim, keepdim) : NULL);
}
