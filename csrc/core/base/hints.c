#include "core/base/hints.h"

#include <stdio.h>
#include <string.h>

#include "core/base/suggest.h"

typedef struct Pair {
  const char *word, *ours;
} Pair;

/* Other libraries' names and ours. One may stand for several: what counts is which of them the value at hand has. */
static const Pair other_names[] = {
    /* tensors */
    {"tolist", "totable"}, {"numpy", "totable"}, {"mm", "matmul"}, {"bmm", "matmul"}, {"dot", "matmul"},
    {"nelement", "numel"}, {"ndim", "dim"}, {"ndimension", "dim"}, {"data", "detach"}, {"type", "dtype"},
    {"argsort", "sort"}, {"take_along_dim", "gather"}, {"index_select", "index"}, {"flatten", "reshape"},
    {"swapaxes", "transpose"}, {"swapdims", "transpose"}, {"scatter_add_", "scatter_add"}, {"ger", "outer"},
    {"clip", "clamp"}, {"chunk", "narrow"},
    {"split", "narrow"}, {"half", "to"}, {"bfloat16", "to"}, {"copy_", "copy"}, {"fill_", "fill"}, {"zero_", "fill"},
    {"requires_grad_", "requires_grad"}, {"requires_grad_", "freeze"},
    /* gpt, gpt.nn */
    {"manual_seed", "seed"}, {"from_numpy", "tensor"}, {"Tensor", "tensor"}, {"FloatTensor", "tensor"},
    {"LongTensor", "tensor"}, {"concat", "cat"}, {"concatenate", "cat"}, {"multinomial", "sample"},
    {"set_num_threads", "set_threads"}, {"inference_mode", "no_grad"}, {"empty", "zeros"},
    {"from_pretrained", "load"}, {"AutoModelForCausalLM", "load"}, {"GPT2LMHeadModel", "load"}, {"GPT", "Model"},
    {"AutoTokenizer", "tokenizer"}, {"GPT2Tokenizer", "tokenizer"}, {"Parameter", "parameter"}, {"ModuleList", "List"},
    /* layers, optimizers */
    {"state_dict", "state"}, {"state_dict", "parameters"}, {"load_state_dict", "load_state"},
    {"load_state_dict", "load_parameters"}, {"named_parameters", "parameters"}, {"modules", "children"},
    {"named_modules", "children"}, {"named_children", "children"}, {"save_pretrained", "save"},
    {"numel", "num_parameters"}, {"gradient_checkpointing_enable", "recompute"},
    /* adapters */
    {"LoraConfig", "lora"}, {"get_peft_model", "lora"}, {"PeftModel", "load_adapter"}, {"PeftConfig", "load_adapter"},
    {"set_adapter", "use_adapter"}, {"disable_adapter", "use_adapter"}, {"merge_and_unload", "merge_lora"},
    {"merge_adapter", "merge_lora"}, {"r", "rank"}, {"lora_r", "rank"}, {"lora_alpha", "alpha"},
    {"lora_dropout", "dropout"}, {"target_modules", "targets"}, {"adapter_name", "name"},
    /* tokenizers */
    {"encode_plus", "encode"}, {"batch_encode_plus", "encode"}, {"tokenize", "encode"},
    {"convert_tokens_to_ids", "encode"}, {"batch_decode", "decode"}, {"convert_ids_to_tokens", "token"},
    {"eos_token_id", "eos"}, {"eos_token", "eos"},
    /* options */
    {"learning_rate", "lr"}, {"max_lr", "lr"}, {"eta_min", "min_lr"}, {"block_size", "context_length"},
    {"seq_len", "context_length"}, {"sequence_length", "context_length"}, {"max_seq_len", "context_length"},
    {"max_length", "max_new_tokens"}, {"max_length", "context_length"}, {"max_tokens", "max_new_tokens"},
    {"do_sample", "temperature"}, {"eos_token_id", "stop"}, {"max_iters", "steps"}, {"max_steps", "steps"},
    {"total_steps", "steps"}, {"iterations", "steps"}, {"num_epochs", "epochs"}, {"n_epochs", "epochs"},
    {"grad_clip", "clip"}, {"max_grad_norm", "clip"}, {"gradient_accumulation_steps", "accumulate"},
    {"eval_interval", "evaluate_every"}, {"eval_steps", "evaluate_every"}, {"eval_iters", "evaluate_batches"},
    {"warmup_steps", "warmup"}, {"warmup_iters", "warmup"}, {"val_data", "validation"}, {"eval_dataset", "validation"},
    {"train_data", "data"}, {"train_dataset", "data"}, {"per_device_train_batch_size", "batch_size"},
    {"gradient_checkpointing", "recompute"}, {"stop_strings", "stop"}, {"stopping_criteria", "stop"},
    {"logits_processor", "process"}, {"schema", "json_schema"}, {"pattern", "regex"}, {"output_hidden_states", "hooks"},
};

#define ON_THE_CPU "all is computed on the CPU: leave it out"
#define AS_A_FUNCTION "a plain function does it in a Sequential, as in function(x) return x:tanh() end"

/* What to do where there is no such name. */
static const Pair advice[] = {
    {"t", "x:transpose(1, 2) does it"}, {"T", "x:transpose(1, 2) does it"}, {"mT", "x:transpose(-2, -1) does it"},
    {"cuda", ON_THE_CPU}, {"cpu", ON_THE_CPU}, {"device", ON_THE_CPU}, {"mps", ON_THE_CPU},
    {"pin_memory", ON_THE_CPU}, {"zeros_like", "gpt.zeros(x:shape()) does it"},
    {"ones_like", "gpt.ones(x:shape()) does it"},
    {"save", "model:save(dir) writes a model, layer:save_parameters(file) any layer's parameters"},
    {"compile", "there is nothing to compile: leave it out"},
    {"Module", "gpt.nn.layer(name, { init = ..., forward = ... }) makes a new kind of layer"},
    {"Tanh", AS_A_FUNCTION}, {"Sigmoid", AS_A_FUNCTION}, {"Softmax", AS_A_FUNCTION}, {"Flatten", AS_A_FUNCTION},
    {"CrossEntropyLoss", "gpt.cross_entropy(logits, targets) is it"},
    {"einsum", "matmul, permute and sum do what it writes"},
    {"functional", "what is in there are methods of tensors here, as in x:softmax(-1)"},
    {"Adam", "AdamW with weight_decay = 0 is Adam"},
    {"lr_scheduler", "gpt.lr_schedule makes schedules"}, {"zero_grad", "optimizer:zero_grad() does it"},
    {"axis", "dims are given by position, as in x:mean(1)"},
    {"forward", "call the layer itself: layer(x)"},
    {"register_forward_hook", "layer:run(x, { [path] = function(output) ... end }) calls a layer with hooks"},
    {"streamer", "model:stream(prompt, options) returns each token as soon as it is there"},
};

#define COUNT(array) (sizeof array / sizeof array[0])

static const char *find_word(const char *word, const char *const names[], size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(word, names[i]) == 0) return names[i];
  return NULL;
}

const char *gpt_other_name(const char *word, const char *const names[], size_t count) {
  const char *ours = NULL;
  for (size_t i = 0; i < COUNT(other_names) && ours == NULL; i++)
    if (strcmp(word, other_names[i].word) == 0) ours = find_word(other_names[i].ours, names, count);
  return ours;
}

static const char *find_advice(const char *word) {
  for (size_t i = 0; i < COUNT(advice); i++)
    if (strcmp(word, advice[i].word) == 0) return advice[i].ours;
  return NULL;
}

const char *gpt_hint(const char *word, const char *const names[], size_t count, char *out) {
  const char *near = gpt_other_name(word, names, count), *todo = near == NULL ? find_advice(word) : NULL;
  if (near == NULL && todo == NULL) near = gpt_suggest(word, names, count);
  if (todo != NULL) snprintf(out, GPT_HINT_SIZE, "; %s", todo);
  else if (near != NULL) snprintf(out, GPT_HINT_SIZE, "; did you mean '%s'?", near);
  else out[0] = '\0';
  return out;
}
