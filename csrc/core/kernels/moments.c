/*
 * An optimizer's moments in 16 and in 8 bits. Both are rounded up or down at random, so that the mean is right: a moment
 * that changes by less than half a step would otherwise never change. What is drawn is a hash of a seed and the number's
 * index.
 *
 * In 8 bits a block of 64 numbers has its largest magnitude as its scale. A code stands for a power of what it is of its
 * own largest, so that steps are about as fine for small numbers as for large ones: the fourth for moments with a sign
 * (-127 .. 127), the eighth for those without (0 .. 255), which are means of squares. A moment above 0 never becomes 0:
 * what is divided by its root would be huge.
 */
#include "core/kernels/draw.h"
#include "core/kernels/halves.h"
#include "core/kernels/table.h"

#define BLOCK GPT_MOMENT_BLOCK
#define MOST_SIGNED 127.0f
#define MOST_POSITIVE 255.0f

void gpt_kernel(read_bf16)(float *restrict y, const uint16_t *restrict x, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits = (uint32_t)x[i] << 16;
    memcpy(y + i, &bits, sizeof bits);
  }
}

/* The lower half of a float's bits is what is lost: adding a random half carries as often as it should. */
void gpt_kernel(write_bf16)(uint16_t *restrict y, const float *restrict x, uint64_t seed, int64_t first, int64_t n) {
  const Seeds seeds = seeds_of(seed, (uint64_t)first);
  Words indices = indices_from((uint64_t)first);
  for (int64_t i = 0; i < n; i += WIDTH, indices += WIDTH) {
    int64_t count = n - i < WIDTH ? n - i : WIDTH;
    Vec value = load_part(x + i, count, (Vec){0});
    Words rounded = ((Words)value + (draw(indices, seeds) >> 16)) >> 16;
    for (int64_t j = 0; j < count; j++) y[i + j] = (uint16_t)rounded[j];
  }
}

static float square(float x) { return x * x; }

/* What codes stand for, as shares of the largest. */
static float fourth(float code) { return square(square(code * (1 / MOST_SIGNED))); }
static float eighth(float code) { return square(square(square(code * (1 / MOST_POSITIVE)))); }

void gpt_kernel(read_q8)(float *restrict y, const uint8_t *restrict codes, const float *restrict scales, bool positive,
                         int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, y += BLOCK, codes += BLOCK) {
    const float scale = scales[b];
    if (positive)
      for (int i = 0; i < BLOCK; i++) y[i] = eighth((float)codes[i]) * scale;
    else
      for (int i = 0; i < BLOCK; i++) {
        float code = (float)(int8_t)codes[i];
        y[i] = copysignf(fourth(code), code) * scale;
      }
  }
}

/* A random number from 0 to less than 1 for each of a block. */
static void draw_block(float *u, uint64_t seed, uint64_t first) {
  const Seeds seeds = seeds_of(seed, first);
  Words indices = indices_from(first);
  for (int i = 0; i < BLOCK; i += WIDTH, indices += WIDTH)
    store(u + i, __builtin_convertvector((Ints)(draw(indices, seeds) >> 8), Vec) * 0x1p-24f);
}

static float largest_of(const float *x) {
  Vec most = {0};
  for (int i = 0; i < BLOCK; i += WIDTH) most = at_least(magnitude(load(x + i)), most);
  float largest = 0;
  for (int i = 0; i < WIDTH; i++) largest = most[i] > largest ? most[i] : largest;
  return largest;
}

/* low, or the code above as often as the value is near that, which stand for `below` and `above`. */
static int32_t round_code(float low, float below, float above, float value, float u) {
  return (int32_t)low + (u * (above - below) < value - below);
}

static void encode_signed(uint8_t *restrict codes, const float *restrict x, const float *restrict u, float scale) {
  const int32_t most = (int32_t)MOST_SIGNED;
  for (int i = 0; i < BLOCK; i++) {
    float value = fabsf(x[i]) / scale, low = (float)(int32_t)(sqrtf(sqrtf(value)) * MOST_SIGNED);
    int32_t code = round_code(low, fourth(low), fourth(low + 1), value, u[i]);
    code = code > most ? most : code;
    codes[i] = (uint8_t)(x[i] < 0 ? -code : code);
  }
}

static void encode_positive(uint8_t *restrict codes, const float *restrict x, const float *restrict u, float scale) {
  const int32_t most = (int32_t)MOST_POSITIVE;
  for (int i = 0; i < BLOCK; i++) {
    float value = x[i] / scale, low = (float)(int32_t)(sqrtf(sqrtf(sqrtf(value))) * MOST_POSITIVE);
    int32_t code = round_code(low, eighth(low), eighth(low + 1), value, u[i]), least = x[i] > 0;
    code = code < least ? least : code;
    codes[i] = (uint8_t)(code > most ? most : code);
  }
}

void gpt_kernel(write_q8)(uint8_t *restrict codes, float *restrict scales, const float *restrict x, bool positive,
                          uint64_t seed, int64_t first, int64_t blocks) {
  float u[BLOCK];
  for (int64_t b = 0; b < blocks; b++, x += BLOCK, codes += BLOCK) {
    scales[b] = largest_of(x);
    if (scales[b] == 0) {
      memset(codes, 0, BLOCK);
      continue;
    }
    draw_block(u, seed, (uint64_t)(first + b * BLOCK));
    if (positive) encode_positive(codes, x, u, scales[b]);
    else encode_signed(codes, x, u, scales[b]);
  }
}
