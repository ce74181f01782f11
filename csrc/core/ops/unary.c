#include "core/ops/unary.h"

#include <math.h>

#include "core/kernels/kernels.h"
#include "core/ops/iterate.h"
#include "core/tensor/graph.h"

#define BLOCK 512 /* elements that lie apart are copied into blocks of this many */

/* Over contiguous floats: y = f(x); and dx from dy and what was saved, x or y. numbers: the op's own, or NULL. */
typedef void (*Forward)(float *y, const float *x, int64_t n, const double *numbers);
typedef void (*Backward)(float *dx, const float *saved, const float *dy, int64_t n, const double *numbers);

typedef enum Saves { NOTHING, INPUT, OUTPUT } Saves;

typedef struct Function {
  GptOp op;
  Forward forward;
  Backward backward;
  Saves saves;
} Function;

/* One walk's function and numbers. */
typedef struct Call {
  const Function *function;
  const double *numbers; /* [2]: what the function was called with */
} Call;

static void neg_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) y[i] = -x[i];
}

static void neg_backward(float *dx, const float *saved, const float *dy, int64_t n, const double *numbers) {
  (void)saved;
  neg_forward(dx, dy, n, numbers);
}

static void exp_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->exp(y, x, n);
}

static void exp_backward(float *dx, const float *y, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * y[i];
}

static void log_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->log(y, x, n);
}

static void log_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = dy[i] / x[i];
}

static void sqrt_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) y[i] = sqrtf(x[i]);
}

static void sqrt_backward(float *dx, const float *y, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = dy[i] / (2 * y[i]);
}

static void tanh_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->tanh(y, x, n);
}

static void tanh_backward(float *dx, const float *y, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * (1 - y[i] * y[i]);
}

static void softcap_forward(float *y, const float *x, int64_t n, const double *numbers) {
  float cap = (float)numbers[0];
  for (int64_t i = 0; i < n; i++) y[i] = x[i] / cap;
  gpt_kernels()->tanh(y, y, n);
  for (int64_t i = 0; i < n; i++) y[i] *= cap;
}

static void softcap_backward(float *dx, const float *y, const float *dy, int64_t n, const double *numbers) {
  float cap = (float)numbers[0];
  for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * (1 - y[i] / cap * (y[i] / cap));
}

static void abs_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) y[i] = fabsf(x[i]);
}

static void abs_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * (float)((x[i] > 0) - (x[i] < 0));
}

/* Written so that a NaN stays one. */
static void relu_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) y[i] = x[i] <= 0 ? 0 : x[i];
}

static void relu_backward(float *dx, const float *y, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = y[i] <= 0 ? 0 : dy[i];
}

static void gelu_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->gelu(y, x, n);
}

static void gelu_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->gelu_backward(dx, x, dy, n);
}

static void gelu_exact_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->gelu_exact(y, x, n);
}

static void gelu_exact_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->gelu_exact_backward(dx, x, dy, n);
}

static void sigmoid_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->sigmoid(y, x, n);
}

static void sigmoid_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->sigmoid_backward(dx, x, dy, n);
}

static void silu_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->silu(y, x, n);
}

static void silu_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  gpt_kernels()->silu_backward(dx, x, dy, n);
}

static void sin_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) y[i] = sinf(x[i]);
}

static void sin_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * cosf(x[i]);
}

static void cos_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) y[i] = cosf(x[i]);
}

static void cos_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = -dy[i] * sinf(x[i]);
}

static void rsqrt_forward(float *y, const float *x, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) y[i] = 1 / sqrtf(x[i]);
}

static void rsqrt_backward(float *dx, const float *y, const float *dy, int64_t n, const double *numbers) {
  (void)numbers;
  for (int64_t i = 0; i < n; i++) dx[i] = -0.5f * dy[i] * (y[i] * y[i] * y[i]);
}

/* numbers: low, high; a NaN among them leaves that side open. A NaN in x stays one. */
static void clamp_forward(float *y, const float *x, int64_t n, const double *numbers) {
  float low = (float)numbers[0], high = (float)numbers[1];
  for (int64_t i = 0; i < n; i++) {
    float raised = x[i] < low ? low : x[i];
    y[i] = raised > high ? high : raised;
  }
}

static void clamp_backward(float *dx, const float *x, const float *dy, int64_t n, const double *numbers) {
  float low = (float)numbers[0], high = (float)numbers[1];
  for (int64_t i = 0; i < n; i++) dx[i] = x[i] <= low || x[i] >= high || x[i] != x[i] ? 0 : dy[i];
}

static void load_strided(float *block, const float *x, int64_t n, int64_t stride) {
  for (int64_t i = 0; i < n; i++) block[i] = x[i * stride];
}

/* y, x */
static void function_run(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  const Call *call = context;
  const float *x = data[1];
  float *y = data[0], block[BLOCK];
  if (stride[1] == 1) {
    call->function->forward(y, x, n, call->numbers);
    return;
  }
  for (int64_t i = 0; i < n; i += BLOCK) {
    int64_t length = n - i < BLOCK ? n - i : BLOCK;
    load_strided(block, x + i * stride[1], length, stride[1]);
    call->function->forward(y + i, block, length, call->numbers);
  }
}

/* dx, saved, dy */
static void backward_run(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  const Call *call = context;
  const float *saved = data[1], *dy = data[2];
  float *dx = data[0], saved_block[BLOCK], dy_block[BLOCK];
  if (stride[1] == 1 && stride[2] == 1) {
    call->function->backward(dx, saved, dy, n, call->numbers);
    return;
  }
  for (int64_t i = 0; i < n; i += BLOCK) {
    int64_t length = n - i < BLOCK ? n - i : BLOCK;
    load_strided(saved_block, saved + i * stride[1], length, stride[1]);
    load_strided(dy_block, dy + i * stride[2], length, stride[2]);
    call->function->backward(dx + i, saved_block, dy_block, length, call->numbers);
  }
}

static bool function_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  Call call = {(const Function *)node->op, node->numbers};
  GptTensor *saved = gpt_node_saved(node, 0), *dx = gpt_tensor_new(env, GPT_F32, grad->ndim, grad->shape);
  if (dx != NULL) gpt_each(3, (GptTensor *[]){dx, saved != NULL ? saved : grad, grad}, backward_run, &call);
  return gpt_node_give(env, node, 0, dx);
}

static GptTensor *apply_function(GptEnv *env, const Function *function, GptTensor *input, double first, double second) {
  double numbers[2] = {first, second};
  GptTensor *x = gpt_tensor_as_floats(env, function->op.name, input);
  if (x == NULL) return NULL;
  GptTensor *y = gpt_tensor_new(env, GPT_F32, x->ndim, x->shape);
  if (y != NULL) {
    gpt_each(2, (GptTensor *[]){y, x}, function_run, &(Call){function, numbers});
    GptTensor *saved = function->saves == INPUT ? x : function->saves == OUTPUT ? y : NULL;
    y = gpt_graph_add(env, y,
                   (GptOpCall){.op = &function->op, GPT_INPUTS(x), GPT_SAVES(saved), .numbers = {first, second}});
  }
  gpt_tensor_release(x);
  return y;
}

static const Function softcap_function = {{"softcap", function_backward}, softcap_forward, softcap_backward, OUTPUT};
static const Function neg_function = {{"neg", function_backward}, neg_forward, neg_backward, NOTHING};
static const Function exp_function = {{"exp", function_backward}, exp_forward, exp_backward, OUTPUT};
static const Function log_function = {{"log", function_backward}, log_forward, log_backward, INPUT};
static const Function sqrt_function = {{"sqrt", function_backward}, sqrt_forward, sqrt_backward, OUTPUT};
static const Function tanh_function = {{"tanh", function_backward}, tanh_forward, tanh_backward, OUTPUT};
static const Function abs_function = {{"abs", function_backward}, abs_forward, abs_backward, INPUT};
static const Function relu_function = {{"relu", function_backward}, relu_forward, relu_backward, OUTPUT};
static const Function gelu_function = {{"gelu", function_backward}, gelu_forward, gelu_backward, INPUT};
static const Function gelu_exact_function = {
    {"gelu_exact", function_backward}, gelu_exact_forward, gelu_exact_backward, INPUT};
static const Function sigmoid_function = {
    {"sigmoid", function_backward}, sigmoid_forward, sigmoid_backward, INPUT};
static const Function silu_function = {{"silu", function_backward}, silu_forward, silu_backward, INPUT};
static const Function sin_function = {{"sin", function_backward}, sin_forward, sin_backward, INPUT};
static const Function cos_function = {{"cos", function_backward}, cos_forward, cos_backward, INPUT};
static const Function rsqrt_function = {{"rsqrt", function_backward}, rsqrt_forward, rsqrt_backward, OUTPUT};
static const Function clamp_function = {{"clamp", function_backward}, clamp_forward, clamp_backward, INPUT};

GptTensor *gpt_neg(GptEnv *env, GptTensor *x) { return apply_function(env, &neg_function, x, 0, 0); }
GptTensor *gpt_exp(GptEnv *env, GptTensor *x) { return apply_function(env, &exp_function, x, 0, 0); }
GptTensor *gpt_log(GptEnv *env, GptTensor *x) { return apply_function(env, &log_function, x, 0, 0); }
GptTensor *gpt_sqrt(GptEnv *env, GptTensor *x) { return apply_function(env, &sqrt_function, x, 0, 0); }
GptTensor *gpt_tanh(GptEnv *env, GptTensor *x) { return apply_function(env, &tanh_function, x, 0, 0); }
GptTensor *gpt_softcap(GptEnv *env, GptTensor *x, double cap) {
  return apply_function(env, &softcap_function, x, cap, 0);
}

GptTensor *gpt_abs(GptEnv *env, GptTensor *x) { return apply_function(env, &abs_function, x, 0, 0); }
GptTensor *gpt_relu(GptEnv *env, GptTensor *x) { return apply_function(env, &relu_function, x, 0, 0); }
GptTensor *gpt_gelu(GptEnv *env, GptTensor *x) { return apply_function(env, &gelu_function, x, 0, 0); }
GptTensor *gpt_gelu_exact(GptEnv *env, GptTensor *x) { return apply_function(env, &gelu_exact_function, x, 0, 0); }
GptTensor *gpt_sigmoid(GptEnv *env, GptTensor *x) { return apply_function(env, &sigmoid_function, x, 0, 0); }
GptTensor *gpt_silu(GptEnv *env, GptTensor *x) { return apply_function(env, &silu_function, x, 0, 0); }
GptTensor *gpt_sin(GptEnv *env, GptTensor *x) { return apply_function(env, &sin_function, x, 0, 0); }
GptTensor *gpt_cos(GptEnv *env, GptTensor *x) { return apply_function(env, &cos_function, x, 0, 0); }
GptTensor *gpt_rsqrt(GptEnv *env, GptTensor *x) { return apply_function(env, &rsqrt_function, x, 0, 0); }

GptTensor *gpt_clamp(GptEnv *env, GptTensor *x, double low, double high) {
  return apply_function(env, &clamp_function, x, low, high);
}
