/*
 * How many levels QSGD takes in a round, for the two methods that change the number during a run: s of
 * codec/levels.h, a set of 2 s + 1 levels. Not for where the levels lie.
 *
 * Both are our own simple forms. AdaQS (Guo et al., ICASSP 2020) lets the ratio of mean to standard deviation
 * of the gradient drive the number; DQSGD (Yan et al., "DQ-SGD", 2021) lets its norm. Their exact rules were
 * not at hand.
 */
#ifndef FL_CODEC_LEVEL_COUNT_H
#define FL_CODEC_LEVEL_COUNT_H

#include "codec/codec.h"

/* Payloads between two checks of AdaQS in a run. */
#define FL_LEVEL_COUNT_PERIOD 5

/* Most levels QSGD can have in a table of FL_LEVELS_MAX. */
#define FL_LEVEL_COUNT_MAX 127

/* AdaQS between checks. */
struct fl_level_count {
    uint32_t levels;  /* s, 1..most */
    uint32_t most;    /* at most FL_LEVEL_COUNT_MAX */
    double reference; /* ratio at the last doubling, 0 before the first check */
};

/*
 * One check of AdaQS, once in a period: s doubles, up to most, when |mean| / sigma of the gradient has fallen
 * to half of what it was at the last doubling or at the first check: noise then hides the mean, and coarse
 * levels would add to it. mean and sigma in the same unit; sigma 0 or numbers that are not finite change
 * nothing.
 */
void fl_level_count_check(struct fl_level_count *state, double mean, double sigma);

/* DQSGD: s = norm / unit, rounded, but at least `least` and at most `most`, 1 <= least <= most. norm and unit
 * (> 0) in the same unit, that of the gradient. A norm that is not a number counts as 0. */
uint32_t fl_level_count_of_norm(double norm, double unit, uint32_t least, uint32_t most);

/*
 * s of the payload of x, shape (n), finite, by the rule of params' codec, at most 2^(bits - 1) - 1:
 *
 * - adaqs: s is 1 to begin with; fl_level_count_check() at every FL_LEVEL_COUNT_PERIOD-th payload, with the
 *   means of |mean of x| and of sigma over them. State: s and observed, uint32; the reference and the sums of
 *   both, float64.
 * - dqsgd: fl_level_count_of_norm() with least = 1 and the unit that gives the first payload the most: as the
 *   norm falls, s does. State: the unit, float64.
 *
 * Without a state (codec/state.h) every payload is the first. FL_ERR_NOMEM, FL_ERR_LIMIT of its buffer.
 */
FL_MUST_CHECK enum fl_status fl_level_count_next(const struct fl_codec_params *params, const float *x,
                                                 size_t n, uint32_t *ret_levels);

/* state_fits of the two. */
int fl_level_count_state_fits(const struct fl_codec_params *params, struct fl_bytes body);

#endif
