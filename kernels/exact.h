/*
 * The arithmetic that host and device must do alike, one element at a time. On the host it is plain C, which
 * the project compiles without fused multiply-add; on a device every operation names its rounding, which nvcc
 * never fuses. Magnitudes are compared as integers: the bits of non-negative floats are ordered as the floats
 * are. Not for loops (kernels/kernels.h, kernels/cuda).
 */
#ifndef FL_KERNELS_EXACT_H
#define FL_KERNELS_EXACT_H

#include <math.h>
#include <string.h>

#include "base/philox.h"
#include "kernels/kernels.h"

#define FL_BITS_MAGNITUDE 0x7fffffffu
#define FL_BITS_INFINITY  0x7f800000u

FL_HOST_DEVICE uint32_t fl_bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

FL_HOST_DEVICE float fl_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* a + b, a - b, a b; each rounded once, to nearest even, with subnormals. */
FL_HOST_DEVICE float fl_exact_add(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fadd_rn(a, b);
#else
    return a + b;
#endif
}

FL_HOST_DEVICE float fl_exact_subtract(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fsub_rn(a, b);
#else
    return a - b;
#endif
}

FL_HOST_DEVICE float fl_exact_multiply(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

FL_HOST_DEVICE double fl_exact_add_wide(double a, double b)
{
#ifdef __CUDA_ARCH__
    return __dadd_rn(a, b);
#else
    return a + b;
#endif
}

FL_HOST_DEVICE double fl_exact_multiply_wide(double a, double b)
{
#ifdef __CUDA_ARCH__
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}

/* sum + x^2 in float64; the square of a float32 is exact there. */
FL_HOST_DEVICE double fl_exact_add_square(double sum, float x)
{
    return fl_exact_add_wide(sum, fl_exact_multiply_wide((double)x, (double)x));
}

/* v = momentum v + (g + weight_decay w), then w = w - learning_rate v. */
FL_HOST_DEVICE void fl_descend(const struct fl_kernels_descent *descent, float g, float *v, float *w)
{
    float pull = fl_exact_add(g, fl_exact_multiply(descent->weight_decay, *w));
    *v = fl_exact_add(fl_exact_multiply(descent->momentum, *v), pull);
    *w = fl_exact_subtract(*w, fl_exact_multiply(descent->learning_rate, *v));
}

/*
 * Level of p, and p minus what the level stands for. Float32 gives what exact arithmetic gives: x = |p| /
 * step is exact and at least 1/2. When x and x + 1/2 lie between the same powers of two, the sum is exact
 * below 2^23; when they do not, it lies in [2^j, 2^j + 1/2) before and after rounding, or is at most 1.5: in
 * both cases its integer part is right. Level times step and the difference: codec/grid.h.
 */
FL_HOST_DEVICE float fl_take_level(float p, const struct fl_kernels_grid *grid, uint32_t *ret_level)
{
    float x = fl_exact_multiply(fabsf(p), grid->inverse_step);
    x = x < grid->level_most ? x : grid->level_most;
    int32_t magnitude = (int32_t)fl_exact_add(x, 0.5f), level = p < 0 ? -magnitude : magnitude;
    *ret_level = (uint32_t)level;
    return fl_exact_subtract(p, fl_exact_multiply((float)level, grid->step));
}

/*
 * Level of p rounded at random to a grid: round_levels of kernels/kernels.h. Float32 gives what float64
 * would: x is |p| / step exactly, unless it lies below 2^-126, where it is rarer than a word can tell; then
 * its integer part, what is left, and 2^32 times that are exact as well.
 */
FL_HOST_DEVICE uint32_t fl_round_level(float p, uint32_t word, const struct fl_kernels_grid *grid)
{
    float magnitude = fabsf(p), ceiling = fl_exact_multiply(grid->step, 0x1p44f);
    float x = fl_exact_multiply(magnitude < ceiling ? magnitude : 0, grid->inverse_step);
    x = x < grid->level_most ? x : grid->level_most;
    int32_t low = (int32_t)x;
    float share = fl_exact_multiply(fl_exact_subtract(x, (float)low), 0x1p32f);
    int32_t level = low + (word < (uint32_t)share);
    return (uint32_t)(p < 0 ? -level : level);
}

/* The random words of elements 4 block to 4 block + 3. */
FL_HOST_DEVICE void fl_draw_block(const struct fl_kernels_draw *draw, uint64_t block, uint32_t ret_words[4])
{
    const uint32_t key[2] = {(uint32_t)draw->seed, (uint32_t)(draw->seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), draw->round, draw->purpose};
    fl_philox_block(counter, key, ret_words);
}

#endif
