#include "core/train/world.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "core/tensor/shared.h"

#define SLICE ((int64_t)1 << 22) /* numbers of a tensor that are summed at a time */
#define CHUNK 4096               /* numbers of an item */

GptWorld *gpt_world_new(GptEnv *env, const GptTransport *transport) {
  if (transport != NULL && transport->version != GPT_TRANSPORT_VERSION)
    return gpt_fail_null(env, "gpt/mpi.so is of another version of luagpt than gpt/core.so; make mpi builds it anew");
  GptWorld *world = gpt_alloc_zeroed(env, sizeof *world);
  if (world == NULL) return NULL;
  *world = (GptWorld){.env = env, .transport = transport, .size = 1};
  if (transport != NULL) world->rank = transport->rank, world->size = transport->size;
  world->out = gpt_alloc_array_zeroed(env, 2 * (size_t)world->size, sizeof *world->out);
  if (world->out == NULL) return gpt_world_free(world), NULL;
  world->in = world->out + world->size;
  return world;
}

void gpt_world_free(GptWorld *world) {
  if (world == NULL) return;
  gpt_free(world->env, world->out);
  gpt_free(world->env, world);
}

static bool fail_transport(GptWorld *world, const char *error) {
  return gpt_fail(world->env, "rank %d cannot talk to the others: %s", world->rank, error);
}

void *gpt_world_begin(GptWorld *world) {
  char error[GPT_TRANSPORT_ERROR] = "";
  void *exchange = world->transport->begin_exchange(world->out, world->in, error);
  if (exchange == NULL) fail_transport(world, error);
  return exchange;
}

bool gpt_world_finish(GptWorld *world, void *exchange) {
  char error[GPT_TRANSPORT_ERROR] = "";
  return world->transport->finish_exchange(exchange, error) || fail_transport(world, error);
}

static bool exchange_now(GptWorld *world) {
  void *exchange = gpt_world_begin(world);
  return exchange != NULL && gpt_world_finish(world, exchange);
}

bool gpt_world_gather(GptWorld *world, const void *own, size_t bytes, void *all) {
  memcpy((char *)all + (size_t)world->rank * bytes, own, bytes);
  for (int r = 0; r < world->size; r++) {
    world->out[r] = (GptPiece){(char *)all + (size_t)world->rank * bytes, bytes};
    world->in[r] = (GptPiece){(char *)all + (size_t)r * bytes, bytes};
  }
  return world->size == 1 || exchange_now(world);
}

/* Where each part goes, and to whom the own one; returns the bytes of all. */
static size_t place_parts(GptWorld *world, const GptTensor *part, const size_t *bytes, GptTensor *whole,
                          bool everywhere) {
  size_t at = 0;
  for (int r = 0; r < world->size; r++) {
    world->out[r] = (GptPiece){gpt_tensor_data(part), everywhere || r == 0 ? bytes[world->rank] : 0};
    world->in[r] = (GptPiece){whole != NULL ? (char *)gpt_tensor_data(whole) + at : NULL, whole != NULL ? bytes[r] : 0};
    at += bytes[r];
  }
  return at;
}

static size_t tensor_size(const GptTensor *tensor) {
  return gpt_dtype_bytes(tensor->storage->dtype, gpt_tensor_numel(tensor));
}

bool gpt_world_join(GptWorld *world, const GptTensor *part, GptTensor *whole, bool everywhere) {
  size_t own = tensor_size(part), *bytes = gpt_alloc_array(world->env, (size_t)world->size, sizeof *bytes);
  bool done = bytes != NULL && gpt_world_gather(world, &own, sizeof own, bytes);
  if (done) {
    size_t total = place_parts(world, part, bytes, whole, everywhere);
    done = whole == NULL || total == tensor_size(whole) ||
           gpt_fail(world->env, "parts of %zu bytes in all do not make a whole of %zu", total, tensor_size(whole));
  }
  if (done && whole != NULL) memcpy(world->in[world->rank].data, gpt_tensor_data(part), own);
  if (done && world->size > 1) done = exchange_now(world);
  gpt_free(world->env, bytes);
  return done;
}

typedef struct RankSum {
  float *to;          /* [n] */
  float *const *from; /* [size] of [n] */
  int size;
  int64_t n;
} RankSum;

/* By way of a buffer, because `to` may be one of those that are read. */
static void sum_rank_items(void *context, int64_t first, int64_t last) {
  const RankSum *s = context;
  float sum[CHUNK];
  for (int64_t item = first; item < last; item++) {
    int64_t at = item * CHUNK, left = s->n - at, n = left < CHUNK ? left : CHUNK;
    memcpy(sum, s->from[0] + at, (size_t)n * sizeof *sum);
    for (int r = 1; r < s->size; r++) gpt_kernels()->add(sum, sum, s->from[r] + at, n);
    memcpy(s->to + at, sum, (size_t)n * sizeof *sum);
  }
}

void gpt_sum_of_ranks(float *to, float *const *from, int size, int64_t n) {
  RankSum sum = {to, from, size, n};
  gpt_parallel_for((n + CHUNK - 1) / CHUNK, gpt_grain((int64_t)size * CHUNK), sum_rank_items, &sum);
}

/* Whole numbers, which wrap where they grow too large. */
static void sum_rank_integers(uint64_t *to, uint64_t *const *from, int size, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint64_t sum = 0;
    for (int r = 0; r < size; r++) sum += from[r][i];
    to[i] = sum;
  }
}

/* What a call of a script's is, as the other ranks see it. */
typedef struct Call {
  int32_t kind; /* a place in call_names */
  int32_t dtype, ndim, root;
  int64_t shape[GPT_MAX_DIMS];
} Call;

enum { BARRIER, ALL_REDUCE, BROADCAST };
static const char *const call_names[] = {"barrier", "all_reduce", "broadcast"};

static Call world_call(int kind, const GptTensor *tensor, int root) {
  Call call;
  memset(&call, 0, sizeof call); /* all of it is compared */
  call.kind = kind;
  call.root = root;
  if (tensor == NULL) return call;
  call.dtype = (int32_t)tensor->storage->dtype;
  call.ndim = tensor->ndim;
  memcpy(call.shape, tensor->shape, (size_t)tensor->ndim * sizeof *call.shape);
  return call;
}

static bool differs(GptWorld *world, const Call *first, int rank, const Call *other) {
  char one[GPT_SHAPE_TEXT], two[GPT_SHAPE_TEXT];
  const char *name = call_names[first->kind];
  if (first->kind != other->kind)
    return gpt_fail(world->env, "%s: rank %d calls %s where rank 0 calls %s: all ranks make the same calls, in one order",
                    name, rank, call_names[other->kind], name);
  if (first->root != other->root)
    return gpt_fail(world->env, "%s: rank %d says root %d, rank 0 says %d", name, rank, other->root, first->root);
  return gpt_fail(world->env, "%s: rank %d has %s of shape %s, rank 0 has %s of shape %s", name, rank,
                  gpt_dtype_name((GptDtype)other->dtype), gpt_shape_text(other->ndim, other->shape, two),
                  gpt_dtype_name((GptDtype)first->dtype), gpt_shape_text(first->ndim, first->shape, one));
}

/* Do all ranks make this call? It also waits for them. */
static bool agree(GptWorld *world, Call own) {
  Call *calls = gpt_alloc_array(world->env, (size_t)world->size, sizeof *calls);
  bool done = calls != NULL && gpt_world_gather(world, &own, sizeof own, calls);
  for (int r = 1; r < world->size && done; r++)
    if (memcmp(&calls[r], &calls[0], sizeof own) != 0) done = differs(world, &calls[0], r, &calls[r]);
  gpt_free(world->env, calls);
  return done;
}

bool gpt_world_barrier(GptWorld *world) { return agree(world, world_call(BARRIER, NULL, 0)); }

/* Numbers that are summed: [n] of `bytes` each; rank r sums numbers first(r) .. first(r + 1) - 1. */
typedef struct Slice {
  char *numbers;
  int64_t n;
  size_t bytes;
  char *theirs; /* [size] parts, each with room for the largest */
  void **parts; /* [size]: those of this rank's numbers */
} Slice;

static int64_t part_first(const GptWorld *world, int64_t n, int rank) { return n * rank / world->size; }

static char *part_data(const GptWorld *world, const Slice *slice, int rank) {
  return slice->numbers + (size_t)part_first(world, slice->n, rank) * slice->bytes;
}

static size_t part_bytes(const GptWorld *world, const Slice *slice, int rank) {
  int64_t n = part_first(world, slice->n, rank + 1) - part_first(world, slice->n, rank);
  return (size_t)n * slice->bytes;
}

/* This rank's numbers become the sums. */
static bool sum_own_part(GptWorld *world, const Slice *slice) {
  int own = world->rank;
  size_t bytes = part_bytes(world, slice, own);
  for (int r = 0; r < world->size; r++) {
    slice->parts[r] = r == own ? part_data(world, slice, own) : slice->theirs + (size_t)r * bytes;
    world->out[r] = (GptPiece){part_data(world, slice, r), part_bytes(world, slice, r)};
    world->in[r] = (GptPiece){slice->parts[r], bytes};
  }
  if (!exchange_now(world)) return false;
  int64_t n = (int64_t)(bytes / slice->bytes);
  if (slice->bytes == sizeof(float)) gpt_sum_of_ranks(slice->parts[own], (float *const *)slice->parts, world->size, n);
  else sum_rank_integers(slice->parts[own], (uint64_t *const *)slice->parts, world->size, n);
  return true;
}

static bool sum_slice(GptWorld *world, const Slice *slice) {
  if (!sum_own_part(world, slice)) return false;
  for (int r = 0; r < world->size; r++) {
    world->out[r] = (GptPiece){part_data(world, slice, world->rank), part_bytes(world, slice, world->rank)};
    world->in[r] = (GptPiece){part_data(world, slice, r), part_bytes(world, slice, r)};
  }
  return exchange_now(world);
}

/* Of contiguous numbers. */
static bool sum_numbers(GptWorld *world, char *numbers, int64_t n, size_t bytes) {
  int64_t most = n < SLICE ? n : SLICE;
  size_t part = ((size_t)(most / world->size) + 1) * bytes;
  char *theirs = gpt_alloc_array(world->env, (size_t)world->size, part);
  void **parts = gpt_alloc_array(world->env, (size_t)world->size, sizeof *parts);
  bool done = theirs != NULL && parts != NULL;
  for (int64_t at = 0; at < n && done; at += SLICE) {
    Slice slice = {numbers + (size_t)at * bytes, n - at < SLICE ? n - at : SLICE, bytes, theirs, parts};
    done = sum_slice(world, &slice);
  }
  gpt_free(world->env, parts);
  gpt_free(world->env, theirs);
  return done;
}

/* A contiguous tensor to work on: itself, or a copy that write_back takes. */
static GptTensor *work_on(GptWorld *world, GptTensor *tensor) {
  if (!gpt_storage_make_private(tensor->storage)) return NULL;
  return gpt_tensor_as_contiguous(world->env, tensor);
}

static bool write_back(GptTensor *tensor, GptTensor *work, bool done) {
  if (done && work != tensor) gpt_copy_elements(tensor, work);
  if (done) gpt_tensor_written(tensor);
  gpt_tensor_release(work);
  return done;
}

bool gpt_world_all_reduce(GptWorld *world, GptTensor *tensor) {
  if (!gpt_tensor_check_plain(world->env, "all_reduce", tensor)) return false;
  if (!agree(world, world_call(ALL_REDUCE, tensor, 0))) return false;
  if (world->size == 1) return true;
  GptTensor *work = work_on(world, tensor);
  if (work == NULL) return false;
  size_t bytes = gpt_dtype_bytes(work->storage->dtype, 1);
  return write_back(tensor, work, sum_numbers(world, gpt_tensor_data(work), gpt_tensor_numel(work), bytes));
}

bool gpt_world_broadcast(GptWorld *world, GptTensor *tensor, int root) {
  char error[GPT_TRANSPORT_ERROR] = "";
  if (root < 0 || root >= world->size)
    return gpt_fail(world->env, "broadcast: a rank from 0 to %d expected as root, got %d", world->size - 1, root);
  if (!agree(world, world_call(BROADCAST, tensor, root))) return false;
  if (world->size == 1) return true;
  GptTensor *work = work_on(world, tensor);
  if (work == NULL) return false;
  size_t bytes = tensor_size(work);
  bool done = world->transport->broadcast(gpt_tensor_data(work), bytes, root, error) || fail_transport(world, error);
  return write_back(tensor, work, done);
}
