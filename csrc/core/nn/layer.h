/*
 * A layer: one kind of object for Linear, TransformerBlock, a whole Model, and for layers that a host language writes.
 *
 * A layer has named children and named parameters, in the order in which they were made, and a kind that says how to
 * compute and to print. Counts of references are not atomic. Layers that a host writes may form circles: the host
 * breaks them with gpt_layer_clear when its collector finds them. layer_tree.h walks over trees.
 */
#ifndef GPT_LAYER_H
#define GPT_LAYER_H

#include "core/base/text.h"
#include "core/nn/pass.h"
#include "core/tensor/tensor.h"

typedef struct GptLayer GptLayer;

typedef struct GptLayerKind {
  const char *name;    /* "Linear" */
  bool container;      /* prints its children in braces */
  bool host;           /* the host's: its parts and parameters come and go, and print */
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

/* What a walk leaves at every layer that it has reached (layer_tree.c). */
typedef struct GptWalkMark {
  uint64_t walk;             /* the walk that was here last */
  struct GptLayer *up;       /* the layer that it came from */
  int children, parameters;  /* gone through */
} GptWalkMark;

struct GptLayer {
  const GptLayerKind *kind;
  GptEnv *env;
  int64_t refs;
  bool training;     /* as train() and eval() set it; new layers are in training */
  bool positionwise; /* its own forward mixes no positions, or mixes them through attention, which the cache knows */
  bool silent;       /* a host's layer that does not say whether it is positionwise, */
  bool attends;      /* and has attended through the pass: then a check may find out (position_check.h) */
  char *label;       /* a host's layer: its name instead of the kind's; or NULL */
  int n_children;
  size_t children_capacity;
  GptChild *children;
  int n_parameters;
  size_t parameters_capacity;
  GptParameter *parameters;
  uint64_t changed; /* the environment's count of changes at the last one of this layer's parts or parameters */
  GptWalkMark mark;
  int64_t listed;           /* its place in the last GptLayerList */
  struct GptLayer *doomed; /* the next one in the line of those that nothing holds any more */
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

/* May a parameter of that name be of that dtype? All are f32, but a Linear's and an Embedding's weight may be of any
   dtype of floats. */
bool gpt_layer_may_hold(const GptLayer *layer, const char *name, GptDtype dtype);

/* Takes a child or parameter out (nothing where there is none of that name), or all of them. Like an exchange, taking
 * one out is refused from a finalizer that runs in the middle of an operation. */
bool gpt_layer_remove(GptEnv *env, GptLayer *layer, const char *name);
void gpt_layer_clear(GptLayer *layer);

/* Notes that the layer computes something else from now on: caches of what it computed are begun anew. */
void gpt_layer_touch(GptEnv *env, GptLayer *layer);

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

#endif
