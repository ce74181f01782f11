/* Buckets: parameters, or rows of large ones, that ranks exchange in one go. Their order and cut depend on the shapes
   alone. */
#ifndef GPT_BUCKETS_H
#define GPT_BUCKETS_H

#include "core/train/share.h"

/* One of `pieces` equal pieces of every rank's share of a parameter. */
typedef struct GptBucketPart {
  int64_t parameter;
  int64_t piece, pieces;
} GptBucketPart;

typedef struct GptBucket {
  int64_t first, count; /* parts */
} GptBucket;

typedef struct GptBuckets {
  GptEnv *env;
  int size; /* ranks */
  GptTensor *const *parameters; /* borrowed */
  GptBucketPart *parts;
  GptBucket *buckets;
  int64_t n_parts, count;
  size_t parts_capacity, capacity;
} GptBuckets;

/* From the last of n parameters to the first. False and a message without memory; free it in any case. */
bool gpt_buckets_make(GptBuckets *buckets, int64_t n);
void gpt_buckets_free(GptBuckets *buckets);

/* How many numbers of a bucket are that rank's. */
int64_t gpt_bucket_numbers(const GptBuckets *buckets, const GptBucket *bucket, int rank);

/* Copies that rank's numbers of a bucket into a buffer, f32 contiguous, from `at` on, or back: of the parameters, or of
   their gradients. False and a message without memory. */
bool gpt_bucket_move(const GptBuckets *buckets, const GptBucket *bucket, int rank, bool gradients, GptTensor *buffer,
                     int64_t at, bool back);

#endif
