/* Exact selection of the largest magnitudes, ties by smallest index, and a bound for them from a sample.
 * Allocates nothing. */
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

/* The same as bits (which are ordered as the floats are); x: floats or their bits. How many of the k largest
 * are equal to it goes to ret_equal. */
uint32_t fl_topk_kth(const void *x, size_t n, size_t stride, size_t k, size_t *ret_equal);

/* From so many elements on a sample is worth its time. */
#define FL_TOPK_SAMPLE_FROM ((size_t)1 << 18)

/*
 * Bits of a magnitude that at least k of |a[i] + b[i]| reach in all likelihood, and not many more; at least
 * 1, so zeros do not. From FL_TOPK_SAMPLE_FROM elements on; always the same for the same a, b, n and k.
 * ret_most: more than so many will not reach it, in all likelihood. Source: the sampled threshold of DGC,
 * Lin et al. 2018, section 3.4, with a margin of five standard deviations.
 */
uint32_t fl_topk_bound(const float *a, const float *b, size_t n, size_t k, size_t *ret_most);

#endif
