/* What each set of kernels defines; kernels.h says what they do. */
#ifndef GPT_TABLE_H
#define GPT_TABLE_H

#include "core/kernels/kernels.h"
#include "core/kernels/vector.h"

float gpt_shared(dot)(const float *a, const float *b, int64_t n);
float gpt_shared(sum)(const float *x, int64_t n);
void gpt_shared(add)(float *y, const float *a, const float *b, int64_t n);

void gpt_shared(skinny_rows)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                             const float *bias, int64_t m, int64_t k, int64_t first, int64_t last);
void gpt_shared(skinny_columns)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                                const float *bias, int64_t m, int64_t k, int64_t first, int64_t last);
void gpt_shared(columns_f32)(const GptFewRows *product, int64_t first, int64_t last);
void gpt_shared(columns_f16)(const GptFewRows *product, int64_t first, int64_t last);
void gpt_shared(columns_bf16)(const GptFewRows *product, int64_t first, int64_t last);

/* For rows of at most that many numbers, which are read as one stream: as few_f16 and few_bf16 multiply. */
#define GPT_SHORT_ROW 256
void gpt_shared(short_rows_f16)(const GptFewRows *product, int64_t first, int64_t last);
void gpt_shared(short_rows_bf16)(const GptFewRows *product, int64_t first, int64_t last);

extern const GptPanels gpt_kernel(panels);

extern const GptFewRowsKernels gpt_shared(few_f32), gpt_kernel(few_f16), gpt_kernel(few_bf16), gpt_kernel(few_q8_0), gpt_kernel(few_q4_0),
    gpt_kernel(few_q4_1), gpt_kernel(few_q5_0), gpt_kernel(few_q5_1), gpt_kernel(few_q4_k), gpt_kernel(few_q5_k),
    gpt_kernel(few_q6_k);
extern const GptFewRowsKernels gpt_kernel(some_f16), gpt_kernel(some_bf16);
extern const GptWeightPanels gpt_kernel(panels_floats), gpt_kernel(panels_f32), gpt_kernel(panels_f16), gpt_kernel(panels_bf16),
    gpt_kernel(panels_q8_0), gpt_kernel(panels_q4_0), gpt_kernel(panels_q4_1), gpt_kernel(panels_q5_0),
    gpt_kernel(panels_q5_1), gpt_kernel(panels_q4_k), gpt_kernel(panels_q5_k), gpt_kernel(panels_q6_k);

void gpt_shared(exp)(float *y, const float *x, int64_t n);
void gpt_shared(log)(float *y, const float *x, int64_t n);
void gpt_shared(tanh)(float *y, const float *x, int64_t n);
void gpt_shared(gelu)(float *y, const float *x, int64_t n);
void gpt_shared(gelu_backward)(float *dx, const float *x, const float *dy, int64_t n);
void gpt_shared(gelu_exact)(float *y, const float *x, int64_t n);
void gpt_shared(gelu_exact_backward)(float *dx, const float *x, const float *dy, int64_t n);
void gpt_shared(sigmoid)(float *y, const float *x, int64_t n);
void gpt_shared(sigmoid_backward)(float *dx, const float *x, const float *dy, int64_t n);
void gpt_shared(silu)(float *y, const float *x, int64_t n);
void gpt_shared(silu_backward)(float *dx, const float *x, const float *dy, int64_t n);
void gpt_shared(gate)(GptActivation activation, float *y, const float *g, const float *u, int64_t n);
void gpt_shared(gate_backward)(GptActivation activation, float *dg, float *du, const float *g, const float *u,
                               const float *dy, int64_t n);
void gpt_kernel(rotate)(float *restrict y, const float *restrict x, const float *restrict c, const float *restrict s,
                        float way, int64_t n);
void gpt_kernel(rotate_neighbours)(float *restrict y, const float *restrict x, const float *restrict c,
                                   const float *restrict s, float way, int64_t n);
float gpt_shared(rms_norm)(float *y, const float *x, const float *weight, float offset, float eps, int64_t n);
void gpt_shared(rms_norm_backward)(float *dx, float *dweight, const float *dy, const float *x, const float *weight,
                                   float offset, float scale, int64_t n);
void gpt_kernel(drop)(float *y, const float *x, uint64_t seed, uint64_t first, uint32_t threshold, float scale,
                      int64_t n);

float gpt_shared(softmax)(float *y, const float *x, float scale, int64_t n);
void gpt_shared(softmax_again)(float *y, const float *x, float scale, float log_sum, int64_t n);
void gpt_shared(softmax_backward)(float *dx, const float *y, const float *dy, float mean, float scale, int64_t n);
float gpt_shared(greatest)(const float *x, int64_t n);
float gpt_shared(log_sum_exp)(const float *x, int64_t n);
void gpt_shared(layer_norm)(float *y, const float *x, const float *weight, const float *bias, float eps, int64_t n,
                            float *mean, float *rstd);

void gpt_shared(layer_norm_backward)(float *dx, float *dweight, float *dbias, const float *dy, const float *x,
                                     const float *weight, float mean, float rstd, int64_t n);
void gpt_shared(add_columns)(float *sums, const float *x, int64_t ld, int64_t m, int64_t n);
void gpt_kernel(adamw)(float *w, float *mean, float *square, const float *grad, const GptAdamStep *step, int64_t n);
void gpt_kernel(sgd)(float *w, float *buffer, const float *grad, const GptSgdStep *step, int64_t n);
void gpt_kernel(read_bf16)(float *y, const uint16_t *x, int64_t n);
void gpt_kernel(write_bf16)(uint16_t *y, const float *x, uint64_t seed, int64_t first, int64_t n);
void gpt_kernel(read_q8)(float *y, const uint8_t *codes, const float *scales, bool positive, int64_t blocks);
void gpt_kernel(write_q8)(uint8_t *codes, float *scales, const float *x, bool positive, uint64_t seed, int64_t first,
                          int64_t blocks);

#endif
