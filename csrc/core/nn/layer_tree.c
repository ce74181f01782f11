#include "core/nn/layer_tree.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"

void gpt_walk_begin(GptWalk *walk, GptLayer *root) {
  *walk = (GptWalk){.root = root, .number = ++root->env->walks};
}

static GptWalkStep reach_layer(GptWalk *walk, GptLayer *layer, GptLayer *up) {
  layer->mark = (GptWalkMark){.walk = walk->number, .up = up};
  walk->layer = layer;
  return walk->step = GPT_WALK_LAYER;
}

static bool parameter_is_next(const GptLayer *layer) {
  const GptWalkMark *mark = &layer->mark;
  return mark->parameters < layer->n_parameters && layer->parameters[mark->parameters].follows <= mark->children;
}

GptWalkStep gpt_walk_next(GptWalk *walk) {
  if (walk->layer == NULL) return reach_layer(walk, walk->root, NULL);
  if (walk->step == GPT_WALK_LEFT) {
    if (walk->layer->mark.up == NULL) return GPT_WALK_END;
    walk->layer = walk->layer->mark.up;
  }
  GptLayer *layer = walk->layer;
  while (!parameter_is_next(layer) && layer->mark.children < layer->n_children) {
    GptLayer *child = layer->children[layer->mark.children++].layer;
    if (child->mark.walk != walk->number) return reach_layer(walk, child, layer);
  }
  if (!parameter_is_next(layer)) return walk->step = GPT_WALK_LEFT;
  walk->parameter = &layer->parameters[layer->mark.parameters++];
  return walk->step = GPT_WALK_PARAMETER;
}

GptLayer *gpt_walk_next_layer(GptWalk *walk) {
  GptWalkStep step;
  do step = gpt_walk_next(walk);
  while (step != GPT_WALK_LAYER && step != GPT_WALK_END);
  if (step == GPT_WALK_END) return NULL;
  walk->layer->mark.parameters = walk->layer->n_parameters; /* none is reached */
  return walk->layer;
}

/* The name of the part that the walk went down to from a layer. */
static const char *name_taken(const GptLayer *up) { return up->children[up->mark.children - 1].name; }

size_t gpt_walk_path(const GptWalk *walk, char *path, size_t size) {
  size_t length = 0;
  for (const GptLayer *up = walk->layer->mark.up; up != NULL; up = up->mark.up)
    length += strlen(name_taken(up)) + (up->mark.up != NULL);
  size_t end = length; /* from the last name to the first */
  for (const GptLayer *up = walk->layer->mark.up; up != NULL; up = up->mark.up) {
    const char *name = name_taken(up);
    size_t bytes = strlen(name);
    end -= bytes;
    if (end < size) memcpy(path + end, name, bytes < size - end ? bytes : size - end);
    if (up->mark.up != NULL && --end < size) path[end] = '.';
  }
  if (size > 0) path[length < size ? length : size - 1] = '\0';
  return length;
}

static int64_t count_layers(GptLayer *root) {
  GptWalk walk;
  int64_t count = 0;
  gpt_walk_begin(&walk, root);
  while (gpt_walk_next_layer(&walk) != NULL) count++;
  return count;
}

static void fill_layers(GptLayerList *list, GptLayer *root, GptWalkStep when) {
  GptWalk walk;
  gpt_walk_begin(&walk, root);
  for (GptWalkStep step = gpt_walk_next(&walk); step != GPT_WALK_END; step = gpt_walk_next(&walk)) {
    if (step != when) continue;
    walk.layer->listed = list->count;
    list->layers[list->count++] = gpt_layer_retain(walk.layer);
  }
}

bool gpt_layer_list(GptEnv *env, GptLayer *root, bool parts_first, GptLayerList *list) {
  int64_t count = count_layers(root), there;
  do { /* short of memory, gpt_alloc may run the host, which may change the tree */
    *list = (GptLayerList){.env = env, .layers = gpt_alloc_array(env, (size_t)count, sizeof *list->layers)};
    if (list->layers == NULL) return false;
    there = count;
    count = count_layers(root);
    if (count > there) gpt_free(env, list->layers);
  } while (count > there);
  fill_layers(list, root, parts_first ? GPT_WALK_LEFT : GPT_WALK_LAYER);
  return true;
}

void gpt_layer_list_free(GptLayerList *list) {
  GptLayer **layers = list->layers;
  int64_t count = list->count;
  list->layers = NULL;
  list->count = 0;
  for (int64_t i = 0; i < count; i++) gpt_layer_release(layers[i]);
  gpt_free(list->env, layers);
}

int64_t gpt_layer_list_index(const GptLayerList *list, const GptLayer *layer) {
  int64_t i = layer->listed;
  if (i < list->count && list->layers[i] == layer) return i;
  for (i = 0; i < list->count; i++)
    if (list->layers[i] == layer) return i;
  return -1;
}

bool gpt_layer_contains(GptLayer *root, const GptLayer *layer) {
  GptWalk walk;
  GptLayer *each;
  gpt_walk_begin(&walk, root);
  do each = gpt_walk_next_layer(&walk);
  while (each != NULL && each != layer);
  return each != NULL;
}

void gpt_layer_set_training(GptLayer *root, bool training) {
  GptWalk walk;
  gpt_walk_begin(&walk, root);
  for (GptLayer *each; (each = gpt_walk_next_layer(&walk)) != NULL;) each->training = training;
}

bool gpt_layer_cacheable(GptLayer *root) {
  GptWalk walk;
  GptLayer *each;
  gpt_walk_begin(&walk, root);
  do each = gpt_walk_next_layer(&walk);
  while (each != NULL && each->positionwise);
  return each == NULL;
}

bool gpt_layer_may_be_cacheable(GptLayer *root) {
  GptWalk walk;
  GptLayer *each;
  bool silent = false;
  gpt_walk_begin(&walk, root);
  while ((each = gpt_walk_next_layer(&walk)) != NULL && (each->positionwise || (each->silent && each->attends)))
    silent = silent || !each->positionwise;
  return each == NULL && silent;
}

bool gpt_layer_has_host(GptLayer *root) {
  GptWalk walk;
  GptLayer *each;
  gpt_walk_begin(&walk, root);
  do each = gpt_walk_next_layer(&walk);
  while (each != NULL && !each->kind->host);
  return each != NULL;
}

uint64_t gpt_layer_stamp(GptLayer *root) {
  GptWalk walk;
  uint64_t latest = 0;
  gpt_walk_begin(&walk, root);
  for (GptLayer *each; (each = gpt_walk_next_layer(&walk)) != NULL;)
    if (each->changed > latest) latest = each->changed;
  return latest;
}
