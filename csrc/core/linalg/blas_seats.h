/*
 * Seats in OpenBLAS: a thread that computes there has one.
 *
 * OpenBLAS maps a buffer of 128 MiB of addresses for each thread that is inside a product, and keeps it for the next
 * one. Where the system refuses a buffer it tries again without end, and with more threads inside than it was built for
 * it prints a warning. So there are as many seats as buffers: a new one is made only where the system has room for a
 * buffer, which is mapped at once, and no more are made than OpenBLAS has threads. Who finds no seat waits for one.
 */
#ifndef GPT_BLAS_SEATS_H
#define GPT_BLAS_SEATS_H

#include "core/base/env.h"

/* Makes sure that there is a seat at all. To be called before tiles are computed; false and a message without memory. */
bool gpt_blas_ready(GptEnv *env);

/* Around each call of OpenBLAS, on any thread. */
void gpt_blas_enter(void);
void gpt_blas_leave(void);

#endif
