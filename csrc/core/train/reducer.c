#include "core/train/reducer.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/kernels/kernels.h"
#include "core/tensor/backward.h"
#include "core/tensor/shared.h"
#include "core/train/buckets.h"
#include "core/train/grad_norm.h"

#define MOST 8 /* exchanges under way: more would take memory and no less time */

/* A parameter. */
typedef struct Reduced {
  GptWatch watch;
  GptReducer *reducer;
  bool whole; /* its gradient, in this step */
  bool had;   /* it had one, on this rank */
} Reduced;

/* An exchange of a bucket. */
typedef struct Transfer {
  void *exchange;
  GptTensor *out, *in; /* f32 [numbers] */
} Transfer;

struct GptReducer {
  GptEnv *env;
  GptWorld *world;
  GptTensor **parameters; /* [count]: references */
  Reduced *reduced;       /* [count] */
  int64_t count;
  GptBuckets buckets;
  Transfer *transfers;     /* [buckets.count] */
  int64_t begun, finished; /* buckets of this exchange of all */
};

static bool gradient_is_whole(GptEnv *env, GptWatch *watch);

static bool make_reducer(GptReducer *r, int64_t n, GptTensor *const *parameters) {
  r->parameters = gpt_alloc_array_zeroed(r->env, n, sizeof *r->parameters);
  r->reduced = gpt_alloc_array_zeroed(r->env, n, sizeof *r->reduced);
  if (r->parameters == NULL || r->reduced == NULL) return false;
  for (r->count = 0; r->count < n; r->count++) {
    r->parameters[r->count] = gpt_tensor_retain(parameters[r->count]);
    r->reduced[r->count] = (Reduced){.watch = {.ready = gradient_is_whole}, .reducer = r};
  }
  r->buckets = (GptBuckets){.env = r->env, .size = r->world->size, .parameters = r->parameters};
  if (!gpt_buckets_make(&r->buckets, n)) return false;
  r->transfers = gpt_alloc_array_zeroed(r->env, r->buckets.count, sizeof *r->transfers);
  return r->transfers != NULL;
}

GptReducer *gpt_reducer_new(GptWorld *world, int64_t n, GptTensor *const *parameters) {
  GptReducer *r = gpt_alloc_zeroed(world->env, sizeof *r);
  if (r == NULL) return NULL;
  r->env = world->env;
  r->world = world;
  if (make_reducer(r, n, parameters)) return r;
  gpt_reducer_free(r);
  return NULL;
}

static void watch_all(GptReducer *r, bool on) {
  for (int64_t i = 0; i < r->count; i++) r->parameters[i]->watch = on ? &r->reduced[i].watch : NULL;
}

/* What others may still write into stays: an exchange that was begun and not finished is the end of the process. */
void gpt_reducer_free(GptReducer *r) {
  if (r == NULL) return;
  if (r->reduced != NULL) watch_all(r, false);
  for (int64_t i = 0; i < r->count; i++) gpt_tensor_release(r->parameters[i]);
  gpt_buckets_free(&r->buckets);
  gpt_free(r->env, r->transfers);
  gpt_free(r->env, r->reduced);
  gpt_free(r->env, r->parameters);
  gpt_free(r->env, r);
}

int64_t gpt_reducer_find(const GptReducer *r, const GptTensor *parameter) {
  for (int64_t i = 0; i < r->count; i++)
    if (r->parameters[i] == parameter) return i;
  return -1;
}

int64_t gpt_reducer_count(const GptReducer *r) { return r->count; }

int64_t gpt_reducer_begun(const GptReducer *r) { return r->begun; }

int64_t gpt_reducer_buckets(const GptReducer *r) { return r->buckets.count; }

GptShare gpt_reducer_share(const GptReducer *r, int64_t i) {
  return gpt_share_of(r->parameters[i], i, r->world->rank, r->world->size);
}

void gpt_reducer_watch(GptReducer *r) { watch_all(r, true); }

/* Which way an exchange goes: every rank's gradients to the rank whose share they are, or a share's rows to all. */
typedef enum Way { TO_SHARES, TO_ALL } Way;

static GptTensor *buffer_of(GptReducer *r, int64_t numbers) {
  return gpt_tensor_new(r->env, GPT_F32, 1, &numbers);
}

/* Where that rank's numbers of a bucket begin among those of all. */
static int64_t place_of(const GptReducer *r, const GptBucket *bucket, int rank) {
  int64_t at = 0;
  for (int i = 0; i < rank; i++) at += gpt_bucket_numbers(&r->buckets, bucket, i);
  return at;
}

static GptPiece piece_of(const GptTensor *buffer, int64_t at, int64_t numbers) {
  return (GptPiece){gpt_floats(buffer) + at, (size_t)numbers * sizeof(float)};
}

/* Says what goes where. `wide` has the numbers of all shares, `own` those of this rank's: all ranks' one after the
   other on the way to the shares, else once. */
static void address(GptReducer *r, const GptBucket *bucket, const Transfer *t, Way way) {
  GptWorld *world = r->world;
  int64_t own = gpt_bucket_numbers(&r->buckets, bucket, world->rank), at = 0;
  for (int rank = 0; rank < world->size; rank++) {
    int64_t n = gpt_bucket_numbers(&r->buckets, bucket, rank);
    world->out[rank] = way == TO_SHARES ? piece_of(t->out, at, n) : piece_of(t->out, 0, own);
    world->in[rank] = way == TO_SHARES ? piece_of(t->in, rank * own, own) : piece_of(t->in, at, n);
    at += n;
  }
}

static bool pack(GptReducer *r, const GptBucket *bucket, const Transfer *t, Way way, bool gradients) {
  int rank = r->world->rank;
  if (way == TO_ALL) return gpt_bucket_move(&r->buckets, bucket, rank, gradients, t->out, 0, false);
  bool done = true;
  int64_t at = 0;
  for (rank = 0; rank < r->world->size && done; rank++) {
    done = gpt_bucket_move(&r->buckets, bucket, rank, gradients, t->out, at, false);
    at += gpt_bucket_numbers(&r->buckets, bucket, rank);
  }
  return done;
}

/* A gradient of zeros where there is none. */
static bool make_gradients(GptReducer *r, const GptBucket *bucket) {
  for (int64_t i = 0; i < bucket->count; i++) {
    GptTensor *p = r->parameters[r->buckets.parts[bucket->first + i].parameter];
    if (p->grad == NULL) p->grad = gpt_tensor_zeros(r->env, GPT_F32, p->ndim, p->shape);
    if (p->grad == NULL) return false;
  }
  return true;
}

static bool begin_bucket(GptReducer *r, Way way, bool gradients) {
  const GptBucket *bucket = &r->buckets.buckets[r->begun];
  Transfer *t = &r->transfers[r->begun];
  int size = r->world->size;
  int64_t wide = place_of(r, bucket, size), own = gpt_bucket_numbers(&r->buckets, bucket, r->world->rank);
  if (gradients && !make_gradients(r, bucket)) return false;
  t->out = buffer_of(r, way == TO_SHARES ? wide : own);
  t->in = buffer_of(r, way == TO_SHARES ? own * size : wide);
  bool done = t->out != NULL && t->in != NULL && pack(r, bucket, t, way, gradients);
  if (done) address(r, bucket, t, way);
  t->exchange = done ? gpt_world_begin(r->world) : NULL;
  if (t->exchange != NULL) r->begun++;
  return t->exchange != NULL;
}

/* This rank's share of what all have sent becomes the sum. */
static bool add_up(GptReducer *r, const GptBucket *bucket, const Transfer *t) {
  int size = r->world->size, rank = r->world->rank;
  int64_t own = gpt_bucket_numbers(&r->buckets, bucket, rank);
  float **from = gpt_alloc_array(r->env, size, sizeof *from);
  if (from == NULL) return false;
  for (int i = 0; i < size; i++) from[i] = gpt_floats(t->in) + i * own;
  from[rank] = gpt_floats(t->out) + place_of(r, bucket, rank);
  gpt_sum_of_ranks(gpt_floats(t->in), from, size, own);
  gpt_free(r->env, from);
  return gpt_bucket_move(&r->buckets, bucket, rank, true, t->in, 0, true);
}

static bool take_all(GptReducer *r, const GptBucket *bucket, const Transfer *t, bool gradients) {
  bool done = true;
  int64_t at = 0;
  for (int rank = 0; rank < r->world->size && done; rank++) {
    if (rank != r->world->rank) done = gpt_bucket_move(&r->buckets, bucket, rank, gradients, t->in, at, true);
    at += gpt_bucket_numbers(&r->buckets, bucket, rank);
  }
  return done;
}

static bool finish_bucket(GptReducer *r, Way way, bool gradients) {
  const GptBucket *bucket = &r->buckets.buckets[r->finished];
  Transfer *t = &r->transfers[r->finished++];
  bool done = gpt_world_finish(r->world, t->exchange);
  if (done) done = way == TO_SHARES ? add_up(r, bucket, t) : take_all(r, bucket, t, gradients);
  gpt_tensor_release(t->out);
  gpt_tensor_release(t->in);
  *t = (Transfer){NULL, NULL, NULL};
  return done;
}

static bool begin_next(GptReducer *r, Way way, bool gradients) {
  if (r->begun - r->finished == MOST && !finish_bucket(r, way, gradients)) return false;
  return begin_bucket(r, way, gradients);
}

static bool finish_all(GptReducer *r, Way way, bool gradients) {
  while (r->begun < r->buckets.count)
    if (!begin_next(r, way, gradients)) return false;
  while (r->finished < r->begun)
    if (!finish_bucket(r, way, gradients)) return false;
  r->begun = r->finished = 0;
  return true;
}

static bool is_ready(const GptReducer *r, const GptBucket *bucket) {
  for (int64_t i = 0; i < bucket->count; i++)
    if (!r->reduced[r->buckets.parts[bucket->first + i].parameter].whole) return false;
  return true;
}

/* A backward has finished a gradient: begins what that makes possible. */
static bool gradient_is_whole(GptEnv *env, GptWatch *watch) {
  Reduced *reduced = (Reduced *)watch;
  GptReducer *r = reduced->reducer;
  (void)env;
  reduced->whole = true;
  reduced->had = r->parameters[reduced - r->reduced]->grad != NULL;
  while (r->begun < r->buckets.count && is_ready(r, &r->buckets.buckets[r->begun]))
    if (!begin_next(r, TO_SHARES, true)) return false;
  return true;
}

/* Which gradients were there on any rank: the others go. */
static bool drop_absent(GptReducer *r) {
  size_t n = (size_t)r->count;
  char *had = gpt_alloc_array_zeroed(r->env, ((size_t)r->world->size + 1) * n, 1);
  if (had == NULL) return false;
  char *all = had + n;
  for (size_t i = 0; i < n; i++) had[i] = r->reduced[i].had;
  bool done = gpt_world_gather(r->world, had, n, all);
  for (size_t i = 0; i < n && done; i++) {
    bool anywhere = false;
    for (int rank = 0; rank < r->world->size; rank++) anywhere = anywhere || all[(size_t)rank * n + i] != 0;
    if (!anywhere) done = gpt_tensor_set_grad(r->parameters[i], NULL);
    else if (r->parameters[i]->grad != NULL) gpt_tensor_written(r->parameters[i]->grad);
  }
  gpt_free(r->env, had);
  return done;
}

bool gpt_reducer_finish(GptReducer *r) {
  watch_all(r, false);
  for (int64_t i = 0; i < r->count; i++)
    if (!r->reduced[i].whole) r->reduced[i].had = r->parameters[i]->grad != NULL;
  bool done = finish_all(r, TO_SHARES, true) && drop_absent(r);
  for (int64_t i = 0; i < r->count; i++) r->reduced[i].whole = false;
  return done;
}

/* This rank's numbers of gradient i. */
static GptGradient own_gradient(const GptReducer *r, int64_t i) {
  const GptTensor *p = r->parameters[i];
  GptShare share = gpt_reducer_share(r, i);
  int64_t row = gpt_share_row(p);
  if (p->grad == NULL) return (GptGradient){NULL, 0};
  return (GptGradient){gpt_floats(p->grad) + share.first * row, share.rows * row};
}

static void add_ranks(const GptReducer *r, const double *all, double *squares) {
  for (int64_t i = 0; i < r->count; i++) {
    squares[i] = 0;
    for (int rank = 0; rank < r->world->size; rank++) squares[i] += all[rank * r->count + i];
  }
}

bool gpt_reducer_squares(GptReducer *r, double *squares) {
  double *all = gpt_alloc_array(r->env, (size_t)(r->world->size * r->count), sizeof *all);
  bool done = all != NULL;
  for (int64_t i = 0; i < r->count && done; i++) {
    GptGradient own = own_gradient(r, i);
    done = gpt_sum_squares(r->env, 1, &own, &squares[i]);
  }
  if (done) done = gpt_world_gather(r->world, squares, (size_t)r->count * sizeof *squares, all);
  if (done) add_ranks(r, all, squares);
  gpt_free(r->env, all);
  return done;
}

void gpt_reducer_scale(GptReducer *r, double factor) {
  for (int64_t i = 0; i < r->count; i++) {
    GptGradient own = own_gradient(r, i);
    gpt_scale_gradients(1, &own, factor);
    if (own.n > 0) gpt_tensor_written(r->parameters[i]->grad);
  }
}

static bool make_parameters_writable(GptReducer *r) {
  for (int64_t i = 0; i < r->count; i++)
    if (!gpt_storage_make_private(r->parameters[i]->storage)) return false;
  return true;
}

/* Those that no rank has, and that the exchange made, go again. */
static bool drop_made_gradients(GptReducer *r) {
  bool done = true;
  for (int64_t i = 0; i < r->count && done; i++)
    if (!r->reduced[i].had) done = gpt_tensor_set_grad(r->parameters[i], NULL);
  return done;
}

bool gpt_reducer_gather(GptReducer *r, bool gradients) {
  for (int64_t i = 0; i < r->count; i++) r->reduced[i].had = r->parameters[i]->grad != NULL;
  if (!gradients && !make_parameters_writable(r)) return false;
  if (!finish_all(r, TO_ALL, gradients)) return false;
  for (int64_t i = 0; i < r->count; i++) {
    GptTensor *written = gradients ? r->parameters[i]->grad : r->parameters[i];
    if (written != NULL) gpt_tensor_written(written);
  }
  return !gradients || drop_made_gradients(r);
}
