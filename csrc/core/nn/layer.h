/*
 * A layer: one kind of object for Linear, TransformerBlock, a whole Model, and for layers that a host language writes.
 *
 * A layer has named children and named parameters, in the order in which they were made, and a kind that says how to
 * compute and to print. Counts of references are not atomic. Layers that a host writes may form circles: the host
 * breaks them with gpt_layer_clear when its collector finds them, and walks over a tree pass over a layer that stands
 * on its own path.
 */
#ifndef GPT_LAYER_H
#define GPT_LAYER_H

#include "core/nn/pass.h"
#include "core/tensor/tensor.h"
#include "core/base/text.h"

typedef struct GptLayer GptLayer;

typedef struct GptLayerKind {
  const char *name;    /* "Linear" */
  bool container;      /* prints its children in braces */
  GptTensor *(*forward)(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x);
  void (*describe)(const GptLayer *layer, GptText *text); /* the constructor's arguments, "768, 3072"; may be NULL */
} GptLayerKind;

typedef struct GptChild {
  char *name;
  GptLayer *layer;
} GptChild;

typedef struct GptParameter {
  char *name;
  GptTensor *tensor;
  int follows; /* so many children were there before it */
} GptParameter;

struct GptLayer {
  const GptLayerKind *kind;
  GptEnv *env;
  int64_t refs;
  bool training;     /* as train() and eval() set it; new layers are in training */
  bool positionwise; /* its own forward mixes no positions, or mixes them through attention, which the cache knows */
  char *label;       /* a host's layer: its name instead of the kind's; or NULL */
  int n_children;
  size_t children_capacity;
  GptChild *children;
  int n_parameters;
  size_t parameters_capacity;
  GptParameter *parameters;
};

/* A zeroed layer of `bytes` bytes (a struct that begins with GptLayer). */
void *gpt_layer_new(GptEnv *env, const GptLayerKind *kind, size_t bytes);
GptLayer *gpt_layer_retain(GptLayer *layer);
void gpt_layer_release(GptLayer *layer); /* NULL is fine */

/* "Linear", or what the host called it. */
const char *gpt_layer_name(const GptLayer *layer);

/* Adds a child or a parameter, or exchanges the one of that name. Takes a reference of its own. */
bool gpt_layer_set_child(GptEnv *env, GptLayer *layer, const char *name, GptLayer *child);
bool gpt_layer_set_parameter(GptEnv *env, GptLayer *layer, const char *name, GptTensor *tensor);

/* Takes a child or parameter out (nothing where there is none of that name), or all of them. */
void gpt_layer_remove(GptLayer *layer, const char *name);
void gpt_layer_clear(GptLayer *layer);

/* By name, or NULL. */
GptLayer *gpt_layer_child(const GptLayer *layer, const char *name);
const GptChild *gpt_layer_place(const GptLayer *layer, const char *name);
GptTensor *gpt_layer_parameter(const GptLayer *layer, const char *name);

/* Runs a layer. x is borrowed; NULL for NULL, as the next two. Both are held meanwhile, for a host's layer may exchange
 * or free them. */
GptTensor *gpt_layer_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x);

/* Runs a child; a failure gains its name. */
GptTensor *gpt_child_run(GptEnv *env, GptPass *pass, const GptChild *child, GptTensor *x);

/* Runs the child of that name. */
GptTensor *gpt_layer_run(GptEnv *env, GptPass *pass, GptLayer *layer, const char *name, GptTensor *x);

/* The layer at a path such as "blocks.3.attention" ("" is the layer itself), or NULL and a message. */
GptLayer *gpt_layer_find(GptEnv *env, GptLayer *layer, const char *path);

/* Puts another layer at a path. Refuses one that would contain itself. */
bool gpt_layer_replace(GptEnv *env, GptLayer *layer, const char *path, GptLayer *with);

/* All parameters with their paths, in creation order, a tensor that stands in several places once. */
typedef struct GptParameterList {
  GptEnv *env;
  int64_t count;
  size_t capacity;
  struct GptNamed {
    char *path;
    GptTensor *tensor; /* borrowed */
    GptLayer *owner;   /* borrowed */
  } *items;
} GptParameterList;

bool gpt_layer_parameters(GptEnv *env, GptLayer *layer, GptParameterList *list);
void gpt_parameter_list_free(GptParameterList *list);

/* The layers from the root of a walk down to the present one: a layer that stands on its own path closes a circle. */
typedef struct GptLayerPath {
  const struct GptLayerPath *up;
  const GptLayer *layer;
  int depth;
} GptLayerPath;

bool gpt_layer_on_path(const GptLayerPath *path, const GptLayer *layer);

/* Visits the layer and everything below it, parents first, each place once. Stops where visit returns false, and
 * returns that. */
typedef bool (*GptLayerVisit)(void *context, GptLayer *layer);
bool gpt_layer_visit(GptLayer *layer, GptLayerVisit visit, void *context);

/* Prints the tree as the Lua that makes it, with counts of parameters as comments. */
void gpt_layer_print(GptLayer *layer, GptText *text);

void gpt_layer_set_training(GptLayer *layer, bool training);

/* May a KV cache serve a pass through this tree? */
bool gpt_layer_cacheable(GptLayer *layer);

#endif
