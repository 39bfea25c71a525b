/*
 * Adding and taking by one rule, a block at a time while it lies in the nearest cache, split by index range
 * over threads. Private to codec/: what the rule is for a codec, and what is done with the outcome, is in
 * codec/taken.c.
 */
#ifndef FL_CODEC_TAKING_H
#define FL_CODEC_TAKING_H

#include "codec/taken.h"

/* Who takes. */
struct fl_takers {
    const struct fl_kernels *kernels;
    unsigned threads; /* 1..FL_PARALLEL_MAX */
};

/* What is taken: magnitudes with low <= bits < high, whole or (on a grid) as levels, most in all. */
struct fl_taking_rule {
    uint32_t low, high;
    const struct fl_kernels_grid *grid; /* NULL off the grid */
    size_t most;
};

/* A part of the vector, from element start on; p may be delta. */
struct fl_taking_part {
    const float *delta, *residual;
    float *p;
    size_t start, elems;
};

/* Begins anew: a list, or a bitmap of dim bits when dim is not 0. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_taken_begin(struct fl_taken *taken, size_t dim);

/* Room for so many in all in a list. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_taken_reserve(struct fl_taken *taken, size_t capacity);

/*
 * Adds, and appends what the rule takes to taken: to its list, or where it has a bitmap to that, of which the
 * part is the whole. The outcome is the same for any number of threads. *ret_enough is 0 when the rule would
 * take more than its most; then p is still complete, less what was taken. FL_ERR_NOT_FINITE, FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_take(const struct fl_takers *takers, const struct fl_taking_rule *rule,
                                     const struct fl_taking_part *part, struct fl_taken *taken,
                                     int *ret_enough);

/* Adds, and takes nothing. FL_ERR_NOT_FINITE. */
FL_MUST_CHECK enum fl_status fl_take_nothing(const struct fl_kernels *kernels,
                                             const struct fl_taking_part *part);

#endif
