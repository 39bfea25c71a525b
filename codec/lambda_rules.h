/*
 * Rules that give lambda, the threshold: from an expected number of coordinates, from a target accuracy, from
 * a budget of bytes, and the best one in hindsight. fl_lambda_from_rms() and the rounding to powers of two
 * are in codec/codec.h. Not for a threshold that follows the count sent by feedback: under error feedback
 * that oscillates.
 *
 * A lambda is in the unit of what is compressed. "Gradient units": the compressor sees g + e, the step size
 * comes later (algorithms.md, Algorithm 2). "Delta units", also called parameter units: it sees the change of
 * the model after local steps, so the step size is inside (section 1.4). Residue compresses deltas.
 */
#ifndef FL_CODEC_LAMBDA_RULES_H
#define FL_CODEC_LAMBDA_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/kernels.h"

/* Elements that a sampled lambda looks at. */
#define FL_LAMBDA_SAMPLE ((size_t)64 << 10)

/*
 * lambda = 1 / (2 sqrt(k)), gradient units; k: coordinates of the whole model expected in a message.
 * FL_ERR_RANGE: k not finite or <= 0. Source: Sahu et al. 2021, appendix D and the authors' run script;
 * algorithms.md section 3.1.
 */
FL_MUST_CHECK enum fl_status fl_lambda_from_count(double k, double *ret_lambda);

/*
 * The same in delta units: step_size * steps / (2 sqrt(k)), steps: local steps between two messages, on
 * average. FL_ERR_RANGE: an argument not finite or <= 0. Source: algorithms.md sections 1.4 and 10.
 */
FL_MUST_CHECK enum fl_status fl_lambda_delta_from_count(double k, double step_size, double steps,
                                                        double *ret_lambda);

/* Which constant the rule from a target accuracy has. */
enum fl_lambda_accuracy {
    FL_LAMBDA_SAFE, /* (L / 2) d (step_size lambda)^2 = epsilon: holds for L-smooth functions, pessimistic */
    FL_LAMBDA_RELAXED, /* d (step_size lambda)^2 = epsilon: larger, no promise */
};

/*
 * lambda with which f - f* may reach epsilon on a strongly convex function, gradient units (times step_size:
 * delta units). smoothness: L, ignored by the relaxed form; dim: d. FL_ERR_RANGE: an argument that is used
 * not finite or <= 0. Source: Sahu et al. 2021, C.3; algorithms.md section 3.2 (a heuristic).
 */
FL_MUST_CHECK enum fl_status fl_lambda_from_accuracy(enum fl_lambda_accuracy form, double epsilon,
                                                     double step_size, double smoothness, double dim,
                                                     double *ret_lambda);

/*
 * The most coordinates of a vector of dim elements that fit in bytes, at log2(dim / k) + 1.5 bits for the
 * index of each of k (coded gaps, algorithms.md section 0) and value_bits for its value (32 for float32); not
 * more than dim, 0 when not even one fits. The payload's header, at most 16 bytes, is not counted.
 */
size_t fl_lambda_budget_count(size_t dim, size_t bytes, double value_bits);

/*
 * lambda for about count coordinates with |x[i]| >= lambda, in the unit of x, by the order statistic of a
 * sample: one element, drawn from seed, of each of FL_LAMBDA_SAMPLE equal parts of x. Where that would leave
 * fewer than 64 of the sample above lambda, or x is no longer than the sample, all of x is looked at.
 *
 * With s = count * FL_LAMBDA_SAMPLE / n expected in the sample, the number above lambda is within
 * 4 / sqrt(s) of count (four standard deviations), unless many elements are equal to lambda: all of those
 * count as above, so whoever needs a cap cuts the output. Never 0: FLT_MIN when fewer than count elements are
 * not zero, so that everything but zeros is above.
 *
 * x: shape (n). Allocates 256 KiB for its run when it samples. FL_ERR_SHAPE: n is 0; FL_ERR_RANGE: count is 0
 * or above n; FL_ERR_NOT_FINITE; FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_lambda_from_sample(const struct fl_kernels *kernels, const float *x, size_t n,
                                                   size_t count, uint64_t seed, float *ret_lambda);

/*
 * The best lambda in hindsight: stacked holds the vectors of all rounds one after the other, n elements in
 * all, and the total largest of their magnitudes are to be sent. Hard threshold with this lambda, the
 * total-th largest magnitude, has the least sum of squared errors of all that send no more. Never 0: FLT_MIN
 * instead. FL_ERR_SHAPE: n is 0; FL_ERR_RANGE: total is 0 or above n; FL_ERR_NOT_FINITE.
 * Source: Sahu et al. 2021, lemma of section 4; algorithms.md section 3.3.
 */
FL_MUST_CHECK enum fl_status fl_lambda_offline(const struct fl_kernels *kernels, const float *stacked,
                                               size_t n, size_t total, float *ret_lambda);

#endif
