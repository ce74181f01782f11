/*
 * GGUF's blocks of 32 numbers: q8_0, q4_0, q4_1, q5_0, q5_1.
 *
 * A block begins with its scale d (f16), then, for the kinds that end in 1, its minimum m (f16). Of the 32 small
 * integers q, number i and number i + 16 share a byte, the lower half first; a fifth bit stands in 32 bits of its own
 * before them. The number is d * q, or d * q + m.
 */
#include <math.h>

#include "core/kernels/dtype_rows.h"

#define BLOCK 32
#define HALF (BLOCK / 2)

/* The layout of a kind with 4 or 5 bits. */
typedef struct Layout {
  int bits;
  int offset; /* added to what is stored as unsigned; 0: there is a minimum instead */
  int high;   /* where the fifth bits stand, 0: there are none */
  int low;    /* where the bytes of two numbers stand */
  int bytes;  /* of a block */
} Layout;

static const Layout q4_0 = {4, 8, 0, 2, 18}, q4_1 = {4, 0, 0, 4, 20};
static const Layout q5_0 = {5, 16, 2, 6, 22}, q5_1 = {5, 0, 4, 8, 24};

static uint32_t read_high(const Layout *layout, const uint8_t *block) {
  uint32_t high = 0;
  if (layout->high > 0) memcpy(&high, block + layout->high, sizeof high);
  return high;
}

static inline void read_block(const Layout *layout, float *y, const uint8_t *block) {
  float d = gpt_read_half(block), m = layout->offset == 0 ? gpt_read_half(block + 2) : 0;
  uint32_t high = read_high(layout, block);
  for (int i = 0; i < BLOCK; i++) {
    int byte = block[layout->low + i % HALF], q = i < HALF ? byte & 15 : byte >> 4;
    q += (int)(high >> i & 1) << 4;
    float product = d * (float)(q - layout->offset);
    y[i] = layout->offset == 0 ? product + m : product;
  }
}

/* q = value cut to 0 .. most; NaN is 0 */
static int cut_to_range(float value, int most) { return !(value >= 0) ? 0 : value >= (float)most ? most : (int)value; }

static inline void write_block(const Layout *layout, uint8_t *block, const float *x, float scale, float less,
                               float more) {
  float inverse = scale == 0 ? 0 : 1 / scale;
  uint32_t high = 0;
  memset(block + layout->low, 0, HALF);
  for (int i = 0; i < BLOCK; i++) {
    float scaled = (x[i] - less) * inverse;
    int q = cut_to_range(scaled + more, (1 << layout->bits) - 1);
    block[layout->low + i % HALF] |= (uint8_t)((q & 15) << (i < HALF ? 0 : 4));
    high |= (uint32_t)(q >> 4) << i;
  }
  if (layout->high > 0) memcpy(block + layout->high, &high, sizeof high);
}

/* The number that lies furthest from 0 becomes the lowest integer: it has one step more than the highest. */
static void write_symmetric(const Layout *layout, uint8_t *block, const float *x) {
  float furthest = x[0];
  for (int i = 1; i < BLOCK; i++)
    if (fabsf(x[i]) > fabsf(furthest)) furthest = x[i];
  float d = furthest / (float)-layout->offset;
  gpt_write_half(block, d);
  write_block(layout, block, x, d, 0, (float)layout->offset + 0.5f);
}

static void write_between(const Layout *layout, uint8_t *block, const float *x) {
  float low = x[0], high = x[0];
  for (int i = 1; i < BLOCK; i++) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  float d = (high - low) / (float)((1 << layout->bits) - 1);
  gpt_write_half(block, d);
  gpt_write_half(block + 2, low);
  write_block(layout, block, x, d, low, 0.5f);
}

static inline void read_blocks(const Layout *layout, float *y, const uint8_t *blocks, int64_t n) {
  for (int64_t i = 0; i < n / BLOCK; i++) read_block(layout, y + i * BLOCK, blocks + i * layout->bytes);
}

static inline void write_blocks(const Layout *layout, uint8_t *blocks, const float *x, int64_t n) {
  void (*const write)(const Layout *, uint8_t *, const float *) = layout->offset > 0 ? write_symmetric : write_between;
  for (int64_t i = 0; i < n / BLOCK; i++) write(layout, blocks + i * layout->bytes, x + i * BLOCK);
}

void gpt_q4_0_to_floats(float *y, const void *x, int64_t n) { read_blocks(&q4_0, y, x, n); }
void gpt_q4_0_from_floats(void *y, const float *x, int64_t n) { write_blocks(&q4_0, y, x, n); }
void gpt_q4_1_to_floats(float *y, const void *x, int64_t n) { read_blocks(&q4_1, y, x, n); }
void gpt_q4_1_from_floats(void *y, const float *x, int64_t n) { write_blocks(&q4_1, y, x, n); }
void gpt_q5_0_to_floats(float *y, const void *x, int64_t n) { read_blocks(&q5_0, y, x, n); }
void gpt_q5_0_from_floats(void *y, const float *x, int64_t n) { write_blocks(&q5_0, y, x, n); }
void gpt_q5_1_to_floats(float *y, const void *x, int64_t n) { read_blocks(&q5_1, y, x, n); }
void gpt_q5_1_from_floats(void *y, const float *x, int64_t n) { write_blocks(&q5_1, y, x, n); }

#define Q8_BYTES (2 + BLOCK)

void gpt_q8_0_to_floats(float *y, const void *x, int64_t n) {
  const uint8_t *block = x;
  for (int64_t i = 0; i < n; i += BLOCK, block += Q8_BYTES) {
    float d = gpt_read_half(block);
    for (int j = 0; j < BLOCK; j++) y[i + j] = (float)(int8_t)block[2 + j] * d;
  }
}

/* Rounds half away from 0, as roundf; NaN is 0. */
static int8_t rounded(float value) {
  float size = fabsf(value);
  if (!(size < 127)) return (int8_t)(size >= 127 ? (value < 0 ? -127 : 127) : 0);
  int whole = (int)size;
  whole += size - (float)whole >= 0.5f;
  return (int8_t)(value < 0 ? -whole : whole);
}

void gpt_q8_0_from_floats(void *y, const float *x, int64_t n) {
  uint8_t *block = y;
  for (int64_t i = 0; i < n; i += BLOCK, block += Q8_BYTES) {
    float most = 0;
    for (int j = 0; j < BLOCK; j++) most = fabsf(x[i + j]) > most ? fabsf(x[i + j]) : most;
    float d = most / 127, inverse = d == 0 ? 0 : 1 / d;
    gpt_write_half(block, d);
    for (int j = 0; j < BLOCK; j++) block[2 + j] = (uint8_t)rounded(x[i + j] * inverse);
  }
}
