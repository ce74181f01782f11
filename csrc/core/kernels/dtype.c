/* The table of dtypes. */
#include "core/kernels/dtype.h"

#include "core/kernels/dtype_rows.h"

static void f32_copy(float *y, const void *x, int64_t n) { memcpy(y, x, (size_t)n * sizeof *y); }
static void f32_from_floats(void *y, const float *x, int64_t n) { memcpy(y, x, (size_t)n * sizeof *x); }

static void i64_to_floats(float *y, const void *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    int64_t value;
    memcpy(&value, (const char *)x + i * (int64_t)sizeof value, sizeof value);
    y[i] = (float)value;
  }
}

/* Towards 0; what is too large becomes the largest, NaN 0. */
static int64_t whole_of(float x) {
  if (x != x) return 0;
  if (x >= 0x1p63f) return INT64_MAX;
  return x <= -0x1p63f ? INT64_MIN : (int64_t)x;
}

static void i64_from_floats(void *y, const float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    int64_t value = whole_of(x[i]);
    memcpy((char *)y + i * (int64_t)sizeof value, &value, sizeof value);
  }
}

static const GptDtypeRow rows[GPT_DTYPES] = {
    [GPT_F32] = {"f32", "F32", 0, 1, 4, f32_copy, f32_from_floats},
    [GPT_I64] = {"i64", "I64", 27, 1, 8, i64_to_floats, i64_from_floats},
    [GPT_F16] = {"f16", "F16", 1, 1, 2, gpt_f16_to_floats, gpt_f16_from_floats},
    [GPT_BF16] = {"bf16", "BF16", 30, 1, 2, gpt_bf16_to_floats, gpt_bf16_from_floats},
    [GPT_Q8_0] = {"q8_0", NULL, 8, 32, 34, gpt_q8_0_to_floats, gpt_q8_0_from_floats},
    [GPT_Q4_0] = {"q4_0", NULL, 2, 32, 18, gpt_q4_0_to_floats, gpt_q4_0_from_floats},
    [GPT_Q4_1] = {"q4_1", NULL, 3, 32, 20, gpt_q4_1_to_floats, gpt_q4_1_from_floats},
    [GPT_Q5_0] = {"q5_0", NULL, 6, 32, 22, gpt_q5_0_to_floats, gpt_q5_0_from_floats},
    [GPT_Q5_1] = {"q5_1", NULL, 7, 32, 24, gpt_q5_1_to_floats, gpt_q5_1_from_floats},
    [GPT_Q4_K] = {"q4_k", NULL, 12, 256, 144, gpt_q4_k_to_floats, NULL},
    [GPT_Q5_K] = {"q5_k", NULL, 13, 256, 176, gpt_q5_k_to_floats, NULL},
    [GPT_Q6_K] = {"q6_k", NULL, 14, 256, 210, gpt_q6_k_to_floats, NULL},
};

const GptDtypeRow *gpt_dtype(GptDtype dtype) { return &rows[dtype]; }

bool gpt_dtype_find(const char *name, GptDtype *dtype) {
  for (*dtype = GPT_F32; *dtype < GPT_DTYPES; ++*dtype)
    if (strcmp(name, rows[*dtype].name) == 0) return true;
  return false;
}

bool gpt_dtype_find_safetensors(const char *name, GptDtype *dtype) {
  for (*dtype = GPT_F32; *dtype < GPT_DTYPES; ++*dtype)
    if (rows[*dtype].safetensors != NULL && strcmp(name, rows[*dtype].safetensors) == 0) return true;
  return false;
}

bool gpt_dtype_find_gguf(int number, GptDtype *dtype) {
  for (*dtype = GPT_F32; *dtype < GPT_DTYPES; ++*dtype)
    if (number == rows[*dtype].gguf) return true;
  return false;
}
