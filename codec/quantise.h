/*
 * Coordinates to indices of levels and back: at random to one of the two neighbouring levels so that the mean
 * is right, or to the nearest. Not for the levels themselves (codec/levels.h) nor for coding indices as bits
 * (codec/huffman.h). Nothing here allocates or fails.
 *
 * Bit for bit the same on every machine: r = v / norm in float32, then float64 without contraction, random
 * words of a counter (kernels/kernels.h) compared as integers.
 */
#ifndef FL_CODEC_QUANTISE_H
#define FL_CODEC_QUANTISE_H

#include "kernels/kernels.h"

/* A set of levels as fl_levels_table makes it: strictly increasing, in [-1, 1]. Borrowed. */
struct fl_quantise_levels {
    const float *table; /* shape (count) */
    size_t count;       /* 2..256 */
};

/*
 * For i in 0..n-1 with r = v[i] / norm and neighbours a <= r < c: c with probability floor(2^32 (r - a) / (c
 * - a)) / 2^32, else a. So the mean of the level is r less at most 2^-32 (c - a), and a coordinate on a level
 * stays there. Outside the table it is the outermost level. v: finite, shape (n); norm: finite, > 0, at least
 * |v[i]| for the mean to be right; first: index of v[0] in the whole vector, so that parts give the same as
 * the whole. Source: Alistarh et al., "QSGD", NeurIPS 2017, section 3.1, for any levels: Faghri et al.,
 * NeurIPS 2020, section 2.
 */
void fl_quantise_stochastic(const struct fl_kernels *kernels, const struct fl_quantise_levels *levels,
                            const float *v, float norm, size_t n, uint64_t first,
                            const struct fl_kernels_draw *draw, uint8_t *ret_indices);

/* The nearest level, the lower one when two are equally far. Else as above; not unbiased. */
void fl_quantise_nearest(const struct fl_quantise_levels *levels, const float *v, float norm, size_t n,
                         uint8_t *ret_indices);

/* ret_v[i] = table[indices[i]] * norm in float32. Every index is below count. */
void fl_quantise_decode(const struct fl_quantise_levels *levels, const uint8_t *indices, float norm, size_t n,
                        float *ret_v);

#endif
