/*
 * The numeric loops over whole models behind one table, chosen once at start, so that a faster version can
 * stand in by name. Not for anything that knows a wire format. Arithmetic is plain IEEE float32 or float64
 * without fused multiply-add, so every table must give the bits of "portable".
 *
 * Shapes: n elements unless said otherwise. No call allocates, fails or keeps a pointer; any thread may call.
 * Unless said otherwise inputs and outputs may be the same array but may not overlap in part.
 */
#ifndef FL_KERNELS_KERNELS_H
#define FL_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

struct fl_kernels {
    const char *name; /* "portable" */

    /* ret_sum[i] = a[i] + b[i] */
    void (*add)(const float *a, const float *b, float *ret_sum, size_t n);

    /* ret_difference[i] = a[i] - b[i] */
    void (*subtract)(const float *a, const float *b, float *ret_difference, size_t n);

    /* 1 when no element is NaN or infinite, else 0. */
    int (*all_finite)(const float *x, size_t n);

    /* Sum of x[i]^2 in float64, in a fixed order: eight sums over i mod 8, added from the first to the last.
     */
    double (*sum_squares)(const float *x, size_t n);

    /* Largest |x[i]|; 0 when n is 0. x must be finite. */
    float (*max_abs)(const float *x, size_t n);

    /* How many i have low <= |x[i]| < high. x must be finite. */
    size_t (*count_band)(const float *x, size_t n, float low, float high);

    /* Writes, in increasing order, every i with low <= |x[i]| < high and its bits; both arrays hold at least
     * count_band(...) elements. n <= 2^32 - 1. */
    void (*select_band)(const float *x, size_t n, float low, float high, uint32_t *ret_indices,
                        uint32_t *ret_bits);

    /* Rule R17: where |x[i] - x_hat[i]| >= lambda_down and (float)x[i] differs from x_hat[i], sets
     * x_hat[i] = (float)x[i] and touched[i] = version. Returns how many. x must be finite as float32,
     * lambda_down >= 0 in parameter units. */
    size_t (*publish)(const double *x, float *x_hat, uint32_t *touched, size_t n, double lambda_down,
                      uint32_t version);
};

/* The fastest table this machine can run; never NULL. */
const struct fl_kernels *fl_kernels_pick(void);

/* The table called name, NULL when there is none on this machine. */
const struct fl_kernels *fl_kernels_find(const char *name);

#endif
