/* How kernels that are written once for f32, f16 and bf16 read their numbers. */
#ifndef GPT_NUMBERS_H
#define GPT_NUMBERS_H

#include "core/kernels/halves.h"

/* Asks for a line, which is to be read, into the second cache. */
#define FETCH(p) __builtin_prefetch(p, 0, 2)

/* WIDTH numbers at p as floats. */
typedef Vec (*LoadNumbers)(const char *p);

typedef struct Numbers {
  LoadNumbers load;
  int size; /* bytes of a number */
} Numbers;

INLINE Vec load_f32(const char *p) { return load((const float *)p); }
INLINE Vec load_f16(const char *p) { return from_f16(load_halves(p)); }
INLINE Vec load_bf16(const char *p) { return from_bf16(load_halves(p)); }

#define NUMBERS_F32 ((Numbers){load_f32, 4})
#define NUMBERS_F16 ((Numbers){load_f16, 2})
#define NUMBERS_BF16 ((Numbers){load_bf16, 2})

/* The first n < WIDTH of them, and zeros */
INLINE Vec load_rest(const Numbers numbers, const char *p, int64_t n) {
  char rest[4 * WIDTH] = {0};
  return numbers.load(memcpy(rest, p, (size_t)(n * numbers.size)));
}

/*
 * Rows that lie side by side, or nearly so, are one stream. In the time that the memory takes to deliver a line, a core
 * goes over several thousand bytes: so far ahead they are asked for. Rows that are so far behind one of that many bytes:
 */
INLINE int64_t rows_ahead(int64_t row_bytes) { return (8192 + row_bytes - 1) / row_bytes; }

#endif
