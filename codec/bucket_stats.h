/*
 * What adaptive levels need to know of a vector: norm, mean and standard deviation of its buckets, and from
 * them the distribution of a normalised coordinate. Not for fitting levels to it (codec/levels_alq.h,
 * codec/levels_amq.h). Source: Faghri et al., "Adaptive Gradient Quantization for Data-Parallel SGD", NeurIPS
 * 2020, section 3.3, and the authors' code. Sums are float64 in the order of the elements: the same on every
 * machine. Nothing here allocates.
 *
 * A bucket is `elems` neighbours of a vector; a last one that is shorter is not measured. A coordinate v is
 * normalised to r = v / norm in [-1, 1]. The authors divide by norm + 1e-7; we leave a bucket of zeros out
 * instead, so that scale does not matter.
 */
#ifndef FL_CODEC_BUCKET_STATS_H
#define FL_CODEC_BUCKET_STATS_H

#include <stddef.h>

#include "codec/mixture.h"

enum fl_norm {
    FL_NORM_L2,  /* square root of the sum of squares: QSGD, NUQSGD, ALQ, AMQ */
    FL_NORM_MAX, /* largest magnitude: QSGDinf, TernGrad */
};

/* Norm of n finite numbers as float32, not below the true norm, so that |v| / norm <= 1. 0 for zeros only.
 * FL_ERR_RANGE when it is above the largest float32. */
FL_MUST_CHECK enum fl_status fl_bucket_norm(enum fl_norm kind, const float *v, size_t n, float *ret_norm);

struct fl_bucket_stats {
    double norm;  /* in the unit of the vector, > 0 */
    double mean;  /* of r, in [-1, 1] */
    double sigma; /* of r, square root of the mean of (r - mean)^2, in [0, 1] */
};

/* The buckets with the largest norms that were met so far. */
struct fl_bucket_top {
    struct fl_bucket_stats
        *stats;  /* shape (room), of the caller; the first count are set, largest norm first */
    size_t room; /* at least 1; 50 to 350 in the authors' scripts */
    size_t count;
};

/* Measures the buckets of v (n finite numbers, units of a gradient or an update) and keeps those whose norms
 * are among the largest; of equal norms those met first. Called again for further vectors. FL_ERR_RANGE as
 * fl_bucket_norm, top then holds the buckets before the one it was found in. */
FL_MUST_CHECK enum fl_status fl_bucket_top_add(struct fl_bucket_top *top, enum fl_norm kind, const float *v,
                                               size_t n, size_t elems);

/*
 * ALQ and AMQ: the buckets' truncated normals, weighted by norm (as in the authors' code; the theory has
 * squared norms). A bucket whose mean and sigma are within a twentieth of sigma of a part joins it, mean and
 * variance of both together kept: that is about what the numbers of a bucket are known to, and makes fitting
 * many times faster. ret_parts: shape (count), count >= 1; ret_count: how many were made. FL_ERR_RANGE,
 * FL_ERR_NOT_FINITE for statistics, of a peer perhaps, that no bucket can have.
 */
FL_MUST_CHECK enum fl_status fl_bucket_mix(const struct fl_bucket_stats *stats, size_t count,
                                           struct fl_mixture_part *ret_parts, size_t *ret_count);

/* ALQ-N and AMQ-N: a single part, the mean of the means and the root of the mean of the variances. Else as
 * above. */
FL_MUST_CHECK enum fl_status fl_bucket_pool(const struct fl_bucket_stats *stats, size_t count,
                                            struct fl_mixture_part *ret_part);

#endif
