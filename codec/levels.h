/*
 * Sets of quantisation levels for coordinates in [-1, 1], and what a set is worth for a distribution. A set
 * is an increasing array of 2..FL_LEVELS_MAX numbers from -1 to 1; coordinates are rounded at random to one
 * of their two neighbours, so that the mean is right (codec/quantise.h). Not for sets that adapt:
 * codec/levels_alq.h and codec/levels_amq.h. Nothing here allocates.
 *
 * Sets are worked on in float64. What is agreed between machines and what coordinates are rounded to is the
 * float32 table of fl_levels_table: computed in one place and sent.
 */
#ifndef FL_CODEC_LEVELS_H
#define FL_CODEC_LEVELS_H

#include <stddef.h>

#include "codec/mixture.h"

#define FL_LEVELS_MAX 256

/* Levels of fl_levels_dynamic_tree. */
#define FL_LEVELS_TREE 256

/*
 * count levels at equal distances. count = 2 s + 1 is QSGD with s levels (Alistarh et al., NeurIPS 2017,
 * section 3.1): l/s and -l/s for l = 0..s; count = 3 TernGrad (Wen et al., NeurIPS 2017); count = 2^bits the
 * uniform levels without zero of the ALQ code.
 */
void fl_levels_uniform(size_t count, double *ret_levels);

/*
 * p^j and -p^j from j = 0 on. An even count has no level zero, as in the ALQ code; an odd count has it in the
 * middle, as NUQSGD itself (Ramezani-Kebrya et al., JMLR 2021, p = 1/2). FL_ERR_RANGE unless p is between
 * fl_levels_exponential_least(count) and FL_LEVELS_EXPONENTIAL_MOST, where float32 tells all levels apart.
 */
FL_MUST_CHECK enum fl_status fl_levels_exponential(double p, size_t count, double *ret_levels);
#define FL_LEVELS_EXPONENTIAL_MOST (1 - 0x1p-10)
double fl_levels_exponential_least(size_t count);

/*
 * The code book of 8-bit dynamic tree quantisation (Dettmers, ICLR 2016): for i = 0..6 the mid-points of 2^i
 * equal parts of [0.1, 1], times 10^(i-6), with both signs; 0; and 1. It begins at about -0.993, not -1:
 * below that, coordinates cannot be rounded without bias.
 */
void fl_levels_dynamic_tree(double ret_levels[FL_LEVELS_TREE]);

/* Psi, the expected variance of a rounded coordinate: the sum over neighbours a < b of the integral of
 * (b - r)(r - a) dF (Faghri et al., NeurIPS 2020, equation 3), in units of the squared norm of the bucket. */
double fl_levels_psi(const struct fl_mixture *mixture, const double *levels, size_t count);

/* Variance of the coordinate r in [-1, 1] when it is rounded: (b - r)(r - a) for its neighbours a <= r <= b.
 */
double fl_levels_variance(const double *levels, size_t count, double r);

/* Share of coordinates that are rounded to each level, in all 1: what a code for levels is built from. */
void fl_levels_shares(const struct fl_mixture *mixture, const double *levels, size_t count,
                      double *ret_shares);

/* The levels as float32, strictly increasing also where rounding would make two equal (then they are the next
 * float32 numbers), without a negative zero. */
void fl_levels_table(const double *levels, size_t count, float *ret_table);

/* Whether a table from elsewhere is one: 2..FL_LEVELS_MAX numbers (else FL_ERR_LIMIT), finite
 * (FL_ERR_NOT_FINITE), strictly increasing from -1 to 1, no negative zero (FL_ERR_RANGE). */
FL_MUST_CHECK enum fl_status fl_levels_check(const float *table, size_t count);

#endif
