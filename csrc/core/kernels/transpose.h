/* Squares of lanes turned over. */
#ifndef GPT_TRANSPOSE_H
#define GPT_TRANSPOSE_H

#include "core/kernels/vector.h"

/* The lanes of the lower, and the upper, halves of two vectors in turns */
#if WIDTH == 16
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif WIDTH == 8
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* Lane i of vector j becomes lane j of vector i: after each round the lanes of vectors half the square apart stand
   beside each other. */
INLINE void transpose(Ints v[WIDTH]) {
  UNROLL for (int size = 1; size < WIDTH; size *= 2) {
    Ints zipped[WIDTH];
    UNROLL for (int i = 0; i < WIDTH / 2; i++) {
      zipped[2 * i] = ZIP_LOW(v[i], v[i + WIDTH / 2]);
      zipped[2 * i + 1] = ZIP_HIGH(v[i], v[i + WIDTH / 2]);
    }
    UNROLL for (int i = 0; i < WIDTH; i++) v[i] = zipped[i];
  }
}

#endif
