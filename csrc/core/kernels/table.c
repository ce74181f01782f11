/* The table of one set of kernels. */
#include "core/kernels/pairs.h"
#include "core/kernels/table.h"

#define TEXT_OF(name) #name
#define TEXT_OF_EXPANDED(name) TEXT_OF(name)

#if defined(HAS_PAIRS)
#define PAIRS(name) &gpt_kernel(name)
#else
#define PAIRS(name) NULL
#endif
#if WIDTH == 16
#define FLOATS(name) &gpt_kernel(name)
#else
#define FLOATS(name) NULL
#endif
#define BLOCKS(name) {&gpt_kernel(few_##name), NULL, &gpt_kernel(panels_##name)}

/* With registers enough; elsewhere OpenBLAS, which knows more processors, does all products. */
#if WIDTH >= 8 || defined(__aarch64__)
#define HAS_PANELS 1
#else
#define HAS_PANELS 0
#endif

static const GptWeightKernels weights[GPT_DTYPES] = {
    [GPT_F32] = {&gpt_shared(few_f32), NULL, PAIRS(panels_f32)},
    [GPT_F16] = {&gpt_kernel(few_f16), PAIRS(some_f16), PAIRS(panels_f16)},
    [GPT_BF16] = {&gpt_kernel(few_bf16), PAIRS(some_bf16), PAIRS(panels_bf16)},
    [GPT_Q8_0] = BLOCKS(q8_0),
    [GPT_Q4_0] = BLOCKS(q4_0),
    [GPT_Q4_1] = BLOCKS(q4_1),
    [GPT_Q5_0] = BLOCKS(q5_0),
    [GPT_Q5_1] = BLOCKS(q5_1),
    [GPT_Q4_K] = BLOCKS(q4_k),
    [GPT_Q5_K] = BLOCKS(q5_k),
    [GPT_Q6_K] = BLOCKS(q6_k),
};

extern const GptKernels gpt_kernel(table);

const GptKernels gpt_kernel(table) = {
    .name = TEXT_OF_EXPANDED(GPT_KERNELS),
    .panels = HAS_PANELS ? &gpt_kernel(panels) : NULL,
    .float_panels = FLOATS(panels_floats),
    .weights = weights,
    .dot = gpt_shared(dot),
    .skinny_rows = gpt_shared(skinny_rows),
    .skinny_columns = gpt_shared(skinny_columns),
    .exp = gpt_shared(exp),
    .log = gpt_shared(log),
    .tanh = gpt_shared(tanh),
    .gelu = gpt_shared(gelu),
    .gelu_backward = gpt_shared(gelu_backward),
    .gelu_exact = gpt_shared(gelu_exact),
    .gelu_exact_backward = gpt_shared(gelu_exact_backward),
    .sigmoid = gpt_shared(sigmoid),
    .sigmoid_backward = gpt_shared(sigmoid_backward),
    .silu = gpt_shared(silu),
    .silu_backward = gpt_shared(silu_backward),
    .gate = gpt_shared(gate),
    .gate_backward = gpt_shared(gate_backward),
    .rotate = gpt_kernel(rotate),
    .rotate_neighbours = gpt_kernel(rotate_neighbours),
    .rms_norm = gpt_shared(rms_norm),
    .rms_norm_backward = gpt_shared(rms_norm_backward),
    .drop = gpt_kernel(drop),
    .softmax = gpt_shared(softmax),
    .softmax_again = gpt_shared(softmax_again),
    .softmax_backward = gpt_shared(softmax_backward),
    .greatest = gpt_shared(greatest),
    .log_sum_exp = gpt_shared(log_sum_exp),
    .layer_norm = gpt_shared(layer_norm),
    .add = gpt_shared(add),
    .sum = gpt_shared(sum),
    .layer_norm_backward = gpt_shared(layer_norm_backward),
    .add_columns = gpt_shared(add_columns),
    .adamw = gpt_kernel(adamw),
    .sgd = gpt_kernel(sgd),
    .read_bf16 = gpt_kernel(read_bf16),
    .write_bf16 = gpt_kernel(write_bf16),
    .read_q8 = gpt_kernel(read_q8),
    .write_q8 = gpt_kernel(write_q8),
};
