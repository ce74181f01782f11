/*
 * What stands in the table of dtypes: conversions of n numbers, in plain C. dtype.h says what they do.
 *
 * They give the bits of the field's reference (the quants module of PyPI's package gguf), so a product and a sum must
 * be rounded each for itself: the Makefile compiles these files without contraction into fused multiply-adds.
 */
#ifndef GPT_DTYPE_ROWS_H
#define GPT_DTYPE_ROWS_H

#include <stdint.h>
#include <string.h>

void gpt_f16_to_floats(float *y, const void *x, int64_t n);
void gpt_f16_from_floats(void *y, const float *x, int64_t n);
void gpt_bf16_to_floats(float *y, const void *x, int64_t n);
void gpt_bf16_from_floats(void *y, const float *x, int64_t n);

void gpt_q8_0_to_floats(float *y, const void *x, int64_t n);
void gpt_q8_0_from_floats(void *y, const float *x, int64_t n);
void gpt_q4_0_to_floats(float *y, const void *x, int64_t n);
void gpt_q4_0_from_floats(void *y, const float *x, int64_t n);
void gpt_q4_1_to_floats(float *y, const void *x, int64_t n);
void gpt_q4_1_from_floats(void *y, const float *x, int64_t n);
void gpt_q5_0_to_floats(float *y, const void *x, int64_t n);
void gpt_q5_0_from_floats(void *y, const float *x, int64_t n);
void gpt_q5_1_to_floats(float *y, const void *x, int64_t n);
void gpt_q5_1_from_floats(void *y, const float *x, int64_t n);

void gpt_q4_k_to_floats(float *y, const void *x, int64_t n);
void gpt_q5_k_to_floats(float *y, const void *x, int64_t n);
void gpt_q6_k_to_floats(float *y, const void *x, int64_t n);

static inline float gpt_float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t gpt_bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* IEEE half to single: exact, subnormals, infinities and NaN included. */
static inline float gpt_float_of_half(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
  uint32_t exponent = rest & 0x0f800000; /* in half's five bits */
  uint32_t normal = rest + (exponent == 0x0f800000 ? 224u << 23 : 112u << 23);
  float subnormal = gpt_float_of_bits(rest + (113u << 23)) - gpt_float_of_bits(113u << 23);
  return gpt_float_of_bits(sign | (exponent == 0 ? gpt_bits_of_float(subnormal) : normal));
}

/* IEEE single to half, to the nearest, ties to even; past the largest half infinity, NaN stays one. */
static inline uint16_t gpt_half_of_float(float value) {
  uint32_t bits = gpt_bits_of_float(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x1ff));
  if (rest >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and more */
  if (rest < 0x38800000) { /* below 2^-14: adding 2^-1 shifts and rounds into multiples of 2^-24 */
    float shifted = gpt_float_of_bits(rest) + 0.5f;
    return (uint16_t)(sign | (gpt_bits_of_float(shifted) - 0x3f000000));
  }
  uint32_t odd = rest >> 13 & 1;
  return (uint16_t)(sign | (rest - (112u << 23) + 0xfff + odd) >> 13);
}

/* The half that lies at p, as a float, and the other way. */
static inline float gpt_read_half(const uint8_t *p) {
  uint16_t half;
  memcpy(&half, p, sizeof half);
  return gpt_float_of_half(half);
}

static inline void gpt_write_half(uint8_t *p, float value) {
  uint16_t half = gpt_half_of_float(value);
  memcpy(p, &half, sizeof half);
}

#endif
