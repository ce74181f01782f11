/*
 * Panels of a weight, made ahead and kept: products of some rows then read them as they are. They take memory of their
 * own beside the weight, so they are made where somebody asks for them.
 */
#ifndef GPT_KEPT_H
#define GPT_KEPT_H

#include "core/linalg/weights.h"

typedef struct GptKeptPanels GptKeptPanels;

/* Bytes that they take, whole cache lines; 0: they would not be used. f32 has none: OpenBLAS packs for itself. */
size_t gpt_kept_size(const GptWeight *w);

/* Makes them in that many bytes at a cache line's beginning, which stay the caller's. NULL and a message without memory
   to work in. */
GptKeptPanels *gpt_kept_make(GptEnv *env, const GptWeight *w, void *memory);

/* A panel's bytes beside those of the rows in it */
double gpt_kept_ratio(const GptWeight *w);

/* The panel that begins with the weight's first row, or NULL where there is none: the weight is another one, or a part
   that begins within a panel. */
const char *gpt_kept_panel(const GptWeight *w);

#endif
