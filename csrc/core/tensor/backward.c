#include "core/tensor/backward.h"

#include <stdlib.h>

#include "core/base/array.h"
#include "core/base/memory.h"

/* The nodes that one backward reaches, in a growing array that holds a reference to each. */
typedef struct Reached {
  GptNode **nodes;
  size_t count, capacity;
  uint64_t id;
  uint64_t since; /* nodes up to this one are not of the layer that was run again */
} Reached;

static bool reach(GptEnv *env, Reached *reached, GptNode *node) {
  if (node == NULL || node->reached == reached->id) return true;
  if (!GPT_GROW(env, reached->nodes, reached->capacity, reached->count, 1)) return false;
  node->reached = reached->id;
  node->refs++;
  reached->nodes[reached->count++] = node;
  return true;
}

/* Backward can go through a node if its edges are there and what it saved is unchanged. */
static bool check_node(GptEnv *env, const Reached *reached, const GptNode *node) {
  if (node->sequence <= reached->since)
    return gpt_fail(env, "recompute: a layer that is run again uses a result of %s from outside, beside its input; only "
                         "parameters, and tensors without a graph (detach()), can be used so", node->op->name);
  if (node->edges == NULL)
    return gpt_fail(env, "backward: the graph was freed by an earlier backward; give that one {keep = true}");
  for (int i = 0; i < node->n_saves; i++) {
    const GptSaved *saved = &node->saved[i];
    if (saved->tensor != NULL && saved->tensor->storage->version != saved->version)
      return gpt_fail(
          env, "backward: a tensor that %s needs was changed in place after it was used; change a clone() instead",
          node->op->name);
  }
  return true;
}

/* A node comes to the leaf; it goes back after all those with larger numbers. */
static void note_watch(const Reached *reached, const GptNode *node, GptWatch *watch) {
  if (watch == NULL || reached->since > 0) return;
  if (watch->backward != reached->id || node->sequence < watch->node) watch->node = node->sequence;
  watch->backward = reached->id;
}

static bool collect_nodes(GptEnv *env, Reached *reached, GptNode *root) {
  if (!reach(env, reached, root)) return false;
  for (size_t at = 0; at < reached->count; at++) {
    GptNode *node = reached->nodes[at];
    if (!check_node(env, reached, node)) return false;
    for (int i = 0; i < node->n_inputs; i++) {
      if (!reach(env, reached, node->edges[i].node)) return false;
      if (node->edges[i].leaf != NULL) note_watch(reached, node, node->edges[i].leaf->watch);
    }
  }
  return true;
}

static int later_first(const void *a, const void *b) {
  uint64_t x = (*(GptNode *const *)a)->sequence, y = (*(GptNode *const *)b)->sequence;
  return x < y ? 1 : x > y ? -1 : 0;
}

/* The node has gone back: tells of the leaves whose gradients are whole now. */
static bool tell_watches(GptEnv *env, const Reached *reached, const GptNode *node) {
  for (int i = 0; i < node->n_inputs; i++) {
    GptWatch *watch = node->edges[i].leaf != NULL ? node->edges[i].leaf->watch : NULL;
    if (watch == NULL || watch->backward != reached->id || watch->node != node->sequence) continue;
    watch->node = 0;
    if (!watch->ready(env, watch)) return false;
  }
  return true;
}

/* Goes back through one node and drops its gradient. */
static bool backward_step(GptEnv *env, const Reached *reached, GptNode *node, bool keep) {
  GptTensor *grad = node->grad;
  node->grad = NULL;
  node->keep = keep;
  bool done = grad == NULL || node->op->backward(env, node, grad);
  if (done && reached->since == 0) done = tell_watches(env, reached, node);
  gpt_tensor_release(grad);
  if (!keep) gpt_node_use_up(env, node);
  return done;
}

static bool go_back(GptEnv *env, Reached *reached, bool keep) {
  bool done = true;
  qsort(reached->nodes, reached->count, sizeof *reached->nodes, later_first);
  for (size_t i = 0; i < reached->count && done; i++) {
    done = backward_step(env, reached, reached->nodes[i], keep);
    gpt_node_release(env, reached->nodes[i]);
    reached->nodes[i] = NULL;
  }
  return done;
}

static void free_reached(GptEnv *env, Reached *reached) {
  for (size_t i = 0; i < reached->count; i++) {
    if (reached->nodes[i] == NULL) continue;
    gpt_tensor_release(reached->nodes[i]->grad); /* left over where backward failed */
    reached->nodes[i]->grad = NULL;
    gpt_node_release(env, reached->nodes[i]);
  }
  gpt_free(env, reached->nodes);
}

/* Adds the gradients of all that root was computed from, its own being grad, which is borrowed. */
static bool go_back_from(GptEnv *env, GptTensor *root, GptTensor *grad, uint64_t since, bool keep) {
  Reached reached = {.id = ++env->sequence, .since = since};
  bool recording = env->recording;
  uintptr_t before = gpt_env_enter(env);
  env->recording = false;
  bool done = collect_nodes(env, &reached, root->node);
  if (done) {
    root->node->grad = gpt_tensor_retain(grad);
    done = go_back(env, &reached, keep);
  }
  free_reached(env, &reached);
  env->recording = recording;
  gpt_env_leave(env, before);
  return done;
}

bool gpt_backward_from(GptEnv *env, GptTensor *root, GptTensor *grad, uint64_t since) {
  return go_back_from(env, root, grad, since, false);
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
  GptTensor *one = gpt_tensor_new(env, GPT_F32, root->ndim, root->shape);
  if (one == NULL) return false;
  *gpt_floats(one) = 1;
  bool done = go_back_from(env, root, one, 0, keep);
  gpt_tensor_release(one);
  return done;
}
