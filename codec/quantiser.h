/*
 * Quantisers with levels: each bucket of values has a scale, each value the code of a level of a table that
 * all buckets share (FL_VALUES_LEVELS). One recipe each: what the scale is, where the levels come from, how a
 * value gets its level. Not for the levels themselves (codec/levels.h and its kin), nor for bytes
 * (codec/values.h).
 *
 * | codec       | scale        | levels                              | rounding | class | | sign        |
 * mean |v|     | -1, 1                               | sign     | contraction, delta = ||v||_1^2 / (n
 * ||v||_2^2) | | one-bit     | 1            | mean of the negative, of the others | sign     | contraction |
 * | tree-8      | max |v|      | dynamic tree, 256                   | nearest  | contraction | |
 * tree-8-fixed| 128 lambda   | dynamic tree, 256                   | nearest  | absolute for |v| <= 128
 * lambda | | qsgd        | ||v||_2      | uniform with 0, 2^bits - 1          | random   | unbiased, omega =
 * min(B / s^2, sqrt(B) / s) | | qsgd-max    | max |v|      | the same                            | random   |
 * unbiased                       | | nuqsgd      | ||v||_2      | +-2^-j with 0, 2^bits - 1           |
 * random   | unbiased                       | | terngrad    | max |v|      | -1, 0, 1, after clipping |
 * random   | unbiased but for the clipping  | | alq, alq-n  | ||v||_2      | fitted, 2^bits | random   |
 * unbiased                       | | amq, amq-n  | ||v||_2      | +-p^j, p fitted, 2^bits             |
 * random   | unbiased                       | | qsparse     | as qsgd, of the k largest, over 1 + omega  | |
 * random | contraction, delta = k / (d (1 + omega)) |
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
