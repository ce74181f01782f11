#include "core/nn/recompute.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/nn/layer_parameters.h"
#include "core/tensor/backward.h"

/* How a layer ran, kept for the time when it runs again. */
typedef struct Recomputation {
  GptLayer *layer; /* held */
  bool training;
  GptRandom random; /* the environment's random numbers when it began */
} Recomputation;

static void free_recomputation(GptEnv *env, void *context) {
  gpt_layer_release(((Recomputation *)context)->layer);
  gpt_free(env, context);
}

/* The layer's output for x, recorded. */
static GptTensor *rerun(GptEnv *env, const Recomputation *r, GptTensor *x) {
  GptRandom random = env->random;
  bool recording = env->recording;
  env->random = r->random;
  env->recording = true;
  GptPass pass = gpt_pass(env, r->training);
  GptTensor *y = gpt_layer_forward(env, &pass, r->layer, x);
  env->recording = recording;
  env->random = random;
  return y;
}

/* Runs the layer on x, a leaf, and goes back through it: leaves the gradient of x at x, those of the layer's parameters
 * at them. */
static bool go_through(GptEnv *env, const Recomputation *r, GptTensor *x, GptTensor *grad) {
  uint64_t since = env->sequence;
  GptTensor *y = rerun(env, r, x);
  bool done = y != NULL;
  if (y == x) x->grad = gpt_tensor_retain(grad);
  else if (done && y->node != NULL) done = gpt_backward_from(env, y, grad, since);
  gpt_tensor_release(y);
  return done;
}

static bool recompute_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *x = gpt_tensor_detach(env, gpt_node_saved(node, 0));
  if (x == NULL) return false;
  x->requires_grad = gpt_node_wants(node, 0);
  bool done = go_through(env, gpt_node_context(node), x, grad);
  if (done && x->grad != NULL) done = gpt_node_give(env, node, 0, gpt_tensor_retain(x->grad));
  gpt_tensor_release(x);
  return done;
}

static const GptOp recompute_op = {"recompute", recompute_backward};

static Recomputation *remember(GptEnv *env, const GptPass *pass, GptLayer *layer) {
  Recomputation *r = gpt_alloc_zeroed(env, sizeof *r);
  if (r != NULL) *r = (Recomputation){gpt_layer_retain(layer), pass->training, env->random};
  return r;
}

static GptTensor *run_unrecorded(GptEnv *env, GptPass *pass, const GptChild *child, GptTensor *x) {
  GptTensor *input = gpt_tensor_detach(env, x);
  if (input == NULL) return NULL;
  env->recording = false;
  GptTensor *y = gpt_child_run(env, pass, child, input);
  env->recording = true;
  y = gpt_tensor_then(y, y != NULL ? gpt_tensor_detach(env, y) : NULL); /* it may be the input itself */
  return gpt_tensor_then(input, y);
}

/* One op of x and the layer's parameters. */
static GptTensor *run_as_op(GptEnv *env, GptPass *pass, const GptChild *child, const GptParameterList *parameters,
                            GptTensor *x) {
  int n = (int)parameters->count + 1;
  GptTensor **inputs = gpt_alloc_array_zeroed(env, n, sizeof *inputs);
  Recomputation *r = inputs != NULL ? remember(env, pass, child->layer) : NULL;
  GptTensor *y = r != NULL ? run_unrecorded(env, pass, child, x) : NULL;
  if (inputs != NULL) inputs[0] = x;
  for (int i = 1; i < n && inputs != NULL; i++) inputs[i] = parameters->items[i - 1].tensor;
  y = gpt_graph_add(env, y, (GptOpCall){.op = &recompute_op, .inputs = inputs, .n_inputs = n, GPT_SAVES(x),
                                        .context = {r, free_recomputation}});
  gpt_free(env, inputs);
  return y;
}

/* Is there something whose gradient will be wanted? */
static bool trains(const GptParameterList *parameters, const GptTensor *x) {
  bool wanted = gpt_tensor_wants_grad(x);
  for (int64_t i = 0; i < parameters->count && !wanted; i++) wanted = gpt_tensor_wants_grad(parameters->items[i].tensor);
  return wanted;
}

GptTensor *gpt_recompute(GptEnv *env, GptPass *pass, const GptChild *child, GptTensor *x) {
  bool plain = !env->recording || pass->observer != NULL || pass->segments != NULL || pass->random != &env->random;
  GptParameterList parameters = {.env = env};
  if (plain) return gpt_child_run(env, pass, child, x);
  if (!gpt_layer_parameters(env, child->layer, &parameters)) return NULL;
  GptTensor *y = trains(&parameters, x) ? run_as_op(env, pass, child, &parameters, x) : gpt_child_run(env, pass, child, x);
  gpt_parameter_list_free(&parameters);
  return y;
}
