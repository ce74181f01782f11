/* Options of rotary embedding. */
#ifndef GPT_BINDING_ROTARY_H
#define GPT_BINDING_ROTARY_H

#include "binding/binding.h"
#include "core/ops/rotary.h"

/* The field `name` of the table at index: a table as Hugging Face's rope_scaling; `what` starts messages. dims: for so
 * many numbers of a head, which frequency_factors must fit. */
GptRotaryScaling bind_rotary_scaling(lua_State *L, int index, const char *what, const char *name, int64_t dims);

#endif
