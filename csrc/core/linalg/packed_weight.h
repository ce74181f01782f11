/* A weight's product as lines, for packed.h. */
#ifndef GPT_PACKED_WEIGHT_H
#define GPT_PACKED_WEIGHT_H

#include "core/linalg/packed.h"
#include "core/linalg/weights.h"

/* The weight as lines of its numbers, and x as lines of floats. */
GptPacked gpt_packed_weight(GptMatrix y, GptMatrix x, const GptWeight *w, const float *bias);

#endif
