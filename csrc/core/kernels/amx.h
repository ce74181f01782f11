/* Intel's tiles (AMX): is there what they need, and panels for products by them. */
#ifndef GPT_AMX_H
#define GPT_AMX_H

#include <stdbool.h>

#include "core/kernels/kernels.h"

/* Has the processor products of tiles of bf16, and does the system save tiles? */
bool gpt_amx_there(void);

/* Asks the system, once, for this process's leave to use tiles. It refuses where a thread's signal stack is too small for
   them; once it has given leave, smaller ones are refused. So nobody asks before products that need tiles. */
bool gpt_amx_allowed(void);

/* By dtype; NULL for those without: by the instructions, and by what stands for them in plain C. */
extern const GptWeightPanels *const gpt_kernel_tiles_amx[GPT_DTYPES], *const gpt_kernel_tiles_tiles[GPT_DTYPES];

#endif
