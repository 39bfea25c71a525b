/*
 * The random word of one element of a vector: from a counter, so that any element can be drawn alone and
 * parts give the same as the whole. Not for numbers in sequence (base/random.h).
 */
#ifndef FL_CODEC_DRAW_H
#define FL_CODEC_DRAW_H

#include "base/random.h"

/*
 * Where the words come from: element i takes word i mod 4 of the Philox block with key seed and counter (low
 * and high half of i / 4, round, purpose). Zeroed but for those three at the start.
 */
struct fl_draw {
    uint64_t seed;
    uint32_t round, purpose;
    int has_block;
    uint64_t block; /* number of the block in words, once has_block */
    uint32_t words[4];
};

static inline uint32_t fl_draw_word(struct fl_draw *draw, uint64_t element)
{
    uint64_t block = element / 4;
    if (!draw->has_block || block != draw->block) {
        const uint32_t key[2] = {(uint32_t)draw->seed, (uint32_t)(draw->seed >> 32)};
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), draw->round, draw->purpose};
        fl_philox(counter, key, draw->words);
        draw->block = block;
        draw->has_block = 1;
    }
    return draw->words[element % 4];
}

#endif
