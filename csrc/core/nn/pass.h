/*
 * What a forward pass carries with it, through any containers and layers written in Lua, down to the attentions.
 */
#ifndef GPT_PASS_H
#define GPT_PASS_H

#include "core/nn/kv_cache.h"
#include "core/tensor/tensor.h"

#define GPT_ALL_ROWS INT64_MAX

/*
 * The rows of one sequence in a pass over several: `count` tokens from position `first` on (counted from 0; the cache
 * holds those before). Logits are wanted of the last `wanted` of them.
 */
typedef struct GptSegment {
  GptKvCache *cache;
  int64_t first, count, wanted;
} GptSegment;

struct GptLayer;
struct GptChild;
struct GptAttentionRule;
struct GptPositionCheck;

/* What watches a pass. The layers that run nest: `began` and `ended` come in pairs, unless `began` fails, which ends
 * the pass. */
typedef struct GptObserver GptObserver;
struct GptObserver {
  /* A layer begins. place: where it stands; NULL where only the layer is known. */
  bool (*began)(GptObserver *observer, GptEnv *env, const struct GptChild *place, struct GptLayer *layer);

  /* The layer that runs ends with this output, NULL where it failed, which is taken over. Returns what the pass goes on
   * with: the same, or something in its place; NULL is a failure. */
  GptTensor *(*ended)(GptObserver *observer, GptEnv *env, GptTensor *output);

  /* The layer that runs did the work of its part of that name itself, and that would have returned this. NULL: every
   * part really runs. */
  bool (*did_part)(GptObserver *observer, GptEnv *env, const char *name, GptTensor *output);

  /* The layer that runs attends, in a pass without segments: q, k and v as gpt_attention takes them. May be NULL. */
  bool (*attends)(GptObserver *observer, GptEnv *env, GptTensor *q, GptTensor *k, GptTensor *v,
                  const struct GptAttentionRule *rule);
};

/*
 * A pass over rows of tokens. With segments the input is [1, rows, ...]: the rows of all segments after each other.
 * Without (NULL), it is a plain batch [batch, tokens, ...], every sequence of which begins at position 0, and nothing is
 * cached. gpt_pass makes one.
 */
typedef struct GptPass {
  uint64_t number;   /* no other pass of the environment has it */
  bool training;     /* dropout drops */
  GptRandom *random; /* dropout draws its seeds here */
  const GptSegment *segments;
  int64_t n_segments;
  int64_t wanted;          /* without segments: logits are wanted of so many last tokens of each sequence */
  int64_t cut;             /* how many tokens, or rows, there were before all but the wanted ones were dropped, or 0 */
  GptObserver *observer;   /* or NULL */
  int attention_calls;     /* so far in this pass: where the next one's cache slot is likely */
  struct GptPass *outer;   /* the pass in whose layer, written by the host, this one runs; or NULL */
  struct GptLayer *caller; /* the layer whose forward, written by the host, runs now; or NULL */
  const GptTensor *input;  /* and what that was given, or what a hook is shown */
  struct GptPositionCheck *check; /* told of the host's layers (position_check.h); or NULL */
  void *host_call;         /* the host's: what its call of the layer that begins now has besides the input */
} GptPass;

/* A plain pass that wants all logits, with the environment's random numbers. */
GptPass gpt_pass(GptEnv *env, bool training);

/* Makes a pass the one that runs in the host (env->pass); returns the one before, to be put back. */
GptPass *gpt_pass_enter(GptEnv *env, GptPass *pass);

/* Does x hold the rows of the pass's segments, [1, rows, ...]? True without segments. */
bool gpt_pass_check_rows(GptEnv *env, const GptPass *pass, const char *what, const GptTensor *x);

/* How many tokens of each sequence, or rows of all segments, the input of the host's layer that runs holds. */
int64_t gpt_pass_tokens(const GptPass *pass);

/* The positions of the rows, i64: [tokens] of a plain batch, [1, rows] with segments (whatever tokens is); once the pass
 * goes on with the wanted rows alone, theirs. origin: how
 * the first position of a sequence is called, 0 or 1. */
GptTensor *gpt_pass_positions(GptEnv *env, const GptPass *pass, int64_t tokens, int64_t origin);

/* The rows of x (f32, [batch, tokens, dim]) whose logits are wanted: [batch, wanted, dim] of a plain batch, [1, rows,
 * dim] with segments. */
GptTensor *gpt_pass_wanted(GptEnv *env, const GptPass *pass, GptTensor *x);

/* Does the pass want fewer rows than it has? */
bool gpt_pass_wants_few(const GptPass *pass);

#endif
