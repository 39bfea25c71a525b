/*
 * The second phase of fused error feedback for few survivors, shared by the tables: first the indices of the
 * 1 bits, then their values, which still lie in the nearest cache.
 */
#ifndef FL_KERNELS_TAKE_H
#define FL_KERNELS_TAKE_H

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

#define FL_BITS_MAGNITUDE 0x7fffffffu
#define FL_BITS_INFINITY  0x7f800000u

static inline uint32_t fl_bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/*
 * Level of p, and p minus what the level stands for. Float32 gives what exact arithmetic gives: x = |p| /
 * step is exact and at least 1/2. When x and x + 1/2 lie between the same powers of two, the sum is exact
 * below 2^23; when they do not, it lies in [2^j, 2^j + 1/2) before and after rounding, or is at most 1.5: in
 * both cases its integer part is right. Level times step and the difference: codec/grid.h.
 */
static inline float fl_take_level(float p, const struct fl_kernels_grid *grid, uint32_t *ret_level)
{
    float x = fabsf(p) * grid->inverse_step;
    x = x < grid->level_most ? x : grid->level_most;
    int32_t magnitude = (int32_t)(x + 0.5f), level = p < 0 ? -magnitude : magnitude;
    *ret_level = (uint32_t)level;
    return p - (float)level * grid->step;
}

/* Writes base plus the position of every 1 bit, in order. */
static inline void fl_take_indices(const uint64_t *mask, size_t words, size_t count, uint32_t base,
                                   uint32_t *ret_indices)
{
#ifdef __POPCNT__
    /* Some bits in many words: four a word without asking leave nothing to be guessed wrongly. */
    if (count * 8 > words) {
        for (size_t w = 0; w < words; w++, base += 64) {
            uint64_t word = mask[w];
            unsigned size = (unsigned)__builtin_popcountll(word);
            for (unsigned i = 0; i < 4; i++, word &= word - 1)
                ret_indices[i] = base + (word ? (unsigned)__builtin_ctzll(word) : 64);
            for (unsigned i = 4; i < size; i++, word &= word - 1)
                ret_indices[i] = base + (unsigned)__builtin_ctzll(word);
            ret_indices += size;
        }
        return;
    }
#endif
    (void)count;
    for (size_t w = 0; w < words; w++, base += 64) {
        for (uint64_t word = mask[w]; word; word &= word - 1)
            *ret_indices++ = base + (unsigned)__builtin_ctzll(word);
    }
}

static inline void fl_take_values(float *p, size_t n, const uint64_t *mask, size_t count, uint32_t base,
                                  uint32_t *ret_indices, uint32_t *ret_words)
{
    fl_take_indices(mask, (n + 63) / 64, count, base, ret_indices);
    for (size_t i = 0; i < count; i++) {
        float *at = &p[ret_indices[i] - base];
        ret_words[i] = fl_bits_of(*at);
        *at = 0;
    }
}

static inline void fl_take_levels(float *p, size_t n, const uint64_t *mask, size_t count, uint32_t base,
                                  const struct fl_kernels_grid *grid, uint32_t *ret_indices,
                                  uint32_t *ret_words)
{
    fl_take_indices(mask, (n + 63) / 64, count, base, ret_indices);
    for (size_t i = 0; i < count; i++) {
        float *at = &p[ret_indices[i] - base];
        *at = fl_take_level(*at, grid, &ret_words[i]);
    }
}

#endif
