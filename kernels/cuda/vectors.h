/* Element by element: sums and differences, a step of training, and sparse changes. */
#ifndef FL_KERNELS_CUDA_VECTORS_H
#define FL_KERNELS_CUDA_VECTORS_H

#include "kernels/cuda/workspace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* a[i] + b[i], a[i] - b[i]; shapes (n), the result may be a or b. */
cudaError_t fl_cuda_add(const float *a, const float *b, float *ret_sum, size_t n, cudaStream_t stream);
cudaError_t fl_cuda_subtract(const float *a, const float *b, float *ret_difference, size_t n,
                             cudaStream_t stream);

/* fl_descend() of kernels/exact.h at every element; shapes (n), which may not overlap. */
cudaError_t fl_cuda_descend(const struct fl_kernels_descent *descent, const float *gradient, float *velocity,
                            float *weights, size_t n, cudaStream_t stream);

/* x[indices[i]] = the float32 with bits words[i]: a delta of rule R19. indices: different from each other and
 * inside x, as a checked payload has them; shapes (count). */
cudaError_t fl_cuda_assign(float *x, const uint32_t *indices, const uint32_t *words, size_t count,
                           cudaStream_t stream);

/* x[indices[i]] += what words[i] stands for: the float32 with these bits where step is 0, else the level
 * times step, as fl_payload_fold(). indices as above. */
cudaError_t fl_cuda_fold(float *x, const uint32_t *indices, const uint32_t *words, size_t count, float step,
                         cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
