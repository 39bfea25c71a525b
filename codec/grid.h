/*
 * The arithmetic of the integer hard threshold (rule R8): from a float32 to its level on the grid of step
 * s = 2^k, and back. Not for coding levels into bits.
 *
 *     level(p) = 0                               if |p| < lambda or |p| >= 2^44 s
 *              = sign(p) min(round(|p|/s), 2^20) otherwise, round() half away from zero
 *     q        = level * s,   e = p - q
 *
 * with lambda a power of two, lambda 2^-16 <= s <= 2 lambda, -100 <= k <= 60, p a finite float32.
 *
 * Claim: q, p - q and q + e are exact in float32, and |e| <= lambda unless the level is cut off.
 *
 * Write u for the spacing of float32 at p: p = M u with |M| < 2^24, u a power of two, u >= 2^-149
 * (u = 2^-149 for subnormals, so they need no case of their own). An integer multiple of u of magnitude
 * <= |p| is N u with |N| < 2^24, thus a float32. Likewise for multiples of s, which is >= 2^-100 > 2^-149.
 *
 * q: at most 2^20 (21 bits) times s, 2^-100 <= |q| <= 2^80: exact, never subnormal, never infinite.
 * The quotient |p|/s: exact in float64, its magnitude lies in 2^-209..2^228 and it has 24 bits. Adding 1/2 is
 * exact where it matters, x in [1/4, 2^21), as the sum spans at most 2^21 down to 2^-25; so truncating
 * x + 1/2 rounds half away from zero. (x >= 1/2 always, because |p| >= lambda >= s/2.)
 * p - q, level 0: p itself.
 * p - q, not cut off, u <= s: p and q are multiples of u and so is p - q; |p - q| <= s/2 <= lambda <= |p|.
 *        Exact, and the bound.
 * p - q, not cut off, u > s: p is a multiple of s, so q = p and p - q = 0.
 * p - q, cut off (round(|p|/s) > 2^20, |q| = 2^20 s < |p|, same sign, so |p - q| < |p|):
 *        u <= s: a multiple of u: exact. u > s: |p| < 2^44 s, and |p| >= 2^23 u as p is normal there, so
 *        u < 2^21 s, u <= 2^20 s, which makes q a multiple of u: exact. At |p| >= 2^44 s, u >= 2^21 s and
 *        q may be finer than u: hence level 0, everything stays in the residual.
 * q + e: equals p as a real number, which is a float32.
 */
#ifndef FL_CODEC_GRID_H
#define FL_CODEC_GRID_H

#include <math.h>
#include <stdint.h>

#include "codec/codec.h"

/* Smallest non-zero |level|: round(lambda / s), a power of two. shift = log2(2 lambda / s), 0..17. */
static inline uint32_t fl_grid_level_min(unsigned shift)
{
    return shift < 2 ? 1 : UINT32_C(1) << (shift - 1);
}

/* |p| at and above which the level is 0: 2^44 s, exact in float32. */
static inline float fl_grid_ceiling(int step_log2)
{
    return ldexpf(1.0f, step_log2 + 44);
}

/* Level of p for lambda <= |p| < fl_grid_ceiling(); inverse_step = 2^-k as float64. */
static inline int32_t fl_grid_level(float p, double inverse_step)
{
    double x = fabs((double)p) * inverse_step;
    int32_t magnitude = x >= (double)FL_CODEC_LEVEL_MAX ? FL_CODEC_LEVEL_MAX : (int32_t)(x + 0.5);
    return p < 0 ? -magnitude : magnitude;
}

#endif
