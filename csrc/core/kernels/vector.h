/*
 * Vectors of floats in GCC's (and clang's) vector extension, as wide as the instruction set this file is compiled for.
 * The sources beside dispatch.c are compiled once per set, with GPT_KERNELS naming it.
 */
#ifndef GPT_VECTOR_H
#define GPT_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX2__)
#define WIDTH 8
#else
#define WIDTH 4
#endif

#define JOIN_NAMES(a, b) a##_##b
#define JOIN_EXPANDED(a, b) JOIN_NAMES(a, b)
/* A function's name in this set, and that of one which a set before may define for it as well: gpt_kernel(drop) is
   gpt_kernel_drop_avxvnni where gpt_shared(exp) is gpt_kernel_exp_avx2. The Makefile says which files are shared so. */
#ifndef GPT_SHARED_KERNELS
#define GPT_SHARED_KERNELS GPT_KERNELS
#endif
#define gpt_kernel(name) JOIN_EXPANDED(gpt_kernel_##name, GPT_KERNELS)
#define gpt_shared(name) JOIN_EXPANDED(gpt_kernel_##name, GPT_SHARED_KERNELS)

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
#if WIDTH == 16
  return (Vec)_mm512_mask_loadu_ps((__m512)fill, (__mmask16)((1u << n) - 1), p);
#else
  memcpy(&fill, p, (size_t)n * sizeof *p);
  return fill;
#endif
}

INLINE void store_part(float *p, int64_t n, Vec v) {
#if WIDTH == 16
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
  memcpy(p, &v, (size_t)n * sizeof *p);
#endif
}

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

typedef float Four __attribute__((vector_size(16)));
typedef float FourInMemory __attribute__((vector_size(16), aligned(4), may_alias));

/* The sums of the lanes of four vectors, each as sum_lanes has it, with fewer steps for all of them together */
INLINE Four sum_lanes_of_four(Vec a, Vec b, Vec c, Vec d) {
#if WIDTH == 16
#define HALVES(v, w, low) __builtin_shufflevector(v, w, low, low + 1, low + 2, low + 3, low + 4, low + 5, low + 6, low + 7, \
                                                  low + 16, low + 17, low + 18, low + 19, low + 20, low + 21, low + 22, low + 23)
#define QUARTERS(v, w, low) __builtin_shufflevector(v, w, low, low + 1, low + 2, low + 3, low + 8, low + 9, low + 10, low + 11, \
                                                    low + 16, low + 17, low + 18, low + 19, low + 24, low + 25, low + 26, low + 27)
  Vec ab = HALVES(a, b, 0) + HALVES(a, b, 8), cd = HALVES(c, d, 0) + HALVES(c, d, 8);
  Vec v = QUARTERS(ab, cd, 0) + QUARTERS(ab, cd, 4);
  v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 6, 7, 6, 7, 10, 11, 10, 11, 14, 15, 14, 15);
  Four even = __builtin_shufflevector(v, v, 0, 4, 8, 12), odd = __builtin_shufflevector(v, v, 1, 5, 9, 13);
  return even + odd;
#undef HALVES
#undef QUARTERS
#elif WIDTH == 8
  a += DOWN_4(a), b += DOWN_4(b), c += DOWN_4(c), d += DOWN_4(d);
  Vec ab = __builtin_shufflevector(a, b, 0, 1, 8, 9, 2, 3, 10, 11), cd = __builtin_shufflevector(c, d, 0, 1, 8, 9, 2, 3, 10, 11);
  Vec low = __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11), high = __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15);
  Vec v = low + high;
  return __builtin_shufflevector(v, v, 0, 2, 4, 6) + __builtin_shufflevector(v, v, 1, 3, 5, 7);
#else
  Four ab = __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
  Four cd = __builtin_shufflevector(c, d, 0, 1, 4, 5) + __builtin_shufflevector(c, d, 2, 3, 6, 7);
  return __builtin_shufflevector(ab, cd, 0, 2, 4, 6) + __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
#endif
}

INLINE float max_lanes(Vec v) {
  float most = v[0];
  for (int i = 1; i < WIDTH; i++) most = v[i] > most ? v[i] : most;
  return most;
}

#endif
