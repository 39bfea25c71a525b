/*
 * Where to cut so that about or exactly k of the largest magnitudes are kept, as codec/topk.h and
 * codec/sampled_threshold.h find it: by counting digits, 11 bits at a time. What is kept is marked by
 * fl_cuda_mark_cut() (kernels/cuda/taken.h).
 */
#ifndef FL_KERNELS_CUDA_CUT_H
#define FL_KERNELS_CUDA_CUT_H

#include "kernels/cuda/taken.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The cut that keeps exactly the k largest magnitudes of x, ties by smallest index, zeros never. x: finite,
 * shape (n); 1 <= k <= n. Reads x three times. */
cudaError_t fl_cuda_cut_top(const float *x, size_t n, size_t k, void *workspace, struct fl_cuda_cut *ret_cut,
                            cudaStream_t stream);

/* What a sampled threshold is found from: elements start, start + stride, ..., count of them, whose rank-th
 * largest magnitude it begins with; as fl_threshold_draw_sample() draws them. */
struct fl_cuda_sample {
    size_t start, stride, count, rank;
};

/*
 * The cut of fl_threshold_dgc() for `target` elements and fl_threshold_select() with cap: what reaches the
 * threshold, or the cap largest if more do. (So there is no need to look for the exact threshold where too
 * many reach the sampled one.) x: finite, shape (n), n > 0; 1 <= cap <= target <= n; sample is in host memory
 * and read during the call. Queues some forty short kernels; those that turn out not to be needed return at
 * once.
 */
cudaError_t fl_cuda_cut_sampled(const float *x, size_t n, const struct fl_cuda_sample *sample, size_t target,
                                size_t cap, void *workspace, struct fl_cuda_cut *ret_cut,
                                cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
