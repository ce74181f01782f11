#include "core/train/buckets.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"

#define LARGEST ((int64_t)2 << 20) /* numbers of a bucket: 8 MB, of which each of 8 ranks sends 1 MB to each other */
#define CHUNK 16384                /* numbers that are copied as an item */

/* Adds a part to the last bucket, or to a new one where that would grow too large. */
static bool add_bucket_part(GptBuckets *b, GptBucketPart part, int64_t numbers, int64_t *filled) {
  if (b->count == 0 || *filled + numbers > LARGEST) {
    if (!GPT_GROW(b->env, b->buckets, b->capacity, b->count, 1)) return false;
    b->buckets[b->count++] = (GptBucket){.first = b->n_parts};
    *filled = 0;
  }
  if (!GPT_GROW(b->env, b->parts, b->parts_capacity, b->n_parts, 1)) return false;
  b->parts[b->n_parts++] = part;
  b->buckets[b->count - 1].count++;
  *filled += numbers;
  return true;
}

bool gpt_buckets_make(GptBuckets *b, int64_t n) {
  int64_t filled = 0;
  for (int64_t i = n - 1; i >= 0; i--) {
    int64_t numbers = gpt_tensor_numel(b->parameters[i]), pieces = (numbers + LARGEST - 1) / LARGEST;
    for (int64_t piece = 0; piece < pieces; piece++)
      if (!add_bucket_part(b, (GptBucketPart){i, piece, pieces}, numbers / pieces, &filled)) return false;
  }
  return true;
}

void gpt_buckets_free(GptBuckets *b) {
  gpt_free(b->env, b->parts);
  gpt_free(b->env, b->buckets);
}

static GptShare part_rows(const GptBuckets *b, const GptBucketPart *part, int rank) {
  GptShare share = gpt_share_of(b->parameters[part->parameter], part->parameter, rank, b->size);
  int64_t first = share.rows * part->piece / part->pieces, last = share.rows * (part->piece + 1) / part->pieces;
  return (GptShare){share.first + first, last - first};
}

int64_t gpt_bucket_numbers(const GptBuckets *b, const GptBucket *bucket, int rank) {
  int64_t numbers = 0;
  for (int64_t i = 0; i < bucket->count; i++) {
    const GptBucketPart *part = &b->parts[bucket->first + i];
    numbers += part_rows(b, part, rank).rows * gpt_share_row(b->parameters[part->parameter]);
  }
  return numbers;
}

typedef struct Copy {
  float *to;
  const float *from;
  int64_t n;
} Copy;

static void copy_items(void *context, int64_t first, int64_t last) {
  const Copy *copy = context;
  int64_t stop = last * CHUNK < copy->n ? last * CHUNK : copy->n;
  memcpy(copy->to + first * CHUNK, copy->from + first * CHUNK, (size_t)(stop - first * CHUNK) * sizeof *copy->to);
}

static void copy_numbers(float *to, const float *from, int64_t n) {
  gpt_parallel_for((n + CHUNK - 1) / CHUNK, gpt_grain(CHUNK), copy_items, &(Copy){to, from, n});
}

/* Rows that are not contiguous. */
static bool move_strided(GptEnv *env, const GptTensor *tensor, GptShare rows, GptTensor *buffer, int64_t at, bool back) {
  GptTensor *view = gpt_share_view(env, tensor, rows);
  GptTensor *flat = view != NULL ? gpt_tensor_over(env, buffer->storage, at, view->ndim, view->shape) : NULL;
  if (flat != NULL) gpt_copy_elements(back ? view : flat, back ? flat : view);
  gpt_tensor_release(view);
  gpt_tensor_release(flat);
  return flat != NULL;
}

static bool move_rows(GptEnv *env, const GptTensor *tensor, GptShare rows, GptTensor *buffer, int64_t at, bool back) {
  int64_t row = gpt_share_row(tensor);
  if (rows.rows * row == 0) return true;
  if (!gpt_tensor_contiguous(tensor)) return move_strided(env, tensor, rows, buffer, at, back);
  float *there = gpt_floats(tensor) + rows.first * row, *here = gpt_floats(buffer) + at;
  if (back) copy_numbers(there, here, rows.rows * row);
  else copy_numbers(here, there, rows.rows * row);
  return true;
}

bool gpt_bucket_move(const GptBuckets *b, const GptBucket *bucket, int rank, bool gradients, GptTensor *buffer,
                     int64_t at, bool back) {
  for (int64_t i = 0; i < bucket->count; i++) {
    const GptBucketPart *part = &b->parts[bucket->first + i];
    const GptTensor *parameter = b->parameters[part->parameter];
    GptShare rows = part_rows(b, part, rank);
    if (!move_rows(b->env, gradients ? parameter->grad : parameter, rows, buffer, at, back)) return false;
    at += rows.rows * gpt_share_row(parameter);
  }
  return true;
}
