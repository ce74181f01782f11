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

static size_t capacity_for(size_t capacity, size_t count, size_t more, size_t size) {
  size_t wanted;
  return grown_capacity(capacity, __builtin_add_overflow(count, more, &wanted) ? SIZE_MAX : wanted, size);
}

/* All pointers to objects look alike here, so that one function serves arrays of every type. */
static void *pointer_at(const void *items) {
  void *array;
  memcpy(&array, items, sizeof array);
  return array;
}

bool gpt_grow(GptEnv *env, void *items, size_t *capacity, size_t count, size_t more, size_t size) {
  if (more <= *capacity - count) return true;
  size_t wanted = capacity_for(*capacity, count, more, size);
  void *grown = gpt_realloc(env, pointer_at(items), gpt_size_multiply(wanted, size));
  if (grown == NULL) return false;
  memcpy(items, &grown, sizeof grown);
  *capacity = wanted;
  return true;
}

bool gpt_grow_keeping(GptEnv *env, void *items, size_t *capacity, size_t count, size_t more, size_t size,
                      GptFormer *former) {
  if (more <= *capacity - count) return true;
  size_t wanted = capacity_for(*capacity, count, more, size);
  void *old = pointer_at(items), *grown = gpt_alloc_array(env, wanted, size);
  if (grown == NULL) return false;
  if (count > 0) memcpy(grown, old, count * size);
  if (former->kept) gpt_free(env, old);
  else *former = (GptFormer){true, old, *capacity};
  memcpy(items, &grown, sizeof grown);
  *capacity = wanted;
  return true;
}

void gpt_former_free(GptEnv *env, GptFormer *former) {
  gpt_free(env, former->items);
  *former = (GptFormer){0};
}

void gpt_former_restore(GptEnv *env, void *items, size_t *capacity, size_t count, size_t size, GptFormer *former) {
  if (!former->kept) return;
  void *grown = pointer_at(items);
  if (count > 0) memcpy(former->items, grown, count * size);
  gpt_free(env, grown);
  memcpy(items, &former->items, sizeof former->items);
  *capacity = former->capacity;
  *former = (GptFormer){0};
}

char *gpt_copy_string(GptEnv *env, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = gpt_alloc(env, bytes);
  if (copy != NULL) memcpy(copy, text, bytes);
  return copy;
}
