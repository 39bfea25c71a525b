/* The parts of sum_squares that the tables share: what is left of a run after whole vectors, and the runs. */
#ifndef FL_KERNELS_RUNS_H
#define FL_KERNELS_RUNS_H

#include "kernels/exact.h"

/* The eight sums of a run with its last n < 8 elements, added from the first to the last. */
static inline double fl_sum_lanes(double lane[8], const float *x, size_t n)
{
    for (size_t j = 0; j < n; j++)
        lane[j] = fl_exact_add_square(lane[j], x[j]);
    double sum = lane[0];
    for (size_t j = 1; j < 8; j++)
        sum = fl_exact_add_wide(sum, lane[j]);
    return sum;
}

static inline __attribute__((always_inline)) double fl_sum_runs(const float *x, size_t n,
                                                                double (*sum_run)(const float *x, size_t n))
{
    double sum = 0;
    for (size_t at = 0; at < n; at += FL_KERNELS_RUN)
        sum = fl_exact_add_wide(sum, sum_run(x + at, n - at < FL_KERNELS_RUN ? n - at : FL_KERNELS_RUN));
    return sum;
}

#endif
