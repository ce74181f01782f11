/* Rotary position embedding (Su et al., "RoFormer", 2021): pairs of numbers turn by angles that grow with position. */
#ifndef GPT_OPS_ROTARY_H
#define GPT_OPS_ROTARY_H

#include "core/tensor/tensor.h"

#define GPT_ROTARY_MOST 512 /* pairs */

/* How frequencies are changed for contexts longer than those of training. The numbers have Hugging Face's names. */
typedef enum GptRotaryKind {
  GPT_ROTARY_PLAIN,
  GPT_ROTARY_LINEAR,  /* divided by factor */
  GPT_ROTARY_LLAMA3,  /* low ones divided by factor, high ones not (Grattafiori et al., "Llama 3", 2024) */
  GPT_ROTARY_YARN,    /* the same with a ramp between two counts of turns (Peng et al., "YaRN", 2023) */
  GPT_ROTARY_FACTORS, /* each divided by its own */
} GptRotaryKind;

typedef struct GptRotaryScaling {
  GptRotaryKind kind;
  double factor;                   /* linear, llama3, yarn */
  double original;                 /* original_max_position_embeddings of llama3, yarn */
  double low, high;                /* low_freq_factor, high_freq_factor of llama3 */
  double beta_fast, beta_slow;     /* yarn */
  double attention_factor;         /* yarn: 0: from factor */
  double mscale, mscale_all_dim;   /* yarn: 0: none */
  bool exact_range;                /* yarn: truncate = false */
  double factors[GPT_ROTARY_MOST]; /* one for each pair */
} GptRotaryScaling;

/* What turns: the first `dims` numbers of each head. */
typedef struct GptRotary {
  int64_t dims;     /* even, at most 2 * GPT_ROTARY_MOST */
  bool interleaved; /* pairs are neighbours; otherwise i and i + dims / 2 */
  double magnitude; /* of cosine and sine: yarn's attention factor */
  double frequencies[GPT_ROTARY_MOST]; /* radians from one position to the next, of each pair */
} GptRotary;

void gpt_rotary_init(GptRotary *rotary, int64_t dims, double base, bool interleaved, const GptRotaryScaling *scaling);

/*
 * x [..., tokens, n_heads, head_dim] with its first `heads` heads turned and the others as they are. positions (i64):
 * from 0; [tokens], or of x's shape without the last two dimensions. Recorded.
 */
GptTensor *gpt_rotate(GptEnv *env, GptTensor *x, GptTensor *positions, const GptRotary *rotary, int64_t heads);

#endif
