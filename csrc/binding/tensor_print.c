/*
 * How a tensor prints: a line that tells shape and dtype, then the numbers, aligned, in one precision for the whole
 * tensor, which is chosen as PyTorch chooses it. Of a large tensor the first and last three slices of each dimension
 * are shown.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "binding/tensor.h"
#include "core/base/numbers.h"
#include "core/tensor/graph.h"

#define WHOLE 1000 /* elements: up to here all are shown */
#define EDGE 3     /* slices shown at each end of a larger one's dimension */
#define LINE 80    /* characters */
#define NUMBER 48

typedef enum Style { INTEGERS, WHOLE_FLOATS, FIXED, SCIENTIFIC } Style;

typedef struct Print {
  luaL_Buffer *out;
  const GptTensor *tensor;
  bool shortened;
  Style style;
  int width;
  /* what is told from the finite elements that are shown */
  bool any, whole;
  double least, most; /* absolute, of those other than 0 */
} Print;

static int write_number(const Print *print, int64_t at, char *text) {
  if (print->style == INTEGERS) return snprintf(text, NUMBER, "%lld", (long long)gpt_integers(print->tensor)[at]);
  double x = (double)gpt_tensor_float_at(print->tensor, at);
  if (isnan(x)) return snprintf(text, NUMBER, "nan");
  if (isinf(x)) return snprintf(text, NUMBER, x < 0 ? "-inf" : "inf");
  if (print->style == SCIENTIFIC) return gpt_format(text, NUMBER, "%.4e", x);
  return gpt_format(text, NUMBER, print->style == FIXED ? "%.4f" : "%.1f", x);
}

/* Calls fn for the offset of every element that is shown. */
static void each_shown(Print *print, int dim, int64_t at, void (*fn)(Print *, int64_t)) {
  const GptTensor *tensor = print->tensor;
  if (dim == tensor->ndim) {
    fn(print, at);
    return;
  }
  int64_t size = tensor->shape[dim];
  for (int64_t i = 0; i < size; i++) {
    if (print->shortened && size > 2 * EDGE && i == EDGE) i = size - EDGE;
    each_shown(print, dim + 1, at + i * tensor->stride[dim], fn);
  }
}

static void note_range(Print *print, int64_t at) {
  double x = fabs((double)gpt_tensor_float_at(print->tensor, at));
  if (!isfinite(x) || x == 0) return;
  if (!print->any || x < print->least) print->least = x;
  if (!print->any || x > print->most) print->most = x;
  if (x != ceil(x)) print->whole = false;
  print->any = true;
}

static void note_width(Print *print, int64_t at) {
  char text[NUMBER];
  int width = write_number(print, at, text);
  if (width > print->width) print->width = width;
}

static void choose_style(Print *print) {
  if (print->tensor->storage->dtype == GPT_I64) {
    print->style = INTEGERS;
  } else {
    print->whole = true;
    each_shown(print, 0, 0, note_range);
    bool wide = print->any &&
                (print->most / print->least > 1000 || print->most > 1e8 || (!print->whole && print->least < 1e-4));
    print->style = wide ? SCIENTIFIC : print->whole ? WHOLE_FLOATS : FIXED;
  }
  each_shown(print, 0, 0, note_width);
}

static void add_spaces(Print *print, int count) {
  while (count-- > 0) luaL_addchar(print->out, ' ');
}

static void add_number(Print *print, int64_t at) {
  char text[NUMBER];
  int length = write_number(print, at, text);
  add_spaces(print, print->width - length);
  luaL_addlstring(print->out, text, (size_t)length);
}

/* What stands between two slices of a dim: a comma, and as many new lines as dims end there. */
static void add_break(Print *print, int dim) {
  luaL_addchar(print->out, ',');
  for (int d = dim; d < print->tensor->ndim - 1; d++) luaL_addchar(print->out, '\n');
  add_spaces(print, dim + 1);
}

static void add_row(Print *print, int64_t at) {
  const GptTensor *tensor = print->tensor;
  int last = tensor->ndim - 1, column = 0, per_line = (LINE - tensor->ndim) / (print->width + 2);
  int64_t size = tensor->shape[last];
  for (int64_t i = 0; i < size; i++, column++) {
    if (i > 0) luaL_addchar(print->out, ',');
    if (i > 0 && per_line > 0 && column % per_line == 0)
      luaL_addchar(print->out, '\n'), add_spaces(print, tensor->ndim);
    else if (i > 0) luaL_addchar(print->out, ' ');
    if (print->shortened && size > 2 * EDGE && i == EDGE) {
      luaL_addstring(print->out, "..., ");
      i = size - EDGE;
    }
    add_number(print, at + i * tensor->stride[last]);
  }
}

static void add_dim(Print *print, int dim, int64_t at) {
  const GptTensor *tensor = print->tensor;
  int64_t size = tensor->shape[dim];
  luaL_addchar(print->out, '{');
  if (dim == tensor->ndim - 1) add_row(print, at);
  for (int64_t i = 0; dim < tensor->ndim - 1 && i < size; i++) {
    if (i > 0) add_break(print, dim);
    if (print->shortened && size > 2 * EDGE && i == EDGE) {
      luaL_addstring(print->out, "...");
      add_break(print, dim);
      i = size - EDGE;
    }
    add_dim(print, dim + 1, at + i * tensor->stride[dim]);
  }
  luaL_addchar(print->out, '}');
}

static void add_header(Print *print) {
  const GptTensor *tensor = print->tensor;
  char text[GPT_SHAPE_TEXT];
  luaL_addstring(print->out, "tensor ");
  luaL_addstring(print->out, gpt_tensor_shape_text(tensor, text));
  luaL_addchar(print->out, ' ');
  luaL_addstring(print->out, gpt_dtype_name(tensor->storage->dtype));
  if (tensor->node != NULL) {
    luaL_addstring(print->out, " (from ");
    luaL_addstring(print->out, tensor->node->op->name);
    luaL_addchar(print->out, ')');
  } else if (tensor->requires_grad) {
    luaL_addstring(print->out, " (requires_grad)");
  }
}

/***
The tensor as text: shape and dtype, whether it requires a gradient or which op recorded it, and its numbers.
@function Tensor:__tostring
@usage print(gpt.tensor {{1, 2}, {3, 4.5}})
-- tensor [2, 2] f32
-- {{1.0000, 2.0000},
--  {3.0000, 4.5000}}
*/
int bind_tensor_print(lua_State *L) {
  luaL_Buffer out;
  const GptTensor *tensor = bind_hold_tensor(L, 1);
  int held = lua_gettop(L);
  luaL_buffinit(L, &out);
  Print print = {.out = &out, .tensor = tensor, .shortened = gpt_tensor_numel(tensor) > WHOLE};
  bool single = tensor->ndim == 0, none = gpt_tensor_numel(tensor) == 0;
  add_header(&print);
  luaL_addchar(&out, single || none ? ' ' : '\n');
  if (!none) choose_style(&print);
  if (none) luaL_addstring(&out, "{}");
  else if (single) add_number(&print, 0);
  else add_dim(&print, 0, 0);
  luaL_pushresult(&out);
  bind_drop_tensor(L, held);
  return 1;
}
