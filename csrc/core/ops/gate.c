#include "core/ops/gate.h"

#include "core/base/parallel.h"
#include "core/tensor/graph.h"

typedef struct GateRows {
  GptActivation activation;
  float *to;          /* [rows, n]; back: [rows, 2 n] */
  const float *x;     /* [rows, 2 n] */
  const float *dy;    /* [rows, n]; forward: NULL */
  int64_t n;
} GateRows;

static void gate_rows(void *context, int64_t first, int64_t last) {
  const GateRows *r = context;
  for (int64_t i = first; i < last; i++) {
    const float *x = r->x + 2 * i * r->n;
    if (r->dy == NULL) gpt_kernels()->gate(r->activation, r->to + i * r->n, x, x + r->n, r->n);
    else
      gpt_kernels()->gate_backward(r->activation, r->to + 2 * i * r->n, r->to + (2 * i + 1) * r->n, x, x + r->n,
                                   r->dy + i * r->n, r->n);
  }
}

static void run_gate(GateRows rows, const GptTensor *x) {
  int64_t count = rows.n > 0 ? gpt_tensor_numel(x) / (2 * rows.n) : 0;
  gpt_parallel_for(count, gpt_grain(8 * rows.n), gate_rows, &rows);
}

/* saves: x (contiguous); integers: activation */
static bool gate_op_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *x = gpt_node_saved(node, 0), *dx = gpt_tensor_like(env, x), *dy = gpt_tensor_as_contiguous(env, grad);
  bool done = dx != NULL && dy != NULL;
  if (done)
    run_gate((GateRows){(GptActivation)node->integers[0], gpt_floats(dx), gpt_floats(x), gpt_floats(dy),
                        grad->shape[grad->ndim - 1]}, x);
  gpt_tensor_release(dy);
  return gpt_node_give(env, node, 0, gpt_tensor_if(done, dx));
}

static const GptOp gate_op = {"gate", gate_op_backward};

GptTensor *gpt_gate(GptEnv *env, GptTensor *x, GptActivation activation) {
  int64_t shape[GPT_MAX_DIMS];
  GptTensor *contiguous = x != NULL ? gpt_tensor_contiguous_floats(env, "gate", x) : NULL;
  if (contiguous == NULL) return NULL;
  for (int d = 0; d < x->ndim; d++) shape[d] = d == x->ndim - 1 ? x->shape[d] / 2 : x->shape[d];
  GptTensor *y = gpt_tensor_new(env, GPT_F32, x->ndim, shape);
  if (y != NULL)
    run_gate((GateRows){activation, gpt_floats(y), gpt_floats(contiguous), NULL, shape[x->ndim - 1]}, contiguous);
  y = gpt_graph_add(env, y, (GptOpCall){.op = &gate_op, GPT_INPUTS(x), GPT_SAVES(contiguous), .integers = {activation}});
  return gpt_tensor_then(contiguous, y);
}
