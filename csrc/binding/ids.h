/* Token ids as Lua gives them: arrays, arrays of arrays, i64 tensors. */
#ifndef GPT_BINDING_IDS_H
#define GPT_BINDING_IDS_H

#include "binding/binding.h"

/* Token ids at index (an array of integers, or an i64 tensor of one dimension): pushes a buffer that Lua owns and
 * returns it and their count. */
const int64_t *bind_ids(lua_State *L, int index, int64_t *count);

/* Replaces the array of ids, or the array of equally long arrays, at index by an i64 tensor; batch: a plain array
 * becomes [1, tokens]. */
void bind_ids_tensor(lua_State *L, int index, bool batch);

#endif
