/*
 * Blocks of scaled integers that a network or a server can add up without losing a bit (SwitchML): a block of
 * values has an exponent E with 2^E above every magnitude, and each value becomes
 *
 *     q = round(f x), half away from zero,   f = (2^31 - 1 - n) / (n 2^E)
 *
 * for n planned contributors. Strict: |sum of n such q| <= n (f m + 1/2) <= 2^31 - 1 - n / 2 with m < 2^E, so
 * int32 never overflows; with 2^31 - 1 above, as the authors have it, 65536 times the largest value does.
 * Contributors that share one exponent (the largest of theirs) add their q; sum / f is the sum of their
 * values within n / (2 f). With fewer than planned the same f holds. Not for bytes (codec/values.h).
 * E = exponent - 126, where exponent is that of a float32, 0 to 254: for zeros and what is below 2^-126 it is
 * 0, which needs no case of its own in float64. Nothing here allocates; infinities and NaN are refused
 * before.
 *
 * Source: Sapio et al. 2021, "Scaling distributed machine learning with in-network aggregation";
 * algorithms.md section 2.1.
 */
#ifndef FL_CODEC_BLOCK_INT_H
#define FL_CODEC_BLOCK_INT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define FL_BLOCK_INT_EXPONENT_MAX     254
#define FL_BLOCK_INT_CONTRIBUTORS_MAX ((uint32_t)INT32_MAX - 1)

/* The scale of a block. */
struct fl_block_int {
    uint8_t exponent;      /* E + 126, at most FL_BLOCK_INT_EXPONENT_MAX */
    uint32_t contributors; /* n, 1 to FL_BLOCK_INT_CONTRIBUTORS_MAX */
};

/* The least exponent for x, finite, shape (n). */
uint8_t fl_block_int_exponent(const float *x, size_t n);

/* f, exact but for one rounding. */
double fl_block_int_factor(const struct fl_block_int *block);

/*
 * The integer of x: finite, |x| < 2^E. The next towards zero where the value would be infinite as float32.
 */
int32_t fl_block_int_quantise(const struct fl_block_int *block, float x);

/* Whether n such integers can be added: |q| n <= 2^31 - 1, as any of fl_block_int_quantise() fulfils. */
int fl_block_int_fits(const struct fl_block_int *block, int32_t q);

/* q / f: the float64 quotient of q n and 2^31 - 1 - n, times 2^E, as float32; infinite where that is too
 * large. q fits. */
float fl_block_int_value(const struct fl_block_int *block, int32_t q);

/* sum[i] += q[i], shape (count). FL_ERR_RANGE: overflow, after more than n messages; sum is unchanged. */
FL_MUST_CHECK enum fl_status fl_block_int_add(const int32_t *q, size_t count, int32_t *sum);

/* ret_mean[i] = sum[i] / f / messages, shape (count): the mean of the values of so many, 1 <= messages <= n,
 * within 1 / (2 f) and a rounding. */
void fl_block_int_mean(const struct fl_block_int *block, const int32_t *sum, size_t count, uint32_t messages,
                       float *ret_mean);

#endif
