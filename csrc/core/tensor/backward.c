#include "core/tensor/backward.h"

#include <stdlib.h>

#include "core/base/array.h"
#include "core/base/memory.h"

/* The nodes a walk reaches, in a growing array that holds a reference to each. */
typedef struct Walk {
  GptNode **nodes;
  size_t count, capacity;
  uint64_t id;
} Walk;

static bool reach(GptEnv *env, Walk *walk, GptNode *node) {
  if (node == NULL || node->walk == walk->id) return true;
  if (!GPT_GROW(env, walk->nodes, walk->capacity, walk->count, 1)) return false;
  node->walk = walk->id;
  node->refs++;
  walk->nodes[walk->count++] = node;
  return true;
}

/* A node can be walked if its record is there and what it saved is unchanged. */
static bool check_node(GptEnv *env, const GptNode *node) {
  if (node->edges == NULL)
    return gpt_fail(env, "backward: the record was freed by an earlier backward; give that one {keep = true}");
  for (int i = 0; i < node->n_saves; i++) {
    const GptSaved *saved = &node->saved[i];
    if (saved->tensor != NULL && saved->tensor->storage->version != saved->version)
      return gpt_fail(
          env, "backward: a tensor that %s needs was changed in place after it was used; change a clone() instead",
          node->op->name);
  }
  return true;
}

static bool collect_nodes(GptEnv *env, Walk *walk, GptNode *root) {
  if (!reach(env, walk, root)) return false;
  for (size_t at = 0; at < walk->count; at++) {
    GptNode *node = walk->nodes[at];
    if (!check_node(env, node)) return false;
    for (int i = 0; i < node->n_inputs; i++)
      if (!reach(env, walk, node->edges[i].node)) return false;
  }
  return true;
}

static int later_first(const void *a, const void *b) {
  uint64_t x = (*(GptNode *const *)a)->sequence, y = (*(GptNode *const *)b)->sequence;
  return x < y ? 1 : x > y ? -1 : 0;
}

/* Goes back through one node and drops its gradient. */
static bool backward_step(GptEnv *env, GptNode *node, bool keep) {
  GptTensor *grad = node->grad;
  node->grad = NULL;
  node->keep = keep;
  bool done = grad == NULL || node->op->backward(env, node, grad);
  gpt_tensor_release(grad);
  if (!keep) gpt_node_use_up(env, node);
  return done;
}

static bool walk_back(GptEnv *env, Walk *walk, bool keep) {
  bool done = true;
  qsort(walk->nodes, walk->count, sizeof *walk->nodes, later_first);
  for (size_t i = 0; i < walk->count && done; i++) {
    done = backward_step(env, walk->nodes[i], keep);
    gpt_node_release(env, walk->nodes[i]);
    walk->nodes[i] = NULL;
  }
  return done;
}

static void free_walk(GptEnv *env, Walk *walk) {
  for (size_t i = 0; i < walk->count; i++) {
    if (walk->nodes[i] == NULL) continue;
    gpt_tensor_release(walk->nodes[i]->grad); /* left over where the walk failed */
    walk->nodes[i]->grad = NULL;
    gpt_node_release(env, walk->nodes[i]);
  }
  gpt_free(env, walk->nodes);
}

static GptTensor *ones_like(GptEnv *env, const GptTensor *root) {
  GptTensor *one = gpt_tensor_new(env, GPT_F32, root->ndim, root->shape);
  if (one != NULL) *gpt_floats(one) = 1;
  return one;
}

bool gpt_backward(GptEnv *env, GptTensor *root, bool keep) {
  char text[GPT_SHAPE_TEXT];
  if (gpt_tensor_numel(root) != 1)
    return gpt_fail(
        env, "backward: a tensor with one element expected (a loss), got shape %s; take its sum() or mean() first",
        gpt_tensor_shape_text(root, text));
  if (root->node == NULL)
    return gpt_fail(
        env, "backward: nothing was recorded for this tensor; does any input require a gradient, outside gpt.no_grad?");
  Walk walk = {.id = ++env->sequence};
  bool recording = env->recording;
  env->recording = false;
  bool done = collect_nodes(env, &walk, root->node);
  if (done) {
    root->node->grad = ones_like(env, root);
    done = root->node->grad != NULL && walk_back(env, &walk, keep);
  }
  free_walk(env, &walk);
  env->recording = recording;
  return done;
}
