/*
 * What the tables share of fused error feedback: how a number is taken, and how positions of 1 bits are
 * listed.
 */
#ifndef FL_KERNELS_TAKE_H
#define FL_KERNELS_TAKE_H

#include "kernels/exact.h"
#include "kernels/tables.h"

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

/* Writes base plus the position of every 1 bit: at_once of them without asking, so that nothing is guessed
 * wrongly where there are about as many, the rest one by one. Returns how many there are. */
static inline __attribute__((always_inline)) unsigned fl_take_bits(uint64_t word, uint32_t base,
                                                                   unsigned at_once, uint32_t *ret_indices)
{
    unsigned size = (unsigned)__builtin_popcountll(word);
    for (unsigned i = 0; i < at_once; i++, word &= word - 1)
        ret_indices[i] = base + fl_lowest(word);
    for (unsigned i = at_once; i < size; i++, word &= word - 1)
        ret_indices[i] = base + (unsigned)__builtin_ctzll(word);
    return size;
}

/* How many to write at once when count are expected in so many words of 64 bits. */
static inline unsigned fl_take_at_once(size_t count, size_t words)
{
#ifdef __POPCNT__
    return count > 2 * words ? FL_TAKE_AT_ONCE_MAX : count * 4 > 3 * words ? 4 : count * 6 > words ? 2 : 0;
#else
    (void)count, (void)words;
    return 0;
#endif
}

static inline __attribute__((always_inline)) size_t
fl_take_all_bits(const uint64_t *bitmap, size_t words, uint32_t base, unsigned at_once, uint32_t *ret_indices)
{
    size_t count = 0;
    for (size_t w = 0; w < words; w++)
        count += fl_take_bits(bitmap[w], base + 64 * (uint32_t)w, at_once, ret_indices + count);
    return count;
}

/* list_bits of every table. */
static inline size_t fl_take_list(const uint64_t *bitmap, size_t words, uint32_t base, size_t expected,
                                  uint32_t *ret_indices)
{
    switch (fl_take_at_once(expected, words)) {
    case FL_TAKE_AT_ONCE_MAX:
        return fl_take_all_bits(bitmap, words, base, FL_TAKE_AT_ONCE_MAX, ret_indices);
    case 4:
        return fl_take_all_bits(bitmap, words, base, 4, ret_indices);
    case 2:
        return fl_take_all_bits(bitmap, words, base, 2, ret_indices);
    default:
        return fl_take_all_bits(bitmap, words, base, 0, ret_indices);
    }
}

/* add_list for whole groups of 64, with so many positions written at once. */
typedef size_t (*fl_list_groups_fn)(const float *a, const float *b, float *ret_p, size_t n, uint32_t low,
                                    uint32_t high, uint32_t base, unsigned at_once, uint32_t *ret_indices,
                                    uint32_t *worst);

/* add_list of a table with such a function, of which the compiler makes one for each number of positions. */
static inline __attribute__((always_inline)) size_t fl_take_add_list(fl_list_groups_fn groups, const float *a,
                                                                     const float *b, float *ret_p, size_t n,
                                                                     uint32_t low, uint32_t high,
                                                                     uint32_t base, size_t expected,
                                                                     uint32_t *ret_indices, uint32_t *worst)
{
    size_t i = n / 64 * 64, count;
    switch (fl_take_at_once(expected, n / 64)) {
    case FL_TAKE_AT_ONCE_MAX:
        count = groups(a, b, ret_p, i, low, high, base, FL_TAKE_AT_ONCE_MAX, ret_indices, worst);
        break;
    case 4:
        count = groups(a, b, ret_p, i, low, high, base, 4, ret_indices, worst);
        break;
    case 2:
        count = groups(a, b, ret_p, i, low, high, base, 2, ret_indices, worst);
        break;
    default:
        count = groups(a, b, ret_p, i, low, high, base, 0, ret_indices, worst);
    }
    return count + fl_kernels_portable.add_list(a + i, b + i, ret_p + i, n - i, low, high, base + (uint32_t)i,
                                                0, ret_indices + count, worst);
}

/* Takes *p: what goes into the payload, and *p becomes what stays. grid: NULL for the value itself. */
static inline uint32_t fl_take_one(float *p, const struct fl_kernels_grid *grid)
{
    uint32_t word = fl_bits_of(*p);
    *p = grid ? fl_take_level(*p, grid, &word) : 0;
    return word;
}

#endif
