#include "core/tensor/graph.h"

#include <string.h>

#include "core/kernels/kernels.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"

bool gpt_graph_wanted(const GptEnv *env, int n_inputs, GptTensor *const *inputs) {
  if (!env->recording) return false;
  for (int i = 0; i < n_inputs; i++)
    if (inputs[i] != NULL && gpt_tensor_wants_grad(inputs[i])) return true;
  return false;
}

/* The way on from an input; takes references. */
static GptEdge edge_of(GptTensor *input) {
  GptEdge edge = {NULL, NULL};
  if (input == NULL || !gpt_tensor_wants_grad(input)) return edge;
  edge.node = input->node;
  if (edge.node != NULL) edge.node->refs++;
  else edge.leaf = gpt_tensor_retain(input);
  return edge;
}

static bool save_tensors(GptEnv *env, GptNode *node, const GptOpCall *call) {
  for (int i = 0; i < call->n_saves; i++) {
    if (call->saves[i] == NULL) continue;
    node->saved[i].tensor = gpt_tensor_detach(env, call->saves[i]);
    if (node->saved[i].tensor == NULL) return false;
    node->saved[i].version = call->saves[i]->storage->version;
  }
  return true;
}

static void drop_context(GptEnv *env, GptContext context) {
  if (context.value != NULL) context.release(env, context.value);
}

static GptNode *new_node(GptEnv *env, const GptOpCall *call) {
  GptNode *node = gpt_alloc_zeroed(env, sizeof *node);
  if (node == NULL) return drop_context(env, call->context), NULL;
  node->refs = 1;
  node->op = call->op;
  node->context = call->context;
  node->sequence = ++env->sequence;
  node->n_inputs = call->n_inputs;
  node->n_saves = call->n_saves;
  memcpy(node->integers, call->integers, sizeof node->integers);
  memcpy(node->numbers, call->numbers, sizeof node->numbers);
  node->edges = gpt_alloc_array_zeroed(env, call->n_inputs, sizeof *node->edges);
  node->saved = gpt_alloc_array_zeroed(env, call->n_saves, sizeof *node->saved);
  if (node->edges == NULL || node->saved == NULL || !save_tensors(env, node, call)) {
    gpt_node_release(env, node);
    return NULL;
  }
  for (int i = 0; i < call->n_inputs; i++) node->edges[i] = edge_of(call->inputs[i]);
  return node;
}

GptTensor *gpt_graph_add(GptEnv *env, GptTensor *output, GptOpCall call) {
  if (output == NULL || !gpt_graph_wanted(env, call.n_inputs, call.inputs))
    return drop_context(env, call.context), output;
  output->node = new_node(env, &call);
  if (output->node != NULL) return output;
  gpt_tensor_release(output);
  return NULL;
}

/* Drops the edges; nodes that nothing else holds go on the list instead of being freed by recursion. */
static void drop_edges(GptEnv *env, GptNode *node, GptNode **list) {
  for (int i = 0; node->edges != NULL && i < node->n_inputs; i++) {
    GptNode *input = node->edges[i].node;
    gpt_tensor_release(node->edges[i].leaf);
    if (input == NULL || --input->refs > 0) continue;
    input->next = *list;
    *list = input;
  }
  gpt_free(env, node->edges);
  node->edges = NULL;
}

static void drop_saved(GptEnv *env, GptNode *node) {
  for (int i = 0; node->saved != NULL && i < node->n_saves; i++) gpt_tensor_release(node->saved[i].tensor);
  gpt_free(env, node->saved);
  node->saved = NULL;
  drop_context(env, node->context);
  node->context.value = NULL;
}

static void free_nodes(GptEnv *env, GptNode *list) {
  while (list != NULL) {
    GptNode *node = list;
    list = node->next;
    drop_edges(env, node, &list);
    drop_saved(env, node);
    gpt_tensor_release(node->grad);
    gpt_free(env, node);
  }
}

void gpt_node_release(GptEnv *env, GptNode *node) {
  if (node == NULL || --node->refs > 0) return;
  node->next = NULL;
  free_nodes(env, node);
}

/* Stands here, and not in tensor.c, because a tensor and the node that made it let go of each other. */
void gpt_tensor_release(GptTensor *tensor) {
  if (tensor == NULL || --tensor->refs > 0) return;
  GptEnv *env = tensor->env;
  gpt_tensor_release(tensor->grad); /* a gradient has none of its own */
  gpt_storage_release(tensor->storage);
  gpt_node_release(env, tensor->node);
  gpt_free(env, tensor);
}

GptTensor *gpt_tensor_then(GptTensor *used, GptTensor *made) {
  gpt_tensor_release(used);
  return made;
}

GptTensor *gpt_tensor_if(bool done, GptTensor *tensor) {
  if (done) return tensor;
  gpt_tensor_release(tensor);
  return NULL;
}

void gpt_node_use_up(GptEnv *env, GptNode *node) {
  GptNode *list = NULL;
  drop_edges(env, node, &list);
  drop_saved(env, node);
  free_nodes(env, list);
}

bool gpt_node_wants(const GptNode *node, int i) { return node->edges[i].node != NULL || node->edges[i].leaf != NULL; }

void *gpt_node_context(const GptNode *node) { return node->context.value; }

GptTensor *gpt_node_saved(const GptNode *node, int i) { return node->saved[i].tensor; }

GptTensor *gpt_node_take(GptEnv *env, GptNode *node, int i) {
  GptTensor *saved = node->saved[i].tensor;
  if (node->keep) return gpt_tensor_copy(env, saved);
  node->saved[i].tensor = NULL;
  return saved;
}

GptTensor *gpt_node_accumulated(const GptNode *node, int i) {
  return node->edges[i].leaf != NULL ? node->edges[i].leaf->grad : NULL;
}

/* May be written into: nothing else sees it. */
static bool exclusive(const GptTensor *tensor) {
  return tensor->refs == 1 && gpt_storage_exclusive(tensor->storage) && gpt_tensor_contiguous(tensor);
}

typedef struct Addition {
  float *to;         /* [n] */
  const float *from; /* [n] */
} Addition;

static void add_range(void *context, int64_t first, int64_t last) {
  const Addition *addition = context;
  float *to = addition->to + first;
  gpt_kernels()->add(to, to, addition->from + first, last - first);
}

/* to += from, in place. */
static void add_into(GptTensor *to, const float *from) {
  gpt_parallel_for(gpt_tensor_numel(to), gpt_grain(1), add_range, &(Addition){gpt_floats(to), from});
  gpt_tensor_written(to);
}

/* *sum += grad, or *sum = grad; takes over grad. A sum that others may see is copied first, unless it is a leaf's. */
static bool accumulate(GptEnv *env, GptTensor **sum, GptTensor *grad, bool leaf) {
  GptTensor *mine = *sum == NULL && exclusive(grad) ? gpt_tensor_retain(grad) : NULL;
  if (*sum == NULL) {
    *sum = mine != NULL ? mine : leaf ? gpt_tensor_copy(env, grad) : gpt_tensor_retain(grad);
    gpt_tensor_release(grad);
    return *sum != NULL;
  }
  if (!leaf && !exclusive(*sum)) {
    GptTensor *copy = gpt_tensor_copy(env, *sum);
    if (copy == NULL) return gpt_tensor_release(grad), false;
    gpt_tensor_release(*sum);
    *sum = copy;
  }
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, grad);
  if (contiguous != NULL) add_into(*sum, gpt_floats(contiguous));
  gpt_tensor_release(contiguous);
  gpt_tensor_release(grad);
  return contiguous != NULL;
}

bool gpt_node_give(GptEnv *env, GptNode *node, int i, GptTensor *grad) {
  GptEdge *edge = &node->edges[i];
  if (grad == NULL) return false;
  if (edge->node != NULL) return accumulate(env, &edge->node->grad, grad, false);
  if (edge->leaf != NULL) return accumulate(env, &edge->leaf->grad, grad, true);
  gpt_tensor_release(grad);
  return true;
}
