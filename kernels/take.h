/*
 * The second phase of fused error feedback for few survivors, shared by the tables: first the indices of the
 * 1 bits, then their values, which still lie in the nearest cache.
 */
#ifndef FL_KERNELS_TAKE_H
#define FL_KERNELS_TAKE_H

#include "kernels/exact.h"

/* Position of the lowest 1 bit; 64 where there is none, and never a branch where the processor has it so. */
static inline unsigned fl_lowest(uint64_t word)
{
#ifdef __BMI__
    return (unsigned)__builtin_ia32_tzcnt_u64(word);
#else
    return word ? (unsigned)__builtin_ctzll(word) : 64;
#endif
}

/* At most this many positions are written without asking whether there are so many. */
#define FL_TAKE_AT_ONCE_MAX 8
_Static_assert(FL_TAKE_AT_ONCE_MAX <= FL_KERNELS_SLACK, "they may lie behind the last");

/* Writes so many positions a word without asking, so that nothing is guessed wrongly where bits are common,
 * and the rest one by one. */
static inline __attribute__((always_inline)) void
fl_take_at_once(const uint64_t *mask, size_t words, uint32_t base, unsigned at_once, uint32_t *ret_indices)
{
    for (size_t w = 0; w < words; w++, base += 64) {
        uint64_t word = mask[w];
        unsigned size = (unsigned)__builtin_popcountll(word);
        for (unsigned i = 0; i < at_once; i++, word &= word - 1)
            ret_indices[i] = base + fl_lowest(word);
        for (unsigned i = at_once; i < size; i++, word &= word - 1)
            ret_indices[i] = base + (unsigned)__builtin_ctzll(word);
        ret_indices += size;
    }
}

/* Writes base plus the position of every 1 bit, in order. */
static inline void fl_take_indices(const uint64_t *mask, size_t words, size_t count, uint32_t base,
                                   uint32_t *ret_indices)
{
#ifdef __POPCNT__
    if (count > 2 * words) {
        fl_take_at_once(mask, words, base, FL_TAKE_AT_ONCE_MAX, ret_indices);
        return;
    }
    if (count * 4 > 3 * words) {
        fl_take_at_once(mask, words, base, 4, ret_indices);
        return;
    }
    if (count * 6 > words) {
        fl_take_at_once(mask, words, base, 2, ret_indices);
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
