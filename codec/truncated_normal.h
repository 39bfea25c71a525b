/*
 * A normal distribution cut off outside [-1, 1]: the model of one bucket's normalised coordinates that
 * adaptive levels are computed from (Faghri et al., "Adaptive Gradient Quantization", NeurIPS 2020, section
 * 3). Not for random draws, and not for several buckets together (codec/mixture.h).
 *
 * Results come from the mathematics library and may differ in the last bits from machine to machine: levels
 * made from them are computed in one place and sent, never computed twice.
 */
#ifndef FL_CODEC_TRUNCATED_NORMAL_H
#define FL_CODEC_TRUNCATED_NORMAL_H

#include "base/status.h"

/* Smallest standard deviation that is worked with, a smaller one (zero too) counts as this. */
#define FL_TRUNCATED_NORMAL_SIGMA_MIN 0x1p-40

/* Set by fl_truncated_normal_init. mean and sigma are those of the normal before it is cut. */
struct fl_truncated_normal {
    double mean, sigma;
    double inside; /* share of the uncut normal in [-1, 1], at least 0.47 */
};

/* Integrals over an interval [a, b] against a distribution F. */
struct fl_moments {
    double mass;    /* of dF */
    double rise;    /* of (r - a) dF */
    double fall;    /* of (b - r) dF */
    double product; /* of (b - r)(r - a) dF */
};

/*
 * mean in [-1, 1] and sigma in [0, 1], which is where mean and standard deviation of numbers in [-1, 1] lie.
 * In this region at least 0.47 of the uncut normal is inside [-1, 1] (least at mean 1, sigma 1), so no
 * division by it is unsafe. FL_ERR_NOT_FINITE, FL_ERR_RANGE.
 */
FL_MUST_CHECK enum fl_status fl_truncated_normal_init(double mean, double sigma,
                                                      struct fl_truncated_normal *ret_normal);

/* Density at r in [-1, 1]. */
double fl_truncated_normal_density(const struct fl_truncated_normal *normal, double r);

/*
 * All four integrals over [a, b], -1 <= a <= b <= 1, none negative. Relative error below 1e-10 while the
 * interval begins within 8 sigma of the mean, short intervals too. rise + a mass is the partial mean, the
 * integral of r dF.
 */
void fl_truncated_normal_moments(const struct fl_truncated_normal *normal, double a, double b,
                                 struct fl_moments *ret_moments);

#endif
