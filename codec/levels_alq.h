/*
 * ALQ: levels fitted to a distribution (Faghri, Tabrizian, Markov, Alistarh, Roy, Ramezani-Kebrya, "Adaptive
 * Gradient Quantization for Data-Parallel SGD", NeurIPS 2020, section 3 and appendix; ALQ-N is the same with
 * a mixture of one part, fl_bucket_pool). Not for where the distribution comes from (codec/bucket_stats.h).
 *
 * With mixture->symmetric the levels are symmetric too: only the positive half is searched. An odd count has
 * a level 0. With an even count the two inner levels move together; their step minimises Psi itself. (The
 * authors' code puts a level 0 between them while it searches and drops it at the end, which is the minimum
 * of something else.) Nothing here allocates.
 */
#ifndef FL_CODEC_LEVELS_ALQ_H
#define FL_CODEC_LEVELS_ALQ_H

#include "codec/levels.h"

/* Sweeps and gradient steps of the authors' scripts. */
#define FL_LEVELS_ALQ_SWEEPS        30
#define FL_LEVELS_ALQ_STEPS         50
#define FL_LEVELS_ALQ_LEARNING_RATE 0.1

/* Where a search starts. Quantiles: levels that cut F into equal masses. */
enum fl_levels_start { FL_LEVELS_UNIFORM, FL_LEVELS_EXPONENTIAL, FL_LEVELS_QUANTILES, FL_LEVELS_STARTS };

/* Writes the start; 0 when there is none (quantiles too close to each other), else 1. count 2..FL_LEVELS_MAX.
 */
int fl_levels_begin(enum fl_levels_start start, const struct fl_mixture *mixture, size_t count,
                    double *ret_levels);

/* dPsi/dl_j for an inner level j, 0 < j < count - 1; for symmetric levels half of the derivative when the
 * mirror image moves along. */
double fl_levels_gradient(const struct fl_mixture *mixture, const double *levels, size_t count, size_t j);

/*
 * One step of coordinate descent: moves inner level j (with its mirror image when mixture->symmetric, j then
 * in the upper half and not the zero of an odd count) to where Psi is least while the others stay. Psi is
 * convex in l_j, so it never rises. Theorem 1 of the paper: F(l_j) = F(c) - (integral of (r - a) dF over [a,
 * c]) / (c - a) for neighbours a, c. A level with no mass around it stays.
 */
void fl_levels_alq_step(const struct fl_mixture *mixture, double *levels, size_t count, size_t j);

/* Coordinate descent from all three starts, each until Psi falls by less than a millionth of itself in a
 * sweep or `sweeps` are done; the best levels. Returns their Psi, which is not above that of any start. */
double fl_levels_alq(const struct fl_mixture *mixture, size_t count, unsigned sweeps, double *ret_levels);

/* The gradient version: from all three starts `steps` times over all levels, each moved by min(rate
 * |gradient|, half the way to its nearer neighbour), which keeps them in order; the best levels met. Returns
 * their Psi. */
double fl_levels_alq_gradient(const struct fl_mixture *mixture, size_t count, unsigned steps, double rate,
                              double *ret_levels);

#endif
