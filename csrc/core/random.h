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

/* As torch.manual_seed(seed). */
void gpt_random_seed(GptRandom *random, uint64_t seed);

/* 32 and 64 random bits. */
uint32_t gpt_random_bits(GptRandom *random);
uint64_t gpt_random_bits64(GptRandom *random);

/* A double in [0, 1) with 53 random bits. */
double gpt_random_double(GptRandom *random);

/* Fill n floats: uniform in [low, high), as Tensor.uniform_; */
void gpt_random_uniform(GptRandom *random, float *out, int64_t n, double low, double high);

/* normal(mean, deviation), as Tensor.normal_: one by one below 16 elements, in blocks of 16 from there on; */
void gpt_random_normal(GptRandom *random, float *out, int64_t n, double mean, double deviation);

/* integers in [low, high), as torch.randint; */
void gpt_random_integers(GptRandom *random, int64_t *out, int64_t n, int64_t low, int64_t high);

/* and a permutation of 0 .. n-1, as torch.randperm. */
void gpt_random_permutation(GptRandom *random, int64_t *out, int64_t n);

#endif
