/* f16 and bf16, to and from floats. */
#include "core/kernels/dtype_rows.h"

void gpt_f16_to_floats(float *y, const void *x, int64_t n) {
  const uint8_t *from = x;
  for (int64_t i = 0; i < n; i++) y[i] = gpt_read_half(from + 2 * i);
}

void gpt_f16_from_floats(void *y, const float *x, int64_t n) {
  uint8_t *to = y;
  for (int64_t i = 0; i < n; i++) gpt_write_half(to + 2 * i, x[i]);
}

void gpt_bf16_to_floats(float *y, const void *x, int64_t n) {
  const uint8_t *from = x;
  for (int64_t i = 0; i < n; i++) {
    uint16_t upper;
    memcpy(&upper, from + 2 * i, sizeof upper);
    y[i] = gpt_float_of_bits((uint32_t)upper << 16);
  }
}

/* To the nearest, ties to even; a NaN becomes a quiet one, since cutting it could leave an infinity. */
void gpt_bf16_from_floats(void *y, const float *x, int64_t n) {
  uint8_t *to = y;
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits = gpt_bits_of_float(x[i]), nan = (bits & 0x7fffffff) > 0x7f800000;
    uint32_t rounded = nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
    uint16_t upper = (uint16_t)(rounded >> 16);
    memcpy(to + 2 * i, &upper, sizeof upper);
  }
}
