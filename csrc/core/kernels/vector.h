/*
 * Vectors of floats in GCC's (and clang's) vector extension, as wide as the instruction set this file is compiled for.
 * The sources beside dispatch.c are compiled once per set, with GPT_KERNELS naming it.
 */
#ifndef GPT_VECTOR_H
#define GPT_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX2__)
#define WIDTH 8
#else
#define WIDTH 4
#endif

#define JOIN_NAMES(a, b) a##_##b
#define JOIN_EXPANDED(a, b) JOIN_NAMES(a, b)
/* A function's name in this set: gpt_kernel(exp) is exp_avx2. */
#define gpt_kernel(name) JOIN_EXPANDED(gpt_kernel_##name, GPT_KERNELS)

#define INLINE static inline __attribute__((always_inline))

/* Before a loop of few steps, known when it is compiled: without it, arrays of vectors would not become registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float Vec __attribute__((vector_size(WIDTH * 4)));
typedef int32_t Ints __attribute__((vector_size(WIDTH * 4)));
typedef uint32_t Words __attribute__((vector_size(WIDTH * 4)));
typedef float VecInMemory __attribute__((vector_size(WIDTH * 4), aligned(4), may_alias));

INLINE Vec load(const float *p) { return *(const VecInMemory *)p; }
INLINE void store(float *p, Vec v) { *(VecInMemory *)p = v; }
INLINE Vec all(float s) { return s - (Vec){0}; }

/* The first n < WIDTH floats at p, the rest taken from fill. */
INLINE Vec load_part(const float *p, int64_t n, Vec fill) {
  memcpy(&fill, p, (size_t)n * sizeof *p);
  return fill;
}

INLINE void store_part(float *p, int64_t n, Vec v) { memcpy(p, &v, (size_t)n * sizeof *p); }

/* a where the mask (of a comparison) is set, b elsewhere */
INLINE Vec choose(Ints mask, Vec a, Vec b) { return (Vec)(((Ints)a & mask) | ((Ints)b & ~mask)); }

/* These keep a NaN in a. */
INLINE Vec at_most(Vec a, Vec most) { return choose(a > most, most, a); }
INLINE Vec at_least(Vec a, Vec least) { return choose(a < least, least, a); }

INLINE Vec magnitude(Vec a) { return (Vec)((Ints)a & 0x7fffffff); }
INLINE Vec with_sign(Vec a, Vec sign) { return (Vec)((Ints)a | ((Ints)sign & INT32_MIN)); }

/* The lanes moved down by half, by a quarter, and so on; what follows them does not matter. */
#if WIDTH == 16
#define DOWN_8(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)
#define DOWN_4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7)
#define DOWN_2(v) __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3)
#elif WIDTH == 8
#define DOWN_8(v) ((Vec){0})
#define DOWN_4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7)
#define DOWN_2(v) __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3)
#else
#define DOWN_8(v) ((Vec){0})
#define DOWN_4(v) ((Vec){0})
#define DOWN_2(v) __builtin_shufflevector(v, v, 2, 3, 2, 3)
#endif

/* The sum of the lanes: of halves, then of quarters, and so on */
INLINE float sum_lanes(Vec v) {
  v += DOWN_8(v);
  v += DOWN_4(v);
  v += DOWN_2(v);
  return v[0] + v[1];
}

INLINE float max_lanes(Vec v) {
  float most = v[0];
  for (int i = 1; i < WIDTH; i++) most = v[i] > most ? v[i] : most;
  return most;
}

#endif
