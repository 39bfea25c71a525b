/*
 * The hash of a count sketch (codec/sketch.h): in each row, the column and the signs of a block of
 * neighbouring coordinates. A few multiplications, nothing allocated. Not for the table.
 */
#ifndef FL_CODEC_SKETCH_HASH_H
#define FL_CODEC_SKETCH_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

#define FL_SKETCH_ROWS_MAX 63
/* P, a Mersenne prime: numbers are reduced by a shift and an addition. */
#define FL_SKETCH_PRIME ((UINT64_C(1) << 61) - 1)

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
static inline uint64_t fl_sketch_multiply_add(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 product = (unsigned __int128)a * b + c;
    uint64_t folded = (uint64_t)(product & FL_SKETCH_PRIME) + (uint64_t)(product >> 61);
    return folded >= FL_SKETCH_PRIME ? folded - FL_SKETCH_PRIME : folded;
}

/* a1 block + a2 mod P of a row. One more block is one a1 more: fl_sketch_spot_next(). */
static inline uint64_t fl_sketch_spot(const struct fl_sketch_hash *hash, unsigned row, uint64_t block)
{
    return fl_sketch_multiply_add(hash->rows[row][0], block, hash->rows[row][1]);
}

static inline uint64_t fl_sketch_spot_next(const struct fl_sketch_hash *hash, unsigned row, uint64_t spot)
{
    uint64_t sum = spot + hash->rows[row][0];
    return sum >= FL_SKETCH_PRIME ? sum - FL_SKETCH_PRIME : sum;
}

/* Column of the first coordinate of the block with this spot; the others follow it. */
static inline size_t fl_sketch_column(const struct fl_sketch_hash *hash, uint64_t spot)
{
    return (size_t)((unsigned __int128)spot * hash->groups >> 61) * hash->block;
}

/* Signs of a block's coordinates: bit i set, coordinate i counts as negative. */
static inline uint64_t fl_sketch_signs(const struct fl_sketch_hash *hash, unsigned row, uint64_t block)
{
    const uint64_t *a = hash->rows[row];
    uint64_t signs = fl_sketch_multiply_add(a[2], block, a[3]);
    signs = fl_sketch_multiply_add(signs, block, a[4]);
    return fl_sketch_multiply_add(signs, block, a[5]);
}

#endif
