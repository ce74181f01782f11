/* Arrays: sizes that cannot wrap, arrays that grow, strings of one's own. */
#ifndef GPT_ARRAY_H
#define GPT_ARRAY_H

#include "core/base/env.h"

/* The bytes of `count` items of `size` bytes each; SIZE_MAX, which every allocation refuses, where that is more than a
 * size can say. A negative count is as a huge one. */
size_t gpt_size_multiply(size_t count, size_t size);

/* An array of `count` items of `size` bytes each (no items are allowed), uninitialised or zeroed. NULL and a message on
 * failure. */
void *gpt_alloc_array(GptEnv *env, size_t count, size_t size);
void *gpt_alloc_array_zeroed(GptEnv *env, size_t count, size_t size);

/*
 * Makes room for `more` items behind the first `count` of a growing array: `items` (a pointer variable, NULL at first)
 * and `capacity` (a size_t variable) change where there is none, by half of the old room at least. On failure false and
 * a message, and both stay.
 */
#define GPT_GROW(env, items, capacity, count, more) \
  gpt_grow(env, &(items), &(capacity), count, more, sizeof *(items))

/* The function behind GPT_GROW: items is the address of the pointer. */
bool gpt_grow(GptEnv *env, void *items, size_t *capacity, size_t count, size_t more, size_t size);

/*
 * The same for calls that may fail later and then have to leave everything as it was: the old array is kept in `former`
 * ({0} at first) until gpt_former_free, after which the growth is for good, or gpt_former_restore, which undoes it:
 * the array has its former room, and the first `count` items, which fit there, as they are now.
 */
typedef struct GptFormer {
  bool kept;
  void *items;
  size_t capacity;
} GptFormer;

#define GPT_GROW_KEEPING(env, items, capacity, count, more, former) \
  gpt_grow_keeping(env, &(items), &(capacity), count, more, sizeof *(items), former)
#define GPT_FORMER_RESTORE(env, items, capacity, count, former) \
  gpt_former_restore(env, &(items), &(capacity), count, sizeof *(items), former)

bool gpt_grow_keeping(GptEnv *env, void *items, size_t *capacity, size_t count, size_t more, size_t size,
                      GptFormer *former);
void gpt_former_free(GptEnv *env, GptFormer *former);
void gpt_former_restore(GptEnv *env, void *items, size_t *capacity, size_t count, size_t size, GptFormer *former);

/* A copy that gpt_free gives back. NULL and a message on failure. */
char *gpt_copy_string(GptEnv *env, const char *text);

#endif
