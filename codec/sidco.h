/*
 * Thresholds by a fitted distribution, in stages (SIDCo): a share of the magnitudes is to be at or above the
 * threshold, and instead of sorting, a distribution is fitted to their moments. Not for exact selection.
 *
 * Source: Abdelmoniem et al. 2021 (SIDCo) and its authors' code; algorithms.md section 9. What differs here:
 * the fit is to the elements that are not zero, with the share raised accordingly; a later stage measures
 * from the threshold before it, not from the least element above it; a stage is left out when few enough
 * elements are left; and the threshold is kept between FLT_MIN and the largest magnitude.
 */
#ifndef FL_CODEC_SIDCO_H
#define FL_CODEC_SIDCO_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/status.h"
#include "kernels/kernels.h"

/* What is fitted to the magnitudes m with mean and variance v, and the threshold that a share s exceeds. */
enum fl_sidco_fit {
    FL_SIDCO_EXPONENTIAL, /* -mean ln s */
    FL_SIDCO_PARETO,      /* generalised Pareto: b (1 - s^k) / k, k = (mean^2 / v - 1) / 2,
                           * b = mean (mean^2 / v + 1) / 2; -b ln s when |k| < 1e-6 */
    FL_SIDCO_GAMMA,       /* first stage: shape a = (3 - l + sqrt((l - 3)^2 + 24 l)) / (12 l),
                           * l = ln mean - mean of ln m; x mean / a with Q(a, x) = s, Q the upper regularised
                           * incomplete gamma function. Later stages: generalised Pareto */
};

/* A fit and its control of the number of stages. Callers read, never write. One thread at a time. */
struct fl_sidco {
    enum fl_sidco_fit fit;
    double ratio;        /* share wanted, in (0, 1] */
    unsigned stages;     /* 1 <= stages <= stages_max */
    unsigned stages_max; /* ceil(log2(1 / ratio)), at least 1 */
    int direction;       /* 1: too many above the threshold takes a stage away; -1: adds one */
    unsigned observed;   /* calls of fl_sidco_observe() since stages was looked at */
    double shares;       /* sum of achieved / wanted over them */
    double last;         /* their average the last time, 0 before */
};

/* One stage to begin with. FL_ERR_RANGE: ratio outside (0, 1]. */
FL_MUST_CHECK enum fl_status fl_sidco_init(enum fl_sidco_fit fit, double ratio, struct fl_sidco *ret_sidco);

/*
 * A threshold, in the unit of x, that about ratio * n of |x[i]| reach; at least FLT_MIN, and at most the
 * largest magnitude, so one is selected unless all are below FLT_MIN. One stage takes the share by one fit;
 * with M > 1 stages the first takes a share of 1/4 and each of the others, fitted to the excess over the
 * threshold before it, (4 ratio)^(1 / (M - 1)).
 *
 * x: shape (n). Allocates nothing, M + 1 passes. FL_ERR_SHAPE: n is 0; FL_ERR_NOT_FINITE.
 */
FL_MUST_CHECK enum fl_status fl_sidco_threshold(const struct fl_sidco *sidco,
                                                const struct fl_kernels *kernels, const float *x, size_t n,
                                                float *ret_threshold);

/*
 * Tells that count of n elements reached a threshold. At every fifth call: where on average more than 1.2 or
 * fewer than 0.8 of what was wanted did, one stage less or more; the direction turns when the average did not
 * come nearer to 1 since the last time (the authors' third rule).
 */
void fl_sidco_observe(struct fl_sidco *sidco, size_t count, size_t n);

/*
 * The control of the stages as bytes: direction (two's complement) and observed, a byte each; stages, uint32;
 * shares and last, float64; little-endian. Save appends them: FL_ERR_NOMEM, FL_ERR_LIMIT. Load gives them to
 * one that was just initialised: FL_ERR_CORRUPT when they are not of this size or out of range, and nothing
 * changes.
 */
FL_MUST_CHECK enum fl_status fl_sidco_save(const struct fl_sidco *sidco, struct fl_buf *out);
FL_MUST_CHECK enum fl_status fl_sidco_load(struct fl_sidco *sidco, struct fl_bytes bytes);

/* Q(a, x), upper regularised incomplete gamma function, a > 0, x >= 0, to about 1e-12.
 * Source: DLMF 8.7.1 (series) and 8.9.2 (continued fraction). */
double fl_sidco_gamma_upper(double a, double x);

#endif
