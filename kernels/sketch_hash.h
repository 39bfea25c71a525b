/*
 * The hash of a count sketch (codec/sketch.h): in each row, the column and the signs of a block of
 * neighbouring coordinates; and what a value counts for. A few multiplications, nothing allocated, the same
 * on host and device. Not for the table.
 */
#ifndef FL_KERNELS_SKETCH_HASH_H
#define FL_KERNELS_SKETCH_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "kernels/exact.h"

#define FL_SKETCH_ROWS_MAX 63
/* P, a Mersenne prime: numbers are reduced by a shift and an addition. */
#define FL_SKETCH_PRIME ((UINT64_C(1) << 61) - 1)

/* No cell ever exceeds this: the sum of |round(v / unit)| over all that was inserted is kept below it. */
#define FL_SKETCH_LOAD_MAX (UINT64_C(1) << 62)
/* Every |v| / unit is below this. */
#define FL_SKETCH_LEVEL_LIMIT 0x1p52

struct fl_sketch_hash {
    uint64_t groups; /* columns / block */
    unsigned block;
    uint64_t rows[FL_SKETCH_ROWS_MAX][6]; /* a1 to a6 of each row, below P */
};

/* rows: at most FL_SKETCH_ROWS_MAX; columns: a multiple of block. */
static inline void fl_sketch_hash_init(struct fl_sketch_hash *hash, size_t columns, unsigned block,
                                       unsigned rows, uint64_t seed)
{
    hash->groups = columns / block;
    hash->block = block;
    for (unsigned row = 0; row < rows; row++) {
        struct fl_random random;
        fl_random_init(&random, seed, row);
        for (size_t i = 0; i < 6; i++)
            hash->rows[row][i] = fl_random_below(&random, FL_SKETCH_PRIME);
    }
}

/* a b + c mod P, for a, b, c < P. */
FL_HOST_DEVICE uint64_t fl_sketch_multiply_add(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 product = (unsigned __int128)a * b + c;
    uint64_t folded = (uint64_t)(product & FL_SKETCH_PRIME) + (uint64_t)(product >> 61);
    return folded >= FL_SKETCH_PRIME ? folded - FL_SKETCH_PRIME : folded;
}

/* a1 block + a2 mod P of a row. One more block is one a1 more: fl_sketch_spot_next(). */
FL_HOST_DEVICE uint64_t fl_sketch_spot(const struct fl_sketch_hash *hash, unsigned row, uint64_t block)
{
    return fl_sketch_multiply_add(hash->rows[row][0], block, hash->rows[row][1]);
}

FL_HOST_DEVICE uint64_t fl_sketch_spot_next(const struct fl_sketch_hash *hash, unsigned row, uint64_t spot)
{
    uint64_t sum = spot + hash->rows[row][0];
    return sum >= FL_SKETCH_PRIME ? sum - FL_SKETCH_PRIME : sum;
}

/* Column of the first coordinate of the block with this spot; the others follow it. */
FL_HOST_DEVICE size_t fl_sketch_column(const struct fl_sketch_hash *hash, uint64_t spot)
{
    return (size_t)((unsigned __int128)spot * hash->groups >> 61) * hash->block;
}

/* Signs of a block's coordinates: bit i set, coordinate i counts as negative. */
FL_HOST_DEVICE uint64_t fl_sketch_signs(const struct fl_sketch_hash *hash, unsigned row, uint64_t block)
{
    const uint64_t *a = hash->rows[row];
    uint64_t signs = fl_sketch_multiply_add(a[2], block, a[3]);
    signs = fl_sketch_multiply_add(signs, block, a[4]);
    return fl_sketch_multiply_add(signs, block, a[5]);
}

/* level with the sign of a block's coordinate i. */
FL_HOST_DEVICE int64_t fl_sketch_signed(int64_t level, uint64_t signs, size_t i)
{
    return signs >> i & 1 ? -level : level;
}

/* v / unit as an integer, half away from zero; |v| / unit < FL_SKETCH_LEVEL_LIMIT. per_unit = 1 / unit. */
FL_HOST_DEVICE int64_t fl_sketch_level(float v, double per_unit)
{
    double units = fl_exact_multiply_wide((double)v, per_unit);
    /* 24 bits, so adding 1/2 is exact or far from a step */
    return (int64_t)fl_exact_add_wide(units, copysign(0.5, units));
}

#endif
