/* The walk back through the record (reverse-mode automatic differentiation). */
#ifndef GPT_BACKWARD_H
#define GPT_BACKWARD_H

#include "core/record.h"

/*
 * Adds the gradient of root, which holds one number, to the grad of every leaf it was computed from. The record is
 * freed as the walk goes, unless keep. Fails, with nothing changed, where root is no scalar, was not recorded, its
 * record was used up, or something a backward needs was written to since.
 */
bool gpt_backward(GptEnv *env, GptTensor *root, bool keep);

#endif
