/* Functions of a vector, lane by lane. Each keeps a NaN. */
#ifndef GPT_FUNCTIONS_H
#define GPT_FUNCTIONS_H

#include "core/kernels/vector.h"

/* e^x split as 2^n * (1 + rest), |rest| < 0.42: n a whole number, in [-150, 128]. */
typedef struct Power {
  Ints n;
  Vec rest;
} Power;

INLINE Power split_exp(Vec x) {
  const float to_integer = 0x1.8p23f; /* adding it rounds to a whole number and leaves that in the low bits */
  x = at_least(at_most(x, all(89.0f)), all(-104.0f));
  Vec shifted = x * 0x1.715476p0f + to_integer;
  Vec n = shifted - to_integer;
  Vec r = x - n * 0x1.62e4p-1f - n * 0x1.7f7d1cp-20f; /* ln 2 in two parts: n times the first is exact */
  /* (e^r - 1 - r) / r^2 within 3.3e-9 / r^2 on |r| < 0.3485: a least-squares fit, weighted to level its errors */
  Vec q = ((0x1.6db8aep-10f * r + 0x1.123e9ap-7f) * r + 0x1.555458p-5f) * r + 0x1.55548ap-3f;
  q = q * r + 0.5f;
  return (Power){(Ints)shifted - (Ints)all(to_integer), r * r * q + r};
}

/* 2^n for n in [-126, 127] */
INLINE Vec power_of_two(Ints n) { return (Vec)((n + 127) << 23); }

/* The power of two is multiplied in two halves: subnormal results come out, and infinity above. */
INLINE Vec exp_vector(Vec x) {
  Power e = split_exp(x);
  Ints half = e.n >> 1;
  return (1.0f + e.rest) * power_of_two(half) * power_of_two(e.n - half);
}

/* tanh x = (e^2x - 1) / (e^2x + 1), with e^2x - 1 kept exact where it is small */
INLINE Vec tanh_vector(Vec x) {
  Power e = split_exp(2.0f * at_most(magnitude(x), all(10.0f)));
  Vec scale = power_of_two(e.n);
  Vec less_one = scale * e.rest + (scale - 1.0f);
  return with_sign(less_one / (less_one + 2.0f), x);
}

/* The argument of tanh in GELU, twice: 2 sqrt(2/pi) (x + 0.044715 x^3) */
INLINE Vec gelu_argument(Vec x) { return x * (0x1.988454p0f + 0x1.2444f2p-4f * (x * x)); }

/* 0.5 x (1 + tanh u) = x / (1 + e^-2u), which keeps its digits where it is small */
INLINE Vec gelu_vector(Vec x) { return x / (1.0f + exp_vector(-gelu_argument(x))); }

/* With e = e^-2u and s = 1 / (1 + e): s + x s (1 - s) (2u)', where 1 - s is s e. Beyond 10 it is 1 or 0. */
INLINE Vec gelu_slope(Vec x) {
  Vec near = at_least(at_most(x, all(10.0f)), all(-10.0f));
  Vec e = exp_vector(-gelu_argument(near));
  Vec s = 1.0f / (1.0f + e);
  Vec inner = 0x1.988454p0f + 3.0f * 0x1.2444f2p-4f * (near * near);
  return s + near * inner * (s * e) * s;
}

#endif
