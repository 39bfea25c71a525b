/* Exact selection of the largest magnitudes, ties by smallest index. Allocates nothing. */
#ifndef FL_CODEC_TOPK_H
#define FL_CODEC_TOPK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes, in increasing order, base plus the index of each of the k largest |x[i]|, and its bits; zeros are
 * never taken, so fewer than k may come back. x: finite, shape (n), 1 <= k <= n; both arrays hold k elements.
 * Returns how many were written.
 */
size_t fl_topk_select(const float *x, size_t n, size_t k, uint32_t base, uint32_t *ret_indices,
                      uint32_t *ret_bits);

/* The k-th largest of |x[0]|, |x[stride]|, ... |x[(n - 1) * stride]|; 1 <= k <= n, stride >= 1, x finite. */
float fl_topk_magnitude(const float *x, size_t n, size_t stride, size_t k);

#endif
