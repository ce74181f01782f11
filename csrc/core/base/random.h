/*
 * Random numbers as PyTorch draws them on a CPU: the 32-bit Mersenne Twister MT19937
 * (Matsumoto and Nishimura, 1998), its uniform and normal distributions and its permutations.
 * A generator is a plain value: copy it to save its state.
 */
#ifndef GPT_RANDOM_H
#define GPT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#define GPT_MT_STATE 624

typedef struct GptRandom {
  uint32_t state[GPT_MT_STATE];
  int next;             /* the next word of state to hand out */
  bool has_normal;      /* the Box-Muller transform makes two normals: the second waits here */
  double normal;
  uint64_t seed;        /* what it was seeded with */
} GptRandom;

/* As torch.manual_seed(seed): the lower 32 bits start the generator, and a waiting normal is dropped. A negative Python
   seed is its two's complement. */
void gpt_random_seed(GptRandom *random, uint64_t seed);

/* 32 random bits; 64 are two of these, the first one above. */
uint32_t gpt_random_bits(GptRandom *random);
uint64_t gpt_random_bits64(GptRandom *random);

/* A double in [0, 1) with 53 random bits (two words). */
double gpt_random_double(GptRandom *random);

/*
 * Fill n floats. Every bit is PyTorch's (checked against 2.15), on every processor, and so is what is taken from the
 * generator, so that any sequence of calls agrees.
 *
 * Uniform in [low, high), as Tensor.uniform_ and torch.rand: 24 bits of one word for each.
 */
void gpt_random_uniform(GptRandom *random, float *out, int64_t n, double low, double high);

/*
 * normal(mean, deviation), as Tensor.normal_ and torch.randn. Below 16 elements one by one in double precision: two
 * doubles (four words) make two normals, and the second waits for the next such call, through any calls of other kinds,
 * until the generator is seeded. 16 elements or more neither take nor leave a waiting normal: they take a
 * word each, and 16 words more where n is no multiple of 16, for the last 16 elements are then drawn again.
 */
void gpt_random_normal(GptRandom *random, float *out, int64_t n, double mean, double deviation);

/*
 * Integers in [low, high), low < high, as torch.randint: one word for each, or two where the range has 2^28 numbers
 * or more (PyTorch before 2.7: 2^32).
 */
void gpt_random_integers(GptRandom *random, int64_t *out, int64_t n, int64_t low, int64_t high);

/* A permutation of 0 .. n-1, as torch.randperm: n - 1 words (2n from n = 214,748,364 on). */
void gpt_random_permutation(GptRandom *random, int64_t *out, int64_t n);

/* The whole state as one line of text, and back: false where text is not such a line, and random stays as it was. */
#define GPT_RANDOM_TEXT (8 * GPT_MT_STATE + 100)
void gpt_random_print(const GptRandom *random, char text[GPT_RANDOM_TEXT]);
bool gpt_random_parse(GptRandom *random, const char *text);

#endif
