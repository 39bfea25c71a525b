/*
 * Quantisers with levels: each bucket of values has a scale, each value the code of a level of a table that
 * all buckets share (FL_VALUES_LEVELS). One recipe each: what the scale is, where the levels come from, how a
 * value gets its level. Not for the levels themselves (codec/levels.h and its kin), nor for bytes
 * (codec/values.h).
 *
 * - sign: mean magnitude; levels -1 and 1, by the sign; contraction, delta = ||v||_1^2 / (n ||v||_2^2)
 * - one-bit: scale 1; the mean of the negative values and that of the others; contraction
 * - tree-8: largest magnitude; dynamic tree of 256 levels, to the nearest; contraction
 * - tree-8-fixed: 128 lambda; the same tree; absolute while |v| <= 128 lambda
 * - qsgd: 2-norm; 2^bits - 1 uniform levels with 0, at random; unbiased, omega = min(B / s^2, sqrt(B) / s)
 * - qsgd-max: largest magnitude; the same levels, at random; unbiased
 * - nuqsgd: 2-norm; 2^bits - 1 levels +-2^-j with 0, at random; unbiased
 * - terngrad: largest magnitude after clipping; -1, 0, 1, at random; unbiased but for the clipping
 * - alq, alq-n: 2-norm; 2^bits fitted levels, at random; unbiased
 * - amq, amq-n: 2-norm; 2^bits levels +-p^j with p fitted, at random; unbiased
 * - adaqs, dqsgd: as qsgd with 2 s + 1 levels, s by the rules of codec/level_count.h, at most as many as qsgd
 * - qsparse: the k largest as in qsgd, over 1 + omega; contraction in the mean, delta = k / (d (1 + omega))
 *
 * Sources: algorithms.md sections 2.2, 6, 7.
 */
#ifndef FL_CODEC_QUANTISER_H
#define FL_CODEC_QUANTISER_H

#include "codec/codec.h"

/* fl_codec_encode_fn of all of them. Needs a byte a value sent, and for qsparse 8 more. */
FL_MUST_CHECK enum fl_status fl_quantiser_encode(const struct fl_kernels *kernels,
                                                 const struct fl_codec_params *params, const float *p,
                                                 size_t dim, struct fl_buf *payload);

#endif
