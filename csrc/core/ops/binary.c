#include "core/ops/binary.h"

#include <math.h>

#include "core/ops/iterate.h"
#include "core/ops/sum_to.h"
#include "core/tensor/graph.h"

/* What a gradient reads. */
enum { READS_A = 1, READS_B = 2 };

typedef enum Forward { ADD, SUB, MUL, DIV, POW } Forward;
typedef enum Gradient { SAME, SUB_B, MUL_A, MUL_B, DIV_A, DIV_B, POW_A, POW_B } Gradient;

/* A kind of arithmetic. An input that neither gradient reads is not saved. */
typedef struct Arithmetic {
  GptOp op;
  Forward forward;
  Gradient grad_a, grad_b;
  int grad_a_reads, grad_b_reads;
} Arithmetic;

typedef float (*Pair)(float a, float b);
typedef float (*Triple)(float g, float a, float b);

/* y = f(a, b) over a run; inlined with a known f, once for each way the operands may lie. */
static inline __attribute__((always_inline)) void run_pair(Pair f, int64_t n, void *const *data,
                                                           const int64_t *stride) {
  float *restrict y = data[0];
  const float *a = data[1], *b = data[2];
  if (stride[0] == 1 && stride[1] == 1 && stride[2] == 1)
    for (int64_t i = 0; i < n; i++) y[i] = f(a[i], b[i]);
  else if (stride[0] == 1 && stride[1] == 1 && stride[2] == 0)
    for (int64_t i = 0; i < n; i++) y[i] = f(a[i], *b);
  else if (stride[0] == 1 && stride[1] == 0 && stride[2] == 1)
    for (int64_t i = 0; i < n; i++) y[i] = f(*a, b[i]);
  else
    for (int64_t i = 0; i < n; i++) y[i * stride[0]] = f(a[i * stride[1]], b[i * stride[2]]);
}

static inline __attribute__((always_inline)) void run_triple(Triple f, int64_t n, void *const *data,
                                                             const int64_t *stride) {
  float *restrict y = data[0];
  const float *g = data[1], *a = data[2], *b = data[3];
  if (stride[0] == 1 && stride[1] == 1 && stride[2] == 1 && stride[3] == 1)
    for (int64_t i = 0; i < n; i++) y[i] = f(g[i], a[i], b[i]);
  else
    for (int64_t i = 0; i < n; i++) y[i * stride[0]] = f(g[i * stride[1]], a[i * stride[2]], b[i * stride[3]]);
}

static inline float add_pair(float a, float b) { return a + b; }
static inline float sub_pair(float a, float b) { return a - b; }
static inline float mul_pair(float a, float b) { return a * b; }
static inline float div_pair(float a, float b) { return a / b; }
static inline float pow_pair(float a, float b) { return b == 2 ? a * a : powf(a, b); }

static inline float sub_grad_b(float g, float a, float b) { return (void)a, (void)b, -g; }
static inline float mul_grad_a(float g, float a, float b) { return (void)a, g * b; }
static inline float mul_grad_b(float g, float a, float b) { return (void)b, g * a; }
static inline float div_grad_a(float g, float a, float b) { return (void)a, g / b; }
static inline float div_grad_b(float g, float a, float b) { return -g * (a / b / b); }
static inline float pow_grad_a(float g, float a, float b) { return b == 0 ? 0 : g * (b * pow_pair(a, b - 1)); }
static inline float pow_grad_b(float g, float a, float b) { return a == 0 && b >= 0 ? 0 : g * (powf(a, b) * logf(a)); }

/* y, a, b */
static void arithmetic_run(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  switch (*(const Forward *)context) {
    case ADD: run_pair(add_pair, n, data, stride); break;
    case SUB: run_pair(sub_pair, n, data, stride); break;
    case MUL: run_pair(mul_pair, n, data, stride); break;
    case DIV: run_pair(div_pair, n, data, stride); break;
    case POW: run_pair(pow_pair, n, data, stride); break;
  }
}

/* The gradient of an input before it is summed down, the gradient of the output, a, b */
static void gradient_run(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  switch (*(const Gradient *)context) {
    case SAME: break;
    case SUB_B: run_triple(sub_grad_b, n, data, stride); break;
    case MUL_A: run_triple(mul_grad_a, n, data, stride); break;
    case MUL_B: run_triple(mul_grad_b, n, data, stride); break;
    case DIV_A: run_triple(div_grad_a, n, data, stride); break;
    case DIV_B: run_triple(div_grad_b, n, data, stride); break;
    case POW_A: run_triple(pow_grad_a, n, data, stride); break;
    case POW_B: run_triple(pow_grad_b, n, data, stride); break;
  }
}

/* The dimensions of size 1 that broadcasting stretched to y's, as bits. */
static int64_t stretched(const GptTensor *x, const GptTensor *y) {
  int64_t bits = 0;
  for (int d = 0; d < x->ndim; d++)
    if (x->shape[d] != y->shape[d + y->ndim - x->ndim]) bits |= (int64_t)1 << d;
  return bits;
}

/* Sums a gradient of the output's shape down to an input's; takes over grad. */
static GptTensor *shrink(GptEnv *env, GptTensor *grad, int64_t ndim, int64_t ones) {
  int64_t shape[GPT_MAX_DIMS];
  if (grad == NULL) return NULL;
  for (int d = 0; d < ndim; d++) shape[d] = ones >> d & 1 ? 1 : grad->shape[d + grad->ndim - (int)ndim];
  GptTensor *sum = gpt_sum_to(env, grad, (int)ndim, shape);
  gpt_tensor_release(grad);
  return sum;
}

/* An input that was not saved is not read: the output's gradient stands in its place. */
static GptTensor *run_gradient(GptEnv *env, GptNode *node, GptTensor *grad, Gradient gradient) {
  if (gradient == SAME) return gpt_tensor_retain(grad);
  GptTensor *a = gpt_node_saved(node, 0), *b = gpt_node_saved(node, 1);
  GptTensor *y = gpt_tensor_new(env, GPT_F32, grad->ndim, grad->shape);
  if (y != NULL)
    gpt_each(4, (GptTensor *[]){y, grad, a != NULL ? a : grad, b != NULL ? b : grad}, gradient_run, &gradient);
  return y;
}

static bool give_input(GptEnv *env, GptNode *node, int i, GptTensor *grad, Gradient gradient) {
  if (!gpt_node_wants(node, i)) return true;
  GptTensor *full = run_gradient(env, node, grad, gradient);
  return gpt_node_give(env, node, i, shrink(env, full, node->integers[2 * i], node->integers[2 * i + 1]));
}

static bool arithmetic_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  const Arithmetic *kind = (const Arithmetic *)node->op;
  return give_input(env, node, 0, grad, kind->grad_a) && give_input(env, node, 1, grad, kind->grad_b);
}

static const Arithmetic add_kind = {{"add", arithmetic_backward}, ADD, SAME, SAME, 0, 0};
static const Arithmetic sub_kind = {{"sub", arithmetic_backward}, SUB, SAME, SUB_B, 0, 0};
static const Arithmetic mul_kind = {{"mul", arithmetic_backward}, MUL, MUL_A, MUL_B, READS_B, READS_A};
static const Arithmetic div_kind = {{"div", arithmetic_backward}, DIV, DIV_A, DIV_B, READS_B, READS_A | READS_B};
static const Arithmetic pow_kind = {
    {"pow", arithmetic_backward}, POW, POW_A, POW_B, READS_A | READS_B, READS_A | READS_B};

/* Computes and records, for inputs that are f32. */
static GptTensor *compute_arithmetic(GptEnv *env, const Arithmetic *kind, GptTensor *a, GptTensor *b) {
  int ndim;
  int64_t shape[GPT_MAX_DIMS];
  if (!gpt_broadcast(env, kind->op.name, a, b, &ndim, shape)) return NULL;
  GptTensor *y = gpt_tensor_new(env, GPT_F32, ndim, shape);
  if (y == NULL) return NULL;
  gpt_each(3, (GptTensor *[]){y, a, b}, arithmetic_run, &kind->forward);
  int reads = (gpt_tensor_wants_grad(a) ? kind->grad_a_reads : 0) | (gpt_tensor_wants_grad(b) ? kind->grad_b_reads : 0);
  return gpt_graph_add(env, y,
                    (GptOpCall){.op = &kind->op,
                                GPT_INPUTS(a, b),
                                GPT_SAVES(reads & READS_A ? a : NULL, reads & READS_B ? b : NULL),
                                
                                /* of each input: its dimensions, and which of them were stretched */
                                .integers = {a->ndim, stretched(a, y), b->ndim, stretched(b, y)}});
}

static GptTensor *arithmetic(GptEnv *env, const Arithmetic *kind, GptTensor *a, GptTensor *b) {
  if (a == NULL || b == NULL) return NULL; /* the message that is there says why */
  GptTensor *x = gpt_tensor_as_floats(env, kind->op.name, a), *y = gpt_tensor_as_floats(env, kind->op.name, b);
  GptTensor *result = x != NULL && y != NULL ? compute_arithmetic(env, kind, x, y) : NULL;
  gpt_tensor_release(x);
  gpt_tensor_release(y);
  return result;
}

GptTensor *gpt_add(GptEnv *env, GptTensor *a, GptTensor *b) { return arithmetic(env, &add_kind, a, b); }
GptTensor *gpt_sub(GptEnv *env, GptTensor *a, GptTensor *b) { return arithmetic(env, &sub_kind, a, b); }
GptTensor *gpt_mul(GptEnv *env, GptTensor *a, GptTensor *b) { return arithmetic(env, &mul_kind, a, b); }
GptTensor *gpt_div(GptEnv *env, GptTensor *a, GptTensor *b) { return arithmetic(env, &div_kind, a, b); }
GptTensor *gpt_pow(GptEnv *env, GptTensor *a, GptTensor *b) { return arithmetic(env, &pow_kind, a, b); }
