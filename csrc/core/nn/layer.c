#include "core/nn/layer.h"

#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/nn/layer_tree.h"

#define DEEPEST 200 /* layers nested in each other */

void *gpt_layer_new(GptEnv *env, const GptLayerKind *kind, size_t bytes) {
  GptLayer *layer = gpt_alloc_zeroed(env, bytes);
  if (layer == NULL) return NULL;
  layer->kind = kind;
  layer->env = env;
  layer->refs = 1;
  layer->training = layer->positionwise = true;
  return layer;
}

GptLayer *gpt_layer_retain(GptLayer *layer) {
  if (layer != NULL) layer->refs++;
  return layer;
}

static void remove_child(GptLayer *layer, int i) {
  GptChild child = layer->children[i];
  layer->n_children--;
  memmove(&layer->children[i], &layer->children[i + 1], (size_t)(layer->n_children - i) * sizeof child);
  for (int p = 0; p < layer->n_parameters; p++) layer->parameters[p].follows -= layer->parameters[p].follows > i;
  gpt_free(layer->env, child.name);
  gpt_layer_release(child.layer);
}

static void remove_parameter(GptLayer *layer, int i) {
  GptParameter parameter = layer->parameters[i];
  layer->n_parameters--;
  memmove(&layer->parameters[i], &layer->parameters[i + 1], (size_t)(layer->n_parameters - i) * sizeof parameter);
  gpt_free(layer->env, parameter.name);
  gpt_tensor_release(parameter.tensor);
}

void gpt_layer_clear(GptLayer *layer) {
  while (layer->n_children > 0) remove_child(layer, layer->n_children - 1);
  while (layer->n_parameters > 0) remove_parameter(layer, layer->n_parameters - 1);
}

static void free_layer(GptLayer *layer) {
  gpt_layer_clear(layer);
  gpt_free(layer->env, layer->children);
  gpt_free(layer->env, layer->parameters);
  gpt_free(layer->env, layer->label);
  gpt_free(layer->env, layer);
}

/* What is freed lets go of its parts, which wait in a line of the environment's: a deep tree needs no deep stack. */
void gpt_layer_release(GptLayer *layer) {
  if (layer == NULL || --layer->refs > 0) return;
  GptEnv *env = layer->env;
  layer->doomed = env->doomed;
  env->doomed = layer;
  if (env->freeing) return;
  env->freeing = true;
  while (env->doomed != NULL) {
    layer = env->doomed;
    env->doomed = layer->doomed;
    free_layer(layer);
  }
  env->freeing = false;
}

const char *gpt_layer_name(const GptLayer *layer) { return layer->label != NULL ? layer->label : layer->kind->name; }

static int child_index(const GptLayer *layer, const char *name) {
  for (int i = 0; i < layer->n_children; i++)
    if (strcmp(layer->children[i].name, name) == 0) return i;
  return -1;
}

static int parameter_index(const GptLayer *layer, const char *name) {
  for (int i = 0; i < layer->n_parameters; i++)
    if (strcmp(layer->parameters[i].name, name) == 0) return i;
  return -1;
}

GptLayer *gpt_layer_child(const GptLayer *layer, const char *name) {
  int i = child_index(layer, name);
  return i < 0 ? NULL : layer->children[i].layer;
}

const GptChild *gpt_layer_place(const GptLayer *layer, const char *name) {
  int i = child_index(layer, name);
  return i < 0 ? NULL : &layer->children[i];
}

GptTensor *gpt_layer_parameter(const GptLayer *layer, const char *name) {
  int i = parameter_index(layer, name);
  return i < 0 ? NULL : layer->parameters[i].tensor;
}

void gpt_layer_touch(GptEnv *env, GptLayer *layer) { layer->changed = ++env->changes; }

/* What runs may be using what is there; a finalizer that comes in between cannot take it away. */
static bool may_take(GptEnv *env, const char *name) {
  return !env->collecting || gpt_fail(env, "a finalizer exchanges '%s' in the middle of an operation", name);
}

static bool check_name(GptEnv *env, const GptLayer *layer, const char *name) {
  if (*name != '\0' && strchr(name, '.') == NULL) return true;
  return gpt_fail(env, "%s: '%s' cannot name a part: paths join names by dots", gpt_layer_name(layer), name);
}

bool gpt_layer_set_child(GptEnv *env, GptLayer *layer, const char *name, GptLayer *child) {
  int i = child_index(layer, name);
  if (i >= 0) {
    if (!may_take(env, name)) return false;
    GptLayer *old = layer->children[i].layer;
    layer->children[i].layer = gpt_layer_retain(child);
    gpt_layer_touch(env, layer);
    gpt_layer_release(old);
    return true;
  }
  if (!check_name(env, layer, name)) return false;
  if (!GPT_GROW(env, layer->children, layer->children_capacity, layer->n_children, 1)) return false;
  char *copy = gpt_copy_string(env, name);
  if (copy == NULL) return false;
  layer->children[layer->n_children++] = (GptChild){copy, gpt_layer_retain(child)};
  gpt_layer_touch(env, layer);
  return true;
}

bool gpt_layer_set_parameter(GptEnv *env, GptLayer *layer, const char *name, GptTensor *tensor) {
  int i = parameter_index(layer, name);
  if (i >= 0) {
    if (!may_take(env, name)) return false;
    GptTensor *old = layer->parameters[i].tensor;
    layer->parameters[i].tensor = gpt_tensor_retain(tensor);
    gpt_layer_touch(env, layer);
    gpt_tensor_release(old);
    return true;
  }
  if (!check_name(env, layer, name)) return false;
  if (!GPT_GROW(env, layer->parameters, layer->parameters_capacity, layer->n_parameters, 1)) return false;
  char *copy = gpt_copy_string(env, name);
  if (copy == NULL) return false;
  layer->parameters[layer->n_parameters++] = (GptParameter){copy, gpt_tensor_retain(tensor), layer->n_children};
  gpt_layer_touch(env, layer);
  return true;
}

bool gpt_layer_remove(GptEnv *env, GptLayer *layer, const char *name) {
  int child = child_index(layer, name), parameter = parameter_index(layer, name);
  if (child < 0 && parameter < 0) return true;
  if (!may_take(env, name)) return false;
  gpt_layer_touch(env, layer);
  if (child >= 0) remove_child(layer, child);
  if (parameter >= 0) remove_parameter(layer, parameter);
  return true;
}

static GptTensor *run_observed(GptEnv *env, GptPass *pass, const GptChild *place, GptLayer *layer, GptTensor *x) {
  GptObserver *observer = pass->observer;
  if (!observer->began(observer, env, place, layer)) return NULL;
  GptTensor *y = layer->kind->forward(env, pass, layer, x);
  return observer->ended(observer, env, y);
}

/* place: where the layer stands in its parent, or NULL */
static GptTensor *run_held(GptEnv *env, GptPass *pass, const GptChild *place, GptLayer *layer, GptTensor *x) {
  if (x == NULL) return NULL;
  if (env->depth >= DEEPEST) return gpt_fail_null(env, "layers are nested more than %d deep", DEEPEST);
  gpt_layer_retain(layer);
  gpt_tensor_retain(x);
  uintptr_t before = gpt_env_enter(env);
  env->depth++;
  GptTensor *y = pass->observer != NULL ? run_observed(env, pass, place, layer, x)
                                        : layer->kind->forward(env, pass, layer, x);
  env->depth--;
  gpt_env_leave(env, before);
  gpt_layer_release(layer);
  gpt_tensor_release(x);
  return y;
}

GptTensor *gpt_layer_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  return run_held(env, pass, NULL, layer, x);
}

GptTensor *gpt_child_run(GptEnv *env, GptPass *pass, const GptChild *child, GptTensor *x) {
  GptTensor *y = run_held(env, pass, child, child->layer, x);
  if (y == NULL && x != NULL) gpt_fail_inside(env, child->name);
  return y;
}

GptTensor *gpt_layer_run(GptEnv *env, GptPass *pass, GptLayer *layer, const char *name, GptTensor *x) {
  int i = child_index(layer, name);
  if (x == NULL) return NULL;
  if (i < 0) return gpt_fail_null(env, "this %s has lost its part '%s'", gpt_layer_name(layer), name);
  return gpt_child_run(env, pass, &layer->children[i], x);
}

/* Splits the first name off a path: copies it and returns the rest ("" at the end), or NULL where it is empty or too
 * long. */
static const char *first_name(const char *path, char *name, size_t size) {
  size_t length = strcspn(path, ".");
  if (length == 0 || length >= size) return NULL;
  memcpy(name, path, length);
  name[length] = '\0';
  return path[length] == '.' ? path + length + 1 : path + length;
}

static void *no_child(GptEnv *env, const GptLayer *layer, const char *name, const char *path) {
  char list[400];
  size_t at = 0;
  list[0] = '\0';
  for (int i = 0; i < layer->n_children && at < sizeof list; i++)
    at += (size_t)snprintf(list + at, sizeof list - at, i == 0 ? "%s" : ", %s", layer->children[i].name);
  if (at >= sizeof list) memcpy(list + sizeof list - 5, ", ...", 5), list[sizeof list - 1] = '\0';
  if (layer->n_children == 0)
    return gpt_fail_null(env, "no layer '%s' in path '%s': %s has no parts", name, path, gpt_layer_name(layer));
  return gpt_fail_null(env, "no layer '%s' in path '%s': %s has %s", name, path, gpt_layer_name(layer), list);
}

GptLayer *gpt_layer_find(GptEnv *env, GptLayer *layer, const char *path) {
  char name[128];
  const char *rest = path;
  while (*rest != '\0') {
    rest = first_name(rest, name, sizeof name);
    if (rest == NULL) return gpt_fail_null(env, "'%s' is no path: names joined by single dots expected", path);
    GptLayer *child = gpt_layer_child(layer, name);
    if (child == NULL) return no_child(env, layer, name, path);
    layer = child;
  }
  return layer;
}

bool gpt_layer_replace(GptEnv *env, GptLayer *layer, const char *path, GptLayer *with) {
  char parent_path[GPT_PATH_SIZE];
  const char *dot = strrchr(path, '.'), *name = dot != NULL ? dot + 1 : path;
  size_t length = dot != NULL ? (size_t)(dot - path) : 0;
  if (*path == '\0' || length >= sizeof parent_path) return gpt_fail(env, "'%s' is no path to a part of a layer", path);
  memcpy(parent_path, path, length);
  parent_path[length] = '\0';
  GptLayer *parent = gpt_layer_find(env, layer, parent_path);
  if (parent == NULL) return false;
  if (child_index(parent, name) < 0) return no_child(env, parent, name, path), false;
  if (gpt_layer_contains(with, parent))
    return gpt_fail(env, "'%s' cannot be replaced by a layer that contains it", path);
  return gpt_layer_set_child(env, parent, name, with);
}
