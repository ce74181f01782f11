/*
 * The graph: while gradients are wanted, every op adds a node that knows its backward.
 *
 * An op computes its output, then says
 *
 *   return gpt_graph_add(env, y, (GptOpCall){.op = &exp_op, GPT_INPUTS(x), GPT_SAVES(y)});
 *
 * which returns y (or NULL, with y released, where memory is short or y is NULL already) and costs nothing when no
 * gradient is required. Saved tensors are kept without their own graph, so an op that saves its own output
 * does not keep itself alive; and with their version, so that a later write into one is an error, not a wrong gradient.
 */
#ifndef GPT_GRAPH_H
#define GPT_GRAPH_H

#include "core/tensor/tensor.h"

typedef struct GptNode GptNode;

/* A kind of op. backward gives each wanted input its gradient, by gpt_node_give; grad has the output's shape, any
 * strides. */
typedef struct GptOp {
  const char *name;
  bool (*backward)(GptEnv *env, GptNode *node, GptTensor *grad);
} GptOp;

/* Whatever else a backward needs: freed with the node. */
typedef struct GptContext {
  void *value; /* or NULL */
  void (*release)(GptEnv *env, void *value);
} GptContext;

typedef struct GptOpCall {
  const GptOp *op;
  GptTensor *const *inputs; /* NULLs allowed */
  int n_inputs;
  GptTensor *const *saves; /* NULLs allowed */
  int n_saves;
  int64_t integers[GPT_MAX_DIMS]; /* the op's own numbers, for its backward */
  double numbers[4];
  GptContext context; /* taken over, also where nothing is recorded */
} GptOpCall;

#define GPT_INPUTS(...)                        \
  .inputs = (GptTensor *const[]){__VA_ARGS__}, \
  .n_inputs = (int)(sizeof((GptTensor *const[]){__VA_ARGS__}) / sizeof(GptTensor *))
#define GPT_SAVES(...)                        \
  .saves = (GptTensor *const[]){__VA_ARGS__}, \
  .n_saves = (int)(sizeof((GptTensor *const[]){__VA_ARGS__}) / sizeof(GptTensor *))

/* Where a gradient goes on to: the node that made the input, or the leaf that accumulates it, or (both NULL) nowhere.
 */
typedef struct GptEdge {
  GptNode *node;
  GptTensor *leaf;
} GptEdge;

typedef struct GptSaved {
  GptTensor *tensor;
  uint64_t version;
} GptSaved;

struct GptNode {
  int64_t refs;
  uint64_t sequence; /* grows with every node: inputs come before outputs */
  const GptOp *op;
  int n_inputs, n_saves;
  GptEdge *edges;  /* NULL after a backward that did not keep the graph */
  GptSaved *saved;
  int64_t integers[GPT_MAX_DIMS];
  double numbers[4];
  GptContext context;
  GptTensor *grad; /* accumulated while a backward runs */
  uint64_t reached; /* the last backward that did */
  bool keep;       /* in a backward: the graph stays for another one */
  GptNode *next;   /* in a list of nodes to free */
};

GptTensor *gpt_graph_add(GptEnv *env, GptTensor *output, GptOpCall call);

/* For ops that save more than they would otherwise compute: will this be recorded? */
bool gpt_graph_wanted(const GptEnv *env, int n_inputs, GptTensor *const *inputs);

void gpt_node_release(GptEnv *env, GptNode *node); /* NULL is fine; no recursion on long graphs */

/* Frees what a node saved and its edges; the node stays, used up. */
void gpt_node_use_up(GptEnv *env, GptNode *node);

/* In a backward: does input i want a gradient? */
bool gpt_node_wants(const GptNode *node, int i);

/* What the call had as context. */
void *gpt_node_context(const GptNode *node);

/* Saved tensor i, borrowed; NULL where NULL was saved. */
GptTensor *gpt_node_saved(const GptNode *node, int i);

/* Saved tensor i as a reference that nothing else holds (where it was saved so): a graph that is used up lets go of
   its own, one that is kept hands out a copy. For results that wait for the backward. */
GptTensor *gpt_node_take(GptEnv *env, GptNode *node, int i);

/* The gradient that the leaf behind input i has accumulated already, to be added to in place by whoever can do so
   without a tensor in between (contiguous; gpt_tensor_written afterwards). NULL where there is none: give one then. */
GptTensor *gpt_node_accumulated(const GptNode *node, int i);

/* Hands input i its gradient (of the input's shape). Takes over the reference; false where grad is NULL or memory is
 * short. */
bool gpt_node_give(GptEnv *env, GptNode *node, int i, GptTensor *grad);

#endif
