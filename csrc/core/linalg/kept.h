/*
 * Panels of a weight, made ahead and kept: products of some rows then read them as they are. They take memory of their
 * own beside the weight, so they are made where somebody asks for them.
 */
#ifndef GPT_KEPT_H
#define GPT_KEPT_H

#include "core/linalg/weights.h"

typedef struct GptKeptPanels GptKeptPanels;

/* Would panels of it be used? f32 has none: OpenBLAS packs for itself. */
bool gpt_kept_useful(const GptWeight *w);

/* One allocation, for gpt_free. NULL and a message without memory. */
GptKeptPanels *gpt_kept_new(GptEnv *env, const GptWeight *w);

/* The panel that begins with the weight's first row, or NULL where there is none: the weight is another one, or a part
   that begins within a panel. */
const char *gpt_kept_panel(const GptWeight *w);

#endif
