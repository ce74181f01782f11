/*
 * Catches layers of the host's that call themselves positionwise and are not, and finds out whether those that say
 * nothing are: a few tokens run as a whole, and again with a cache, all but the last first. Each such layer that was
 * given the same for the last token must return the same.
 */
#ifndef GPT_POSITION_CHECK_H
#define GPT_POSITION_CHECK_H

#include "core/nn/layer.h"
#include "core/nn/pass.h"

typedef enum GptCheckRun { GPT_CHECK_WHOLE, GPT_CHECK_CACHED, GPT_CHECK_AGAIN } GptCheckRun;

typedef struct GptPositionCheck {
  GptCheckRun run;
  int64_t next, count; /* runs of such layers, */
  size_t capacity;
  GptTensor **rows;    /* [2 * count], of each what it was given for the last token and returned; NULL: not known */
  float far;           /* numbers that differ by more than that share of the largest are others */
  int64_t caught;      /* the one that differed; -1: none */
  bool unsteady;       /* that one gives other numbers whenever it runs */
} GptPositionCheck;

/* In a pass with a check: the layer made y of x. False and a message where it is caught. */
bool gpt_position_check_note(GptEnv *env, GptPositionCheck *check, const GptLayer *layer, const GptTensor *x,
                             const GptTensor *y);

/* Checks a model on the first of those n tokens. False and a message, which says where, if a layer is caught, or if
 * the host's code fails. Layers that give other numbers whenever they run are let alone, and no random numbers are used
 * up. */
bool gpt_position_check(GptEnv *env, GptLayer *model, const int64_t *ids, int64_t n);

/* For a model that may be cacheable (gpt_layer_may_be_cacheable): the same check, with less tolerance, settles it for
 * the layers that say nothing. They are positionwise if none is caught, and are not asked again. An error
 * leaves everything open: the run itself will say it. False, with the message, only for one of the moment, memory or an
 * interrupt, which may not come again. */
bool gpt_position_settle(GptEnv *env, GptLayer *model, const int64_t *ids, int64_t n);

#endif
