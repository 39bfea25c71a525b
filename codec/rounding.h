/*
 * Rounding at random to the two neighbours of a number, with the right mean: to a power-of-two grid, and to
 * powers of two. Not for tables of levels (codec/quantise.h) nor for bytes. Nothing here allocates or fails,
 * and every machine gives the same bits: words of a counter (kernels/kernels.h) are compared as integers.
 */
#ifndef FL_CODEC_ROUNDING_H
#define FL_CODEC_ROUNDING_H

#include "kernels/kernels.h"

/*
 * Levels of p on the grid of step s = 2^step_log2, without a dead zone: with x = |p| / s, exact in float64,
 *
 *     level(p) = 0                                                      if |p| >= 2^44 s
 *              = sign(p) min(floor(x) + (word < floor(2^32 (x - floor(x)))), 2^20)   otherwise
 *
 * which is s floor(p / s + u), u uniform in [0, 1) (algorithms.md section 2): E level s = p less at most
 * 2^-32 s, |p - level s| < s unless cut off. A multiple of s stays. level s and, for |p| >= s / 2 or level 0,
 * p - level s are exact in float32 (codec/grid.h; away from zero |p - level s| <= |p| there); for smaller p
 * that go to +-s the difference is rounded once, by at most 2^-25 s.
 *
 * Writes the indices of levels that are not 0, in increasing order, and those levels as int32 in two's
 * complement, unless both arrays are NULL; returns how many. p: finite, shape (n).
 */
size_t fl_rounding_levels(const struct fl_kernels *kernels, const float *p, size_t n, int step_log2,
                          uint64_t seed, uint32_t *ret_indices, uint32_t *ret_levels);

/*
 * The float32 bits of p[i] rounded to a power of two: |p| = m 2^e, 1 <= m < 2, goes up with probability
 * m - 1, exactly, so the mean is p and the variance at most p^2 / 8. Below 2^-126 it is 0 or 2^-126, with the
 * right mean but a variance beyond that; from 2^127 on it stays at 2^127, as there is no larger one. Never
 * -0. first: index of p[0] in the whole vector. p: finite, shape (n).
 * Source: Horvath et al. 2019, "Natural compression"; algorithms.md section 7.1.
 */
void fl_rounding_natural(const struct fl_kernels *kernels, const float *p, size_t n, uint64_t first,
                         uint64_t seed, uint32_t *ret_words);

#endif
