#include "codec/rounding.h"

#include <math.h>

#include "codec/codec.h"

/* Elements that random words are drawn for at once. */
#define BATCH 512

/* Of n levels those that are not 0, brought to the front, and their positions; there is room for n. Without a
 * branch, which would be guessed wrongly where some are sent. Returns how many. */
static size_t keep_others_than_0(uint32_t *levels, size_t n, uint32_t *ret_positions)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t level = levels[i];
        levels[count] = level;
        ret_positions[count] = (uint32_t)i;
        count += level != 0;
    }
    return count;
}

size_t fl_rounding_levels(const struct fl_kernels *kernels, const float *p, size_t n, int step_log2,
                          uint64_t seed, uint32_t *ret_indices, uint32_t *ret_levels)
{
    const struct fl_kernels_draw draw = {.seed = seed};
    const struct fl_kernels_grid grid = {.step = ldexpf(1, step_log2),
                                         .inverse_step = ldexpf(1, -step_log2),
                                         .level_most = (float)FL_CODEC_LEVEL_MAX};
    uint32_t words[BATCH], levels[BATCH];
    size_t count = 0;
    for (size_t at = 0, size; at < n; at += size) {
        size = n - at < BATCH ? n - at : BATCH;
        kernels->draw(&draw, at, size, words);
        kernels->round_levels(p + at, words, size, &grid, levels);
        size_t kept = keep_others_than_0(levels, size, words);
        for (size_t i = 0; ret_indices && i < kept; i++) {
            ret_indices[count + i] = (uint32_t)at + words[i];
            ret_levels[count + i] = levels[i];
        }
        count += kept;
    }
    return count;
}

void fl_rounding_natural(const struct fl_kernels *kernels, const float *p, size_t n, uint64_t first,
                         uint64_t seed, uint32_t *ret_words)
{
    const struct fl_kernels_draw draw = {.seed = seed};
    uint32_t words[BATCH];
    for (size_t at = 0, size; at < n; at += size) {
        size = n - at < BATCH ? n - at : BATCH;
        kernels->draw(&draw, first + at, size, words);
        kernels->round_powers(p + at, words, size, ret_words + at);
    }
}
