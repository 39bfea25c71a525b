/*
 * The distribution of a normalised coordinate: a weighted sum of truncated normals, one for each bucket that
 * was measured (ALQ, AMQ) or a single one for all (ALQ-N, AMQ-N). Not for measuring them
 * (codec/bucket_stats.h). Nothing here allocates or fails.
 */
#ifndef FL_CODEC_MIXTURE_H
#define FL_CODEC_MIXTURE_H

#include <stddef.h>

#include "codec/truncated_normal.h"

struct fl_mixture_part {
    double weight; /* >= 0, the weights of a mixture sum to 1 */
    struct fl_truncated_normal normal;
};

/* F. The parts are borrowed. */
struct fl_mixture {
    const struct fl_mixture_part *parts;
    size_t count;  /* at least 1 */
    int symmetric; /* 1: F is the mean of the weighted sum and of its mirror image r -> -r */
};

/* Density at r in [-1, 1]. */
double fl_mixture_density(const struct fl_mixture *mixture, double r);

/* The integrals over [a, b], -1 <= a <= b <= 1. */
void fl_mixture_moments(const struct fl_mixture *mixture, double a, double b, struct fl_moments *ret_moments);

/* x in [a, b] so that [a, x] has this mass, 0 <= mass <= that of [a, b]. The inverse of F is a = -1, b = 1.
 */
double fl_mixture_quantile(const struct fl_mixture *mixture, double a, double b, double mass);

#endif
