/*
 * OpenBLAS starts a pool of threads when it is loaded, one for each processor. Ours is linked in statically, and the
 * linker turns its question how many threads the environment asks for to this function (--wrap). What it returns, one,
 * keeps it from starting any; the core's own pool calls it from several threads, each with a part of the product.
 */
int __wrap_openblas_num_threads_env(void);

int __wrap_openblas_num_threads_env(void) { return 1; }
