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

/* The same of an array of arrays of any lengths, [rows, the longest one], with pad behind the others; any other value
 * stays as it is. */
void bind_padded_ids(lua_State *L, int index, int64_t pad);

/* Where both are arrays of as many arrays: raises where two that belong together differ in length. */
void bind_check_row_lengths(lua_State *L, int ids, int targets, const char *what);

#endif
