/* Inserting a vector into a count sketch (codec/sketch.h); its cells are integers, so the order of additions
 * cannot show. */
#ifndef FL_KERNELS_CUDA_SKETCH_H
#define FL_KERNELS_CUDA_SKETCH_H

#include "kernels/cuda/workspace.h"
#include "kernels/sketch_hash.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an insertion has found, in device memory; the caller zeroes it with the cells. */
struct fl_cuda_sketch_state {
    uint64_t load;         /* as in struct fl_sketch */
    uint64_t low, high;    /* of the sum of |units| in the insertion under way, the high part in 2^32 */
    uint32_t not_finite;   /* 1: the last vector had a NaN or an infinity, and nothing was inserted */
    uint32_t out_of_range; /* 1: FL_ERR_RANGE of fl_sketch_insert(), likewise */
};

/* Where a sketch lies on the device. */
struct fl_cuda_sketch {
    uint32_t rows;
    double per_unit;                   /* 2^-unit_log2 */
    const struct fl_sketch_hash *hash; /* that of struct fl_sketch, with its columns and block */
    int64_t *cells;                    /* shape (rows, columns) */
    struct fl_cuda_sketch_state *state;
};

/* Adds x, shape (n), n being the sketch's dim. Nothing is changed where fl_sketch_insert() would fail. sketch
 * itself is in host memory and read during the call only. */
cudaError_t fl_cuda_sketch_insert(const struct fl_cuda_sketch *sketch, const float *x, size_t n,
                                  cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
