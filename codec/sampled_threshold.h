/*
 * The threshold of Deep Gradient Compression, found from a sample, and the last cut of anything that was
 * selected by an estimated threshold. Not for thresholds by a fitted distribution (codec/sidco.h) nor for a
 * lambda that stays (codec/lambda_rules.h).
 */
#ifndef FL_CODEC_SAMPLED_THRESHOLD_H
#define FL_CODEC_SAMPLED_THRESHOLD_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/kernels.h"

/* ceil(ratio * n), at least 1 and at most n; ratio in (0, 1], n > 0. */
size_t fl_threshold_cap(double ratio, size_t n);

/* Which elements the sample takes: start, start + stride, ..., count of them. The rank-th largest magnitude
 * among them is the first threshold. */
struct fl_threshold_sample {
    size_t start, stride, count, rank;
};

/* The sample of fl_threshold_dgc(); n > 0, ratio in (0, 1]. */
struct fl_threshold_sample fl_threshold_draw_sample(size_t n, double ratio, uint64_t seed);

/*
 * A threshold, in the unit of x, that about ratio * n elements reach, by magnitude. The sample takes every
 * s-th element from a start drawn from seed, s odd and so that there are about max(0.01 n, 2 / ratio) of
 * them; the threshold is the ceil(ratio * samples)-th largest. Where more than 1.3 of fl_threshold_cap()
 * elements reach it, it is replaced by the exact one; where fewer than 0.8 do, it is multiplied by 0.8, at
 * most 10 times. Never 0, at least FLT_MIN: with fewer elements that are not zero, those are all above.
 *
 * x: shape (n). Allocates nothing. How many reach it is between 1 and 1.3 of the cap unless x is zero or more
 * are equal; fl_threshold_select() makes the last cut. FL_ERR_SHAPE: n is 0; FL_ERR_RANGE: ratio outside
 * (0, 1]; FL_ERR_NOT_FINITE.
 * Source: Lin et al. 2018 (DGC) and its authors' code; algorithms.md section 9.
 */
FL_MUST_CHECK enum fl_status fl_threshold_dgc(const struct fl_kernels *kernels, const float *x, size_t n,
                                              double ratio, uint64_t seed, float *ret_threshold);

/*
 * The elements with |x[i]| >= threshold, in increasing order, and their bits; when they are more than cap,
 * the cap largest of them, ties by smallest index. x: finite, shape (n), n < 2^32; threshold > 0;
 * 1 <= cap <= n; both arrays hold cap elements. Returns how many were written.
 */
size_t fl_threshold_select(const struct fl_kernels *kernels, const float *x, size_t n, float threshold,
                           size_t cap, uint32_t *ret_indices, uint32_t *ret_bits);

#endif
