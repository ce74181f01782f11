/*
 * GGUF's blocks of 256 numbers, reading: q4_k, q5_k, q6_k. Parts of a block have scales of their own, small integers
 * that are multiplied by a scale of the whole.
 */
#include "core/kernels/dtype_rows.h"

#define BLOCK 256
#define PART 32 /* numbers with a scale and a minimum of their own, q4_k and q5_k */
#define PARTS (BLOCK / PART)

/* The eight 6-bit scales and minima in 12 bytes: those of the first four parts in the lower six bits of bytes 0 .. 3
   and 4 .. 7, of the last four in half a byte of 8 .. 11 and the two bits that are left above. */
static void unpack_scales(const uint8_t *packed, int *scale, int *minimum) {
  for (int i = 0; i < 4; i++) {
    scale[i] = packed[i] & 63;
    minimum[i] = packed[4 + i] & 63;
    scale[4 + i] = (packed[8 + i] & 15) | (packed[i] >> 6) << 4;
    minimum[4 + i] = packed[8 + i] >> 4 | (packed[4 + i] >> 6) << 4;
  }
}

/* Part p of a block: d * q - m, where two parts share the bytes of their lower four bits, and bit p of `high` (32
   bytes, or NULL) is the fifth. */
static void read_part(float *y, const uint8_t *low, const uint8_t *high, int p, float d, float m) {
  for (int i = 0; i < PART; i++) {
    int byte = low[p / 2 * PART + i], q = p % 2 == 0 ? byte & 15 : byte >> 4;
    if (high != NULL) q += (high[i] >> p & 1) << 4;
    float product = d * (float)q;
    y[i] = product - m;
  }
}

/* Bytes: d (f16), dmin (f16), 12 of scales, then fifth bits (`high` bytes of them, 0 or 32), then 128 of lower bits. */
static void read_k_blocks(float *y, const uint8_t *block, int64_t n, int high) {
  int scale[PARTS], minimum[PARTS];
  for (int64_t i = 0; i < n; i += BLOCK, block += 16 + high + BLOCK / 2) {
    float d = gpt_read_half(block), dmin = gpt_read_half(block + 2);
    unpack_scales(block + 4, scale, minimum);
    for (int p = 0; p < PARTS; p++)
      read_part(y + i + p * PART, block + 16 + high, high > 0 ? block + 16 : NULL, p, d * (float)scale[p],
                dmin * (float)minimum[p]);
  }
}

void gpt_q4_k_to_floats(float *y, const void *x, int64_t n) { read_k_blocks(y, x, n, 0); }
void gpt_q5_k_to_floats(float *y, const void *x, int64_t n) { read_k_blocks(y, x, n, 32); }

#define Q6_BYTES 210

/* Number i of 256: in each half of 128 numbers, the four stretches of 32 take their lower bits from halves of 64 bytes
   and their upper two from one byte of 32. */
static int q6_at(const uint8_t *block, int i) {
  int half = i / 128, stretch = i % 128 / 32, j = i % 32;
  int low = block[64 * half + stretch % 2 * 32 + j], high = block[128 + 32 * half + j];
  low = stretch < 2 ? low & 15 : low >> 4;
  return (low | (high >> 2 * stretch & 3) << 4) - 32;
}

/* Bytes: 128 of lower bits, 64 of upper ones, 16 scales (int8), d (f16). */
void gpt_q6_k_to_floats(float *y, const void *x, int64_t n) {
  const uint8_t *block = x;
  for (int64_t i = 0; i < n; i += BLOCK, block += Q6_BYTES) {
    float d = gpt_read_half(block + Q6_BYTES - 2);
    for (int j = 0; j < BLOCK; j++) {
      float scale = d * (float)(int8_t)block[192 + j / 16];
      y[i + j] = scale * (float)q6_at(block, j);
    }
  }
}
