/*
 * A session: one conversation with a shared model. The model is only read; the tokens, the KV cache and the random
 * state are the session's. Over a stack that cannot be cached a session keeps the tokens and runs all of them again.
 */
#ifndef GPT_SESSION_H
#define GPT_SESSION_H

#include "core/nn/hooks.h"
#include "core/nn/model.h"

typedef struct GptSession {
  GptEnv *env;
  GptLayer *model;
  int64_t context_length;
  GptKvCache cache;
  int64_t *ids; /* what was fed: [length] */
  int64_t length;
  size_t capacity;
  GptFormer former; /* of ids, while a feed that makes room for more is under way */
  GptHooks *hooks;  /* watch every pass; borrowed, or NULL */
  bool uncached;    /* runs everything again even where a cache could serve */
  bool running;       /* being fed now: its model's layers cannot change it */
  bool abandoned;     /* freed while running */
  uint64_t stamp;     /* the model's when the cache was begun: under another one it is filled anew */
  uint64_t changes;   /* the environment's when the stamp was taken */
  bool seeded;      /* random is the session's own; otherwise it draws from the environment's */
  GptRandom random;
} GptSession;

/* seed: NULL to draw from the environment's random numbers. */
GptSession *gpt_session_new(GptEnv *env, GptModel *model, const uint64_t *seed);
void gpt_session_free(GptSession *session); /* NULL is fine; one that is being fed goes when that is done */

/*
 * Feeds count[i] (at least 1) new tokens, ids[i], to session i of n, in one pass over the weights where all can be
 * cached. Returns the logits after each one's last token, [n, vocab_size]. The sessions are different ones, over one
 * model and with the same hooks. A failure changes none of them.
 */
GptTensor *gpt_session_feed(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *const *ids,
                            const int64_t *counts);

/* The same for one session alone: [vocab_size]. */
GptTensor *gpt_session_feed_one(GptSession *session, const int64_t *ids, int64_t count);

/*
 * Feeds the same way, and returns how likely the tokens are that follow those that are fed, targets[i][0 .. counts[i] -
 * 1]: rows of gpt_logit_scores for all sessions after each other, [sum of counts, 2], 0 where a target is masked (-1,
 * -100). No hook sees the pass.
 */
GptTensor *gpt_session_score(GptEnv *env, int64_t n, GptSession *const *sessions, const int64_t *const *ids,
                             const int64_t *const *targets, const int64_t *counts);

/* Makes room for that many tokens in all (at most the context length), so that feeding up to there asks the system for
 * no memory. */
bool gpt_session_reserve(GptSession *session, int64_t tokens);

/* Keeps the first n tokens (0 .. length). */
bool gpt_session_rewind(GptSession *session, int64_t n);

/* A session of its own that goes on from the same tokens; its random state is a copy. */
GptSession *gpt_session_fork(const GptSession *session);

/* The random numbers it draws from. */
GptRandom *gpt_session_random(GptSession *session);

#endif
