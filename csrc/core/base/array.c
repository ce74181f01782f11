#include "core/base/array.h"

#include <string.h>

#include "core/base/memory.h"

#define SMALLEST 64 /* bytes: what any block has */

size_t gpt_size_multiply(size_t count, size_t size) {
  size_t bytes;
  return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

void *gpt_alloc_array(GptEnv *env, size_t count, size_t size) { return gpt_alloc(env, gpt_size_multiply(count, size)); }

void *gpt_alloc_array_zeroed(GptEnv *env, size_t count, size_t size) {
  return gpt_alloc_zeroed(env, gpt_size_multiply(count, size));
}

static size_t grown_capacity(size_t capacity, size_t wanted, size_t size) {
  size_t least = SMALLEST / size + 4;
  size_t more = capacity + capacity / 2;
  if (least < more) least = more;
  return wanted < least ? least : wanted;
}

/* All pointers to objects look alike here, so that one function serves arrays of every type. */
bool gpt_grow(GptEnv *env, void *items, size_t *capacity, size_t count, size_t more, size_t size) {
  if (more <= *capacity - count) return true;
  size_t wanted;
  if (__builtin_add_overflow(count, more, &wanted)) wanted = SIZE_MAX;
  wanted = grown_capacity(*capacity, wanted, size);
  void *old;
  memcpy(&old, items, sizeof old);
  void *grown = gpt_realloc(env, old, gpt_size_multiply(wanted, size));
  if (grown == NULL) return false;
  memcpy(items, &grown, sizeof grown);
  *capacity = wanted;
  return true;
}

char *gpt_copy_string(GptEnv *env, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = gpt_alloc(env, bytes);
  if (copy != NULL) memcpy(copy, text, bytes);
  return copy;
}
