/*
 * The three matrix products of a dense layer, float32, row by row, on one thread; private to client/trainer.
 * The same input gives the same bits on the same machine.
 */
#ifndef FL_CLIENT_TRAINER_BLAS_H
#define FL_CLIENT_TRAINER_BLAS_H

#include <stdint.h>

/* Keeps the library to one thread, for the whole process: clients share machines, and sums stay in order. */
void fl_blas_init(void);

/* Name, version and processor, as the library says; static. */
const char *fl_blas_name(void);

/* c (rows, outputs) = a (rows, inputs) * transpose of w (outputs, inputs). Every size is below 2^31. */
void fl_blas_forward(uint32_t rows, uint32_t inputs, uint32_t outputs, const float *a, const float *w,
                     float *ret_c);

/* c (rows, inputs) = d (rows, outputs) * w (outputs, inputs) */
void fl_blas_backward(uint32_t rows, uint32_t inputs, uint32_t outputs, const float *d, const float *w,
                      float *ret_c);

/* g (outputs, inputs) = transpose of d (rows, outputs) * a (rows, inputs) */
void fl_blas_gradient(uint32_t rows, uint32_t inputs, uint32_t outputs, const float *d, const float *a,
                      float *ret_g);

#endif
