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

INLINE Vec sigmoid_vector(Vec x) { return 1.0f / (1.0f + exp_vector(-x)); }

/* s (1 - s): e is infinite beyond 88, hence the bound, behind which it is 0 in floats all the same. */
INLINE Vec sigmoid_slope(Vec x) {
  Vec e = exp_vector(at_least(at_most(-magnitude(x), all(0)), all(-80.0f))), s = 1.0f / (1.0f + e);
  return e * s * s;
}

/* x s, the sigmoid linear unit (Elfwing et al. 2018), and s (1 + x (1 - s)) */
INLINE Vec silu_vector(Vec x) { return x / (1.0f + exp_vector(-x)); }

INLINE Vec silu_slope(Vec x) {
  Vec near = at_least(at_most(x, all(80.0f)), all(-80.0f)), s = sigmoid_vector(near);
  return s * (1.0f + near * (1.0f - s));
}

INLINE Vec relu_vector(Vec x) { return choose(x <= 0.0f, all(0), x); } /* keeps a NaN */
INLINE Vec relu_slope(Vec x) { return choose(x <= 0.0f, all(0), all(1)); }

/* ln x = e ln 2 + ln m, x = 2^e m, m in [sqrt(1/2), sqrt(2)). With f = m - 1 and s = f / (2 + f),
   ln m = f - (f^2 / 2 - s (f^2 / 2 + r)), where r = 2/3 s^2 + 2/5 s^4 + .. is fitted within 1e-11. */
INLINE Vec log_vector(Vec x) {
  const Words half = (Words)all(0x1.6a09e6p-1f);
  Ints subnormal = x < 0x1p-126f;
  Words above = (Words)choose(subnormal, x * 0x1p25f, x) - half; /* of negative numbers, below the least integer */
  Ints exponent = ((Ints)above >> 23) - (subnormal & 25);
  Vec f = (Vec)((above & 0x007fffff) + half) - 1.0f, e = __builtin_convertvector(exponent, Vec);
  Vec s = f / (2.0f + f), z = s * s, h = 0.5f * f * f;
  Vec r = z * (((0x1.e2f99ep-3f * z + 0x1.2438c4p-2f) * z + 0x1.999a7ap-2f) * z + 0x1.555554p-1f);
  Vec y = e * 0x1.62e4p-1f + (f - (h - (s * (h + r) + e * 0x1.7f7d1cp-20f)));
  y = choose(x < INFINITY, y, x); /* infinity, and NaN */
  y = choose(x == 0.0f, all(-INFINITY), y);
  return choose(x < 0.0f, all(NAN), y);
}

/* The normal distribution below 0: P(-a) = e^(-a^2 / 2) g(a), where g is a polynomial in 1 / (1 + 0.3 a), fitted
   within 4e-9 of it for a in [0, 15]. */
typedef struct Normal {
  Vec bell;  /* e^(-x^2 / 2) */
  Vec below; /* P(x) */
} Normal;

INLINE Normal normal_distribution(Vec x) {
  Vec a = at_most(magnitude(x), all(15.0f)), t = 1.0f / (1.0f + 0.3f * a);
  Vec high = (Vec)((Ints)a & ~0xfff), rest = 0.5f * (high - a) * (high + a); /* high^2 is exact */
  Vec bell = exp_vector(-0.5f * high * high) *
             (1.0f + rest * (1.0f + rest * (0.5f + rest * (0x1.555556p-3f + 0x1.555556p-5f * rest))));
  Vec g = (((-0x1.51fac0p-6f * t + 0x1.cca7b8p-4f) * t - 0x1.d386ccp-3f) * t + 0x1.88f9e2p-3f) * t - 0x1.45ab12p-4f;
  g = ((((g * t + 0x1.8a0e04p-4f) * t + 0x1.410346p-4f) * t + 0x1.c38a54p-4f) * t + 0x1.e9c39ep-4f) * t + 0x1.ea3c9ep-4f;
  Vec tail = bell * t * g;
  return (Normal){bell, choose(x > 0.0f, 1.0f - tail, tail)};
}

/* GELU by the error function: x P(x) */
INLINE Vec gelu_exact_vector(Vec x) { return x * normal_distribution(x).below; }

INLINE Vec gelu_exact_slope(Vec x) {
  Normal p = normal_distribution(x);
  return p.below + at_least(at_most(x, all(15.0f)), all(-15.0f)) * p.bell * 0x1.988454p-2f; /* 1 / sqrt(2 pi) */
}

#endif
