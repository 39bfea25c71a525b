/*
 * Rounding at random as every table has it: loops that a compiler turns into vectors of the table's own kind,
 * and how random words are drawn in groups. What these compute: kernels/kernels.h; why it is right:
 * codec/rounding.h, codec/quantise.h.
 */
#ifndef FL_KERNELS_ROUNDING_H
#define FL_KERNELS_ROUNDING_H

#include "kernels/exact.h"
#include "kernels/tables.h"

/* Multipliers and key steps of Philox4x32 (Salmon et al., SC 2011), for the tables' own versions. */
#define FL_PHILOX_M0     0xD2511F53u
#define FL_PHILOX_M1     0xCD9E8D57u
#define FL_PHILOX_W0     0x9E3779B9u
#define FL_PHILOX_W1     0xBB67AE85u
#define FL_PHILOX_ROUNDS 10

/* Elements whose numbers wait on the stack. */
#define FL_ROUND_BATCH 256

/* The words of n elements, a whole number of groups, from the first of a block on. */
typedef void (*fl_draw_groups_fn)(const struct fl_kernels_draw *draw, uint64_t block, size_t n,
                                  uint32_t *ret_words);

/* draw of a table with such a function for groups of so many elements. */
static inline __attribute__((always_inline)) void fl_draw_by_groups(fl_draw_groups_fn groups, size_t group,
                                                                    const struct fl_kernels_draw *draw,
                                                                    uint64_t first, size_t n,
                                                                    uint32_t *ret_words)
{
    size_t head = (size_t)(-first % 4), whole;
    head = head < n ? head : n;
    whole = (n - head) / group * group;
    fl_kernels_portable.draw(draw, first, head, ret_words);
    groups(draw, (first + head) / 4, whole, ret_words + head);
    fl_kernels_portable.draw(draw, first + head + whole, n - head - whole, ret_words + head + whole);
}

static inline void fl_round_levels(const float *p, const uint32_t *words, size_t n,
                                   const struct fl_kernels_grid *grid, uint32_t *ret_levels)
{
    for (size_t i = 0; i < n; i++)
        ret_levels[i] = fl_round_level(p[i], words[i], grid);
}

static inline void fl_round_powers(const float *p, const uint32_t *words, size_t n, uint32_t *ret_bits)
{
    const uint32_t mantissa = 0x7fffff, largest = 0x7f000000; /* 2^127 */
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = fl_bits_of(p[i]), magnitude = bits & FL_BITS_MAGNITUDE;
        uint32_t up = words[i] < (magnitude & mantissa) << 9;
        uint32_t power = (magnitude & ~mantissa) + (up << 23);
        power = power > largest ? largest : power;
        ret_bits[i] = power ? (bits & ~FL_BITS_MAGNITUDE) | power : 0;
    }
}

/* For each r the largest i <= count - 2 with table[i] <= r, 0 when there is none. */
static inline void fl_round_search(const float *table, size_t count, const float *r, size_t n,
                                   int32_t *ret_low)
{
    for (size_t i = 0; i < n; i++)
        ret_low[i] = 0;
    for (int32_t size = (int32_t)count - 1; size > 1; size -= size / 2) { /* it is in [low, low + size) */
        int32_t half = size / 2;
        for (size_t i = 0; i < n; i++)
            ret_low[i] += table[ret_low[i] + half] <= r[i] ? half : 0;
    }
}

/* word < floor(2^32 share) as word + 1 <= 2^32 share, which needs no integer of 33 bits. */
static inline void fl_round_table(const float *table, size_t count, const float *v, float norm,
                                  const uint32_t *words, size_t n, uint8_t *ret_indices)
{
    float r[FL_ROUND_BATCH];
    int32_t low[FL_ROUND_BATCH];
    for (size_t at = 0, size; at < n; at += size) {
        size = n - at < FL_ROUND_BATCH ? n - at : FL_ROUND_BATCH;
        for (size_t i = 0; i < size; i++)
            r[i] = v[at + i] / norm;
        fl_round_search(table, count, r, size, low);
        for (size_t i = 0; i < size; i++) {
            double a = (double)table[low[i]], c = (double)table[low[i] + 1];
            double share = ((double)r[i] - a) / (c - a);
            share = share > 0 ? share : 0;
            share = share < 1 ? share : 1;
            ret_indices[at + i] = (uint8_t)(low[i] + ((double)words[at + i] + 1 <= share * 0x1p32));
        }
    }
}

#endif
