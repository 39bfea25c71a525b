/* Numbers that stand for a whole vector. */
#ifndef FL_KERNELS_CUDA_NORMS_H
#define FL_KERNELS_CUDA_NORMS_H

#include "kernels/cuda/workspace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The largest of the bits of |x[i]|, 0 when n is 0: what max_abs() of the table gives, and 0x7f800000 or more
 * exactly where all_finite() gives 0. Shape (n). */
cudaError_t fl_cuda_worst(const float *x, size_t n, uint32_t *ret_bits, cudaStream_t stream);

/* The sum of squares in the table's order. Shape (n). */
cudaError_t fl_cuda_sum_squares(const float *x, size_t n, void *workspace, double *ret_sum,
                                cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
