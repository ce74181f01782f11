#include "core/ops/head_loss.h"

#include <string.h>

#include "core/kernels/kernels.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/ops/column_sums.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/scores.h"
#include "core/ops/tensor_matrix.h"
#include "core/base/parallel.h"
#include "core/tensor/graph.h"

#define CHUNK_FLOATS (8 << 20) /* of logits at a time */
#define CHUNK_ROWS 16          /* at least, and a multiple of it */
#define PIECE 512              /* logits of a row whose soft cap is taken back at a time */

enum { X, WEIGHT, BIAS, INPUTS };

/* A whole call. All tensors are contiguous, the weight as far as products need. */
typedef struct Job {
  GptTensor *x, *weight;     /* [rows, k], [vocabulary, k] */
  GptTensor *bias, *targets; /* [vocabulary] or NULL, [rows] */
  GptTensor *grads[INPUTS]; /* NULL where unwanted */
  int64_t rows, k, vocabulary, counted;
  float softcap; /* 0: none */
  int64_t first, chunk; /* the rows at hand */
  float *logits;        /* [chunk, vocabulary]; while recording they become their own gradient */
  double *losses;       /* [rows] */
  float *scores;        /* [rows, 2], all 0, in place of losses; or NULL */
} Job;

static bool records(const Job *job) {
  return job->grads[X] != NULL || job->grads[WEIGHT] != NULL || job->grads[BIAS] != NULL;
}

/* logits = (softmax - one at the target) / counted, 0 for a row left out */
static void row_gradient(const Job *job, float *row, int64_t target, double *loss) {
  float scale = (float)(1 / (double)job->counted), logit = row[target];
  *loss = (double)gpt_kernels()->softmax(row, row, 1, job->vocabulary) - (double)logit;
  for (int64_t i = 0; i < job->vocabulary; i++) row[i] *= scale;
  row[target] -= scale;
}

/* logits = softcap * tanh(logits / softcap) */
static void cap_logits(const Job *job, float *row) {
  for (int64_t i = 0; i < job->vocabulary; i++) row[i] /= job->softcap;
  gpt_kernels()->tanh(row, row, job->vocabulary);
  for (int64_t i = 0; i < job->vocabulary; i++) row[i] *= job->softcap;
}

/* The same as row_gradient for capped logits, times the slope of the cap, 1 - (logit / softcap)^2. */
static void capped_row_gradient(const Job *job, float *row, int64_t target, double *loss) {
  float shares[PIECE], scale = (float)(1 / (double)job->counted);
  float log_sum = gpt_kernels()->log_sum_exp(row, job->vocabulary);
  *loss = (double)log_sum - (double)row[target];
  for (int64_t first = 0; first < job->vocabulary; first += PIECE) {
    int64_t count = job->vocabulary - first < PIECE ? job->vocabulary - first : PIECE;
    float *piece = row + first;
    gpt_kernels()->softmax_again(shares, piece, 1, log_sum, count);
    if (target >= first && target < first + count) shares[target - first] -= 1;
    for (int64_t i = 0; i < count; i++) {
      float tanh = piece[i] / job->softcap;
      piece[i] = shares[i] * scale * (1 - tanh * tanh);
    }
  }
}

static void lose_row(const Job *job, float *row, int64_t target, double *loss) {
  *loss = 0;
  if (gpt_is_masked(target)) memset(row, 0, records(job) ? (size_t)job->vocabulary * sizeof *row : 0);
  else if (records(job) && job->softcap != 0) capped_row_gradient(job, row, target, loss);
  else if (records(job)) row_gradient(job, row, target, loss);
  else *loss = (double)gpt_kernels()->log_sum_exp(row, job->vocabulary) - (double)row[target];
}

static void lose_rows(void *context, int64_t first, int64_t last) {
  const Job *job = context;
  for (int64_t i = first; i < last; i++) {
    float *row = job->logits + i * job->vocabulary;
    int64_t target = gpt_integers(job->targets)[job->first + i];
    if (job->softcap != 0 && !gpt_is_masked(target)) cap_logits(job, row);
    if (job->scores == NULL) lose_row(job, row, target, &job->losses[job->first + i]);
    else if (!gpt_is_masked(target)) gpt_score_row(row, job->vocabulary, target, job->scores + 2 * (job->first + i));
  }
}

static GptMatrix rows_matrix(float *data, int64_t rows, int64_t columns) {
  return (GptMatrix){data, rows, columns, columns, 1};
}

/* The gradients' share of a chunk, whose logits have become their gradient. */
static bool add_gradients(GptEnv *env, Job *job, GptMatrix x, GptMatrix logits, GptWeight weight) {
  bool done = true;
  if (job->grads[X] != NULL) {
    float *dx = gpt_floats(job->grads[X]) + job->first * job->k;
    done = gpt_weight_multiply_back(env, rows_matrix(dx, job->chunk, job->k), logits, weight, false);
  }
  if (job->grads[WEIGHT] != NULL && done) {
    GptMatrix dw = rows_matrix(gpt_floats(job->grads[WEIGHT]), job->vocabulary, job->k);
    done = gpt_matrix_multiply(env, dw, gpt_matrix_transposed(logits), x, NULL, job->first > 0);
  }
  if (job->grads[BIAS] != NULL) {
    float *sums = gpt_floats(job->grads[BIAS]);
    if (job->first == 0) memset(sums, 0, (size_t)job->vocabulary * sizeof *sums);
    gpt_add_column_sums(sums, logits);
  }
  return done;
}

static bool run_chunk(GptEnv *env, Job *job) {
  GptMatrix x = rows_matrix(gpt_floats(job->x) + job->first * job->k, job->chunk, job->k);
  GptMatrix logits = rows_matrix(job->logits, job->chunk, job->vocabulary);
  GptWeight weight = gpt_weight_of(job->weight);
  const float *bias = job->bias != NULL ? gpt_floats(job->bias) : NULL;
  if (!gpt_weight_multiply(env, logits, x, weight, bias)) return false;
  gpt_parallel_for(job->chunk, gpt_grain(4 * job->vocabulary), lose_rows, job);
  return add_gradients(env, job, x, logits, weight);
}

/* Rows at a time: by shape alone. */
static int64_t chunk_rows(const Job *job) {
  int64_t most = CHUNK_FLOATS / job->vocabulary / CHUNK_ROWS * CHUNK_ROWS;
  if (most < CHUNK_ROWS) most = CHUNK_ROWS;
  return most < job->rows ? most : job->rows;
}

/* All rows, chunk by chunk; false without memory. */
static bool run_chunks(GptEnv *env, Job *job) {
  int64_t most = chunk_rows(job);
  job->logits = gpt_alloc_array(env, most * job->vocabulary, sizeof *job->logits);
  bool done = job->logits != NULL;
  for (job->first = 0; job->first < job->rows && done; job->first += most) {
    job->chunk = job->rows - job->first < most ? job->rows - job->first : most;
    done = run_chunk(env, job);
  }
  gpt_free(env, job->logits);
  return done;
}

/* The mean loss; false without memory. */
static bool run_head_loss(GptEnv *env, Job *job, double *mean) {
  double sum = 0;
  job->losses = gpt_alloc_array(env, job->rows, sizeof *job->losses);
  bool done = job->losses != NULL && run_chunks(env, job);
  for (int64_t i = 0; i < job->rows && done; i++) sum += job->losses[i];
  *mean = sum / (double)job->counted;
  gpt_free(env, job->losses);
  return done;
}

typedef struct Scaling {
  float *data; /* [n] */
  float factor;
} Scaling;

static void scale_range(void *context, int64_t first, int64_t last) {
  const Scaling *s = context;
  for (int64_t i = first; i < last; i++) s->data[i] *= s->factor;
}

/* inputs: x, weight, bias; saves: their gradients for an upstream gradient of 1 */
static bool head_loss_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  float scale = *gpt_floats(grad);
  for (int i = 0; i < INPUTS; i++) {
    if (!gpt_node_wants(node, i)) continue;
    GptTensor *own = gpt_node_take(env, node, i);
    if (own == NULL) return false;
    Scaling scaling = {gpt_floats(own), scale};
    if (scale != 1) gpt_parallel_for(gpt_tensor_numel(own), gpt_grain(1), scale_range, &scaling);
    if (!gpt_node_give(env, node, i, own)) return false;
  }
  return true;
}

static const GptOp head_loss_op = {"loss", head_loss_backward};

static bool check_head_shapes(GptEnv *env, const GptTensor *x, const GptTensor *weight, const GptTensor *bias,
                         const GptTensor *targets) {
  char a[GPT_SHAPE_TEXT], b[GPT_SHAPE_TEXT];
  if (x->ndim < 1 || weight->ndim != 2 || x->shape[x->ndim - 1] != weight->shape[1])
    return gpt_fail(env, "head: a weight [vocabulary, k] and an input [..., k] expected, got %s and %s",
                    gpt_tensor_shape_text(weight, a), gpt_tensor_shape_text(x, b));
  if (bias != NULL && (bias->ndim != 1 || bias->shape[0] != weight->shape[0]))
    return gpt_fail(env, "head: a bias of shape [%lld] expected, got %s", (long long)weight->shape[0],
                    gpt_tensor_shape_text(bias, a));
  if (targets->storage->dtype != GPT_I64)
    return gpt_fail(env, "loss: targets are token ids, an i64 tensor; got %s of shape %s",
                    gpt_dtype_name(targets->storage->dtype), gpt_tensor_shape_text(targets, b));
  if (x->ndim == targets->ndim + 1 && memcmp(x->shape, targets->shape, (size_t)targets->ndim * sizeof x->shape[0]) == 0)
    return true;
  return gpt_fail(env, "loss: hidden states %s and targets %s do not fit; each row needs one target",
                  gpt_tensor_shape_text(x, a), gpt_tensor_shape_text(targets, b));
}

static bool make_grads(GptEnv *env, Job *job, GptTensor *const inputs[INPUTS]) {
  if (!gpt_graph_wanted(env, INPUTS, inputs)) return true;
  for (int i = 0; i < INPUTS; i++) {
    if (inputs[i] == NULL || !gpt_tensor_wants_grad(inputs[i])) continue;
    job->grads[i] = gpt_tensor_new(env, GPT_F32, inputs[i]->ndim, inputs[i]->shape);
    if (job->grads[i] == NULL) return false;
  }
  return true;
}

/* Runs the job and records it; releases the gradients, so that the graph alone holds them. */
static GptTensor *compute_head_loss(GptEnv *env, Job *job, GptTensor *const inputs[INPUTS]) {
  double mean;
  GptTensor *y = NULL;
  if (make_grads(env, job, inputs) && run_head_loss(env, job, &mean)) y = gpt_tensor_number(env, mean);
  y = gpt_graph_add(env, y, (GptOpCall){.op = &head_loss_op, .inputs = inputs, .n_inputs = INPUTS, .saves = job->grads,
                                     .n_saves = INPUTS});
  for (int i = 0; i < INPUTS; i++) gpt_tensor_release(job->grads[i]);
  return y;
}

static bool prepare_job(GptEnv *env, Job *job, GptTensor *x, GptTensor *weight, GptTensor *bias, GptTensor *targets) {
  job->x = gpt_tensor_contiguous_floats(env, "loss", x);
  job->weight = gpt_usable_weight(env, weight);
  job->bias = gpt_tensor_contiguous_floats(env, "head: bias", bias);
  job->targets = gpt_tensor_as_contiguous(env, targets);
  job->rows = gpt_tensor_numel(targets);
  job->vocabulary = weight->shape[0];
  job->k = weight->shape[1];
  return job->x != NULL && job->weight != NULL && (job->bias != NULL || bias == NULL) && job->targets != NULL;
}

static void release_job(const Job *job) {
  gpt_tensor_release(job->x);
  gpt_tensor_release(job->weight);
  gpt_tensor_release(job->bias);
  gpt_tensor_release(job->targets);
}

GptTensor *gpt_head_loss(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, GptTensor *targets,
                         double softcap) {
  if (!check_head_shapes(env, x, weight, bias, targets)) return NULL;
  Job job = {.softcap = (float)softcap};
  GptTensor *y = NULL;
  if (prepare_job(env, &job, x, weight, bias, targets))
    job.counted = gpt_count_targets(env, "loss", job.targets, job.vocabulary);
  if (job.counted > 0) y = compute_head_loss(env, &job, (GptTensor *const[]){x, weight, bias});
  release_job(&job);
  return y;
}

GptTensor *gpt_head_scores(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, GptTensor *targets,
                           double softcap) {
  if (!check_head_shapes(env, x, weight, bias, targets)) return NULL;
  Job job = {.softcap = (float)softcap};
  GptTensor *scores = NULL;
  if (prepare_job(env, &job, x, weight, bias, targets) &&
      gpt_count_targets(env, "score", job.targets, job.vocabulary) > 0)
    scores = gpt_tensor_zeros(env, GPT_F32, 2, (int64_t[]){job.rows, 2});
  if (scores != NULL) job.scores = gpt_floats(scores);
  scores = gpt_tensor_if(scores != NULL && run_chunks(env, &job), scores);
  release_job(&job);
  return scores;
}
