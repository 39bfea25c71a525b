/* An example of a kernel: kernels.h's count_band() on a device. */
#ifndef FL_TESTS_UNIT_EMU_COUNT_BAND_H
#define FL_TESTS_UNIT_EMU_COUNT_BAND_H

#include <cuda_runtime_api.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *d_count += how many i have low <= |d_x[i]| < high. d_x: shape (n) float32, finite; both are device
 * pointers. Queued on stream; cudaGetLastError() tells whether it was. */
void count_band(const float *d_x, size_t n, float low, float high, unsigned *d_count, unsigned blocks,
                cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
