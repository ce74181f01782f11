#include "core/base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT 397
#define PI 3.14159265358979323846
#define BLOCK 16            /* normals are made in blocks of 16 uniforms, the first 8 with the last 8 */
#define HALF (BLOCK / 2)
#define WIDE_RANGE ((uint64_t)1 << 28)   /* from here on 64 bits per integer, or % would favour small ones */
#define WIDE_PERMUTATION ((int64_t)(UINT32_MAX / 20)) /* the same for permutations */

#define ROOT_HALF 0x3f3504f3u      /* the bits of sqrt(0.5) in single precision */

#define INLINE inline __attribute__((always_inline))

/* The same code once more for processors with vectors and a fused multiply-add: the same numbers, many times faster. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__FMA__)
#define HAS_WIDE
#define WIDE __attribute__((target("avx2,fma")))
static bool is_wide(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

void gpt_random_seed(GptRandom *random, uint64_t seed) {
  memset(random, 0, sizeof *random);
  random->seed = seed;
  random->state[0] = (uint32_t)seed;
  for (uint32_t i = 1; i < GPT_MT_STATE; i++) {
    uint32_t before = random->state[i - 1];
    random->state[i] = 1812433253u * (before ^ (before >> 30)) + i;
  }
  random->next = GPT_MT_STATE;
}

static INLINE uint32_t twist(uint32_t upper, uint32_t lower) {
  uint32_t mixed = (upper & 0x80000000u) | (lower & 0x7fffffffu);
  return (mixed >> 1) ^ ((0u - (lower & 1u)) & 0x9908b0dfu);
}

/* The next 624 words. */
static void refill(GptRandom *random) {
  uint32_t *s = random->state;
  for (int i = 0; i < GPT_MT_STATE - SHIFT; i++) s[i] = s[i + SHIFT] ^ twist(s[i], s[i + 1]);
  for (int i = GPT_MT_STATE - SHIFT; i < GPT_MT_STATE - 1; i++)
    s[i] = s[i + SHIFT - GPT_MT_STATE] ^ twist(s[i], s[i + 1]);
  s[GPT_MT_STATE - 1] = s[SHIFT - 1] ^ twist(s[GPT_MT_STATE - 1], s[0]);
  random->next = 0;
}

static INLINE uint32_t temper(uint32_t y) {
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

uint32_t gpt_random_bits(GptRandom *random) {
  if (random->next == GPT_MT_STATE) refill(random);
  return temper(random->state[random->next++]);
}

uint64_t gpt_random_bits64(GptRandom *random) {
  uint64_t high = gpt_random_bits(random);
  return high << 32 | gpt_random_bits(random);
}

double gpt_random_double(GptRandom *random) {
  return (double)(gpt_random_bits64(random) & (((uint64_t)1 << 53) - 1)) * 0x1p-53;
}

static INLINE void scale(float *out, const uint32_t *words, int n, float start, float width) {
  for (int i = 0; i < n; i++) out[i] = fmaf((float)(int32_t)(temper(words[i]) & 0xffffff) * 0x1p-24f, width, start);
}

#ifdef HAS_WIDE
WIDE static void scale_wide(float *out, const uint32_t *words, int n, float start, float width) {
  scale(out, words, n, start, width);
}

static void scale_words(float *out, const uint32_t *words, int n, float start, float width) {
  if (is_wide()) scale_wide(out, words, n, start, width);
  else scale(out, words, n, start, width);
}
#else
#define scale_words scale
#endif

void gpt_random_uniform(GptRandom *random, float *out, int64_t n, double low, double high) {
  while (n > 0) {
    if (random->next == GPT_MT_STATE) refill(random);
    int left = GPT_MT_STATE - random->next, count = n < left ? (int)n : left;
    scale_words(out, random->state + random->next, count, (float)low, (float)high - (float)low);
    random->next += count;
    out += count;
    n -= count;
  }
}

/* One normal in double precision; every second call takes the one that waits. */
static double next_normal(GptRandom *random) {
  if (random->has_normal) {
    random->has_normal = false;
    return random->normal;
  }
  double u1 = gpt_random_double(random), u2 = gpt_random_double(random);
  double radius = sqrt(-2.0 * log1p(-u2)), angle = 2.0 * PI * u1;
  random->normal = radius * sin(angle);
  random->has_normal = true;
  return radius * cos(angle);
}

/* The transform of 16 or more numbers is PyTorch's in single precision: the logarithm, sine and cosine are those
   of the Cephes library (S. L. Moshier), and every product that is added to something is added in one rounding. */

static INLINE float log_single(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint32_t fraction = (bits & 0x007fffffu) | 0x3f000000u; /* x = fraction * 2^exponent, fraction in [0.5, 1) */
  int32_t small = fraction < ROOT_HALF;                    /* then twice the fraction is nearer to 1 */
  float exponent = (float)((int32_t)(bits >> 23) - 126 - small);
  memcpy(&x, &fraction, sizeof fraction);
  x = fmaf((float)small, x, x - 1.0f);
  float square = x * x;
  float y = 7.0376836292e-2f;
  y = fmaf(y, x, -1.1514610310e-1f);
  y = fmaf(y, x, 1.1676998740e-1f);
  y = fmaf(y, x, -1.2420140846e-1f);
  y = fmaf(y, x, 1.4249322787e-1f);
  y = fmaf(y, x, -1.6668057665e-1f);
  y = fmaf(y, x, 2.0000714765e-1f);
  y = fmaf(y, x, -2.4999993993e-1f);
  y = fmaf(y, x, 3.3333331174e-1f);
  y = fmaf(y * x, square, exponent * -2.12194440e-4f);
  y = fmaf(square, -0.5f, y);
  return fmaf(exponent, 0.693359375f, x + y);
}

static INLINE float choose(uint32_t mask, float yes, float no, uint32_t sign) {
  uint32_t a, b;
  memcpy(&a, &yes, sizeof a);
  memcpy(&b, &no, sizeof b);
  a = ((a & mask) | (b & ~mask)) ^ sign;
  memcpy(&yes, &a, sizeof a);
  return yes;
}

/* For x >= 0. What is left of x when an even number of octants is taken off goes through one polynomial for the sine
   and one for the cosine; the octants tell which is which, and the signs. */
static INLINE void sincos_single(float x, float *sine, float *cosine) {
  uint32_t octant = (uint32_t)((int32_t)(x * 1.27323954473516f) + 1) & ~1u;
  float turns = (float)(int32_t)octant;
  x = fmaf(turns, -0.78515625f, x);
  x = fmaf(turns, -2.4187564849853515625e-4f, x);
  x = fmaf(turns, -3.77489497744594108e-8f, x);
  float square = x * x;
  float even = fmaf(fmaf(2.443315711809948e-5f, square, -1.388731625493765e-3f), square, 4.166664568298827e-2f);
  even = fmaf(even * square, square, square * -0.5f) + 1.0f;
  float odd = fmaf(fmaf(-1.9515295891e-4f, square, 8.3321608736e-3f), square, -1.6666654611e-1f);
  odd = fmaf(odd * square, x, x);
  uint32_t swap = 0u - (octant >> 1 & 1u);
  *sine = choose(swap, even, odd, (octant & 4u) << 29);
  *cosine = choose(swap, odd, even, ((octant + 2u) & 4u) << 29);
}

/* Box and Muller (1958): each block's first 8 uniforms give the radius, its last 8 the angle. */
static INLINE void transform(float *x, int64_t blocks, float mean, float deviation) {
  for (int64_t b = 0; b < blocks; b++, x += BLOCK) {
    for (int i = 0; i < HALF; i++) {
      float radius = sqrtf(-2.0f * log_single(1.0f - x[i])), sine, cosine;
      sincos_single((float)(2.0 * PI) * x[i + HALF], &sine, &cosine);
      x[i] = fmaf(radius * cosine, deviation, mean);
      x[i + HALF] = fmaf(radius * sine, deviation, mean);
    }
  }
}

#ifdef HAS_WIDE
WIDE static void transform_wide(float *x, int64_t blocks, float mean, float deviation) {
  transform(x, blocks, mean, deviation);
}

static void transform_blocks(float *x, int64_t blocks, float mean, float deviation) {
  if (is_wide()) transform_wide(x, blocks, mean, deviation);
  else transform(x, blocks, mean, deviation);
}
#else
#define transform_blocks transform
#endif

void gpt_random_normal(GptRandom *random, float *out, int64_t n, double mean, double deviation) {
  if (n < BLOCK) {
    for (int64_t i = 0; i < n; i++) out[i] = (float)(next_normal(random) * deviation + mean);
    return;
  }
  gpt_random_uniform(random, out, n, 0, 1);
  transform_blocks(out, n / BLOCK, (float)mean, (float)deviation);
  if (n % BLOCK == 0) return;
  out += n - BLOCK; /* the last 16 once more, from fresh uniforms */
  gpt_random_uniform(random, out, BLOCK, 0, 1);
  transform_blocks(out, 1, (float)mean, (float)deviation);
}

void gpt_random_integers(GptRandom *random, int64_t *out, int64_t n, int64_t low, int64_t high) {
  uint64_t range = (uint64_t)high - (uint64_t)low;
  for (int64_t i = 0; i < n; i++) {
    uint64_t bits = range >= WIDE_RANGE ? gpt_random_bits64(random) : gpt_random_bits(random);
    out[i] = (int64_t)(bits % range + (uint64_t)low);
  }
}

/* Durstenfeld's shuffle. */
static void shuffle(GptRandom *random, int64_t *out, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = i;
  for (int64_t i = 0; i < n - 1; i++) {
    int64_t other = i + (int64_t)(gpt_random_bits(random) % (uint64_t)(n - i)), kept = out[i];
    out[i] = out[other];
    out[other] = kept;
  }
}

/* The inside-out shuffle, with 64 bits for each number. */
static void shuffle_wide(GptRandom *random, int64_t *out, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    int64_t other = (int64_t)(gpt_random_bits64(random) % (uint64_t)(i + 1));
    out[i] = i;
    out[i] = out[other];
    out[other] = i;
  }
}

void gpt_random_permutation(GptRandom *random, int64_t *out, int64_t n) {
  if (n < WIDE_PERMUTATION) shuffle(random, out, n);
  else shuffle_wide(random, out, n);
}

void gpt_random_print(const GptRandom *random, char text[GPT_RANDOM_TEXT]) {
  uint64_t normal;
  memcpy(&normal, &random->normal, sizeof normal);
  int length = snprintf(text, GPT_RANDOM_TEXT, "mt19937 %llu %d %d %016llx ", (unsigned long long)random->seed,
                        random->next, random->has_normal, (unsigned long long)normal);
  text += length;
  for (int i = 0; i < GPT_MT_STATE; i++) text += sprintf(text, "%08x", (unsigned)random->state[i]);
}

static bool parse_words(uint32_t *words, const char *text) {
  if (strlen(text) != 8 * GPT_MT_STATE || strspn(text, "0123456789abcdef") != 8 * GPT_MT_STATE) return false;
  for (int i = 0; i < GPT_MT_STATE; i++, text += 8) {
    char digits[9] = {0};
    memcpy(digits, text, 8);
    words[i] = (uint32_t)strtoul(digits, NULL, 16);
  }
  return true;
}

bool gpt_random_parse(GptRandom *random, const char *text) {
  GptRandom read;
  unsigned long long seed, normal;
  int has_normal, begin = 0;
  int count = sscanf(text, "mt19937 %20llu %3d %1d %16llx %n", &seed, &read.next, &has_normal, &normal, &begin);
  if (count != 4 || begin == 0 || !parse_words(read.state, text + begin)) return false;
  if (read.next < 0 || read.next > GPT_MT_STATE || has_normal < 0 || has_normal > 1) return false;
  read.seed = seed;
  read.has_normal = has_normal == 1;
  memcpy(&read.normal, &normal, sizeof read.normal);
  *random = read;
  return true;
}
