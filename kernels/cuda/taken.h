/*
 * What is taken out of a vector, in two steps: marks for what is to be taken, then the marked ones in
 * increasing order. The host does both in one (add_list and add_pack of kernels/kernels.h). Between the two
 * nobody needs to wait; who wants to know first how many there are reads struct fl_cuda_found.
 */
#ifndef FL_KERNELS_CUDA_TAKEN_H
#define FL_KERNELS_CUDA_TAKEN_H

#include "kernels/cuda/workspace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the marks of one vector, or of its parts one after the other, have found. The caller zeroes it before
 * the first. */
struct fl_cuda_found {
    uint32_t count;      /* elements marked so far */
    uint32_t not_finite; /* 1: an element was NaN or infinite; those are never marked */
};

/* Elements that are kept: all of a magnitude above least (bits), and the first `equal` of magnitude least;
 * never zeros. Made by kernels/cuda/cut.h. */
struct fl_cuda_cut {
    uint32_t least, equal;
};

/* p[i] = a[i] + b[i]; marks where low <= bits of |p[i]| < high. low < high <= 0x7f800000. Shapes (n); p may
 * be a or b. Reads 8 and writes 4 bytes an element, and 1/8 of one for the marks. */
cudaError_t fl_cuda_mark_sum(const float *a, const float *b, float *ret_p, size_t n, uint32_t low,
                             uint32_t high, void *workspace, struct fl_cuda_found *found,
                             cudaStream_t stream);

/* Marks what *cut keeps of p, shape (n). */
cudaError_t fl_cuda_mark_cut(const float *p, size_t n, const struct fl_cuda_cut *cut, void *workspace,
                             struct fl_cuda_found *found, cudaStream_t stream);

/* Marks where the level of p[i], rounded at random to the grid (draw and round_levels of the table), is not
 * 0. Element i takes the i-th random word. Shape (n); grid and draw are in host memory, read during the call.
 */
cudaError_t fl_cuda_mark_rounded(const float *p, size_t n, const struct fl_kernels_grid *grid,
                                 const struct fl_kernels_draw *draw, void *workspace,
                                 struct fl_cuda_found *found, cudaStream_t stream);

/*
 * What was marked last with this workspace, in increasing order: base + i to ret_indices, what is sent to
 * ret_words, behind those of the parts before (found->count has grown by this part's), and what stays to
 * p[i]. Both arrays hold `capacity` elements; when found->count is above that, nothing at all happens, and
 * the call may be repeated with more room. p and n are those that were marked.
 *
 * values: the bits of p[i]; 0 stays. levels: as add_pack() of the table, on its grid. rounded: the level
 * as int32 in two's complement; p[i] less level times step stays; p is the whole vector.
 */
cudaError_t fl_cuda_take_values(float *p, size_t n, uint32_t base, size_t capacity, void *workspace,
                                const struct fl_cuda_found *found, uint32_t *ret_indices, uint32_t *ret_words,
                                cudaStream_t stream);
cudaError_t fl_cuda_take_levels(float *p, size_t n, uint32_t base, size_t capacity,
                                const struct fl_kernels_grid *grid, void *workspace,
                                const struct fl_cuda_found *found, uint32_t *ret_indices, uint32_t *ret_words,
                                cudaStream_t stream);
cudaError_t fl_cuda_take_rounded(float *p, size_t n, size_t capacity, const struct fl_kernels_grid *grid,
                                 const struct fl_kernels_draw *draw, void *workspace,
                                 const struct fl_cuda_found *found, uint32_t *ret_indices,
                                 uint32_t *ret_words, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
